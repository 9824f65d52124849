//! What time it is at WeChat.

use std::time::{Duration, UNIX_EPOCH};

use reqwest::header::DATE;
use tokio::time::{Instant, timeout_at};
use wxgate_domain::Timestamp;

use crate::client::Client;
use crate::code2session;
use crate::error::BadResponse;
use crate::refusal::CallError;

/// What WeChat's clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WechatClock {
    /// To the second, as the `Date` of an answer says it (RFC 9110 section 6.6.1).
    pub date: Timestamp,
    /// How long the call took: the date is older than its arrival by as much at most.
    pub round_trip: Duration,
}

impl Client {
    /// WeChat's time. Every answer has it; this asks for one that costs nobody anything.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn clock(&self) -> Result<WechatClock, CallError> {
        let started = Instant::now();
        let mut budget = self.0.budget();
        let (deadline, url) = (budget.deadline(), self.0.base_url.address(code2session::ROUTE, &[]));
        let answer = timeout_at(deadline, self.0.get(&url, &mut budget)).await;
        let response = answer.map_err(|_| CallError::Timeout)??;
        let round_trip = started.elapsed();
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let millis = date.and_then(|date| i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok());
        let date = Timestamp::from_millis(millis.ok_or(BadResponse::Field("Date"))?);
        Ok(WechatClock { date, round_trip })
    }
}
