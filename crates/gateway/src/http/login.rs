//! `POST /v1/apps/{appid}/login`: a login code for tokens.

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wxgate_crypto::Digest;
use wxgate_domain::{LoginCode, OpenedSession, Timestamp};
use wxgate_wechat_client::PhoneCode;

use super::code::Code;
use super::error::{ApiError, PartError};
use super::extract::body::JsonBody;
use super::extract::client::Client;
use super::extract::named_app;
use super::openapi::about::{self, About};
use super::phone::PhoneShown;
use crate::app::Gateway;
use crate::service::login::{Attempt, Login, Purpose};
use crate::service::user_data::{UserDataFields, UserDataRequest};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a mini-program sends. The names are WeChat's, as its client APIs give the values.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoginBody {
    /// What `wx.login` gave.
    code: String,
    encrypted_data: Option<String>,
    iv: Option<String>,
    raw_data: Option<String>,
    signature: Option<String>,
    /// What the phone button gave.
    phone_code: Option<String>,
}

/// What a mini-program gets. Times are seconds.
#[derive(Serialize, ToSchema)]
struct LoginReply<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u32,
    refresh_token: &'a str,
    refresh_expires_in: u64,
    server_time: i64,
    session_id: String,
    scope: &'a str,
    user: UserReply<'a>,
    /// What `encryptedData` held, as WeChat wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    user_data: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_data_error: Option<PartError>,
    /// The user's phone number, if a phone code was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<PhoneShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_error: Option<PartError>,
}

#[derive(Serialize, ToSchema)]
struct UserReply<'a> {
    id: String,
    openid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unionid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_masked: Option<String>,
    is_new: bool,
}

pub(super) fn about() -> About {
    About::new("login", "Log in with a code of wx.login.")
        .tag(about::MINI_PROGRAM)
        .path("appid", APPID)
        .header("X-App-Id", "The same appid again, or nothing.")
        .header("Idempotency-Key", "Makes it safe to repeat a login: 22 to 255 characters of ASCII, at random.")
        .body::<LoginBody>()
        .gives::<LoginReply>(200, "Tokens, and who logged in.")
        .fails(FAILURES)
        .fails(&[Code::AppMismatch])
}

/// What the field `appid` of a path is.
pub(super) const APPID: &str = "The mini-program's appid, as WeChat gave it.";

/// Why a login may fail.
pub(super) const FAILURES: &[Code] = &[
    Code::CodeInvalid,
    Code::AppDisabled,
    Code::AppNotAuthorized,
    Code::UserBlocked,
    Code::AppUnknown,
    Code::CodeUsed,
    Code::AppMisconfigured,
    Code::UpstreamBadResponse,
    Code::UpstreamBusy,
    Code::UpstreamTimeout,
    Code::UpstreamUnavailable,
];

/// Logs in whoever owns the code.
pub(super) async fn post(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    client: web::ReqData<Client>,
    body: JsonBody<LoginBody>,
) -> Result<HttpResponse, ApiError> {
    let app = gateway.directory.active_app(&named_app::in_path(&request)?).await?;
    let digest = body.digest();
    let LoginBody { code, encrypted_data, iv, raw_data, signature, phone_code } = body.value;
    let attempt = attempt(&request, &client, &code, digest)?;
    let data = UserDataRequest::parse(UserDataFields { encrypted_data, iv, raw_data, signature });
    let data = data.map_err(|error| ApiError::caused(Code::RequestInvalid, error))?;

    let login = gateway.logins.login_with_phone(&app, attempt, data, phone_code.as_deref()).await;
    let mut login = login.map_err(|error| name_kind(error.into(), &code))?;
    Ok(HttpResponse::Ok().json(LoginReply::of(&mut login, gateway.clock.now())))
}

/// What the use case needs to know of a request. The code's shape is checked here, before anything is spent on it.
pub(super) fn attempt(request: &HttpRequest, client: &Client, code: &str, body: Digest) -> Result<Attempt, ApiError> {
    let code: LoginCode = code.parse().map_err(|_| Code::CodeInvalid)?;
    let mut keys = request.headers().get_all(IDEMPOTENCY_KEY).map(HeaderValue::as_bytes);
    let idempotency_key = match keys.next() {
        None => None,
        Some(key) if keys.any(|other| other != key) || !key.is_ascii() => return Err(Code::RequestInvalid.into()),
        // 128 random bits are 22 characters of base64url at the least; anything shorter could be guessed.
        Some(key) if (22..=255).contains(&key.len()) => Some(Digest::sha256(key)),
        Some(_) => return Err(Code::RequestInvalid.into()),
    };
    // A code that was sent to one address does nothing at another, whatever the body.
    let (method, path) = (request.method().as_str(), request.path());
    Ok(Attempt {
        code,
        request: Digest::sha256(&[method.as_bytes(), b" ", path.as_bytes(), b" ", body.as_bytes()].concat()),
        client: client.fingerprint(),
        address: client.bucket(),
        idempotency_key,
        purpose: Purpose::Login,
    })
}

/// A refused code may be of another kind; what it looks like tells more than WeChat does.
fn name_kind(error: ApiError, code: &str) -> ApiError {
    if error.code == Code::CodeInvalid && PhoneCode::has_usual_shape(code) {
        return error.detailed("code looks like a code of the phone button; it comes from wx.login".to_owned());
    }
    error
}

impl<'a> LoginReply<'a> {
    fn of(login: &'a mut Login, now: Timestamp) -> Self {
        let (phone, phone_error) = match login.phone.take() {
            Some(Ok(given)) => (Some(PhoneShown::of(&given.phone)), None),
            Some(Err(error)) => (None, Some(tell_part(error.into()))),
            None => (None, None),
        };
        let Login { session, tokens, user_data, .. } = login;
        let failed = user_data.as_ref().is_some_and(Result::is_err);
        Self {
            access_token: tokens.access_token.expose(),
            token_type: "Bearer",
            expires_in: tokens.expires_in,
            refresh_token: tokens.refresh_token.expose(),
            refresh_expires_in: tokens.refresh_expires_in,
            server_time: now.seconds(),
            session_id: session.id.to_string(),
            scope: &tokens.scope,
            user: UserReply::of(session),
            user_data: user_data.as_ref().and_then(|data| data.as_ref().ok()),
            user_data_error: failed.then(|| ApiError::from(Code::SessionKeyStale).into()),
            phone,
            phone_error,
        }
    }
}

/// The error of a part, which the operator hears of here: the request itself succeeded.
pub(super) fn tell_part(error: ApiError) -> PartError {
    let cause = error.source.as_ref().map(tracing::field::display);
    tracing::info!(error.code = error.code.name(), error.source = cause, "a login gave no phone number");
    error.into()
}

impl<'a> UserReply<'a> {
    fn of(session: &'a OpenedSession) -> Self {
        Self {
            id: session.user.id.to_string(),
            openid: session.openid.as_str(),
            unionid: session.unionid.as_ref().map(wxgate_domain::UnionId::as_str),
            nickname: session.user.profile.nickname.as_deref(),
            avatar_url: session.user.profile.avatar_url.as_deref(),
            phone_masked: session.phone.as_ref().map(|phone| phone.number.masked()),
            is_new: session.is_new,
        }
    }
}
