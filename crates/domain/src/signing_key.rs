//! A signing key as it is stored: which algorithm, which state, and the sealed private part.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use wxgate_crypto::Secret;

use crate::ids::{MalformedId, parsed};
use crate::time::Timestamp;

/// How access tokens are signed (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256: small and known everywhere.
    #[default]
    ES256,
    /// Ed25519: the fastest to verify where a library has it.
    EdDSA,
    /// RSA with SHA-256, 2,048 bits: for verifiers that know nothing else; forty times the cost to sign.
    RS256,
}

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ES256, Self::EdDSA, Self::RS256];

    /// The name in JOSE headers, policies and storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
            Self::RS256 => "RS256",
        }
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SigningAlgorithm {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        Self::ALL.into_iter().find(|a| a.as_str() == text).ok_or(MalformedId("ES256, EdDSA or RS256"))
    }
}

/// A key's id: its RFC 7638 thumbprint, base64url of SHA-256, 43 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Kid(String);

impl Kid {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Kid {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let fits = wxgate_crypto::encoding::base64url(text).is_some_and(|bytes| bytes.len() == 32);
        fits.then(|| Self(text.to_owned())).ok_or(MalformedId("43 characters of base64url"))
    }
}

impl<'de> Deserialize<'de> for Kid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// Where a key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SigningKeyState {
    /// Published so that verifiers know it, but not signing yet.
    Next,
    /// Signs.
    Active,
    /// Signs no more, still verifies what it signed.
    Retiring,
}

impl SigningKeyState {
    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
        }
    }

    /// The state of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Next, Self::Active, Self::Retiring].into_iter().find(|s| s.as_str() == word)
    }
}

/// A signing key as storage keeps it.
#[derive(Clone, Debug)]
pub struct StoredSigningKey {
    /// Its id, unique in the gateway.
    pub kid: Kid,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// Where it stands.
    pub state: SigningKeyState,
    /// The private key, PKCS#8 DER (RFC 5958); sealed in storage.
    pub private: Secret<Vec<u8>>,
    /// The public key as one JWK object in JSON (RFC 7517), with `kid`, `alg` and `use`.
    pub public_jwk: String,
    /// When it was made, and published.
    pub created_at: Timestamp,
    /// When it began to sign. `None` for one that has not, and for a tenant's first, which signed from the beginning.
    pub activated_at: Option<Timestamp>,
    /// When it ceased to sign.
    pub retired_at: Option<Timestamp>,
}
