//! `GET, POST /wechat/push/{appid}`: WeChat verifies the address, and tells of users and messages.
//!
//! WeChat reads answers as text: the echo, `success`, or the name of a status.

use actix_web::{HttpRequest, HttpResponse, web};
use wxgate_crypto::push::Stamp;
use wxgate_domain::WechatAppid;

use super::code::Code;
use super::error::ApiError;
use super::extract::{body, path};
use super::login::APPID;
use super::openapi::about::{self, About};
use crate::app::Gateway;
use crate::service::push::{IncomingPush, PushError};

/// Where this and the pushes to third-party platforms begin.
const PREFIXES: [&str; 2] = ["/wechat/push/", "/wechat/platform/"];

/// Largest push, in bytes.
pub(super) const MAX_PUSH: usize = 64 * 1024;

/// Longest value of the query that is read, in bytes.
const MAX_VALUE: usize = 512;

pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// What of the query is read.
const READ: [&str; 6] = ["signature", "timestamp", "nonce", "echostr", "encrypt_type", "msg_signature"];

pub(super) fn about_verify() -> About {
    about("verifyPush", "Prove to WeChat that the address is the app's.", &["signature", "echostr"])
        .text(200, TEXT, "The echostr.")
        .fails(&[Code::RequestInvalid, Code::PushRefused, Code::AppUnknown])
}

pub(super) fn about_receive() -> About {
    let fields = ["signature", "encrypt_type", "msg_signature"];
    about("receivePush", "Take a push of WeChat's: an event about a user, or a message.", &fields)
        .says("In any of WeChat's modes, in JSON or XML. What takes back or closes something counts only encrypted.")
        .any_body("The message, or what is encrypted of it.")
        .text(200, TEXT, "`success`: it is done, or was done before.")
        .fails(&[
            Code::RequestInvalid,
            Code::PushRefused,
            Code::AppUnknown,
            Code::RequestTimeout,
            Code::BodyTooLarge,
            Code::MediaType,
        ])
}

fn about(id: &str, summary: &str, fields: &[&str]) -> About {
    let about = About::new(id, summary).tag(about::WECHAT).path("appid", APPID).fails_in_plain_text();
    let fields = ["timestamp", "nonce"].iter().chain(fields);
    fields.fold(about, |about, name| about.query(name, "As WeChat sends it.", about::string()))
}

/// Whether an address is one of WeChat's.
pub(super) fn is_route(path: &str) -> bool {
    PREFIXES.iter().any(|prefix| path.starts_with(prefix))
}

/// A failure as WeChat's console shows it: the name of a status, and nothing of ours.
pub(super) fn failure(error: &ApiError) -> HttpResponse {
    let reason = error.code.status().canonical_reason().unwrap_or_default();
    error.respond(TEXT, reason.as_bytes().to_vec())
}

/// Answers exactly the echostr. It is plain text in every mode.
pub(super) async fn verify(request: HttpRequest, gateway: web::Data<Gateway>) -> Result<HttpResponse, ApiError> {
    let appid = appid(&request)?;
    let query = Query::of(&request, &READ)?;
    let (timestamp, nonce) = (query.required("timestamp")?, query.required("nonce")?);
    let (signature, echo) = (query.required("signature")?, query.required("echostr")?);
    gateway.pushes.verify(&appid, Stamp { timestamp, nonce }, signature).await?;
    Ok(HttpResponse::Ok().content_type(TEXT).body(echo.to_owned()))
}

/// Answers `success` once the push is done.
pub(super) async fn receive(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let appid = appid(&request)?;
    let query = Query::of(&request, &READ)?;
    let push = IncomingPush {
        timestamp: query.required("timestamp")?.to_owned(),
        nonce: query.required("nonce")?.to_owned(),
        signature: query.get("signature").map(str::to_owned),
        msg_signature: query.get("msg_signature").map(str::to_owned),
        says_encrypted: query.get("encrypt_type").is_some_and(|kind| kind != "raw"),
        body: body::of_any_type(&request, payload, MAX_PUSH).await?.to_vec(),
    };
    gateway.pushes.receive(&appid, &push).await?;
    Ok(HttpResponse::Ok().content_type(TEXT).body("success"))
}

fn appid(request: &HttpRequest) -> Result<WechatAppid, Code> {
    path::field(request, "appid").unwrap_or_default().parse().map_err(|_| Code::AppUnknown)
}

/// What WeChat's query says.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads these, each once: two values have two meanings.
    pub(super) fn of(request: &HttpRequest, names: &[&str]) -> Result<Self, Code> {
        let mut values: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
            if !names.contains(&name.as_ref()) {
                continue;
            }
            if value.len() > MAX_VALUE || values.iter().any(|(known, _)| *known == name) {
                return Err(Code::RequestInvalid);
            }
            values.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(values))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// One that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, Code> {
        self.get(name).ok_or(Code::RequestInvalid)
    }
}

impl From<PushError> for ApiError {
    fn from(error: PushError) -> Self {
        let code = match error {
            PushError::Unknown => Code::AppUnknown,
            PushError::Malformed => Code::RequestInvalid,
            PushError::Frame(_)
            | PushError::NotEncrypted
            | PushError::Stale
            | PushError::Replayed
            | PushError::OtherApp => Code::PushRefused,
            PushError::Overloaded => return Self::caused(Code::Overloaded, error).retry_after(1),
            PushError::Storage(_) => Code::Internal,
        };
        Self::caused(code, error)
    }
}
