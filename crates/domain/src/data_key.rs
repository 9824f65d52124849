//! A tenant's data keys, by what they are for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::MalformedId;

/// What a data key is for. One key never serves two purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataKeyPurpose {
    /// Seals values at rest.
    Seal,
    /// Digests what is looked up but must not be read.
    Digest,
    /// Makes the MACs of refresh tokens.
    RefreshMac,
    /// Makes the MACs of audit entries.
    Audit,
}

impl DataKeyPurpose {
    /// In the order of their first numbers, from 1.
    pub const ALL: [Self; 4] = [Self::Seal, Self::Digest, Self::RefreshMac, Self::Audit];

    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seal => "seal",
            Self::Digest => "digest",
            Self::RefreshMac => "refresh_mac",
            Self::Audit => "audit",
        }
    }
}

impl fmt::Display for DataKeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DataKeyPurpose {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let found = Self::ALL.into_iter().find(|purpose| purpose.as_str() == text);
        found.ok_or(MalformedId("seal, digest, refresh_mac or audit"))
    }
}
