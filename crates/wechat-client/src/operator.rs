//! What an operator asks WeChat, beside the logins: is a secret accepted, does a token come, what time is it.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, DATE, HeaderValue};
use tokio::time::{Instant, timeout_at};
use wxgate_crypto::Random;
use wxgate_domain::{AppSecret, Credential, LoginCode, Timestamp, WechatAppid};

use crate::access_token::{self, AccessToken};
use crate::client::{Client, Inner, body};
use crate::code2session;
use crate::errcode::RejectedClass;
use crate::error::{BadResponse, ExchangeError};

/// What WeChat's clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WechatClock {
    /// To the second, as the `Date` of an answer says it.
    pub date: Timestamp,
    /// How long the call took: the date is older than its arrival by as much at most.
    pub round_trip: Duration,
}

impl Client {
    /// Whether WeChat accepts an AppSecret: a code that it never gave is refused only after the secret was looked at.
    ///
    /// # Errors
    /// See [`ExchangeError`]; errcode 40125 says that the secret is not the app's.
    pub async fn check_secret(&self, appid: &WechatAppid, secret: &AppSecret) -> Result<(), ExchangeError> {
        let credential = Credential::AppSecret { current: secret.clone(), previous: None };
        match self.code_to_session(appid, &credential, &nobody_s_code()?).await {
            Ok(_) => Ok(()),
            Err(ExchangeError::Rejected(rejected))
                if matches!(rejected.class, RejectedClass::CodeInvalid | RejectedClass::CodeUsed) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// WeChat's access_token of an app (`stable_token`, normal mode): the one there is, or a new one.
    ///
    /// # Errors
    /// See [`ExchangeError`].
    pub async fn access_token(&self, appid: &WechatAppid, secret: &AppSecret) -> Result<AccessToken, ExchangeError> {
        let pass = self.inner().lanes.enter(appid)?;
        let deadline = Instant::now() + self.inner().total_timeout;
        let result =
            timeout_at(deadline, self.inner().fetch(appid, secret)).await.unwrap_or(Err(ExchangeError::Timeout));
        pass.end(&result);
        tracing::debug!(
            wechat.route = access_token::ROUTE,
            wechat.appid = appid.as_str(),
            wechat.class = result.as_ref().map_or_else(ExchangeError::errcode_class, |_| "ok"),
            "called WeChat"
        );
        result
    }

    /// WeChat's time.
    ///
    /// # Errors
    /// See [`ExchangeError`].
    pub async fn date(&self) -> Result<WechatClock, ExchangeError> {
        let started = Instant::now();
        let asked = timeout_at(started + self.inner().total_timeout, self.inner().date());
        let date = asked.await.unwrap_or(Err(ExchangeError::Timeout))?;
        Ok(WechatClock { date, round_trip: started.elapsed() })
    }
}

/// A code that WeChat gave to nobody, in the shape of those that it gives.
fn nobody_s_code() -> Result<LoginCode, ExchangeError> {
    let random = Random::system().map_err(|_| ExchangeError::Unavailable)?;
    let text = format!("0{}", wxgate_crypto::encoding::to_hex(random.bytes::<16>()));
    text.get(..32).and_then(|text| text.parse().ok()).ok_or(ExchangeError::Unavailable)
}

impl Inner {
    async fn fetch(&self, appid: &WechatAppid, secret: &AppSecret) -> Result<AccessToken, ExchangeError> {
        let http = self.connections.of_this_thread().map_err(|_| ExchangeError::Unavailable)?;
        let question = access_token::question(appid, secret);
        let request = http
            .post(access_token::url(&self.base_url))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(question.to_vec());
        let response = request.send().await.map_err(|error| unsent(&error))?;
        if response.status().is_server_error() {
            return Err(BadResponse::Status(response.status().as_u16()).into());
        }
        access_token::read(&body(response).await?)
    }

    /// Any answer has a date; a call without parameters gets one that costs nobody anything.
    async fn date(&self) -> Result<Timestamp, ExchangeError> {
        let http = self.connections.of_this_thread().map_err(|_| ExchangeError::Unavailable)?;
        let url = format!("{}{}", self.base_url.as_str(), code2session::ROUTE);
        let response = http.get(url).send().await.map_err(|error| unsent(&error))?;
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let since_1970 = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
        let millis = since_1970.and_then(|since| i64::try_from(since.as_millis()).ok());
        Ok(Timestamp::from_millis(millis.ok_or(BadResponse::Date)?))
    }
}

/// reqwest's errors hold the address: they are looked at and dropped.
fn unsent(error: &reqwest::Error) -> ExchangeError {
    if error.is_connect() { ExchangeError::Unavailable } else { ExchangeError::Timeout }
}
