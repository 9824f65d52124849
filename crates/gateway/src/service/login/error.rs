//! Why a login did not happen.

use std::sync::Arc;

use wxgate_domain::Timestamp;
use wxgate_storage::{OpenSessionError, StorageError};
use wxgate_wechat_client::{BadResponse, ExchangeError, RejectedClass};

use crate::service::tokens::TokenError;

/// Why a login did not happen. Shared between the callers of one code, so it can be cloned.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("WeChat does not know the code")]
    CodeRejected,
    #[error("the code was used")]
    CodeUsed,
    #[error("the code is not of the user who must prove that they are the same")]
    OtherUser,
    #[error("the user is blocked")]
    UserBlocked,
    #[error("too many requests")]
    RateLimited { retry_after: u32 },
    #[error("too many sessions of one user; WeChat has consumed the code")]
    TooManySessions { retry_after: u32 },
    #[error("WeChat's daily quota is used up")]
    QuotaExhausted { retry_after: u32 },
    #[error("the app is not authorised to the platform")]
    NotAuthorized,
    #[error("WeChat refuses the app, errcode {errcode}")]
    Misconfigured { errcode: i64 },
    #[error("WeChat is busy")]
    Busy,
    #[error("WeChat did not answer in time")]
    Timeout,
    #[error("WeChat cannot be reached")]
    Unavailable,
    #[error("WeChat's answer made no sense: {0}")]
    BadResponse(BadResponse),
    #[error("too much to do; nothing was sent to WeChat")]
    Overloaded,
    #[error("too much to write; WeChat has consumed the code")]
    NotOpened,
    #[error("{0}")]
    Internal(Arc<str>),
}

impl LoginError {
    /// Whether the code may be sent again: it never reached WeChat, or WeChat asked for patience.
    pub(crate) fn leaves_code_unused(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Overloaded | Self::Unavailable)
    }

    /// Whether WeChat refuses the app, whatever the code: neither this code nor another will do until somebody has acted.
    pub(crate) fn is_about_app(&self) -> bool {
        matches!(self, Self::QuotaExhausted { .. } | Self::NotAuthorized | Self::Misconfigured { .. })
    }

    /// The outcome's name in metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::CodeRejected => "code_invalid",
            Self::CodeUsed => "code_used",
            Self::OtherUser => "other_user",
            Self::UserBlocked => "user_blocked",
            Self::RateLimited { .. } | Self::TooManySessions { .. } => "rate_limited",
            Self::QuotaExhausted { .. } => "quota_exhausted",
            Self::NotAuthorized => "not_authorized",
            Self::Misconfigured { .. } => "misconfigured",
            Self::Busy => "upstream_busy",
            Self::Timeout => "upstream_timeout",
            Self::Unavailable => "upstream_unavailable",
            Self::BadResponse(_) => "upstream_bad_response",
            Self::Overloaded | Self::NotOpened => "overloaded",
            Self::Internal(_) => "internal",
        }
    }

    fn internal(error: &dyn std::error::Error) -> Self {
        Self::Internal(error.to_string().into())
    }
}

impl LoginError {
    /// What an exchange that failed means to whoever logs in.
    pub(super) fn of_exchange(error: ExchangeError, now: Timestamp) -> Self {
        match error {
            ExchangeError::Timeout => Self::Timeout,
            ExchangeError::Unavailable => Self::Unavailable,
            ExchangeError::Overloaded => Self::Overloaded,
            ExchangeError::BadResponse(what) => Self::BadResponse(what),
            ExchangeError::Rejected(rejected) => match rejected.class {
                RejectedClass::Busy => Self::Busy,
                RejectedClass::CodeInvalid => Self::CodeRejected,
                RejectedClass::CodeUsed => Self::CodeUsed,
                RejectedClass::UserBlocked => Self::UserBlocked,
                RejectedClass::RateLimited => Self::RateLimited { retry_after: 60 },
                RejectedClass::QuotaExhausted => Self::QuotaExhausted { retry_after: now.until_midnight_in_beijing() },
                RejectedClass::NotAuthorized => Self::NotAuthorized,
                RejectedClass::Misconfigured => Self::Misconfigured { errcode: rejected.errcode },
            },
        }
    }
}

impl From<OpenSessionError> for LoginError {
    fn from(error: OpenSessionError) -> Self {
        match error {
            OpenSessionError::UserBlocked => Self::UserBlocked,
            OpenSessionError::Overloaded => Self::NotOpened,
            OpenSessionError::Storage(error) => error.into(),
        }
    }
}

impl From<StorageError> for LoginError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Busy | StorageError::Unavailable { .. } => Self::NotOpened,
            error => Self::internal(&error),
        }
    }
}

impl From<TokenError> for LoginError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Storage(error) => error.into(),
            TokenError::Issue(error) => Self::internal(&error),
        }
    }
}
