//! Keyed digests and their comparison in constant time.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::seal::KeyId;
use crate::secret::Secret;

/// A key for HMAC-SHA256 (RFC 2104) with an id, for digests and for the MACs of opaque tokens.
///
/// Digests of different labels never collide: label and parts are length-prefixed.
#[derive(Clone, Debug)]
pub struct MacKey {
    id: KeyId,
    /// With the key already in its state, which is two of the hashes that a digest would begin with. Zeroed when dropped.
    keyed: Hmac<Sha256>,
}

impl MacKey {
    /// A key of 32 random bytes under its id.
    #[expect(clippy::needless_pass_by_value, reason = "nobody needs the key after this")]
    pub fn new(id: KeyId, key: Secret<[u8; 32]>) -> Self {
        // HMAC fills shorter keys up to a block with zeros.
        let mut block = Zeroizing::new([0; 64]);
        block.iter_mut().zip(key.expose()).for_each(|(block, key)| *block = *key);
        Self { id, keyed: Hmac::new((&*block).into()) }
    }

    /// The id that rows and tokens name this key by.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// HMAC-SHA256 over the label and the parts, each prefixed by its length.
    pub fn digest(&self, label: &str, parts: &[&[u8]]) -> Digest {
        let mut mac = self.keyed.clone();
        for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Digest(mac.finalize().into_bytes().into())
    }
}

/// 32 bytes of a digest. Equality takes the same time wherever the difference is.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Plain SHA-256, for values that are not secret or have at least 128 random bits.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest read back from a row; `None` unless it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes, for storage.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl std::hash::Hash for Digest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({}..)", crate::encoding::to_hex(self.0.get(..4).unwrap_or_default()))
    }
}

/// Compares two byte strings in constant time; only their lengths may show.
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    #[test]
    fn a_key_shows_nothing_of_itself_and_is_zeroed() {
        const fn zeroed<T: zeroize::ZeroizeOnDrop>() {}
        // What HMAC's state is made of.
        const { zeroed::<Sha256>() };
        let key = |seed| MacKey::new(KeyId::from(1), Random::seeded(seed).secret());
        assert_eq!(format!("{:?}", key(1)), format!("{:?}", key(2)));
    }

    #[test]
    fn the_boundary_between_parts_counts() {
        let key = MacKey::new(KeyId::from(1), Random::seeded(1).secret());
        let one = key.digest("code", &[b"ab", b"c"]);
        assert_eq!(one, key.digest("code", &[b"ab", b"c"]));
        assert_ne!(one, key.digest("code", &[b"a", b"bc"]));
        assert_ne!(one, key.digest("codeab", &[b"c"]));
        assert_ne!(one, MacKey::new(KeyId::from(1), Random::seeded(2).secret()).digest("code", &[b"ab", b"c"]));
    }
}
