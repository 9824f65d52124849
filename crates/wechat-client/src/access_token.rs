//! The app's own access_token: `POST /cgi-bin/stable_token`, and the older `GET /cgi-bin/token`.
//!
//! Source: WeChat, "API: getStableAccessToken" and "getAccessToken". A stable token is the same for all who ask, so two
//! servers cannot overwrite each other's; every call of the older interface makes a new token and ends the one before.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use wxgate_crypto::{Digest, Secret};
use wxgate_domain::{AppSecret, AppSecrets, WechatAppid};

use crate::answer::take_text;
use crate::call::{fields, json};
use crate::client::{Client, Inner, SecretSlot};
use crate::errcode;
use crate::error::BadResponse;
use crate::refusal::{CallError, Proof};
use crate::transport::Budget;

const STABLE: &str = "/cgi-bin/stable_token";
const LEGACY: &str = "/cgi-bin/token";
const GRANT_TYPE: &str = "client_credential";

/// Longest token that is read; WeChat asks to reserve 512 characters.
const MAX_TOKEN: usize = 1024;
/// No token of WeChat's lives longer. A longer life is read as this one, so that nobody trusts a token for ever.
const MAX_LIFE: Duration = Duration::from_hours(2);

/// A token of WeChat's: an app's access_token, or one of those of a third-party platform.
#[derive(Clone, Debug)]
pub struct AccessToken(Secret<String>);

impl AccessToken {
    /// Reads a token: 1 to 1024 visible ASCII characters. `None` for anything else.
    pub fn parse(text: String) -> Option<Self> {
        let text = Secret::new(text);
        let length = text.expose().len();
        ((1..=MAX_TOKEN).contains(&length) && text.expose().bytes().all(|byte| byte.is_ascii_graphic()))
            .then_some(Self(text))
    }

    /// The token.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What names the token without telling it: SHA-256, as it has far more than 128 random bits.
    pub fn digest(&self) -> Digest {
        Digest::sha256(self.expose().as_bytes())
    }

    /// Takes a token out of an answer.
    pub(crate) fn take(answer: &mut Map<String, Value>, field: &'static str) -> Result<Self, BadResponse> {
        take_text(answer, field).and_then(Self::parse).ok_or(BadResponse::Field(field))
    }
}

impl PartialEq for AccessToken {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for AccessToken {}

/// A token and what is left of its life.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: AccessToken,
    /// Its remaining life, at most two hours.
    pub expires_in: Duration,
    /// Which AppSecret WeChat accepted.
    pub slot: SecretSlot,
}

/// How a stable token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenMode {
    /// The token that is valid now; a new one only when it is about to end.
    Normal,
    /// A new token. WeChat grants it 20 times a day and once in 30 seconds. Only for a token that leaked, and only
    /// when a person asks for it: it takes the token away from all who share it.
    Force,
}

#[derive(Serialize)]
struct StableBody<'a> {
    grant_type: &'static str,
    appid: &'a str,
    secret: &'a str,
    force_refresh: bool,
}

/// Which interface is asked.
#[derive(Clone, Copy, Debug)]
enum Interface {
    Stable(TokenMode),
    Legacy,
}

impl Client {
    /// Fetches the app's stable token. Inside its life everybody gets the same one.
    ///
    /// If WeChat refuses the current AppSecret (40125) and there is a previous one, that is tried.
    ///
    /// # Errors
    /// See [`CallError`]. Nothing is lost with a failure: the token that was valid stays valid.
    pub async fn stable_token(
        &self,
        appid: &WechatAppid,
        secrets: &AppSecrets,
        mode: TokenMode,
    ) -> Result<IssuedToken, CallError> {
        self.token(Interface::Stable(mode), appid, secrets).await
    }

    /// Fetches a token from the older interface. This ends the token before, for everybody, within five minutes: only
    /// for those who share the app with a system that knows no other way, and never from two places at once.
    ///
    /// # Errors
    /// See [`CallError`]. After [`CallError::Timeout`] and [`CallError::BadResponse`] there may be a new token that
    /// nobody has: fetch again.
    pub async fn legacy_token(&self, appid: &WechatAppid, secrets: &AppSecrets) -> Result<IssuedToken, CallError> {
        self.token(Interface::Legacy, appid, secrets).await
    }

    async fn token(
        &self,
        interface: Interface,
        appid: &WechatAppid,
        secrets: &AppSecrets,
    ) -> Result<IssuedToken, CallError> {
        let mut budget = self.0.budget();
        let deadline = budget.deadline();
        let fetch = self.0.token(interface, appid, secrets, &mut budget);
        self.call(interface.route(), appid, deadline, fetch).await
    }
}

impl Inner {
    async fn token(
        &self,
        interface: Interface,
        appid: &WechatAppid,
        secrets: &AppSecrets,
        budget: &mut Budget,
    ) -> Result<IssuedToken, CallError> {
        let AppSecrets { current, previous } = secrets;
        let (token, slot) = match (self.token_for(interface, appid, current, budget).await, previous) {
            (Err(CallError::Refused(refused)), Some(previous)) if refused.errcode == errcode::WRONG_SECRET => {
                (self.token_for(interface, appid, previous, budget).await, SecretSlot::Previous)
            }
            (result, _) => (result, SecretSlot::Current),
        };
        let (token, expires_in) = token?;
        Ok(IssuedToken { token, expires_in, slot })
    }

    async fn token_for(
        &self,
        interface: Interface,
        appid: &WechatAppid,
        secret: &AppSecret,
        budget: &mut Budget,
    ) -> Result<(AccessToken, Duration), CallError> {
        let (appid, secret) = (appid.as_str(), secret.expose());
        let response = match interface {
            Interface::Stable(mode) => {
                let force_refresh = mode == TokenMode::Force;
                let body = json(&StableBody { grant_type: GRANT_TYPE, appid, secret, force_refresh });
                self.post(&self.base_url.address(STABLE, &[]), &body, budget).await
            }
            Interface::Legacy => {
                let query = [("grant_type", GRANT_TYPE), ("appid", appid), ("secret", secret)];
                self.get(&self.base_url.address(LEGACY, &query), budget).await
            }
        };
        let mut answer = fields(response, Proof::Secret).await?;
        let token = AccessToken::take(&mut answer, "access_token")?;
        Ok((token, lifetime(&answer)?))
    }
}

impl Interface {
    fn route(self) -> &'static str {
        match self {
            Self::Stable(_) => STABLE,
            Self::Legacy => LEGACY,
        }
    }
}

/// What is left of a token's life.
pub(crate) fn lifetime(answer: &Map<String, Value>) -> Result<Duration, BadResponse> {
    let seconds = answer.get("expires_in").and_then(Value::as_u64).filter(|seconds| *seconds > 0);
    seconds.map(|seconds| Duration::from_secs(seconds).min(MAX_LIFE)).ok_or(BadResponse::Field("expires_in"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_visible_ascii_and_not_shown() {
        let token = AccessToken::parse("89_canary-Token".to_owned()).unwrap();
        assert_eq!(token.expose(), "89_canary-Token");
        assert!(!format!("{token:?}").contains("canary"));
        for wrong in ["", "with space", "ünïcode", "line\n", &"a".repeat(MAX_TOKEN + 1)] {
            assert!(AccessToken::parse(wrong.to_owned()).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_life_is_at_most_two_hours_and_never_nothing() {
        let lifetime = |value: Value| lifetime(serde_json::json!({ "expires_in": value }).as_object().unwrap());
        assert_eq!(lifetime(345.into()), Ok(Duration::from_secs(345)));
        assert_eq!(lifetime(u64::MAX.into()), Ok(MAX_LIFE));
        for wrong in [0.into(), (-1).into(), "7200".into(), Value::Null] {
            assert_eq!(lifetime(wrong), Err(BadResponse::Field("expires_in")));
        }
    }
}
