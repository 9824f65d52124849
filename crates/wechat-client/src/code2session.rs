//! code2Session: `GET /sns/jscode2session`, the exchange of a login code for an identity.
//!
//! Source: WeChat, "API: api_code2Session".

use std::net::IpAddr;

use serde_json::{Map, Value};
use url::form_urlencoded::Serializer;
use wxgate_crypto::user_data::SessionKey;
use wxgate_crypto::{Secret, strict_json};
use wxgate_domain::{AppSecret, LoginCode, WechatAppid, WechatIdentity};
use zeroize::Zeroizing;

use crate::base_url::BaseUrl;
use crate::errcode;
use crate::error::{BadResponse, ExchangeError, Rejected, Rid};

/// The path; it also names the route in logs.
pub(crate) const ROUTE: &str = "/sns/jscode2session";

const MOCK_CODE: &str = "the code is a mock one";

/// The address of one exchange, percent-encoded. It holds the AppSecret and the code.
pub(crate) fn url(base: &BaseUrl, appid: &WechatAppid, secret: &AppSecret, code: &LoginCode) -> Zeroizing<String> {
    // Room for everything, so that no outgrown buffer is left behind: escaping triples at worst.
    let room = base.as_str().len() + 128 + appid.as_str().len() + 3 * (secret.expose().len() + code.expose().len());
    let mut url = String::with_capacity(room);
    url.push_str(base.as_str());
    url.push_str(ROUTE);
    url.push('?');
    let start = url.len();
    let mut query = Serializer::for_suffix(url, start);
    query
        .append_pair("appid", appid.as_str())
        .append_pair("secret", secret.expose())
        .append_pair("js_code", code.expose())
        .append_pair("grant_type", "authorization_code");
    Zeroizing::new(query.finish())
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

pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, BadResponse> {
    match body.trim_ascii_start().first() {
        None => return Err(BadResponse::Empty),
        Some(b'<') => return Err(BadResponse::Html),
        Some(_) => {}
    }
    match strict_json::parse(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(BadResponse::NotObject),
        Err(_) => Err(BadResponse::NotJson),
    }
}

pub(crate) fn take_text(object: &mut Map<String, Value>, key: &str) -> Option<String> {
    match object.remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// The errcode: a number, or the text of one as some of WeChat's servers send; 0 if it is absent, as on success.
pub(crate) fn errcode(answer: &Map<String, Value>) -> Result<i64, BadResponse> {
    match answer.get("errcode") {
        None => Ok(0),
        Some(Value::Number(number)) => number.as_i64().ok_or(BadResponse::Errcode),
        Some(Value::String(text)) => text.parse().map_err(|_| BadResponse::Errcode),
        Some(_) => Err(BadResponse::Errcode),
    }
}

pub(crate) fn rejected(errcode: i64, answer: &Map<String, Value>) -> Rejected {
    let errmsg = answer.get("errmsg").and_then(Value::as_str).unwrap_or_default();
    Rejected {
        class: errcode::class(errcode),
        errcode,
        rid: Rid::find(errmsg),
        is_mock_code: errmsg.contains(MOCK_CODE),
        egress: (errcode == errcode::NOT_LISTED).then(|| egress(errmsg)).flatten(),
    }
}

/// The address in `invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist`.
fn egress(errmsg: &str) -> Option<IpAddr> {
    let (_, rest) = errmsg.split_once("invalid ip ")?;
    rest.split([' ', ',']).next()?.parse().ok()
}

#[cfg(test)]
mod tests;
