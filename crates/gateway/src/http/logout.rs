//! `POST /v1/logout`: this session, the others, or all of them.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::code::Code;
use super::error::ApiError;
use super::extract::bearer::User;
use super::extract::body::JsonBody;
use super::extract::client::Client;
use super::extract::then::Then;
use super::login;
use super::openapi::about::{self, About};
use crate::app::Gateway;
use crate::service::account::LogoutScope;

/// What a client sends: which sessions, and for all of them a fresh code of `wx.login`.
#[derive(Deserialize, ToSchema)]
pub(super) struct LogoutBody {
    scope: Scope,
    code: Option<String>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = LogoutScope)]
enum Scope {
    This,
    Others,
    All,
}

#[derive(Serialize, ToSchema)]
struct LogoutReply {
    /// How many sessions ended now.
    ended: usize,
}

pub(super) fn about() -> About {
    About::new("logout", "Log out: this session, the others, or all.")
        .tag(about::MINI_PROGRAM)
        .user()
        .body::<LogoutBody>()
        .gives::<LogoutReply>(200, "How many sessions ended now.")
        .fails(login::FAILURES)
        .fails(&[Code::StepUpRequired])
}

/// Logs out. Downstream services hear of it through the feed.
pub(super) async fn post(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    client: web::ReqData<Client>,
    Then(user, body): Then<User, JsonBody<LogoutBody>>,
) -> Result<HttpResponse, ApiError> {
    let scope = match (body.value.scope, &body.value.code) {
        (Scope::This, _) => LogoutScope::This,
        (Scope::Others, _) => LogoutScope::Others,
        (Scope::All, Some(code)) => LogoutScope::All(login::attempt(&request, &client, code, body.digest())?),
        (Scope::All, None) => return Err(Code::StepUpRequired.into()),
    };
    let ended = gateway.accounts.logout(&user.0, scope).await?;
    Ok(HttpResponse::Ok().json(LogoutReply { ended }))
}
