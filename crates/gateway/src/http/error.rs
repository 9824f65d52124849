//! What a handler fails with. Only the code reaches the wire; the source goes to one log line at the boundary.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wxgate_storage::{FeedError, StorageError};
use wxgate_token::{IssueError, VerifyError};
use wxgate_wechat_client::{CallError, RefusedClass};

use super::code::{Action, Code};
use crate::service::access_tokens::TokenCallError;
use crate::service::account::AccountError;
use crate::service::clients::ClientError;
use crate::service::directory::DirectoryError;
use crate::service::login::LoginError;
use crate::service::refresh::RefreshError;
use crate::service::revocations::RevocationsError;
use crate::service::verified::Refused;

/// An error of our API.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) code: Code,
    pub(crate) action: Option<Action>,
    /// Seconds after which it makes sense to come back.
    pub(crate) retry_after: Option<u32>,
    /// What in particular is wrong, for operators: it names what they sent, and nothing else.
    detail: Option<String>,
    /// What `WWW-Authenticate` asks for.
    challenge: Option<&'static str>,
    /// What else the client is told.
    members: Members,
    /// What happened, for the operator only.
    pub(crate) source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    /// An error with its source, which is logged and never sent.
    pub(crate) fn caused(code: Code, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::from(code) }
    }

    /// The same error with a time to come back.
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The same error with what in particular is wrong.
    pub(crate) fn detailed(self, detail: String) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// The same error with members of its own (RFC 9457 section 3.2), which may be told this client alone.
    pub(crate) fn telling(self, members: Map<String, Value>) -> Self {
        Self { members: Members(members), ..self }
    }

    /// An error that asks for something else than its code does.
    pub(crate) fn challenging(code: Code, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..Self::from(code) }
    }

    /// The body of RFC 9457, as every route but the tutorial's answers.
    pub(crate) fn problem(&self, request_id: &str) -> HttpResponse {
        let problem = Problem {
            r#type: format!("urn:wxgate:error:{}", self.code.name()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            code: self.code.name(),
            detail: self.detail.as_deref(),
            action: self.action,
            retry_after: self.retry_after,
            request_id,
            members: &self.members.0,
        };
        self.respond("application/problem+json", serde_json::to_vec(&problem).unwrap_or_default())
    }

    /// A reply of this error's status with a body that was rendered elsewhere.
    pub(crate) fn respond(&self, media_type: &'static str, body: Vec<u8>) -> HttpResponse {
        let mut response = HttpResponse::build(self.code.status());
        response.insert_header((header::CONTENT_TYPE, media_type));
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(challenge) = self.challenge {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        response.body(body)
    }
}

/// A failure (RFC 9457). Clients program against `code` and `action`.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    /// What in particular is wrong, for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<Action>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    request_id: &'a str,
    /// Of some codes there is more to tell.
    #[serde(flatten)]
    #[schema(ignore)]
    members: &'a Map<String, Value>,
}

/// What more an error tells its client. A token may be among it, so it never gets into a log.
#[derive(Default, Serialize)]
#[serde(transparent)]
struct Members(Map<String, Value>);

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Members")
    }
}

/// What went wrong with an optional part of a request that succeeded.
#[derive(Serialize, ToSchema)]
pub(super) struct PartError {
    code: &'static str,
    action: Option<Action>,
    /// What in particular is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Seconds after which it makes sense to come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    #[serde(flatten)]
    #[schema(ignore)]
    members: Members,
}

impl From<ApiError> for PartError {
    fn from(error: ApiError) -> Self {
        let ApiError { code, action, retry_after, detail, members, .. } = error;
        Self { code: code.name(), action, detail, retry_after, members }
    }
}

impl From<Code> for ApiError {
    fn from(code: Code) -> Self {
        Self {
            code,
            action: code.action(),
            retry_after: None,
            detail: None,
            challenge: code.challenge(),
            members: Members::default(),
            source: None,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.name())
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        // The boundary replaces this body: it knows the request id and the route's style.
        HttpResponse::new(self.code.status())
    }
}

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Unknown => Code::AppUnknown.into(),
            DirectoryError::Disabled => Code::AppDisabled.into(),
            DirectoryError::Unavailable => Self::from(Code::Overloaded).retry_after(1),
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        let code = match error {
            AccountError::NoUser => Code::TokenInvalid,
            AccountError::SessionEnded => Code::SessionEnded,
            AccountError::UserBlocked => Code::UserBlocked,
            AccountError::NoSession => Code::NotFound,
            AccountError::App(DirectoryError::Unknown) => Code::AppDisabled,
            AccountError::App(error) => return error.into(),
            AccountError::StepUp(error) => return error.into(),
            AccountError::Overloaded => return Self::caused(Code::Overloaded, error).retry_after(1),
            AccountError::Storage(_) => Code::Internal,
        };
        Self::caused(code, error)
    }
}

/// For calls that may be made again as they are. A call that uses up a code says `new_code` where this says `wait`.
impl From<TokenCallError> for ApiError {
    fn from(error: TokenCallError) -> Self {
        let mut told = Self::from(Code::from(&error));
        match &error {
            TokenCallError::Unavailable { retry_after } => told.retry_after = Some(*retry_after),
            TokenCallError::QuotaExhausted { retry_after } => {
                told.action = Some(Action::Stop);
                told.retry_after = Some(*retry_after);
            }
            TokenCallError::Call(error) => match told.code {
                Code::UpstreamTimeout | Code::UpstreamBusy | Code::UpstreamUnavailable | Code::UpstreamBadResponse => {
                    told.action = Some(Action::Wait);
                    told.retry_after = Some(1);
                }
                Code::Overloaded => told.retry_after = Some(1),
                Code::RateLimited => told.retry_after = Some(60),
                Code::AppTokenUnavailable => told.retry_after = Some(back_off(error)),
                _ => {}
            },
        }
        told.source = Some(Box::new(error));
        told
    }
}

/// How long WeChat's refusal asks to wait; ten minutes where it does not say.
fn back_off(error: &CallError) -> u32 {
    let wait = if let CallError::Refused(refused) = error { refused.back_off() } else { None };
    wait.and_then(|wait| u32::try_from(wait.as_secs()).ok()).unwrap_or(600)
}

impl From<&TokenCallError> for Code {
    fn from(error: &TokenCallError) -> Self {
        match error {
            TokenCallError::Unavailable { .. } => Self::AppTokenUnavailable,
            TokenCallError::QuotaExhausted { .. } => Self::RateLimited,
            TokenCallError::Call(CallError::Timeout) => Self::UpstreamTimeout,
            TokenCallError::Call(CallError::Unavailable) => Self::UpstreamUnavailable,
            TokenCallError::Call(CallError::BadResponse(_)) => Self::UpstreamBadResponse,
            TokenCallError::Call(CallError::Overloaded) => Self::Overloaded,
            TokenCallError::Call(CallError::Refused(refused)) => match refused.class {
                RefusedClass::TokenDead | RefusedClass::AddressRefused | RefusedClass::TicketInvalid => {
                    Self::AppTokenUnavailable
                }
                RefusedClass::Busy => Self::UpstreamBusy,
                RefusedClass::CodeInvalid | RefusedClass::CodeOfOtherKind => Self::CodeInvalid,
                RefusedClass::SessionKeyStale => Self::SessionKeyStale,
                RefusedClass::UserBlocked => Self::UserBlocked,
                RefusedClass::RateLimited | RefusedClass::QuotaExhausted => Self::RateLimited,
                RefusedClass::NotAuthorized => Self::AppNotAuthorized,
                RefusedClass::Misconfigured => Self::AppMisconfigured,
            },
        }
    }
}

impl From<Refused> for ApiError {
    fn from(error: Refused) -> Self {
        match error {
            Refused::Token(VerifyError::Expired) => Code::TokenExpired.into(),
            Refused::Token(_) | Refused::Revoked => Self::caused(Code::TokenInvalid, error),
            Refused::Scope => Code::ScopeInsufficient.into(),
            Refused::NotKnown(_) | Refused::Directory(_) => Self::caused(Code::Overloaded, error).retry_after(1),
        }
    }
}

impl From<ClientError> for ApiError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused => Code::ClientInvalid.into(),
            ClientError::TooOften(wait) => Self::from(Code::RateLimited).retry_after(wait.0),
            ClientError::Unavailable => Self::from(Code::Overloaded).retry_after(1),
        }
    }
}

impl From<RevocationsError> for ApiError {
    fn from(error: RevocationsError) -> Self {
        let code = match &error {
            RevocationsError::NotGranted => Code::NotGranted,
            RevocationsError::Removed => Code::ClientInvalid,
            RevocationsError::TooMany => return Self::caused(Code::RateLimited, error).retry_after(1),
            RevocationsError::Feed(FeedError::Gone) => Code::CursorGone,
            RevocationsError::Feed(FeedError::Storage(StorageError::Busy | StorageError::Unavailable { .. }))
            | RevocationsError::Keys(_)
            | RevocationsError::Signed(IssueError::RetiredKey) => {
                return Self::caused(Code::Overloaded, error).retry_after(1);
            }
            RevocationsError::Feed(FeedError::Storage(_)) | RevocationsError::Signed(_) => Code::Internal,
        };
        Self::caused(code, error)
    }
}

impl From<RefreshError> for ApiError {
    fn from(error: RefreshError) -> Self {
        let code = match &error {
            RefreshError::Invalid => Code::RefreshInvalid,
            RefreshError::Reused => Code::RefreshReused,
            RefreshError::Ended(_) => Code::SessionEnded,
            RefreshError::UserBlocked => Code::UserBlocked,
            RefreshError::AppDisabled => Code::AppDisabled,
            RefreshError::Overloaded => return Self::caused(Code::Overloaded, error).retry_after(1),
            RefreshError::Internal(_) => Code::Internal,
        };
        Self::caused(code, error)
    }
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        let code = Code::from(&error);
        let mut told = Self::from(code);
        match &error {
            LoginError::QuotaExhausted { retry_after } => {
                told.action = Some(Action::Stop);
                told.retry_after = Some(*retry_after);
            }
            LoginError::RateLimited { retry_after } => told.retry_after = Some(*retry_after),
            // WeChat said whose code it is, and with that the code is spent.
            LoginError::TooManySessions { retry_after } => {
                told.action = Some(Action::NewCode);
                told.retry_after = Some(*retry_after);
            }
            LoginError::Busy | LoginError::Unavailable | LoginError::Overloaded => told.retry_after = Some(1),
            LoginError::NotOpened => {
                told.action = Some(Action::NewCode);
                told.retry_after = Some(1);
            }
            _ => {}
        }
        told.source = Some(Box::new(error));
        told
    }
}

impl From<&LoginError> for Code {
    fn from(error: &LoginError) -> Self {
        match error {
            LoginError::CodeRejected => Self::CodeInvalid,
            LoginError::CodeUsed => Self::CodeUsed,
            LoginError::OtherUser => Self::StepUpRequired,
            LoginError::UserBlocked => Self::UserBlocked,
            LoginError::RateLimited { .. } | LoginError::TooManySessions { .. } | LoginError::QuotaExhausted { .. } => {
                Self::RateLimited
            }
            LoginError::NotAuthorized => Self::AppNotAuthorized,
            LoginError::Misconfigured { .. } => Self::AppMisconfigured,
            LoginError::Busy => Self::UpstreamBusy,
            LoginError::Timeout => Self::UpstreamTimeout,
            LoginError::Unavailable => Self::UpstreamUnavailable,
            LoginError::BadResponse(_) => Self::UpstreamBadResponse,
            LoginError::Overloaded | LoginError::NotOpened => Self::Overloaded,
            LoginError::Internal(_) => Self::Internal,
        }
    }
}
