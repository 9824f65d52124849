//! Admin keys: what an operator, or the admin of one tenant, proves to be one with.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wxgate_crypto::{Digest, Random, Secret, encoding};

use crate::ids::{AdminKeyId, MalformedId, TenantId};
use crate::time::Timestamp;

/// A key to the admin API. Of its secret only a digest is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminKey {
    /// Its id; the audit log names whoever uses it by this.
    pub id: AdminKeyId,
    /// The one tenant that it is for; an operator's key is for all of them and for what belongs to none.
    pub tenant: Option<TenantId>,
    /// Its name for people, at most 200 characters.
    pub name: String,
    /// What it allows.
    pub scopes: AdminScopes,
    /// When it was added.
    pub created_at: Timestamp,
    /// From when on it counts no more.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl AdminKey {
    /// Whether it counts at this moment.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// One thing that an admin key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminScope {
    /// To see what is there, secrets aside.
    Read,
    /// To change it.
    Write,
    /// To set and make secrets: AppSecrets, secrets of service clients, admin keys, signing, data and master keys.
    Secrets,
}

impl AdminScope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Secrets];

    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Secrets => "secrets",
        }
    }
}

impl fmt::Display for AdminScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AdminScope {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or(MalformedId("read, write or secrets"))
    }
}

/// What an admin key allows, in order and each once. Writing and secrets do not include reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminScopes(Vec<AdminScope>);

impl AdminScopes {
    /// Everything.
    pub fn all() -> Self {
        Self(AdminScope::ALL.to_vec())
    }

    /// Whether this is among them.
    pub fn allow(&self, scope: AdminScope) -> bool {
        self.0.contains(&scope)
    }

    /// Whether they allow all that others do: nobody gives more than they have.
    pub fn include(&self, others: &Self) -> bool {
        others.0.iter().all(|scope| self.allow(*scope))
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = AdminScope> {
        self.0.iter().copied()
    }
}

impl FromIterator<AdminScope> for AdminScopes {
    fn from_iter<I: IntoIterator<Item = AdminScope>>(scopes: I) -> Self {
        let mut scopes: Vec<_> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }
}

/// Words with spaces between, as they are stored.
impl fmt::Display for AdminScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" "))
    }
}

impl FromStr for AdminScopes {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        text.split_ascii_whitespace().map(AdminScope::from_str).collect()
    }
}

/// The text of an admin key: `wxa_` and 64 characters of base64url, its id (16 bytes) and 32 random bytes. It cannot be
/// printed.
///
/// With 256 random bits a plain digest keeps it: nobody can try them all, so nothing slower is needed.
#[derive(Clone, Debug)]
pub struct AdminKeySecret(Secret<String>);

impl AdminKeySecret {
    /// What every one of them begins with, so that scanners know one. It never changes.
    pub const PREFIX: &str = "wxa_";

    /// A new secret for the key of this id.
    pub fn generate(id: AdminKeyId, random: &Random) -> Self {
        let bytes = [id.uuid().as_bytes().as_slice(), random.secret::<32>().expose()].concat();
        Self(Secret::new(format!("{}{}", Self::PREFIX, encoding::to_base64url(bytes))))
    }

    /// The secret, to be told once.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is stored of it: SHA-256 of the text.
    pub fn digest(&self) -> Digest {
        Digest::sha256(self.expose().as_bytes())
    }

    /// Which key a text claims to be, and the digest to compare; `None` for whatever cannot be one.
    pub fn claimed(text: &str) -> Option<(AdminKeyId, Digest)> {
        let bytes = encoding::base64url(text.strip_prefix(Self::PREFIX)?)?;
        let (id, random) = bytes.split_at_checked(16)?;
        let id = Uuid::from_slice(id).ok().filter(|_| random.len() == 32)?;
        Some((id.into(), Digest::sha256(text.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_names_its_key_and_cannot_be_printed() {
        let random = Random::seeded(1);
        let id = AdminKeyId::new(Timestamp::from_millis(1), &random);
        let secret = AdminKeySecret::generate(id, &random);
        assert_eq!(AdminKeySecret::claimed(secret.expose()), Some((id, secret.digest())));
        assert_eq!((secret.expose().len(), format!("{secret:?}").contains(secret.expose())), (68, false));
        let text = secret.expose();
        for wrong in ["", "wxa_", &text[4..], &format!("{text}A"), &text[..67], &text.replace("wxa_", "wxs_")] {
            assert_eq!(AdminKeySecret::claimed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn scopes_are_sets_and_nobody_gives_more_than_they_have() {
        let scopes: AdminScopes = "write read write".parse().unwrap();
        assert_eq!(scopes.to_string(), "read write");
        assert!(scopes.allow(AdminScope::Read) && !scopes.allow(AdminScope::Secrets));
        assert!(AdminScopes::all().include(&scopes) && !scopes.include(&AdminScopes::all()));
        assert!("read,write".parse::<AdminScopes>().is_err());
    }

    #[test]
    fn a_key_counts_until_it_expires() {
        let key = AdminKey {
            id: AdminKeyId::new(Timestamp::from_millis(1), &Random::seeded(1)),
            tenant: None,
            name: "ops".to_owned(),
            scopes: AdminScopes::all(),
            created_at: Timestamp::from_millis(0),
            expires_at: Some(Timestamp::from_millis(10)),
            last_used_at: None,
        };
        assert!(key.is_valid_at(Timestamp::from_millis(9)) && !key.is_valid_at(Timestamp::from_millis(10)));
        assert!(AdminKey { expires_at: None, ..key }.is_valid_at(Timestamp::from_millis(i64::MAX)));
    }
}
