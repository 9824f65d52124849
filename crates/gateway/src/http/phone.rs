//! `POST, DELETE /v1/me/phone`: the user's phone number, from a code of the phone button or from the data of an older client.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use wxgate_domain::Phone;
use wxgate_wechat_client::PhoneCode;

use super::code::{Action, Code};
use super::error::ApiError;
use super::extract::bearer::User;
use super::extract::body::JsonBody;
use super::extract::client::Client;
use super::extract::then::Then;
use super::login;
use super::openapi::about::{self, About};
use crate::app::Gateway;
use crate::service::phone::{CodeError, Given, GivenOutcome, PhoneError, TakenPhone, Terms};
use crate::service::user_data::{UserDataFields, UserDataRequest};

/// What a mini-program sends: `phoneCode`, or `encryptedData` with `iv`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PhoneBody {
    /// What the phone button gave.
    phone_code: Option<String>,
    /// What the phone button of an older base library gave.
    encrypted_data: Option<String>,
    iv: Option<String>,
    /// A fresh code of `wx.login`, if the number is to take the place of another.
    code: Option<String>,
    /// Whether a number that is another user's is to leave them.
    #[serde(default)]
    r#move: bool,
}

/// What became of the number.
#[derive(Serialize, ToSchema)]
struct PhoneReply {
    outcome: &'static str,
    phone: PhoneShown,
    /// When the number leaves the other user, in seconds since 1970. Ask again then.
    #[serde(skip_serializing_if = "Option::is_none")]
    moves_at: Option<i64>,
}

/// What may be shown of a number.
#[derive(Serialize, ToSchema)]
pub(super) struct PhoneShown {
    masked: String,
    country_code: String,
    /// Whether WeChat vouches for it.
    verified: bool,
}

/// A fresh code of `wx.login`.
#[derive(Deserialize, ToSchema)]
pub(super) struct ReleaseBody {
    code: Option<String>,
}

pub(super) fn about_post() -> About {
    About::new("bindPhone", "Bind the user's phone number.")
        .tag(about::MINI_PROGRAM)
        .user()
        .says(
            "`code`, a fresh code of wx.login, is needed to replace another number and to have one leave somebody else. \
             PHONE_TAKEN carries `candidate`, what may be shown of the number, `merge_token`, for whoever is both users, \
             and `expires_in`, the seconds that it counts. `encryptedData` is confirmed by WeChat before the number counts; \
             such questions and phone codes have a budget a day, of the user and of the mini-program, then RATE_LIMITED with \
             the action `stop`.",
        )
        .body::<PhoneBody>()
        .gives::<PhoneReply>(200, "Whose the number is now.")
        .fails(login::FAILURES)
        .fails(&[
            Code::StepUpRequired,
            Code::PhoneTaken,
            Code::PhoneUnconfirmed,
            Code::SessionKeyStale,
            Code::AppTokenUnavailable,
        ])
}

pub(super) fn about_delete() -> About {
    About::new("releasePhone", "Let go of the user's phone number.")
        .tag(about::MINI_PROGRAM)
        .user()
        .body::<ReleaseBody>()
        .nothing(204, "The user has no phone number.")
        .fails(login::FAILURES)
        .fails(&[Code::StepUpRequired])
}

/// Binds a number.
pub(super) async fn post(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    client: web::ReqData<Client>,
    Then(user, body): Then<User, JsonBody<PhoneBody>>,
) -> Result<HttpResponse, ApiError> {
    let digest = body.digest();
    let PhoneBody { phone_code, encrypted_data, iv, code, r#move } = body.value;
    let source = Source::read(phone_code, encrypted_data, iv)?;
    let attempt = code.map(|code| login::attempt(&request, &client, &code, digest)).transpose()?;
    let stepped_up = attempt.is_some();
    if r#move && !stepped_up {
        // It takes the number from somebody else.
        return Err(Code::StepUpRequired.into());
    }
    if let Some(attempt) = attempt {
        gateway.accounts.step_up(&user.0, attempt).await?;
    }
    let (phones, app, session) = (&gateway.logins.phones, &user.0.app, &user.0.session);
    let terms = Terms { stepped_up, moves: r#move };
    let given = match &source {
        Source::Code(code) => phones.bind_code(app, session, code, terms).await?,
        Source::Data(data) => phones.bind_data(app, session, data, terms).await?,
    };
    Ok(HttpResponse::Ok().json(PhoneReply::of(&given)))
}

/// Lets go of the number.
pub(super) async fn delete(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    client: web::ReqData<Client>,
    Then(user, body): Then<User, JsonBody<ReleaseBody>>,
) -> Result<HttpResponse, ApiError> {
    let code = body.value.code.as_deref().ok_or(Code::StepUpRequired)?;
    let attempt = login::attempt(&request, &client, code, body.digest())?;
    gateway.accounts.step_up(&user.0, attempt).await?;
    gateway.logins.phones.release(&user.0.app, &user.0.session).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Where a number comes from.
enum Source {
    Code(PhoneCode),
    Data(UserDataRequest),
}

impl Source {
    /// One of the two, of plausible shape: nothing is spent before.
    fn read(phone_code: Option<String>, encrypted_data: Option<String>, iv: Option<String>) -> Result<Self, ApiError> {
        match (phone_code, encrypted_data.is_some() || iv.is_some()) {
            (Some(code), false) => {
                Ok(Self::Code(PhoneCode::parse(&code).ok_or(PhoneError::from(CodeError::Rejected))?))
            }
            (None, true) => {
                let fields = UserDataFields { encrypted_data, iv, ..UserDataFields::default() };
                let data = UserDataRequest::parse_encrypted(fields);
                Ok(Self::Data(data.map_err(|error| ApiError::caused(Code::RequestInvalid, error))?))
            }
            _ => Err(Code::RequestInvalid.into()),
        }
    }
}

impl PhoneReply {
    fn of(given: &Given) -> Self {
        let (outcome, moves_at) = match given.outcome {
            GivenOutcome::Bound => ("bound", None),
            GivenOutcome::AlreadyYours => ("already_yours", None),
            GivenOutcome::Leaving(at) => ("moving", Some(at.seconds())),
        };
        Self { outcome, phone: PhoneShown::of(&given.phone), moves_at }
    }
}

impl PhoneShown {
    pub(super) fn of(phone: &Phone) -> Self {
        Self {
            masked: phone.number.masked(),
            country_code: phone.number.country_code().to_owned(),
            verified: phone.is_verified,
        }
    }
}

/// What whoever is both users can do about a number that is the other's.
fn offer(taken: &TakenPhone) -> Map<String, Value> {
    let told = [
        ("candidate", json!({ "phone_masked": taken.masked })),
        ("merge_token", taken.token.token.expose().into()),
        ("expires_in", taken.token.expires_in.into()),
    ];
    told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A budget of the day is used up: nothing helps before midnight in Beijing.
fn used_up(retry_after: u32) -> ApiError {
    let mut told = ApiError::from(Code::RateLimited).retry_after(retry_after);
    told.action = Some(Action::Stop);
    told
}

/// What a mini-program does is ask the user again, unless waiting helps.
impl From<PhoneError> for ApiError {
    fn from(error: PhoneError) -> Self {
        let code = match error {
            PhoneError::Code(error) => return error.into(),
            PhoneError::Confirm(error) => return error.into(),
            PhoneError::Exhausted { retry_after } => return used_up(retry_after),
            PhoneError::Taken(taken) => {
                return Self::from(Code::PhoneTaken).telling(offer(&taken));
            }
            PhoneError::Data => Code::SessionKeyStale,
            PhoneError::StepUpRequired => Code::StepUpRequired,
            PhoneError::Unconfirmed => Code::PhoneUnconfirmed,
            PhoneError::NoUser => Code::SessionEnded,
            PhoneError::Overloaded => return Self::from(Code::Overloaded).retry_after(1),
            PhoneError::Storage(_) => Code::Internal,
        };
        Self::caused(code, error)
    }
}

impl From<CodeError> for ApiError {
    fn from(error: CodeError) -> Self {
        let mut told = match &error {
            CodeError::Rejected => Self::from(Code::CodeInvalid),
            CodeError::LoginCode => Self::from(Code::CodeInvalid)
                .detailed("phoneCode looks like a code of wx.login; it comes from the phone button".to_owned()),
            CodeError::OfAnother => Self::from(Code::CodeUsed),
            CodeError::Lost => Self::from(Code::UpstreamTimeout),
            CodeError::UnderWay | CodeError::Overloaded => return Self::from(Code::Overloaded).retry_after(1),
            CodeError::Exhausted { retry_after } => return used_up(*retry_after),
            CodeError::Call { error, .. } => Self::from(error.clone()),
            CodeError::Storage(_) => return Self::caused(Code::Internal, error),
        };
        let is_good = matches!(error, CodeError::Call { is_spent: false, .. });
        if !is_good && told.code != Code::UserBlocked {
            told.action = Some(Action::Reauthorize);
            told.retry_after = None;
        }
        told.source = Some(Box::new(error));
        told
    }
}
