//! Who asks at the admin API, and what they say about how to do it.

use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest};
use wxgate_storage::StorageError;

use crate::app::Gateway;
use crate::http::boundary::RequestId;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::client::Client;
use crate::service::admin::{Caller, ETag};

/// Whoever holds the key of the Authorization header (`Bearer wxa_...`, RFC 6750 section 2.1).
///
/// The right key is always believed: what is limited are failures, so that nobody can shut an operator out.
pub(super) async fn caller(request: &HttpRequest, gateway: &Gateway) -> Result<Caller, ApiError> {
    let sender = *request.extensions().get::<Client>().ok_or(Code::Internal)?;
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
