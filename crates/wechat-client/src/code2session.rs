//! code2Session: `GET /sns/jscode2session`, the exchange of a login code for an identity.
//!
//! Source: WeChat, "API: api_code2Session".

use serde_json::{Map, Value};
use wxgate_crypto::Secret;
use wxgate_crypto::user_data::SessionKey;
use wxgate_domain::{AppSecret, LoginCode, WechatAppid, WechatIdentity};
use zeroize::Zeroizing;

use crate::answer::{errcode, object, take_text};
use crate::base_url::BaseUrl;
use crate::errcode;
use crate::error::{BadResponse, ExchangeError, Rejected, Rid};

/// The path; it also names the route in logs.
pub(crate) const ROUTE: &str = "/sns/jscode2session";

const MOCK_CODE: &str = "the code is a mock one";

/// The address of one exchange, percent-encoded. It holds the AppSecret and the code.
pub(crate) fn url(base: &BaseUrl, appid: &WechatAppid, secret: &AppSecret, code: &LoginCode) -> Zeroizing<String> {
    base.address(
        ROUTE,
        &[
            ("appid", appid.as_str()),
            ("secret", secret.expose()),
            ("js_code", code.expose()),
            ("grant_type", "authorization_code"),
        ],
    )
}

/// Reads an answer by its body alone: refusals come with status 200, and JSON is labelled `text/plain`.
pub(crate) fn read(body: &[u8]) -> Result<WechatIdentity, ExchangeError> {
    let mut answer = object(body)?;
    // Into custody first, so that no way out of here leaves it in memory.
    let session_key = take_text(&mut answer, "session_key").map(Secret::new);
    let errcode = errcode(&answer)?;
    // A refusal wins over whatever else is there: nobody may log in by a contradictory answer.
    if errcode != 0 {
        return Err(rejected(errcode, &answer).into());
    }
    let openid = answer.get("openid").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let openid = openid.ok_or(BadResponse::OpenId)?;
    let session_key = session_key.and_then(|text| SessionKey::parse(text).ok()).ok_or(BadResponse::SessionKey)?;
    let unionid = match answer.get("unionid") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => Some(text.parse().map_err(|_| BadResponse::UnionId)?),
        Some(_) => return Err(BadResponse::UnionId.into()),
    };
    Ok(WechatIdentity { openid, unionid, session_key })
}

fn rejected(errcode: i64, answer: &Map<String, Value>) -> Rejected {
    let errmsg = answer.get("errmsg").and_then(Value::as_str).unwrap_or_default();
    Rejected {
        class: errcode::class(errcode),
        errcode,
        rid: Rid::find(errmsg),
        is_mock_code: errmsg.contains(MOCK_CODE),
    }
}

#[cfg(test)]
mod tests;
