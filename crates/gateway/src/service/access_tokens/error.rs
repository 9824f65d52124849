//! Why a call that needs an access_token failed.

use std::time::Duration;

use wxgate_domain::Timestamp;
use wxgate_storage::StorageError;
use wxgate_wechat_client::{CallError, Refused, RefusedClass};

use crate::service::limits::Wait;

/// Why a call that needs an access_token failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum TokenCallError {
    /// There is no token to be had for so many seconds. Nothing was called.
    #[error("no access_token of this app is to be had")]
    Unavailable { retry_after: u32 },
    /// The day's calls are used up; they are back at midnight in Beijing, in so many seconds.
    #[error("the day's calls of this interface are used up")]
    QuotaExhausted { retry_after: u32 },
    /// The call itself failed. A token that is still dead after one more try is [`TokenCallError::Unavailable`].
    #[error(transparent)]
    Call(CallError),
}

/// Why a report of a dead token comes to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    /// Another one was looked into a moment ago: not for so long.
    #[error("another report of this app was looked into a moment ago")]
    TooSoon(Duration),
    #[error(transparent)]
    Token(#[from] TokenCallError),
    #[error("the report cannot be noted: {0}")]
    Storage(#[from] StorageError),
}

/// How long to wait where WeChat calls even a fresh token dead.
const STILL_DEAD: u32 = 30;

impl TokenCallError {
    /// No token for so long; at least a second.
    pub(super) fn unavailable(wait: Duration) -> Self {
        Self::Unavailable { retry_after: Wait::of(wait).0 }
    }

    /// WeChat calls dead what it gives.
    pub(super) fn still_dead() -> Self {
        Self::Unavailable { retry_after: STILL_DEAD }
    }

    /// What a call that failed means.
    pub(super) fn of_call(error: CallError, now: Timestamp) -> Self {
        match error {
            CallError::Refused(Refused { class: RefusedClass::TokenDead, .. }) => Self::still_dead(),
            CallError::Refused(Refused { class: RefusedClass::QuotaExhausted, .. }) => {
                Self::QuotaExhausted { retry_after: now.until_midnight_in_beijing() }
            }
            error => Self::Call(error),
        }
    }
}
