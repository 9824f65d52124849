//! `POST /v1/token/refresh`: a refresh token for the next pair.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_crypto::Secret;

use super::code::Code;
use super::error::ApiError;
use super::extract::body::{JsonBody, TOKEN_BODY};
use super::extract::client::Client;
use super::openapi::about::{self, About};
use crate::app::Gateway;
use crate::service::refresh::Refreshed;

/// What a mini-program sends.
#[derive(Deserialize, ToSchema)]
pub(super) struct RefreshBody {
    refresh_token: String,
}

/// What it gets. Times are seconds.
#[derive(Serialize, ToSchema)]
struct RefreshReply<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u32,
    refresh_token: &'a str,
    refresh_expires_in: u64,
    server_time: i64,
    session_id: String,
    scope: &'a str,
}

pub(super) fn about() -> About {
    About::new("refresh", "Turn a refresh token into the next pair.")
        .tag(about::MINI_PROGRAM)
        .body::<RefreshBody>()
        .gives::<RefreshReply>(200, "The next pair.")
        .fails(&[Code::RefreshInvalid, Code::RefreshReused, Code::SessionEnded, Code::UserBlocked, Code::AppDisabled])
}

/// Moves the token's session on by one turn.
pub(super) async fn post(
    gateway: web::Data<Gateway>,
    client: web::ReqData<Client>,
    body: JsonBody<RefreshBody, TOKEN_BODY>,
) -> Result<HttpResponse, ApiError> {
    let token = Secret::new(body.value.refresh_token);
    let Refreshed { session, tokens } = gateway.refreshes.refresh(&token, client.presented_by(), None).await?;
    Ok(HttpResponse::Ok().json(RefreshReply {
        access_token: tokens.access_token.expose(),
        token_type: "Bearer",
        expires_in: tokens.expires_in,
        refresh_token: tokens.refresh_token.expose(),
        refresh_expires_in: tokens.refresh_expires_in,
        server_time: gateway.clock.now().seconds(),
        session_id: session.id.to_string(),
        scope: &tokens.scope,
    }))
}
