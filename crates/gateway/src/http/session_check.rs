//! `POST /v1/me/session-check`: whether the user's session_key is still WeChat's.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_storage::StorageError;

use super::code::Code;
use super::error::ApiError;
use super::extract::bearer::User;
use super::extract::body::JsonBody;
use super::extract::then::Then;
use super::openapi::about::{self, About};
use crate::app::Gateway;
use crate::service::session_check::SessionCheckError;

/// What a client asks.
#[derive(Deserialize, ToSchema)]
pub(super) struct SessionCheckBody {
    /// Whether WeChat makes another key in place of the present one, which must be valid. It lives no longer than that one
    /// would have.
    #[serde(default)]
    #[schema(default = false)]
    reset: bool,
}

#[derive(Serialize, ToSchema)]
struct SessionCheckReply {
    /// Always true: a key that is not WeChat's is the error `SESSION_KEY_STALE`.
    valid: bool,
}

pub(super) fn about() -> About {
    About::new("checkSessionKey", "Ask whether the user's session_key is still WeChat's.")
        .says(
            "WeChat is asked about the key of the user's latest login, at most ten times a minute for one user; then \
             RATE_LIMITED with `retry_after`. With `reset` it makes another key: what the client gets from then on is sealed \
             under that one, and what it got before still opens for ten minutes. The key itself is never shown.\n\n\
             SESSION_KEY_STALE: the key is not WeChat's any more, or there is none; call wx.login, log in, and then ask the \
             user for data. APP_TOKEN_UNAVAILABLE and UPSTREAM_BUSY: wait; sessions and logins go on.",
        )
        .tag(about::MINI_PROGRAM)
        .user()
        .body::<SessionCheckBody>()
        .gives::<SessionCheckReply>(200, "It is.")
        .fails(&[Code::SessionKeyStale])
        .fails(TOKEN_CALL)
}

/// Why a call that needs an access_token may fail.
pub(super) const TOKEN_CALL: &[Code] = &[
    Code::AppNotAuthorized,
    Code::AppMisconfigured,
    Code::AppTokenUnavailable,
    Code::UpstreamBadResponse,
    Code::UpstreamBusy,
    Code::UpstreamTimeout,
    Code::UpstreamUnavailable,
];

/// Asks WeChat. The key itself goes nowhere.
pub(super) async fn post(
    gateway: web::Data<Gateway>,
    Then(user, body): Then<User, JsonBody<SessionCheckBody>>,
) -> Result<HttpResponse, ApiError> {
    gateway.accounts.check_session_key(&user.0, body.value.reset).await?;
    Ok(HttpResponse::Ok().json(SessionCheckReply { valid: true }))
}

impl From<SessionCheckError> for ApiError {
    fn from(error: SessionCheckError) -> Self {
        match error {
            SessionCheckError::Stale => Code::SessionKeyStale.into(),
            SessionCheckError::TooOften(wait) => Self::from(Code::RateLimited).retry_after(wait.0),
            SessionCheckError::Call(error) => error.into(),
            SessionCheckError::Storage(StorageError::Busy | StorageError::Unavailable { .. })
            | SessionCheckError::Lost => Self::caused(Code::Overloaded, error).retry_after(1),
            SessionCheckError::Storage(_) => Self::caused(Code::Internal, error),
        }
    }
}
