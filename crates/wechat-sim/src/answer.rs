//! How WeChat words an answer.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::codes::Session;
use crate::state::{EXTRA_FIELD, Outcome, Refusal, Success};

/// `/sns/*` answers JSON labelled as text.
pub(crate) fn content_type(path: &str) -> &'static str {
    if path.starts_with("/sns/") { "text/plain" } else { "application/json; encoding=utf-8" }
}

/// Size of what the fault `huge` adds.
const HUGE: usize = 4 * 1024 * 1024;

#[derive(Serialize)]
struct LoggedIn<'a> {
    session_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    openid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unionid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_new_field: Option<&'a str>,
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

/// The body of an answer, whole and, if so wished, huge.
pub(crate) fn body(outcome: &Outcome, huge: bool) -> Vec<u8> {
    let padding = huge.then(|| "x".repeat(HUGE));
    let json = match &outcome.result {
        Ok(Success::LoggedIn(session)) => logged_in(session, outcome, padding),
        Ok(Success::Fields(fields)) => plain(fields, padding),
        Err(refusal) => failure(*refusal, &outcome.rid, padding),
    };
    // Strings and numbers always serialise.
    json.unwrap_or_default()
}

fn logged_in(session: &Session, outcome: &Outcome, padding: Option<String>) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&LoggedIn {
        session_key: &session.key,
        openid: (!outcome.without_openid).then_some(&*session.openid),
        unionid: session.unionid.as_deref(),
        is_new_field: outcome.with_extra.then_some(EXTRA_FIELD),
        padding,
    })
}

fn plain(fields: &Map<String, Value>, padding: Option<String>) -> serde_json::Result<Vec<u8>> {
    let mut fields = fields.clone();
    if let Some(padding) = padding {
        fields.insert("padding".into(), padding.into());
    }
    serde_json::to_vec(&fields)
}

fn failure(refusal: Refusal, rid: &str, padding: Option<String>) -> serde_json::Result<Vec<u8>> {
    let Refusal { errcode, as_text } = refusal;
    serde_json::to_vec(&Failure {
        errcode: if as_text { Errcode::Text(errcode.to_string()) } else { Errcode::Number(errcode) },
        errmsg: format!("{} rid: {rid}", message(errcode)),
        padding,
    })
}

/// The same JSON, in which `/` is written as `\/`. It stands in texts alone.
pub(crate) fn with_escaped_slashes(body: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(body.len());
    for byte in body {
        if *byte == b'/' {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    escaped
}

/// WeChat's text for an errcode (global table and published answers). Clients must not rely on it.
fn message(errcode: i64) -> &'static str {
    match errcode {
        -1 => "system error",
        1 => "data not exit",
        40001 => "invalid credential, access_token is invalid or not latest",
        40003 => "invalid openid",
        40014 => "invalid access_token",
        40097 => "invalid args",
        41001 => "access_token missing",
        41009 => "missing openid",
        42001 => "access_token expired",
        41018 => "missing component_appid",
        41021 => "missing component_access_token",
        43002 => "require POST method",
        44002 => "empty post data",
        47001 => "data format error",
        61004 => "access clientip is not registered",
        61003 => "component is not authorized by this account",
        61005 => "component ticket is expired",
        61006 => "component ticket is invalid",
        61009 => "code is invalid",
        61010 => "code is expired",
        61011 => "invalid component",
        61014 => "must use component token for component api",
        61015 => "must not use component token for other api",
        61023 => "refresh_token is invalid",
        76001 => "rid not found",
        76002 => "rid is error",
        76003 => "invalid form, or rid of another account",
        76004 => "rid is too old",
        76021 => "cgi_path not found",
        76022 => "could not use this cgi_path, no permission",
        89002 => "open not exists",
        89300 => "invalid trade",
        87007 => "session_key is not existd or expired",
        87008 => "invalid sig_method",
        40234 | 87009 => "invalid signature",
        89501 => "this ip is waiting for the confirmation of the administrator",
        89503 => "this ip needs the confirmation of the administrator",
        89506 => "this ip was refused by the administrator, retry after 24 hours",
        89507 => "this ip was refused by the administrator, retry after 1 hour",
        40002 => "invalid grant_type",
        40013 => "invalid appid",
        40029 => "invalid code",
        40125 => "invalid appsecret",
        40163 => "code been used",
        40164 => "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist",
        40226 => "code blocked",
        40230 => "missing Wechatmp-Serial",
        40231 => "missing Wechatmp-TimeStamp",
        40232 => "missing Wechatmp-Signature",
        40233 => "missing Wechatmp-Appid",
        40235 => "invalid encrypt",
        40236 => "invalid Wechatmp-Appid",
        40237 => "invalid Wechatmp-Appid match request",
        40238 => "no symmetric key",
        40239 => "no asymmetric key",
        40240 => "expired Wechatmp-TimeStamp",
        40243 => "AppSecret frozen",
        41002 => "appid missing",
        41004 => "appsecret missing",
        41008 => "missing code",
        43001 => "require GET method",
        45009 => "reach max api daily quota limit",
        45011 => "api minute-quota reach limit, must slower, retry next minute",
        48001 => "api unauthorized",
        48004 => "api forbidden for irregularities",
        48006 => "forbid to clear quota because of reaching the limit",
        50002 => "user limited",
        _ => "error",
    }
}
