//! One read of the keys.

use std::time::Duration;

use reqwest::header::{AGE, CACHE_CONTROL, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH};
use reqwest::{StatusCode, Url};
use wxgate_token::VerifyingKeys;

use crate::http;

/// How long a read may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long keys are kept if the answer does not say.
const USUAL_LIFE: Duration = Duration::from_mins(5);

/// The shortest and the longest that an answer may say: no storm of reads, and no key that cannot be withdrawn.
const SHORTEST_LIFE: Duration = Duration::from_secs(30);
const LONGEST_LIFE: Duration = Duration::from_hours(1);

/// The longest tag that is kept.
const MAX_TAG: usize = 200;

/// What a read brought.
pub(super) enum Fetched {
    New {
        keys: VerifyingKeys,
        etag: Option<String>,
        life: Duration,
    },
    /// The keys are as they were.
    Unchanged {
        life: Duration,
    },
}

/// Why it brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// 404 or 410: there is no such tenant.
    #[error("no such tenant")]
    NoTenant,
    #[error("no answer: {0}")]
    NoAnswer(&'static str),
    #[error("status {0}")]
    Status(u16),
    #[error("not a set with one key that can be used")]
    NoKeys,
}

pub(super) async fn keys(http: &reqwest::Client, url: &Url, etag: Option<&str>) -> Result<Fetched, FetchError> {
    let mut request = http.get(url.clone()).timeout(TIMEOUT);
    if let Some(etag) = etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    let response = request.send().await.map_err(|error| FetchError::NoAnswer(http::why(&error)))?;
    let life = life(response.headers());
    match response.status() {
        StatusCode::OK => {
            let etag = text(response.headers(), &ETAG).filter(|tag| tag.len() <= MAX_TAG).map(str::to_owned);
            let body = http::body(response).await.ok_or(FetchError::NoKeys)?;
            // An empty set is refused here too: it would shut out everybody until it is read again.
            let keys = VerifyingKeys::from_jwks(&body).map_err(|_| FetchError::NoKeys)?;
            Ok(Fetched::New { keys, etag, life })
        }
        StatusCode::NOT_MODIFIED if etag.is_some() => Ok(Fetched::Unchanged { life }),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(FetchError::NoTenant),
        status => Err(FetchError::Status(status.as_u16())),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// How long the answer may be kept (RFC 9111 section 5.2.2.1), less what it spent in caches on its way (section 5.1).
fn life(headers: &HeaderMap) -> Duration {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<_> = directives.flat_map(|value| value.split(',')).map(str::trim).collect();
    let is = |name: &str| directives.iter().any(|directive| directive.eq_ignore_ascii_case(name));
    let max_age = directives.iter().find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| seconds.parse().ok())?
    });
    let told = if is("no-store") || is("no-cache") { Some(0) } else { max_age };
    let spent =
        text(headers, &AGE).and_then(|seconds| seconds.parse().ok()).map_or(Duration::ZERO, Duration::from_secs);
    let life = told.map_or(USUAL_LIFE, Duration::from_secs).saturating_sub(spent);
    life.clamp(SHORTEST_LIFE, LONGEST_LIFE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_as_long_as_the_answer_says_within_bounds() {
        let life = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, value.parse().unwrap());
            }
            super::life(&headers).as_secs()
        };
        assert_eq!(life(&[]), 300);
        assert_eq!(life(&[("cache-control", "public, max-age=120")]), 120);
        assert_eq!(life(&[("cache-control", "public"), ("cache-control", "Max-Age=121")]), 121);
        assert_eq!(life(&[("cache-control", "max-age=120"), ("age", "50")]), 70);
        assert_eq!(life(&[("cache-control", "max-age=0")]), 30);
        assert_eq!(life(&[("cache-control", "no-store")]), 30);
        assert_eq!(life(&[("cache-control", "max-age=31536000")]), 3_600);
        for odd in ["max-age=", "max-age=-1", "max-age=\"9\"", "max-age=99999999999999999999999", "s-maxage=9"] {
            assert_eq!(life(&[("cache-control", odd)]), 300, "{odd}");
        }
    }
}
