//! `GET /v1/me/sessions`, `DELETE /v1/me/sessions/{sid}`: a user's devices.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;
use wxgate_domain::SessionId;

use super::code::Code;
use super::error::ApiError;
use super::extract::bearer::User;
use super::extract::path;
use super::openapi::about::{self, About};
use crate::app::Gateway;

#[derive(Serialize, ToSchema)]
struct SessionsReply {
    sessions: Vec<SessionReply>,
}

/// One login on one device. Times are seconds.
#[derive(Serialize, ToSchema)]
#[schema(as = MySession)]
struct SessionReply {
    id: String,
    appid: String,
    opened_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refreshed_at: Option<i64>,
    /// Whether it is the one that asks.
    current: bool,
}

pub(super) fn about_list() -> About {
    About::new("listMySessions", "List my devices.")
        .tag(about::MINI_PROGRAM)
        .user()
        .gives::<SessionsReply>(200, "The live sessions, newest first.")
}

pub(super) fn about_delete() -> About {
    About::new("endMySession", "End the session of one of my devices.")
        .tag(about::MINI_PROGRAM)
        .user()
        .path("sid", "The id of the session.")
        .nothing(204, "It ended.")
        .fails(&[Code::NotFound])
}

/// The live ones, newest first.
pub(super) async fn list(gateway: web::Data<Gateway>, user: User) -> Result<HttpResponse, ApiError> {
    let sessions = gateway.accounts.sessions(&user.0).await?;
    let sessions = sessions.into_iter().map(|session| SessionReply {
        id: session.id.to_string(),
        appid: session.appid.to_string(),
        opened_at: session.opened_at.seconds(),
        refreshed_at: session.refreshed_at.map(wxgate_domain::Timestamp::seconds),
        current: session.id == user.0.session.id,
    });
    Ok(HttpResponse::Ok().json(SessionsReply { sessions: sessions.collect() }))
}

/// Ends one of them. Somebody else's is as unknown as one that never was.
pub(super) async fn delete(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    user: User,
) -> Result<HttpResponse, ApiError> {
    let session = path::field(&request, "sid").unwrap_or_default();
    let session: SessionId = session.parse().map_err(|_| Code::NotFound)?;
    gateway.accounts.end(&user.0, session).await?;
    Ok(HttpResponse::NoContent().finish())
}
