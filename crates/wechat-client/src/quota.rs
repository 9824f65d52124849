//! What WeChat lets an app call in a day: `POST /cgi-bin/openapi/quota/get`.
//!
//! Source: WeChat, "openApi management: query the quota of an API".

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::call::Access;
use crate::client::Client;
use crate::error::BadResponse;
use crate::refusal::CallError;

const ROUTE: &str = "/cgi-bin/openapi/quota/get";

/// An interface as WeChat's quotas name it: a path such as `/wxa/business/getuserphonenumber`, without host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgiPath(String);

impl FromStr for CgiPath {
    type Err = MalformedCgiPath;

    fn from_str(text: &str) -> Result<Self, MalformedCgiPath> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-');
        let fits = (2..=128).contains(&text.len()) && text.starts_with('/') && text.bytes().all(plain);
        fits.then(|| Self(text.to_owned())).ok_or(MalformedCgiPath)
    }
}

impl fmt::Display for CgiPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that names no interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a path such as /wxa/business/getuserphonenumber")]
pub struct MalformedCgiPath;

/// What an app may call of an interface today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyQuota {
    /// Calls in a day.
    pub limit: u64,
    /// Calls that were made, by whomever.
    pub used: u64,
    /// Calls that are left.
    pub remain: u64,
}

impl Client {
    /// Asks what is left of the day's quota of an interface. Goes out signed for an app with API security.
    ///
    /// # Errors
    /// See [`CallError`]. WeChat tells nothing of `/sns/*` (76022) and of paths that it does not know (76021).
    pub async fn daily_quota(&self, access: &Access<'_>, path: &CgiPath) -> Result<DailyQuota, CallError> {
        let mut budget = self.0.budget();
        let deadline = budget.deadline();
        let ask = async {
            let mut parameters = Map::new();
            parameters.insert("cgi_path".into(), path.to_string().into());
            let answer = self.0.post_as(access, ROUTE, parameters, &mut budget).await?;
            let number = |name: &'static str| {
                let told = answer.get("quota").and_then(|quota| quota.get(name)).and_then(Value::as_u64);
                told.ok_or(BadResponse::Field(name))
            };
            Ok(DailyQuota { limit: number("daily_limit")?, used: number("used")?, remain: number("remain")? })
        };
        self.call(ROUTE, access.appid, deadline, ask).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_path() {
        for right in ["/wxa/business/getuserphonenumber", "/cgi-bin/token"] {
            assert_eq!(right.parse::<CgiPath>().unwrap().to_string(), right);
        }
        for wrong in
            ["", "/", "wxa/x", "/a?b=c", "https://api.weixin.qq.com/a", "/a b", &format!("/{}", "a".repeat(128))]
        {
            assert_eq!(wrong.parse::<CgiPath>(), Err(MalformedCgiPath), "{wrong}");
        }
    }
}
