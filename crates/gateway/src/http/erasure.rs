//! `DELETE /v1/me`: a user has themself forgotten.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
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

/// The proof that it is the user who asks: a fresh code of `wx.login`.
#[derive(Deserialize, ToSchema)]
pub(super) struct EraseBody {
    code: Option<String>,
}

pub(super) fn about() -> About {
    About::new("eraseMe", "Forget whoever is logged in: sessions, identities, profile, phone number.")
        .says("Nothing brings it back. Whoever logs in again is somebody new; who was blocked stays so.")
        .tag(about::MINI_PROGRAM)
        .user()
        .body::<EraseBody>()
        .nothing(204, "The user is gone.")
        .fails(login::FAILURES)
        .fails(&[Code::StepUpRequired])
}

/// Erases the user.
pub(super) async fn delete(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    client: web::ReqData<Client>,
    Then(user, body): Then<User, JsonBody<EraseBody>>,
) -> Result<HttpResponse, ApiError> {
    let code = body.value.code.as_deref().ok_or(Code::StepUpRequired)?;
    let attempt = login::attempt(&request, &client, code, body.digest())?;
    gateway.accounts.erase(&user.0, attempt).await?;
    Ok(HttpResponse::NoContent().finish())
}
