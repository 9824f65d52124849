//! A tenant's keys: one signs, all published ones verify.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::Value;
use wxgate_crypto::strict_json;
use wxgate_domain::{Kid, SigningAlgorithm, SigningKeyState, StoredSigningKey};

use crate::jwks::{self, Jwks};
use crate::public_key::PublicKey;
use crate::signing_key::{KeyError, SigningKey};

/// The largest JWK set that is read, in bytes: room for [`jwks::MAX_KEYS`] RSA keys.
pub const MAX_SET: usize = 1024 * 1024;

/// The keys of one tenant, opened: exactly one is active and signs; all of them, `next` and `retiring` too, verify.
///
/// Only the active key's private part is parsed; that of the next one when it is first asked for.
#[derive(Debug)]
pub struct KeyRing {
    active: SigningKey,
    next: Vec<(StoredSigningKey, OnceLock<Result<SigningKey, KeyError>>)>,
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
        let next = keys.iter().filter(|key| key.state == SigningKeyState::Next);
        let next = next.map(|key| (key.clone(), OnceLock::new())).collect();
        Ok(Self { active, next, verifying, jwks: Jwks::new(published) })
    }

    /// The key that signs.
    pub fn active(&self) -> &SigningKey {
        &self.active
    }

    /// The active key or a next one by its id. A next key signs the one thing that the active one cannot: that the
    /// active one is retired. One that is retiring signs no more.
    ///
    /// # Errors
    /// [`KeyError::Unknown`] if no such key signs, or why the next key cannot be parsed.
    pub fn signing(&self, kid: &Kid) -> Result<&SigningKey, KeyError> {
        if kid == self.active.kid() {
            return Ok(&self.active);
        }
        let (stored, opened) = self.next.iter().find(|(stored, _)| stored.kid == *kid).ok_or(KeyError::Unknown)?;
        opened.get_or_init(|| SigningKey::open(stored)).as_ref().map_err(|error| *error)
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

    /// Whether every key of these is also in the other set: nothing that these verified is in doubt there.
    pub fn are_all_in(&self, other: &Self) -> bool {
        self.0.keys().all(|kid| other.contains(kid))
    }

    /// Forgets a key that must verify nothing more.
    pub fn remove(&mut self, kid: &Kid) {
        self.0.remove(kid);
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
    fn the_active_and_the_next_key_sign_by_name_and_a_retiring_one_does_not() {
        let keys = [SigningKeyState::Active, SigningKeyState::Next, SigningKeyState::Retiring].map(|s| stored(s, 1));
        let ring = KeyRing::new(&keys).unwrap();
        for key in &keys[..2] {
            assert_eq!(*ring.signing(&key.kid).unwrap().kid(), key.kid);
        }
        assert_eq!(ring.signing(&keys[2].kid).unwrap_err(), KeyError::Unknown);
        assert_eq!(ring.signing(&stored(SigningKeyState::Next, 1).kid).unwrap_err(), KeyError::Unknown);
        // A next key that is damaged does no harm until it is asked to sign.
        let [active, next, _] = keys;
        let private = stored(SigningKeyState::Next, 1).private;
        let ring = KeyRing::new(&[active, StoredSigningKey { private, ..next.clone() }]).unwrap();
        assert_eq!(ring.signing(&next.kid).unwrap_err(), KeyError::Mismatch);
    }

    #[test]
    fn a_removed_key_verifies_nothing_more() {
        let keys = [SigningKeyState::Active, SigningKeyState::Next].map(|state| stored(state, 1));
        let all = KeyRing::new(&keys).unwrap().verifying;
        let mut fewer = all.clone();
        fewer.remove(&keys[0].kid);
        assert!(!fewer.contains(&keys[0].kid) && fewer.contains(&keys[1].kid));
        assert!(fewer.are_all_in(&all) && !all.are_all_in(&fewer));
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
