//! One page of the feed: asked for, bounded, verified.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use wxgate_token::crypto::Secret;
use wxgate_token::domain::{Clock, ServiceClientId};
use wxgate_token::security_event::{MAX_ENTRIES, verify_page};
use wxgate_token::{Issuer, VerifiedPage, VerifyError};

use crate::error::Unavailable;
use crate::http;
use crate::jwks_cache::JwksCache;

/// How long an answer may take beyond the time that it may wait for news.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where pages come from, and with what they are verified.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) http: reqwest::Client,
    pub(super) url: Url,
    pub(super) issuer: Issuer,
    pub(super) client: ServiceClientId,
    pub(super) secret: Secret<String>,
    pub(super) keys: Arc<JwksCache>,
    pub(super) clock: Clock,
}

/// Why there is no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PageError {
    /// 410: the cursor is too old, another tenant's, or from before a restore.
    #[error("the cursor is gone")]
    Gone,
    /// 401, 403, 404: not this service client, not this feed.
    #[error("refused with status {0}")]
    Refused(u16),
    /// Any other status; the gateway may say when to come back.
    #[error("status {status}")]
    Status { status: u16, retry_after: Option<Duration> },
    #[error("no answer: {0}")]
    NoAnswer(&'static str),
    /// Not a page that this tenant signed for this client.
    #[error("the page is not valid: {0}")]
    Invalid(VerifyError),
    #[error("no keys to verify the page with: {0}")]
    Keys(Unavailable),
    /// Valid, but not what was asked for, or from too long ago.
    #[error("the page is out of order")]
    OutOfOrder,
    /// More entries than the set may hold.
    #[error("more revocations than fit")]
    Full,
}

impl Source {
    /// The page after `cursor`, or the first of a snapshot; waits up to `wait` for news.
    pub(super) async fn page(&self, cursor: Option<&str>, wait: Duration) -> Result<VerifiedPage, PageError> {
        let mut url = self.url.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("wait", &wait.as_secs().to_string()).append_pair("limit", &MAX_ENTRIES.to_string());
            if let Some(cursor) = cursor {
                query.append_pair("after", cursor);
            }
        }
        let request = self.http.get(url).basic_auth(self.client.as_str(), Some(self.secret.expose()));
        let response =
            request.timeout(wait + TIMEOUT).send().await.map_err(|error| PageError::NoAnswer(http::why(&error)))?;
        match response.status() {
            StatusCode::OK => self.verified(response).await,
            StatusCode::GONE => Err(PageError::Gone),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                Err(PageError::Refused(response.status().as_u16()))
            }
            status => Err(PageError::Status { status: status.as_u16(), retry_after: retry_after(&response) }),
        }
    }

    async fn verified(&self, response: Response) -> Result<VerifiedPage, PageError> {
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_event = kind.and_then(|kind| kind.split(';').next()).is_some_and(|kind| {
            // A page of a proxy's own is no page of ours.
            kind.trim().eq_ignore_ascii_case("application/secevent+jwt")
        });
        if !is_event {
            return Err(PageError::Invalid(VerifyError::Type));
        }
        let body = http::body(response).await.ok_or(PageError::NoAnswer("the page is too long or broke off"))?;
        let token = std::str::from_utf8(&body).map_err(|_| PageError::Invalid(VerifyError::Malformed))?;
        let keys = self.keys.current().await.map_err(PageError::Keys)?;
        let check = |keys| verify_page(token, keys, &self.issuer, &self.client, &self.clock);
        match check(&*keys) {
            Err(VerifyError::UnknownKey) => {
                let newer = self.keys.other_than(&keys).await.map_err(PageError::Keys)?;
                let newer = newer.ok_or(PageError::Invalid(VerifyError::UnknownKey))?;
                check(&*newer).map_err(PageError::Invalid)
            }
            checked => checked.map_err(PageError::Invalid),
        }
    }
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3); dates we never write.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
