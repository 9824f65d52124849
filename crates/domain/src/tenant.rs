//! A tenant: an organisation with its own issuer, keys, policy and users.

use serde::{Deserialize, Serialize};

use crate::ids::{Slug, TenantId};
use crate::policy::TenantPolicy;
use crate::time::Timestamp;

/// An organisation: its own issuer, signing keys, token policy, users and administrators.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Our id.
    pub id: TenantId,
    /// Its name in addresses.
    pub slug: Slug,
    /// Its name for people, at most 200 characters.
    pub name: String,
    /// Whether it may act.
    pub status: TenantStatus,
    /// What it tunes.
    pub policy: TenantPolicy,
    /// Raised to end every session of the tenant at once; sessions carry the value they began with.
    pub sessions_epoch: u32,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Whether a tenant may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantStatus {
    /// Serves logins.
    Active,
    /// Serves nothing until it is resumed.
    Suspended,
    /// Serves nothing any more: its keys are gone, and its rows are going.
    Deleting,
}

impl TenantStatus {
    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
        }
    }

    /// The status of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Deleting].into_iter().find(|s| s.as_str() == word)
    }
}
