//! `POST /v1/me/merge`: two users become one, and two again.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{MergeId, MergeToken, WechatAppid};

use super::code::Code;
use super::error::ApiError;
use super::extract::bearer::User;
use super::extract::body::{JsonBody, TOKEN_BODY};
use super::extract::client::Client;
use super::extract::then::Then;
use super::login;
use super::openapi::about::{self, About};
use crate::app::Gateway;
use crate::service::merge::{MergeError, OtherSide};

/// What a client sends: a merge token or the merge that is to be undone, and a fresh code of `wx.login` of each side.
#[derive(Deserialize, ToSchema)]
pub(super) struct MergeBody {
    /// What came with `PHONE_TAKEN` or `ACCOUNT_TAKEN`.
    merge_token: Option<String>,
    /// Instead of a token: the `merge_id` of a merge that is to be undone.
    undo: Option<String>,
    /// A fresh code of this account.
    code: Option<String>,
    /// A fresh code of an account of the other side.
    other_code: Option<String>,
    /// The mini-program that `other_code` is from; the same one, if it is left out.
    other_appid: Option<String>,
}

/// Who the user is now. Times are seconds.
#[derive(Serialize, ToSchema)]
struct MergeReply {
    user: MergedUser,
    merge_id: String,
    /// Until when it can be undone; of a merge that was undone there is nothing to undo.
    #[serde(skip_serializing_if = "Option::is_none")]
    undo_until: Option<i64>,
}

#[derive(Serialize, ToSchema)]
struct MergedUser {
    /// Whoever stays, or is back. `sub` of access tokens from the next refresh on.
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
}

pub(super) fn about() -> About {
    About::new("merge", "Merge this user with another one, or undo it, with a fresh code of each side.")
        .says(
            "Send `merge_token` or `undo`, one of the two. A merge token counts once, for five minutes and for the session that \
             got it; whatever fails leaves it good. The older user stays, with their id, and gets the accounts, sessions and \
             unionids of the other one, and the phone number and profile where they have none; the id of the other one goes \
             on meaning the user. It happens wholly or not at all. Each code of wx.login is used up: send fresh ones with \
             every attempt.\n\n\
             `merge_id` undoes it until `undo_until`, seven days later: what moved goes back, and the sessions of the user \
             who is back end, so call wx.login there.\n\n\
             STEP_UP_REQUIRED: a code is missing, or is not of the user whom it must prove. MERGE_TOKEN_INVALID: begin where \
             the token came from. USER_BLOCKED: one of both is blocked. NOT_MERGEABLE: they have different external ids or \
             more accounts than can be moved back, both are one user already (as when an answer was lost), or the seven days \
             are over. NOT_FOUND: no such merge, or it was undone.",
        )
        .tag(about::MINI_PROGRAM)
        .user()
        .body::<MergeBody>()
        .gives::<MergeReply>(200, "One user; or two again.")
        .fails(login::FAILURES)
        .fails(&[Code::StepUpRequired, Code::MergeTokenInvalid, Code::NotMergeable, Code::NotFound])
}

/// Merges or undoes.
pub(super) async fn post(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    client: web::ReqData<Client>,
    Then(user, body): Then<User, JsonBody<MergeBody, TOKEN_BODY>>,
) -> Result<HttpResponse, ApiError> {
    let MergeBody { merge_token, undo, code, other_code, other_appid } = &body.value;
    let (code, other_code) = code.as_ref().zip(other_code.as_ref()).ok_or(Code::StepUpRequired)?;
    let digest = body.digest();
    let own = login::attempt(&request, &client, code, digest)?;
    let attempt = login::attempt(&request, &client, other_code, digest)?;
    let appid = other_appid.as_deref().map(str::parse::<WechatAppid>).transpose().map_err(|_| Code::AppUnknown)?;
    let other = OtherSide { appid, attempt };
    let reply = match (merge_token, undo) {
        (Some(token), None) => {
            let token: MergeToken = token.parse().map_err(|_| Code::MergeTokenInvalid)?;
            let (merge, user) = gateway.accounts.merge(&user.0, &token, own, other).await?;
            MergeReply {
                user: MergedUser {
                    id: user.id.to_string(),
                    nickname: user.profile.nickname,
                    avatar_url: user.profile.avatar_url,
                },
                merge_id: merge.id.to_string(),
                undo_until: Some(merge.undo_until.seconds()),
            }
        }
        (None, Some(undo)) => {
            let merge: MergeId = undo.parse().map_err(|_| Code::NotFound)?;
            let parted = gateway.accounts.undo(&user.0, merge, own, other).await?;
            MergeReply {
                user: MergedUser { id: parted.user.to_string(), nickname: None, avatar_url: None },
                merge_id: merge.to_string(),
                undo_until: None,
            }
        }
        _ => return Err(Code::RequestInvalid.into()),
    };
    Ok(HttpResponse::Ok().json(reply))
}

impl From<MergeError> for ApiError {
    fn from(error: MergeError) -> Self {
        let code = match error {
            MergeError::Account(error) => return error.into(),
            MergeError::App(error) => return error.into(),
            MergeError::Other(error) => return error.into(),
            MergeError::Token => Code::MergeTokenInvalid,
            MergeError::OtherSide => Code::StepUpRequired,
            MergeError::Stays(_) | MergeError::Stands(_) => Code::NotMergeable,
            MergeError::NoMerge => Code::NotFound,
        };
        Self::caused(code, error)
    }
}
