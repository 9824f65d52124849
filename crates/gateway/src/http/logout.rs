//! `POST /v1/logout`: this session, the others, or all of them.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::code::Code;
use super::error::ApiError;
use super::extract::bearer::User;
use super::extract::body::JsonBody;
use super::extract::client::Client;
use super::login;
use crate::app::Gateway;
use crate::service::account::LogoutScope;

/// What a client sends: which sessions, and for all of them a fresh code of `wx.login`.
#[derive(Deserialize)]
pub(super) struct LogoutBody {
    scope: Scope,
    code: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    This,
    Others,
    All,
}

#[derive(Serialize)]
struct LogoutReply {
    /// How many sessions ended now.
    ended: usize,
}

/// Logs out. Downstream services hear of it through the feed.
pub(super) async fn post(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    client: web::ReqData<Client>,
    user: User,
    body: JsonBody<LogoutBody>,
) -> Result<HttpResponse, ApiError> {
    let scope = match (body.value.scope, &body.value.code) {
        (Scope::This, _) => LogoutScope::This,
        (Scope::Others, _) => LogoutScope::Others,
        (Scope::All, Some(code)) => LogoutScope::All(login::attempt(&request, &client, code, body.digest)?),
        (Scope::All, None) => return Err(Code::StepUpRequired.into()),
    };
    let ended = gateway.accounts.logout(&user.0, scope).await?;
    Ok(HttpResponse::Ok().json(LogoutReply { ended }))
}
