//! `GET, POST /user/wxlogin`: the endpoint of the tutorial that thousands of mini-programs were written after.
//!
//! They work by changing the host alone, so its shape is theirs: `platCode` in, `{code, msg, userinfo}` out, keys
//! sorted, four spaces, non-ASCII as it is. Beside it stands what the tutorial left to the reader: a token.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::code::{Action, Code};
use super::error::ApiError;
use super::extract::body::JsonBody;
use super::extract::client::Client;
use super::extract::named_app;
use super::login;
use super::openapi::about::{self, About};
use super::user_info;
use crate::app::Gateway;
use crate::service::login::Login;
use crate::service::user_data::{UserDataFields, UserDataRequest};

/// What the tutorial's client sends.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TutorialBody {
    plat_code: String,
    plat_user_info_map: Option<UserInfoMap>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UserInfoMap {
    encrypted_data: Option<String>,
    iv: Option<String>,
}

/// Whether a path is one of this endpoint's, whose failures have its shape too.
pub(super) fn is_route(path: &str) -> bool {
    let appid = path.strip_prefix("/apps/").and_then(|rest| rest.strip_suffix("/user/wxlogin"));
    path == "/user/wxlogin" || appid.is_some_and(|appid| !appid.contains('/'))
}

pub(super) fn about() -> About {
    About::new("tutorialLogin", "Log in as the tutorial's clients do.")
        .tag(about::MINI_PROGRAM)
        .says("The body may be of any media type; the appid comes from X-App-Id, from the Referer, or is the only one.")
        .header("X-App-Id", login::APPID)
        .body::<TutorialBody>()
        .gives::<TutorialReply>(200, "The user's data, and tokens.")
        .fails(login::FAILURES)
        .fails(&[Code::AppRequired, Code::AppMismatch, Code::SessionKeyStale])
        .fails_like_the_tutorial()
}

pub(super) fn about_with_appid() -> About {
    let mut about = about().path("appid", login::APPID);
    about.rename("tutorialLoginOfApp");
    about
}

/// A failure, as the tutorial's clients read it.
#[derive(Serialize, ToSchema)]
pub(super) struct TutorialFailure {
    code: u16,
    msg: &'static str,
    error: &'static str,
    action: Option<Action>,
}

/// What they get.
#[derive(Serialize, ToSchema)]
struct TutorialReply<'a> {
    code: u16,
    msg: &'static str,
    token: TutorialToken<'a>,
    /// What `encryptedData` held, or what is stored.
    #[schema(value_type = Object)]
    userinfo: Map<String, Value>,
}

#[derive(Serialize, ToSchema)]
struct TutorialToken<'a> {
    access_token: &'a str,
    expires_in: u32,
    refresh_token: &'a str,
    token_type: &'static str,
}

/// Logs in and answers with the user's data.
pub(super) async fn answer(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    client: web::ReqData<Client>,
    body: JsonBody<TutorialBody>,
) -> Result<HttpResponse, ApiError> {
    let appid = named_app::of(&request, &gateway, None).await?;
    let app = gateway.directory.active_app(&appid).await?;
    let attempt = login::attempt(&request, &client, &body.value.plat_code, body.digest())?;
    let UserInfoMap { encrypted_data, iv } = body.value.plat_user_info_map.unwrap_or_default();
    let data = UserDataRequest::parse(UserDataFields { encrypted_data, iv, ..UserDataFields::default() });
    let data = data.map_err(|error| ApiError::caused(Code::RequestInvalid, error))?;

    let Login { session, tokens, user_data, .. } = gateway.logins.login(&app, attempt, data).await?;
    let userinfo = match user_data {
        Some(Ok(data)) => data,
        // Which check failed stays a metric: told apart, the checks are a padding oracle.
        Some(Err(_)) => return Err(Code::SessionKeyStale.into()),
        None => user_info::stored(&session.openid, session.unionid.as_ref(), &session.user.profile),
    };
    let token = TutorialToken {
        access_token: tokens.access_token.expose(),
        expires_in: tokens.expires_in,
        refresh_token: tokens.refresh_token.expose(),
        token_type: "Bearer",
    };
    let reply = TutorialReply { code: 200, msg: "登錄成功", token, userinfo };
    Ok(HttpResponse::Ok().content_type("application/json").body(pretty(&reply)))
}

/// A failure in the tutorial's shape, with the real HTTP status.
pub(super) fn failure(error: &ApiError) -> HttpResponse {
    let body = TutorialFailure {
        code: error.code.status().as_u16(),
        msg: error.code.title(),
        error: error.code.name(),
        action: error.action,
    };
    error.respond("application/json", pretty(&body))
}

/// As the tutorial's `json.dumps(sort_keys=True, indent=4, ensure_ascii=False)`.
fn pretty(body: &impl Serialize) -> Vec<u8> {
    let mut value = serde_json::to_value(body).unwrap_or_default();
    value.sort_all_objects();
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    // Writing JSON values into memory cannot fail.
    let _ = value.serialize(&mut serializer);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_look_like_the_tutorials() {
        let text = String::from_utf8(pretty(
            &serde_json::json!({"msg": "登錄成功", "code": 200, "userinfo": {"b": 1, "a": []}}),
        ))
        .unwrap();
        let expected = "{\n    \"code\": 200,\n    \"msg\": \"登錄成功\",\n    \"userinfo\": {\n        \"a\": [],\n        \"b\": 1\n    }\n}";
        assert_eq!(text, expected);
    }

    #[test]
    fn only_its_own_paths_have_its_shape() {
        assert!(is_route("/user/wxlogin") && is_route("/apps/wx1/user/wxlogin"));
        assert!(!is_route("/v1/apps/wx1/login") && !is_route("/user/wxlogin/x"));
        assert!(!is_route("/apps/user/wxlogin") && !is_route("/apps/a/b/user/wxlogin"));
    }
}
