//! The operator's master keys.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::encoding;
use crate::random::Random;
use crate::seal::{KeyId, Place, SealError, SealKey, Sealed};
use crate::secret::Secret;

/// Texts that stand in documentation; whoever pastes one of them has no secret.
const EXAMPLES: [&str; 2] =
    ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="];

/// One master key: 32 random bytes, written as base64. Its id is the first eight bytes of its SHA-256.
#[derive(Clone)]
pub struct MasterKey(SealKey);

impl MasterKey {
    /// Reads a master key from its text (surrounding white space is ignored, files end with a newline).
    ///
    /// # Errors
    /// The text is not base64 of 32 bytes, or is a weak or example key.
    pub fn parse(text: &Secret<String>) -> Result<Self, MasterKeyError> {
        let text = text.expose().trim();
        let bytes = Zeroizing::new(encoding::base64(text).ok_or(MasterKeyError::NotBase64)?);
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| MasterKeyError::Length(bytes.len()))?;
        if EXAMPLES.contains(&text) || is_weak(&key) {
            return Err(MasterKeyError::Weak);
        }
        let digest: [u8; 32] = Sha256::digest(key).into();
        let mut id = [0; 8];
        id.copy_from_slice(digest.split_at(8).0);
        Ok(Self(SealKey::new(KeyId::from(id), Secret::new(key))))
    }

    /// A new master key as text, to be written to a file by whoever asked for it.
    pub fn generate(random: &Random) -> Secret<String> {
        Secret::new(encoding::to_base64(random.secret::<32>().expose()))
    }

    /// The id, which is also the fingerprint to compare and print.
    pub fn id(&self) -> KeyId {
        self.0.id()
    }

    /// Seals a key for its place.
    pub fn seal(&self, place: &Place<'_>, plain: &[u8], random: &Random) -> Sealed {
        self.0.seal(place, plain, random)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

/// Fewer than 16 different bytes in 32 happen by chance less than once in 10^15 keys; people type such keys.
fn is_weak(key: &[u8; 32]) -> bool {
    let mut seen = [false; 256];
    for byte in key {
        if let Some(slot) = seen.get_mut(usize::from(*byte)) {
            *slot = true;
        }
    }
    seen.iter().filter(|s| **s).count() < 16
}

/// Why a text is no master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// Not base64 with padding.
    #[error("a master key is base64 of 32 random bytes (try `openssl rand -base64 32`)")]
    NotBase64,
    /// Another length than 32 bytes.
    #[error("a master key has 32 bytes, this one has {0}")]
    Length(usize),
    /// An example from a document, or hardly any randomness.
    #[error("this master key is an example or not random; make one with `openssl rand -base64 32`")]
    Weak,
}

/// The master keys at hand. Which of them seals is the database's word. Clones share the keys, which may come and go while
/// the process runs.
#[derive(Clone, Debug)]
pub struct MasterKeyRing {
    first: MasterKey,
    others: Arc<RwLock<Vec<MasterKey>>>,
}

impl MasterKeyRing {
    /// The keys at hand: the one that a new database begins with, and others.
    pub fn new(first: MasterKey, others: Vec<MasterKey>) -> Self {
        Self { first, others: Arc::new(RwLock::new(others)) }
    }

    /// The key that a new database begins with.
    pub fn first(&self) -> &MasterKey {
        &self.first
    }

    /// The ids of all keys at hand, the first one first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        let others: Vec<_> = self.others().iter().map(MasterKey::id).collect();
        std::iter::once(self.first.id()).chain(others)
    }

    /// The key of this id.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`] if it is not at hand.
    pub fn get(&self, id: KeyId) -> Result<MasterKey, SealError> {
        if self.first.id() == id {
            return Ok(self.first.clone());
        }
        self.others().iter().find(|key| key.id() == id).cloned().ok_or(SealError::UnknownKey(id))
    }

    /// Other keys from now on, beside the first, for everybody who has this ring.
    pub fn replace(&self, others: Vec<MasterKey>) {
        *self.others.write().unwrap_or_else(PoisonError::into_inner) = others;
    }

    /// Opens with whichever key sealed.
    ///
    /// # Errors
    /// As [`SealKey::open`]; [`SealError::UnknownKey`] names the key that is missing.
    pub fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Result<Secret<Vec<u8>>, SealError> {
        self.get(sealed.key_id())?.0.open(place, sealed)
    }

    fn others(&self) -> RwLockReadGuard<'_, Vec<MasterKey>> {
        self.others.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn parse(text: &str) -> Result<MasterKey, MasterKeyError> {
        MasterKey::parse(&Secret::new(text.to_owned()))
    }

    #[test]
    fn weak_and_example_keys_are_refused() {
        assert_eq!(parse("secret").unwrap_err(), MasterKeyError::NotBase64);
        assert_eq!(parse(&encoding::to_base64([1; 16])).unwrap_err(), MasterKeyError::Length(16));
        assert_eq!(parse(&encoding::to_base64([0; 32])).unwrap_err(), MasterKeyError::Weak);
        assert_eq!(parse(&encoding::to_base64(b"changemechangemechangemechangeme")).unwrap_err(), MasterKeyError::Weak);
        for example in EXAMPLES {
            assert_eq!(parse(example).unwrap_err(), MasterKeyError::Weak);
        }
    }

    #[test]
    fn an_old_key_still_opens_and_a_missing_one_is_named() {
        let random = Random::seeded(1);
        let old = MasterKey::parse(&MasterKey::generate(&random)).unwrap();
        let new = MasterKey::parse(&MasterKey::generate(&random)).unwrap();
        let place = Place { tenant: Uuid::nil(), table: "data_key", column: "sealed", row: b"1" };

        let sealed = old.seal(&place, b"key", &random);
        let ring = MasterKeyRing::new(new.clone(), vec![old.clone()]);
        assert_eq!(ring.open(&place, &sealed).unwrap().expose(), b"key");
        assert_eq!(ring.ids().collect::<Vec<_>>(), [new.id(), old.id()]);

        // Whoever shares the ring sees that a key has gone.
        let shared = ring.clone();
        ring.replace(vec![]);
        assert_eq!(shared.open(&place, &sealed).unwrap_err(), SealError::UnknownKey(old.id()));
    }

    #[test]
    fn the_text_may_end_with_a_newline() {
        let text = MasterKey::generate(&Random::seeded(1)).expose().clone();
        assert_eq!(parse(&format!("{text}\n")).unwrap().id(), parse(&text).unwrap().id());
    }
}
