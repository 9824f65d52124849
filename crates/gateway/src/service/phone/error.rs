//! Why a phone number did not become a user's.

use wxgate_storage::StorageError;

use super::TakenPhone;
use crate::service::access_tokens::TokenCallError;

/// Why a phone number did not become a user's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PhoneError {
    /// The code gave no number.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// One word for every failure after the shape: the stages together are a padding oracle.
    #[error("the phone data does not open with the user's keys, or is no phone data")]
    Data,
    /// WeChat could not be asked whether it made the data.
    #[error("WeChat did not say whether it made the phone data: {0}")]
    Confirm(TokenCallError),
    /// The day's budget of this user or of the app for asking that is used up.
    #[error("the day's questions about phone data are used up")]
    Exhausted { retry_after: u32 },
    /// The number is somebody else's.
    #[error("the phone number is another user's")]
    Taken(Box<TakenPhone>),
    /// The user has another number.
    #[error("the user has another phone number, and nothing proves that it is they who ask")]
    StepUpRequired,
    /// WeChat does not vouch for the number, and the user has one for which it does.
    #[error("WeChat does not vouch for the phone number, which is to take the place of one for which it does")]
    Unconfirmed,
    /// The user was erased under way.
    #[error("the user is gone")]
    NoUser,
    /// Too much to write.
    #[error("too much to write")]
    Overloaded,
    /// The database failed.
    #[error("{0}")]
    Storage(StorageError),
}

/// Why a phone code gave no number. It is shared between those who wait for one exchange, so it can be cloned.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum CodeError {
    /// WeChat does not know the code, or it is no code at all.
    #[error("WeChat does not know the phone code")]
    Rejected,
    /// A code of `wx.login` was sent for a phone code.
    #[error("the phone code looks like a code of wx.login")]
    LoginCode,
    /// Another user sent it before.
    #[error("another user sent the phone code")]
    OfAnother,
    /// It was sent before, and the answer was lost.
    #[error("the answer to the phone code was lost")]
    Lost,
    /// Another process exchanges it now.
    #[error("the phone code is being exchanged")]
    UnderWay,
    /// The day's budget of this user or of the app is used up.
    #[error("the day's phone codes are used up")]
    Exhausted { retry_after: u32 },
    /// WeChat could not be called, or refused; `is_spent` if the code may be used up.
    #[error("{error}")]
    Call { error: TokenCallError, is_spent: bool },
    /// Too much to write; nothing was sent.
    #[error("too much to write")]
    Overloaded,
    /// The database failed.
    #[error("{0}")]
    Storage(StorageError),
}

impl From<StorageError> for PhoneError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Busy | StorageError::Unavailable { .. } => Self::Overloaded,
            StorageError::NotFound => Self::NoUser,
            error => Self::Storage(error),
        }
    }
}

impl From<StorageError> for CodeError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Busy | StorageError::Unavailable { .. } => Self::Overloaded,
            error => Self::Storage(error),
        }
    }
}
