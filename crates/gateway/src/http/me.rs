//! `GET, PATCH /v1/me`: who is logged in, and what they say of themself.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::Profile;

use super::code::Code;
use super::error::ApiError;
use super::extract::bearer::User;
use super::extract::body::JsonBody;
use super::extract::then::Then;
use super::openapi::about::{self, About};
use crate::app::Gateway;
use crate::service::account::SignedIn;

/// A user, to themself. Times are seconds. Nickname and avatar are what the client said, and prove nothing.
#[derive(Serialize, ToSchema)]
struct MeReply<'a> {
    id: String,
    appid: &'a str,
    openid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unionid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_masked: Option<String>,
    /// Whether WeChat vouches for the phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_verified: Option<bool>,
    /// When the phone number leaves the user, because somebody else proved to have it. Binding it again keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_leaves_at: Option<i64>,
    created_at: i64,
    session_id: String,
}

/// What a client fills in; what it leaves out stays.
#[derive(Deserialize, ToSchema)]
pub(super) struct ProfileBody {
    nickname: Option<String>,
    avatar_url: Option<String>,
}

pub(super) fn about_get() -> About {
    About::new("showMe", "Show who is logged in.").tag(about::MINI_PROGRAM).user().gives::<MeReply>(200, "The user.")
}

pub(super) fn about_patch() -> About {
    About::new("changeMe", "Fill in nickname and avatar.")
        .tag(about::MINI_PROGRAM)
        .user()
        .body::<ProfileBody>()
        .gives::<MeReply>(200, "The user as they are now.")
}

/// `GET /v1/me`.
pub(super) async fn get(user: User) -> HttpResponse {
    reply(&user.0, &user.0.session.user.profile)
}

/// `PATCH /v1/me`. WeChat's placeholders change nothing.
pub(super) async fn patch(
    gateway: web::Data<Gateway>,
    Then(user, body): Then<User, JsonBody<ProfileBody>>,
) -> Result<HttpResponse, ApiError> {
    let ProfileBody { nickname, avatar_url } = body.value;
    let profile = Profile::asserted(nickname.as_deref(), avatar_url.as_deref());
    let profile = profile.map_err(|error| ApiError::caused(Code::RequestInvalid, error))?;
    let profile = gateway.accounts.fill_in(&user.0, &profile).await?;
    Ok(reply(&user.0, &profile))
}

fn reply(who: &SignedIn, profile: &Profile) -> HttpResponse {
    let session = &who.session;
    let phone = session.phone.as_ref();
    HttpResponse::Ok().json(MeReply {
        id: session.user.id.to_string(),
        appid: who.app.app.appid.as_str(),
        openid: session.openid.as_str(),
        unionid: session.unionid.as_ref().map(wxgate_domain::UnionId::as_str),
        nickname: profile.nickname.as_deref(),
        avatar_url: profile.avatar_url.as_deref(),
        phone_masked: phone.map(|phone| phone.number.masked()),
        phone_verified: phone.map(|phone| phone.is_verified),
        phone_leaves_at: phone.and_then(|phone| phone.leaves_at).map(wxgate_domain::Timestamp::seconds),
        created_at: session.user.created_at.seconds(),
        session_id: session.id.to_string(),
    })
}
