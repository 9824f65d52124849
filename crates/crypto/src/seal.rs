//! Authenticated encryption of values at rest.

use std::fmt;
use std::str::FromStr;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use uuid::Uuid;

use crate::random::Random;
use crate::secret::Secret;

const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
const HEAD: usize = 1 + 8 + NONCE;

/// The id of a key, eight bytes: the fingerprint of a master key or the number of a data key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// The id as stored.
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl From<[u8; 8]> for KeyId {
    fn from(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

/// The number of a data key, unique within its tenant.
impl From<u32> for KeyId {
    fn from(number: u32) -> Self {
        Self(u64::from(number).to_be_bytes())
    }
}

/// Text that is no key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 16 hexadecimal digits, as `wxgate master-key list` shows them")]
pub struct MalformedKeyId;

impl FromStr for KeyId {
    type Err = MalformedKeyId;

    /// Reads what `Display` writes, and nothing else.
    fn from_str(text: &str) -> Result<Self, MalformedKeyId> {
        let number = u64::from_str_radix(text, 16).map_err(|_| MalformedKeyId)?;
        let id = Self(number.to_be_bytes());
        if id.to_string() == text { Ok(id) } else { Err(MalformedKeyId) }
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::encoding::to_hex(self.0))
    }
}

/// Where a sealed value lives. A value sealed for one place opens in no other.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The tenant that owns the row.
    pub tenant: Uuid,
    /// The table's name.
    pub table: &'static str,
    /// The column's name.
    pub column: &'static str,
    /// The row's primary key, as bytes.
    pub row: &'a [u8],
}

/// A sealed value: version 1, key id 8, nonce 12, then ciphertext and tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Reads a sealed value back from storage, checking version and length.
    ///
    /// # Errors
    /// [`SealError::Shape`] for anything that this version cannot have written.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, SealError> {
        (bytes.first() == Some(&VERSION) && bytes.len() >= HEAD + TAG).then_some(Self(bytes)).ok_or(SealError::Shape)
    }

    /// The id of the key that opens this value.
    pub fn key_id(&self) -> KeyId {
        let mut id = [0; 8];
        // The constructor guarantees the length; a short value would only name a key that does not exist.
        if let Some(bytes) = self.0.get(1..9) {
            id.copy_from_slice(bytes);
        }
        KeyId(id)
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes to store, by value.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(key {}, {} bytes)", self.key_id(), self.0.len())
    }
}

/// Why a sealed value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not a sealed value of a known version.
    #[error("not a sealed value")]
    Shape,
    /// Sealed by a key that is not at hand.
    #[error("sealed by the key {0}, which is not at hand")]
    UnknownKey(KeyId),
    /// Changed, or sealed for another place.
    #[error("the sealed value was changed or belongs elsewhere")]
    Forged,
}

/// A key that seals and opens with AES-256-GCM-SIV (RFC 8452), which survives a repeated nonce.
#[derive(Clone)]
pub struct SealKey {
    id: KeyId,
    key: Secret<[u8; 32]>,
}

impl SealKey {
    /// A key of 32 random bytes under its id.
    pub fn new(id: KeyId, key: Secret<[u8; 32]>) -> Self {
        Self { id, key }
    }

    /// The id that sealed values name this key by.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Seals a value for a place.
    #[expect(clippy::missing_panics_doc, reason = "fails only beyond 64 GiB")]
    pub fn seal(&self, place: &Place<'_>, plain: &[u8], random: &Random) -> Sealed {
        let nonce: [u8; NONCE] = random.bytes();
        let payload = Payload { msg: plain, aad: &self.aad(place) };
        #[expect(clippy::expect_used, reason = "fails only beyond 64 GiB")]
        let ciphertext = self.cipher().encrypt(&Nonce::from(nonce), payload).expect("a value below 64 GiB");
        let mut bytes = Vec::with_capacity(HEAD + ciphertext.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.id.0);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&ciphertext);
        Sealed(bytes)
    }

    /// Opens a value that this key sealed for this place.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`] if another key sealed it, [`SealError::Forged`] if a bit or the place differs.
    pub fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Result<Secret<Vec<u8>>, SealError> {
        if sealed.key_id() != self.id {
            return Err(SealError::UnknownKey(sealed.key_id()));
        }
        let (head, ciphertext) = sealed.0.split_at_checked(HEAD).ok_or(SealError::Shape)?;
        let nonce: [u8; NONCE] = head.get(9..).and_then(|n| n.try_into().ok()).ok_or(SealError::Shape)?;
        let payload = Payload { msg: ciphertext, aad: &self.aad(place) };
        self.cipher().decrypt(&Nonce::from(nonce), payload).map(Secret::new).map_err(|_| SealError::Forged)
    }

    fn cipher(&self) -> Aes256GcmSiv {
        Aes256GcmSiv::new(&(*self.key.expose()).into())
    }

    /// Length-prefixed, so that no two places share their associated data.
    fn aad(&self, place: &Place<'_>) -> Vec<u8> {
        let parts: [&[u8]; 6] = [
            &[VERSION],
            &self.id.0,
            place.tenant.as_bytes(),
            place.table.as_bytes(),
            place.column.as_bytes(),
            place.row,
        ];
        let mut aad = Vec::with_capacity(128);
        for part in parts {
            aad.extend_from_slice(&(part.len() as u64).to_be_bytes());
            aad.extend_from_slice(part);
        }
        aad
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id)
    }
}

#[cfg(test)]
mod tests;
