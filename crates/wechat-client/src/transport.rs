//! The way to WeChat and back: one budget for each call, one lane for each app.

use std::error::Error;
use std::future::Future;
use std::io::ErrorKind;
use std::time::Duration;

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response};
use tokio::time::{Instant, timeout_at};
use wxgate_domain::WechatAppid;
use zeroize::Zeroizing;

use crate::client::Inner;
use crate::error::BadResponse;
use crate::lanes::{Lanes, Outcome};

/// Longest answer that is read. WeChat's have about 150 bytes.
const MAX_BODY: usize = 64 * 1024;
/// Room for an answer that does not say how long it is: for every one that WeChat gives today, so that the buffer that is
/// zeroed is the only one.
const USUAL_BODY: usize = 4 * 1024;

/// Why there is no answer to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The time was up, or the connection broke after the request was sent.
    Timeout,
    /// Nothing was sent.
    Unavailable,
    /// Too many calls of this app are in flight. Nothing was sent.
    Overloaded,
    /// What came is no answer.
    BadResponse(BadResponse),
}

impl From<BadResponse> for Lost {
    fn from(bad: BadResponse) -> Self {
        Self::BadResponse(bad)
    }
}

/// What is left for one call, the second try included.
pub(crate) struct Budget {
    deadline: Instant,
    may_reconnect: bool,
}

impl Budget {
    /// When it ends.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether to connect again, which is granted once, and only while a whole connect fits into the rest. So whenever
    /// the deadline strikes, there was a connection, and the request may have been sent.
    fn take_reconnect(&mut self, connect_timeout: Duration) -> bool {
        let fits = self.deadline.saturating_duration_since(Instant::now()) > connect_timeout;
        std::mem::take(&mut self.may_reconnect) && fits
    }
}

impl Inner {
    /// The budget of a call that starts now.
    pub(crate) fn budget(&self) -> Budget {
        Budget { deadline: Instant::now() + self.total_timeout, may_reconnect: true }
    }

    /// Makes a call in the app's lane, and ends it when its time is up.
    pub(crate) async fn in_lane<T, E>(
        &self,
        lanes: &Lanes,
        appid: &WechatAppid,
        deadline: Instant,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E>
    where
        E: From<Lost>,
        Outcome: for<'e> From<&'e E>,
    {
        let pass = lanes.enter(appid)?;
        let result = timeout_at(deadline, call).await.unwrap_or_else(|_| Err(Lost::Timeout.into()));
        pass.end(result.as_ref().map_or_else(Outcome::from, |_| Outcome::Answered));
        result
    }

    /// Sends a GET. The address holds secrets.
    pub(crate) async fn get(&self, url: &str, budget: &mut Budget) -> Result<Response, Lost> {
        self.send(budget, |http| http.get(url)).await
    }

    /// Sends a POST of JSON. Address and body hold secrets.
    pub(crate) async fn post(&self, url: &str, body: &[u8], budget: &mut Budget) -> Result<Response, Lost> {
        self.send(budget, |http| http.post(url).header(CONTENT_TYPE, "application/json").body(body.to_vec())).await
    }

    /// Sends a request once; connects up to twice.
    ///
    /// reqwest's errors hold the address, and with it secrets: they are looked at and dropped, never kept.
    pub(crate) async fn send(
        &self,
        budget: &mut Budget,
        request: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Lost> {
        let http = self.connections.of_this_thread().map_err(|_| Lost::Unavailable)?;
        loop {
            match request(http).send().await.map_err(reqwest::Error::without_url) {
                Ok(response) if response.status().is_server_error() => {
                    return Err(BadResponse::Status(response.status().as_u16()).into());
                }
                Ok(response) => return Ok(response),
                Err(error) if !error.is_connect() => return Err(after_sending(&error)),
                Err(_) if !budget.take_reconnect(self.connect_timeout) => return Err(Lost::Unavailable),
                Err(_) => {}
            }
        }
    }
}

/// What an error means of a request that may have been sent.
fn after_sending(error: &reqwest::Error) -> Lost {
    let mut sources = std::iter::successors(error.source(), |error| (*error).source());
    if sources.any(is_no_http) { BadResponse::NotHttp.into() } else { Lost::Timeout }
}

/// Whether somebody answered, in no HTTP: hyper says so of a head, and its reader of a body's chunks.
fn is_no_http(error: &(dyn Error + 'static)) -> bool {
    let of_chunks = [ErrorKind::InvalidData, ErrorKind::InvalidInput];
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
        || error.downcast_ref::<std::io::Error>().is_some_and(|error| of_chunks.contains(&error.kind()))
}

/// Reads the body, but never more than [`MAX_BODY`]. It may hold a secret, so it is zeroed when dropped.
pub(crate) async fn body(mut response: Response) -> Result<Zeroizing<Vec<u8>>, Lost> {
    let encoding = response.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(BadResponse::Encoded.into());
    }
    // All of the room is zeroed, byte by byte, so there is no more than is needed.
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(USUAL_BODY);
    let mut body = Zeroizing::new(Vec::with_capacity(announced.min(MAX_BODY)));
    while let Some(chunk) = response.chunk().await.map_err(|error| after_sending(&error))? {
        if chunk.len() > MAX_BODY.saturating_sub(body.len()) {
            return Err(BadResponse::TooLarge.into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
