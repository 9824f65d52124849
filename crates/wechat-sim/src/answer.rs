//! How WeChat words an answer.

use serde::Serialize;

use crate::codes::Session;
use crate::stable_token::Given;
use crate::state::{Outcome, Refusal};

/// `/sns/*` answers JSON under this label.
pub(crate) const CONTENT_TYPE: &str = "text/plain";

/// Size of what the fault `huge` adds.
const HUGE: usize = 4 * 1024 * 1024;

#[derive(Serialize)]
struct Success<'a> {
    session_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    openid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unionid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    padding: Option<String>,
}

#[derive(Serialize)]
struct TokenGiven<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    padding: Option<String>,
}

#[derive(Serialize)]
struct Failure {
    errcode: Errcode,
    errmsg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    padding: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Errcode {
    Number(i64),
    Text(String),
}

/// The body of an answer, whole and, if so wished, huge. A success carries no errcode.
pub(crate) fn body(outcome: &Outcome, huge: bool) -> Vec<u8> {
    let padding = huge.then(|| "x".repeat(HUGE));
    let json = match &outcome.result {
        Ok(session) => success(session, outcome.without_openid, padding),
        Err(refusal) => failure(*refusal, &outcome.rid, padding),
    };
    // Strings and numbers always serialise.
    json.unwrap_or_default()
}

fn success(session: &Session, without_openid: bool, padding: Option<String>) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Success {
        session_key: &session.key,
        openid: (!without_openid).then_some(&*session.openid),
        unionid: session.unionid.as_deref(),
        padding,
    })
}

/// The body of an answer of stable_token.
pub(crate) fn token(outcome: &Outcome<Given>, huge: bool) -> Vec<u8> {
    let padding = huge.then(|| "x".repeat(HUGE));
    let json = match &outcome.result {
        Ok(given) => serde_json::to_vec(&TokenGiven {
            access_token: (!outcome.without_openid).then_some(given.token.as_str()),
            expires_in: given.expires_in,
            padding,
        }),
        Err(refusal) => failure(*refusal, &outcome.rid, padding),
    };
    json.unwrap_or_default()
}

fn failure(refusal: Refusal, rid: &str, padding: Option<String>) -> serde_json::Result<Vec<u8>> {
    let Refusal { errcode, as_text } = refusal;
    serde_json::to_vec(&Failure {
        errcode: if as_text { Errcode::Text(errcode.to_string()) } else { Errcode::Number(errcode) },
        errmsg: format!("{} rid: {rid}", message(errcode)),
        padding,
    })
}

/// WeChat's text for an errcode (global table and published answers). Clients must not rely on it.
fn message(errcode: i64) -> &'static str {
    match errcode {
        -1 => "system error",
        40001 => "invalid credential, access_token is invalid or not latest",
        40002 => "invalid grant_type",
        40013 => "invalid appid",
        40029 => "invalid code",
        40125 => "invalid appsecret",
        40163 => "code been used",
        40164 => "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist",
        40226 => "code blocked",
        40243 => "AppSecret frozen",
        41002 => "appid missing",
        41004 => "appsecret missing",
        41008 => "missing code",
        43001 => "require GET method",
        43002 => "require POST method",
        45009 => "reach max api daily quota limit",
        45011 => "api minute-quota reach limit, must slower, retry next minute",
        48001 => "api unauthorized",
        48004 => "api forbidden for irregularities",
        50002 => "user limited",
        _ => "error",
    }
}
