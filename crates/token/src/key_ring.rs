//! A tenant's keys: one signs, all published ones verify.

use std::collections::HashMap;

use serde_json::Value;
use wxgate_crypto::strict_json;
use wxgate_domain::{Kid, SigningAlgorithm, SigningKeyState, StoredSigningKey};

use crate::jwks::{self, Jwks};
use crate::public_key::PublicKey;
use crate::signing_key::{KeyError, SigningKey};

/// The largest JWK set that is read, in bytes: room for [`jwks::MAX_KEYS`] RSA keys.
const MAX_SET: usize = 1024 * 1024;

/// The keys of one tenant, opened: exactly one is active and signs; all of them, `next` and `retiring` too, verify.
///
/// Only the active key's private part is parsed.
#[derive(Debug)]
pub struct KeyRing {
    active: SigningKey,
    verifying: VerifyingKeys,
    jwks: Jwks,
}

impl KeyRing {
    /// Opens a tenant's keys.
    ///
    /// # Errors
    /// [`KeyError::NoActive`], [`KeyError::SeveralActive`], [`KeyError::Duplicate`], or a key that is damaged.
    pub fn new(keys: &[StoredSigningKey]) -> Result<Self, KeyError> {
        let mut active = keys.iter().filter(|key| key.state == SigningKeyState::Active);
        let active = match (active.next(), active.next()) {
            (None, _) => return Err(KeyError::NoActive),
            (Some(one), None) => SigningKey::open(one)?,
            (Some(_), Some(_)) => return Err(KeyError::SeveralActive),
        };
        let mut published = Vec::with_capacity(keys.len());
        for stored in keys {
            published.push((stored.created_at, public(stored, &active)?));
        }
        let verifying = VerifyingKeys::new(published.iter().map(|(_, key)| key.clone()))?;
        Ok(Self { active, verifying, jwks: Jwks::new(published) })
    }

    /// The key that signs.
    pub fn active(&self) -> &SigningKey {
        &self.active
    }

    /// The keys as they are published.
    pub fn jwks(&self) -> &Jwks {
        &self.jwks
    }

    /// The algorithms of all published keys, each once.
    pub fn algorithms(&self) -> Vec<SigningAlgorithm> {
        let used = |algorithm: &SigningAlgorithm| self.verifying.0.values().any(|key| key.algorithm() == *algorithm);
        SigningAlgorithm::ALL.into_iter().filter(used).collect()
    }
}

impl AsRef<VerifyingKeys> for KeyRing {
    fn as_ref(&self) -> &VerifyingKeys {
        &self.verifying
    }
}

/// The public part of a stored key. That of the active one comes from its private part, so what signs also verifies.
fn public(stored: &StoredSigningKey, active: &SigningKey) -> Result<PublicKey, KeyError> {
    if stored.kid == *active.kid() {
        return Ok(active.public().clone());
    }
    let jwk = strict_json::parse(stored.public_jwk.as_bytes()).map_err(|_| KeyError::Public)?;
    let key = PublicKey::from_jwk(&jwk).ok_or(KeyError::Public)?;
    let fits = *key.kid() == stored.kid && key.algorithm() == stored.algorithm;
    fits.then_some(key).ok_or(KeyError::Mismatch)
}

/// Public keys to verify with, by `kid`; each with the one algorithm it may be used with.
#[derive(Clone, Debug)]
pub struct VerifyingKeys(HashMap<Kid, PublicKey>);

impl VerifyingKeys {
    /// Reads a JWK set (RFC 7517 section 5) as [`Jwks`] publishes it.
    ///
    /// Keys of unknown types and algorithms are skipped, as are those without `alg`, `use` or a `kid` that is the
    /// thumbprint, and any with private members: none of them can verify.
    ///
    /// # Errors
    /// [`KeyError::Set`] for anything that is no such set, is too large, or leaves no key; [`KeyError::Duplicate`].
    pub fn from_jwks(document: &[u8]) -> Result<Self, KeyError> {
        if document.len() > MAX_SET {
            return Err(KeyError::Set);
        }
        let set = strict_json::parse(document).map_err(|_| KeyError::Set)?;
        let keys = set.get("keys").and_then(Value::as_array).filter(|keys| keys.len() <= jwks::MAX_KEYS);
        let keys = Self::new(keys.ok_or(KeyError::Set)?.iter().filter_map(PublicKey::from_jwk))?;
        if keys.0.is_empty() { Err(KeyError::Set) } else { Ok(keys) }
    }

    fn new(keys: impl Iterator<Item = PublicKey>) -> Result<Self, KeyError> {
        let mut by_kid = HashMap::new();
        for key in keys {
            if by_kid.insert(key.kid().clone(), key).is_some() {
                return Err(KeyError::Duplicate);
            }
        }
        Ok(Self(by_kid))
    }

    /// Whether a key of this id is known.
    pub fn contains(&self, kid: &Kid) -> bool {
        self.0.contains_key(kid)
    }

    pub(crate) fn get(&self, kid: &Kid) -> Option<&PublicKey> {
        self.0.get(kid)
    }
}

impl AsRef<Self> for VerifyingKeys {
    fn as_ref(&self) -> &Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn stored(state: SigningKeyState, made: i64) -> StoredSigningKey {
        testing::stored(SigningAlgorithm::ES256, state, made)
    }

    #[test]
    fn exactly_one_key_signs() {
        let (next, active) = (stored(SigningKeyState::Next, 2), stored(SigningKeyState::Active, 1));
        assert_eq!(KeyRing::new(&[]).unwrap_err(), KeyError::NoActive);
        assert_eq!(KeyRing::new(std::slice::from_ref(&next)).unwrap_err(), KeyError::NoActive);
        let other = stored(SigningKeyState::Active, 3);
        assert_eq!(KeyRing::new(&[active.clone(), other]).unwrap_err(), KeyError::SeveralActive);
        let ring = KeyRing::new(&[next.clone(), active.clone()]).unwrap();
        assert_eq!(*ring.active().kid(), active.kid);
        assert!([&next, &active].iter().all(|key| ring.verifying.contains(&key.kid)));
    }

    #[test]
    fn the_same_key_twice_is_refused() {
        let active = stored(SigningKeyState::Active, 1);
        let again = StoredSigningKey { state: SigningKeyState::Retiring, ..active.clone() };
        assert_eq!(KeyRing::new(&[active, again]).unwrap_err(), KeyError::Duplicate);
    }

    #[test]
    fn a_public_part_that_is_not_the_keys_is_refused() {
        let (active, retiring) = (stored(SigningKeyState::Active, 2), stored(SigningKeyState::Retiring, 1));
        let swapped = StoredSigningKey { public_jwk: active.public_jwk.clone(), ..retiring.clone() };
        assert_eq!(KeyRing::new(&[active.clone(), swapped]).unwrap_err(), KeyError::Mismatch);
        let renamed = StoredSigningKey { algorithm: SigningAlgorithm::RS256, ..retiring.clone() };
        assert_eq!(KeyRing::new(&[active.clone(), renamed]).unwrap_err(), KeyError::Mismatch);
        for broken in ["", "{}", "[]", "{\"kid\":1}"] {
            let broken = StoredSigningKey { public_jwk: broken.to_owned(), ..retiring.clone() };
            assert_eq!(KeyRing::new(&[active.clone(), broken]).unwrap_err(), KeyError::Public);
        }
    }

    #[test]
    fn a_set_is_read_as_it_is_published() {
        let keys: Vec<_> = SigningAlgorithm::ALL
            .into_iter()
            .zip([SigningKeyState::Active, SigningKeyState::Next, SigningKeyState::Retiring])
            .map(|(algorithm, state)| testing::stored(algorithm, state, 1))
            .collect();
        let ring = KeyRing::new(&keys).unwrap();
        let read = VerifyingKeys::from_jwks(ring.jwks().body().as_bytes()).unwrap();
        assert!(keys.iter().all(|key| read.contains(&key.kid)));
        assert_eq!(ring.algorithms(), SigningAlgorithm::ALL);
    }

    #[test]
    fn a_set_that_is_none_is_refused_and_unknown_keys_in_it_are_skipped() {
        let key = stored(SigningKeyState::Active, 1);
        let set = |keys: &str| VerifyingKeys::from_jwks(format!("{{\"keys\":[{keys}]}}").as_bytes());
        assert!(set(&format!("{{\"kty\":\"AKP\"}},{},7", key.public_jwk)).unwrap().contains(&key.kid));
        assert_eq!(set(&format!("{0},{0}", key.public_jwk)).unwrap_err(), KeyError::Duplicate);
        assert_eq!(set("").unwrap_err(), KeyError::Set);
        assert_eq!(set(&vec!["{}"; jwks::MAX_KEYS + 1].join(",")).unwrap_err(), KeyError::Set);
        for wrong in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[],\"keys\":[]}"] {
            assert_eq!(VerifyingKeys::from_jwks(wrong.as_bytes()).unwrap_err(), KeyError::Set, "{wrong}");
        }
        assert_eq!(VerifyingKeys::from_jwks(&vec![b' '; MAX_SET + 1]).unwrap_err(), KeyError::Set);
    }
}
