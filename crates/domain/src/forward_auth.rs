//! What a proxy may ask of a token, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::audience::{Audience, Scope};
use crate::ids::{MalformedId, TenantId, is_name, parsed};
use crate::policy::{MalformedPolicy, listed};
use crate::time::Timestamp;

/// A policy's name in addresses (`/forward-auth/{policy}`), unique among all tenants.
///
/// `[a-z0-9][a-z0-9-]{0,63}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct PolicyName(String);

impl PolicyName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PolicyName {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        is_name(text, 64)
            .then(|| Self(text.to_owned()))
            .ok_or(MalformedId("1 to 64 of a-z, 0-9 and hyphens, and not begin with a hyphen"))
    }
}

impl<'de> Deserialize<'de> for PolicyName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// What a request behind a proxy must carry: a token of this tenant, for this audience, with all of these scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardAuthPolicy {
    /// Its name.
    pub name: PolicyName,
    /// Whose tokens count.
    pub tenant: TenantId,
    /// Whom they must be for.
    pub audience: Audience,
    /// What they must allow, at most 20.
    pub scopes: Vec<Scope>,
    /// When it was added.
    pub created_at: Timestamp,
}

impl ForwardAuthPolicy {
    /// The scopes, if a policy can have them.
    ///
    /// # Errors
    /// More than 20, or one of them twice.
    pub fn checked_scopes(scopes: Vec<Scope>) -> Result<Vec<Scope>, MalformedPolicy> {
        listed("scopes", &scopes)?;
        Ok(scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        for good in ["orders", "9-lives", &"a".repeat(64)] {
            assert!(good.parse::<PolicyName>().is_ok(), "{good}");
        }
        for wrong in ["", "-a", "Orders", "a_b", "a/b", "a%2Fb", "a.b", "..", &"a".repeat(65)] {
            assert!(wrong.parse::<PolicyName>().is_err(), "{wrong}");
        }
    }
}
