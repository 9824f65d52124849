//! `POST /v1/me/links`: an account in another mini-program becomes this user's.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wxgate_domain::WechatAppid;

use super::code::Code;
use super::error::ApiError;
use super::extract::bearer::User;
use super::extract::body::{JsonBody, TOKEN_BODY};
use super::extract::client::Client;
use super::extract::then::Then;
use super::login;
use super::openapi::about::{self, About};
use crate::app::Gateway;
use crate::service::links::Linked;
use crate::service::merge_tokens::IssuedMergeToken;

/// What a client sends: whose account, and a fresh code of `wx.login` from each mini-program.
#[derive(Deserialize, ToSchema)]
pub(super) struct LinkBody {
    /// The other mini-program, of the same tenant.
    appid: String,
    /// A fresh code from there.
    link_code: String,
    /// A fresh code from here.
    code: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct LinkReply {
    outcome: Outcome,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LinkOutcome)]
enum Outcome {
    /// The account is the user's now.
    Linked,
    /// It was before.
    AlreadyYours,
}

pub(super) fn about() -> About {
    About::new("link", "Make an account in another mini-program of the tenant this user's own.")
        .tag(about::MINI_PROGRAM)
        .user()
        .body::<LinkBody>()
        .gives::<LinkReply>(200, "The account is this user's.")
        .fails(login::FAILURES)
        .fails(&[Code::StepUpRequired, Code::AccountTaken])
        .says("If the account is another user's, the 409 carries `merge_token` and `expires_in`: see `POST /v1/me/merge`.")
}

/// Links.
pub(super) async fn post(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    client: web::ReqData<Client>,
    Then(user, body): Then<User, JsonBody<LinkBody, TOKEN_BODY>>,
) -> Result<HttpResponse, ApiError> {
    let LinkBody { appid, link_code, code } = &body.value;
    let appid: WechatAppid = appid.parse().map_err(|_| Code::AppUnknown)?;
    let code = code.as_ref().ok_or(Code::StepUpRequired)?;
    let digest = body.digest();
    let own = login::attempt(&request, &client, code, digest)?;
    let other = login::attempt(&request, &client, link_code, digest)?;
    let outcome = match gateway.accounts.link(&user.0, &appid, own, other).await? {
        Linked::Now => Outcome::Linked,
        Linked::Already => Outcome::AlreadyYours,
        Linked::Taken(token) => return Err(ApiError::from(Code::AccountTaken).telling(members(&token))),
    };
    Ok(HttpResponse::Ok().json(LinkReply { outcome }))
}

/// What a client is told of a merge token, beside the error that it mends.
pub(super) fn members(token: &IssuedMergeToken) -> Map<String, Value> {
    let told = [("merge_token", token.token.expose().into()), ("expires_in", token.expires_in.into())];
    told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
