//! `POST /wechat/platform/{component_appid}`: WeChat pushes tickets to a third-party platform, and which mini-programs
//! authorised it. `GET .../authorized`: where the browser comes back to when one did.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use wxgate_crypto::Secret;
use wxgate_domain::WechatAppid;
use wxgate_storage::StorageError;
use wxgate_wechat_client::{CallError, RETURNED_CODE, RefusedClass};

use super::code::Code;
use super::error::ApiError;
use super::extract::{body, path};
use super::openapi::about::{self, About};
use super::push::{MAX_PUSH, Query, TEXT};
use crate::app::Gateway;
use crate::service::platforms::{AuthorizationError, PlatformError, PlatformPush, PlatformPushError};

/// What the field of the path is.
const COMPONENT_APPID: &str = "WeChat's id of the third-party platform.";

const HTML: &str = "text/html; charset=utf-8";

/// The whole page. It holds nothing of the request.
const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width\"><title>Authorised</title>\
    <p>The mini-program is authorised. You may close this page.</p>\
    <p lang=\"zh\">小程序已授权，可以关闭此页面。</p></html>";

pub(super) fn about_receive() -> About {
    let about = About::new("receivePlatformPush", "Take a push of WeChat's to a third-party platform.")
        .tag(about::WECHAT)
        .says("Encrypted XML alone: tickets, and which mini-programs authorised the platform or withdrew.")
        .path("component_appid", COMPONENT_APPID);
    ["timestamp", "nonce", "msg_signature"]
        .iter()
        .fold(about, |about, name| about.query(name, "As WeChat sends it.", about::string()))
        .fails_in_plain_text()
        .any_body("What is encrypted of the message.")
        .text(200, TEXT, "`success`: it is kept, or was before.")
        .fails(&[
            Code::RequestInvalid,
            Code::PushRefused,
            Code::AppUnknown,
            Code::RequestTimeout,
            Code::BodyTooLarge,
            Code::MediaType,
        ])
}

pub(super) fn about_authorized() -> About {
    About::new("finishPlatformAuthorization", "Where a browser comes back to after a mini-program was authorised.")
        .tag(about::WECHAT)
        .path("component_appid", COMPONENT_APPID)
        .query(RETURNED_CODE, "As WeChat sends it.", about::string())
        .query("state", "As the authorisation was started with; it counts once.", about::string())
        .fails_in_plain_text()
        .text(200, HTML, "A page that says so.")
        .fails(&[
            Code::RequestInvalid,
            Code::AuthorizationRefused,
            Code::UpstreamBadResponse,
            Code::UpstreamUnavailable,
            Code::AppTokenUnavailable,
        ])
}

/// Answers `success` once the push is committed.
pub(super) async fn receive(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let platform = platform(&request).ok_or(Code::AppUnknown)?;
    let query = Query::of(&request, &["timestamp", "nonce", "msg_signature"])?;
    let text = |name| query.required(name).map(str::to_owned);
    let push = PlatformPush {
        timestamp: text("timestamp")?,
        nonce: text("nonce")?,
        msg_signature: text("msg_signature")?,
        body: body::of_any_type(&request, payload, MAX_PUSH).await?.to_vec(),
    };
    gateway.platforms.receive(&platform, &push).await?;
    Ok(HttpResponse::Ok().content_type(TEXT).body("success"))
}

/// Shows a page once the mini-program is attached. Neither code nor state reaches a log: queries are never written there.
pub(super) async fn authorized(request: HttpRequest, gateway: web::Data<Gateway>) -> Result<HttpResponse, ApiError> {
    let platform = platform(&request).ok_or(Code::AuthorizationRefused)?;
    let query = Query::of(&request, &[RETURNED_CODE, "state"])?;
    let text = |name| query.required(name).map(|text| Secret::new(text.to_owned()));
    let (state, code) = (text("state")?, text(RETURNED_CODE)?);
    gateway.platforms.brought(&platform, (&state, &code), None).await?;
    Ok(HttpResponse::Ok()
        .content_type(HTML)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body(PAGE))
}

fn platform(request: &HttpRequest) -> Option<WechatAppid> {
    path::field(request, "component_appid")?.parse().ok()
}

impl From<PlatformPushError> for ApiError {
    fn from(error: PlatformPushError) -> Self {
        let code = match &error {
            PlatformPushError::Unknown => Code::AppUnknown,
            PlatformPushError::Malformed => Code::RequestInvalid,
            PlatformPushError::Frame(_)
            | PlatformPushError::Stale
            | PlatformPushError::Replayed
            | PlatformPushError::OtherPlatform => Code::PushRefused,
            PlatformPushError::Late
            | PlatformPushError::Storage(StorageError::Busy | StorageError::Unavailable { .. }) => {
                return Self::caused(Code::Overloaded, error).retry_after(1);
            }
            PlatformPushError::Storage(_) => Code::Internal,
        };
        Self::caused(code, error)
    }
}

impl From<AuthorizationError> for ApiError {
    fn from(error: AuthorizationError) -> Self {
        let code = match &error {
            AuthorizationError::State | AuthorizationError::Code | AuthorizationError::Parked => {
                Code::AuthorizationRefused
            }
            AuthorizationError::Platform(error) => Code::from(error),
        };
        Self::caused(code, error)
    }
}

impl From<&PlatformError> for Code {
    fn from(error: &PlatformError) -> Self {
        match error {
            PlatformError::Unknown | PlatformError::NotGranted => Self::AuthorizationRefused,
            PlatformError::Call(CallError::Refused(refused)) if refused.class == RefusedClass::Misconfigured => {
                Self::AppMisconfigured
            }
            PlatformError::NoTicket | PlatformError::Busy | PlatformError::Call(CallError::Refused(_)) => {
                Self::AppTokenUnavailable
            }
            PlatformError::Call(CallError::BadResponse(_)) => Self::UpstreamBadResponse,
            PlatformError::Call(CallError::Timeout | CallError::Unavailable | CallError::Overloaded) => {
                Self::UpstreamUnavailable
            }
            PlatformError::Storage(StorageError::Busy | StorageError::Unavailable { .. }) => Self::Overloaded,
            PlatformError::Storage(_) => Self::Internal,
        }
    }
}
