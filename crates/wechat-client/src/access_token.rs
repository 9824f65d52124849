//! `POST /cgi-bin/stable_token`, normal mode: WeChat's access_token of an app, which lets it be called on the app's behalf.
//!
//! Asked again, WeChat gives the same token with what is left of its life, so nobody who asks takes it from another.
//!
//! Source: WeChat, "API: getStableAccessToken".

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use wxgate_crypto::Secret;
use wxgate_domain::{AppSecret, WechatAppid};
use zeroize::Zeroizing;

use crate::base_url::BaseUrl;
use crate::code2session::{errcode, object, rejected, take_text};
use crate::error::{BadResponse, ExchangeError};

/// The path; it also names the route in logs.
pub(crate) const ROUTE: &str = "/cgi-bin/stable_token";

/// Longest token that is kept; WeChat says to reserve 512 characters.
const LONGEST: usize = 2_048;

/// WeChat's access_token of an app.
#[derive(Clone)]
pub struct AccessToken {
    /// The token.
    pub token: Secret<String>,
    /// What is left of its life.
    pub expires_in: Duration,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessToken(for {:?})", self.expires_in)
    }
}

/// The address: it holds nothing secret.
pub(crate) fn url(base: &BaseUrl) -> String {
    format!("{}{ROUTE}", base.as_str())
}

/// What is sent. It holds the AppSecret.
pub(crate) fn question(appid: &WechatAppid, secret: &AppSecret) -> Zeroizing<Vec<u8>> {
    let question = json!({
        "grant_type": "client_credential",
        "appid": appid.as_str(),
        "secret": secret.expose(),
        "force_refresh": false,
    });
    Zeroizing::new(serde_json::to_vec(&question).unwrap_or_default())
}

/// Reads an answer by its body alone.
pub(crate) fn read(body: &[u8]) -> Result<AccessToken, ExchangeError> {
    let mut answer = object(body)?;
    let token = take_text(&mut answer, "access_token").map(Secret::new);
    let errcode = errcode(&answer)?;
    if errcode != 0 {
        return Err(rejected(errcode, &answer).into());
    }
    let fits = |token: &Secret<String>| {
        let text = token.expose();
        (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let token = token.filter(fits).ok_or(BadResponse::AccessToken)?;
    let seconds = answer.get("expires_in").and_then(Value::as_u64).filter(|seconds| (1..=86_400).contains(seconds));
    Ok(AccessToken { token, expires_in: Duration::from_secs(seconds.ok_or(BadResponse::AccessToken)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_with_its_life_and_nothing_else_is_one() {
        let read = |body: &str| read(body.as_bytes());
        let token = read(r#"{"access_token":"68_abc-_","expires_in":345}"#).unwrap();
        assert_eq!((token.token.expose().as_str(), token.expires_in), ("68_abc-_", Duration::from_secs(345)));
        assert!(!format!("{token:?}").contains("68_abc"));
        for wrong in [
            r#"{"access_token":"","expires_in":345}"#,
            r#"{"access_token":"a b","expires_in":345}"#,
            r#"{"access_token":"68_abc"}"#,
            r#"{"access_token":"68_abc","expires_in":-1}"#,
            r#"{"expires_in":7200}"#,
        ] {
            assert_eq!(read(wrong).unwrap_err(), BadResponse::AccessToken.into(), "{wrong}");
        }
    }

    #[test]
    fn a_refusal_of_our_address_names_it() {
        let body = r#"{"errcode":40164,"errmsg":"invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 652d44d0-1d0af18b-5b069232"}"#;
        let ExchangeError::Rejected(rejected) = read(body.as_bytes()).unwrap_err() else { panic!() };
        assert_eq!((rejected.errcode, rejected.egress), (40164, Some([203, 0, 113, 7].into())));
        let without = read(br#"{"errcode":40164,"errmsg":"invalid ip"}"#).unwrap_err();
        assert!(matches!(without, ExchangeError::Rejected(rejected) if rejected.egress.is_none()));
    }
}
