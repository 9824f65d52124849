//! Who asks at the admin API, and what they say about how to do it.

use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest};
use serde_json::{Map, Value};
use wxgate_crypto::Digest;
use wxgate_storage::{Creation, StorageError};

use crate::app::Gateway;
use crate::http::boundary::RequestId;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::client::Client;
use crate::service::admin::{Actor, Caller, ETag};

/// Whoever holds the key of the Authorization header (`Bearer wxa_...`, RFC 6750 section 2.1).
///
/// The right key is always believed: what is limited are failures, so that nobody can shut an operator out.
pub(super) async fn caller(request: &HttpRequest, gateway: &Gateway) -> Result<Caller, ApiError> {
    let sender = request.extensions().get::<Client>().cloned().ok_or(Code::Internal)?;
    let claimed = bearer(request).ok_or_else(|| unasked(request))?;
    let holder = gateway.desk.holder_of(claimed).await.map_err(|error| match error {
        StorageError::Busy | StorageError::Unavailable { .. } => {
            ApiError::caused(Code::Overloaded, error).retry_after(1)
        }
        error => ApiError::caused(Code::Internal, error),
    })?;
    let Some(mut caller) = holder else {
        gateway.metrics.admin_key_failures.inc();
        let limited = gateway.limits.admin_key_failure(sender.bucket());
        limited.map_err(|wait| ApiError::from(Code::RateLimited).retry_after(wait.0))?;
        return Err(Code::AdminKeyInvalid.into());
    };
    caller.address = Some(sender.address());
    caller.request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    Ok(caller)
}

/// The creation that the caller asks for, if it is not to happen twice: what they ask for under which `Idempotency-Key`.
pub(super) fn creation(
    request: &HttpRequest,
    caller: &Caller,
    operation: &str,
    fields: &Map<String, Value>,
) -> Result<Option<Creation>, ApiError> {
    let mut values = request.headers().get_all("idempotency-key");
    let (Some(value), Actor::Key(owner)) = (values.next(), &caller.actor) else { return Ok(None) };
    let key = value.as_bytes();
    if !(1..=255).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) || values.next().is_some() {
        let rule = "Idempotency-Key must be 1 to 255 visible ASCII characters, once";
        return Err(ApiError::from(Code::RequestInvalid).detailed(rule.to_owned()));
    }
    // What was asked for may hold an AppSecret, and a digest of that alone could be tried out by whoever reads the row. Of
    // the caller's key the database has a digest only, so it stands last: nothing can be appended to that.
    let mut asked = serde_json::to_vec(&(operation, fields)).unwrap_or_default();
    asked.extend_from_slice(bearer(request).unwrap_or_default().as_bytes());
    Ok(Some(Creation { owner: *owner, key: Digest::sha256(key), request: Digest::sha256(&asked) }))
}

/// Without any credentials the challenge names no error (RFC 6750 section 3.1).
fn unasked(request: &HttpRequest) -> ApiError {
    if request.headers().contains_key(header::AUTHORIZATION) {
        Code::AdminKeyInvalid.into()
    } else {
        ApiError::challenging(Code::AdminKeyInvalid, "Bearer")
    }
}

/// The only token of the only header.
fn bearer(request: &HttpRequest) -> Option<&str> {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token)
}

/// The state that the caller wants to change; `*` is any.
pub(super) fn if_match(request: &HttpRequest) -> Result<Option<ETag>, ApiError> {
    let mut values = request.headers().get_all(header::IF_MATCH);
    match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) | (Some(Ok("*")), None) => Ok(None),
        (Some(Ok(text)), None) => Ok(Some(ETag::parse(text))),
        _ => Err(Code::RequestInvalid.into()),
    }
}
