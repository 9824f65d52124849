//! A third-party platform ("component"): it logs in and calls for the apps that authorised it, without their AppSecrets.
//!
//! Source: WeChat, "Third-party platform".

use serde::{Deserialize, Serialize};

use crate::ids::{PlatformId, TenantId, WechatAppid};
use crate::time::Timestamp;

/// The permission set that users and phone numbers need.
pub const USERS_PERMISSION: i64 = 18;

/// One platform of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Our id.
    pub id: PlatformId,
    /// The tenant that owns it, and whose apps it acts for.
    pub tenant: TenantId,
    /// WeChat's id of it, unique among all platforms.
    pub appid: WechatAppid,
    /// Its name for people, at most 200 characters.
    pub name: String,
    /// Whether what is pushed may still be signed with the Token before the present one.
    pub has_previous_token: bool,
    /// Whether what is pushed may still come under the EncodingAESKey before the present one.
    pub has_previous_key: bool,
    /// When WeChat wrote the newest ticket; `None` before the first one.
    pub ticket_at: Option<Timestamp>,
    /// The end of its token's life; `None` if it has none.
    pub token_until: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// An app as a platform knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformApp {
    /// The platform.
    pub platform: PlatformId,
    /// WeChat's id of the app.
    pub appid: WechatAppid,
    /// How they stand.
    pub state: PlatformAppState,
    /// Whether there is a refresh token: without one the app must authorise again.
    pub is_granted: bool,
    /// Whether there is a code of an authorisation that was not exchanged yet.
    pub is_pending: bool,
    /// The end of the life of its token; `None` if it has none.
    pub token_until: Option<Timestamp>,
    /// The ids of the permission sets that it granted; none if WeChat did not say.
    pub permissions: Vec<i64>,
    /// When it authorised the platform last.
    pub authorized_at: Option<Timestamp>,
    /// When WeChat wrote the newest event about it.
    pub event_at: Timestamp,
}

impl PlatformApp {
    /// Whether users and phone numbers are out of reach: WeChat said what was granted, and that was not among it.
    pub fn lacks_users(&self) -> bool {
        !self.permissions.is_empty() && !self.permissions.contains(&USERS_PERMISSION)
    }
}

/// How an app stands with a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlatformAppState {
    /// The platform acts for it.
    Attached,
    /// It authorised the platform, and nobody of the tenant's had asked for that: an operator decides.
    Parked,
    /// It withdrew.
    Withdrawn,
}

impl PlatformAppState {
    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Parked => "parked",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The state of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Attached, Self::Parked, Self::Withdrawn].into_iter().find(|state| state.as_str() == word)
    }
}
