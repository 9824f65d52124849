//! What can go wrong between a platform and WeChat.

use wxgate_crypto::push::PushFailure;
use wxgate_storage::StorageError;
use wxgate_wechat_client::{CallError, Refused};

/// Why a platform cannot act.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum PlatformError {
    #[error("there is no such platform")]
    Unknown,
    #[error("WeChat has pushed no ticket yet")]
    NoTicket,
    #[error("the app granted nothing, or withdrew")]
    NotGranted,
    #[error("the token is being fetched elsewhere")]
    Busy,
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the database refused: {0}")]
    Storage(#[from] StorageError),
}

impl From<PlatformError> for CallError {
    /// As WeChat would put it, for whoever calls in an app's name.
    fn from(error: PlatformError) -> Self {
        match error {
            PlatformError::Call(error) => error,
            PlatformError::NotGranted => Self::Refused(Refused::not_authorized()),
            PlatformError::Unknown | PlatformError::NoTicket | PlatformError::Busy | PlatformError::Storage(_) => {
                Self::Unavailable
            }
        }
    }
}

/// Why a push to a platform is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlatformPushError {
    #[error("there is no such platform")]
    Unknown,
    #[error("the body is no XML of the kind that is read, or lacks what it is about")]
    Malformed,
    #[error("{0}")]
    Frame(PushFailure),
    #[error("its time is not that of now")]
    Stale,
    #[error("its time and nonce came with something else before")]
    Replayed,
    #[error("the message names another platform")]
    OtherPlatform,
    #[error("not done while WeChat waits")]
    Late,
    #[error("the database refused: {0}")]
    Storage(#[from] StorageError),
}

impl PlatformPushError {
    /// Its stable name in the log.
    pub(crate) fn stage(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_platform",
            Self::Malformed => "malformed",
            Self::Frame(failure) => failure.stage(),
            Self::Stale => "stale",
            Self::Replayed => "replayed",
            Self::OtherPlatform => "other_platform",
            Self::Late => "late",
            Self::Storage(_) => "failed",
        }
    }
}

/// Why an authorisation that came back was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorizationError {
    #[error("nobody started this authorisation, it is over, it was carried out before, or by then nobody may want it")]
    State,
    #[error("WeChat does not know the code of this authorisation, or no longer")]
    Code,
    #[error(
        "the authorisation is of another app than it was started for, or the app is another tenant's: it is parked"
    )]
    Parked,
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl From<StorageError> for AuthorizationError {
    fn from(error: StorageError) -> Self {
        Self::Platform(error.into())
    }
}
