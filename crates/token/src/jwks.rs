//! The published keys: a JWK set (RFC 7517 section 5), rendered once.

use std::cmp::Reverse;
use std::collections::HashSet;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use wxgate_crypto::{Digest, encoding};
use wxgate_domain::{Kid, Timestamp};

use crate::public_key::PublicKey;

/// The most keys in one set: beyond, verifiers that read it often pay more than a set per tenant would cost.
pub const MAX_KEYS: usize = 1_000;

/// A JWK set with its ETag. It holds public members only, always `alg` and `use`, the newest key first.
#[derive(Clone, Debug)]
pub struct Jwks {
    keys: Vec<Published>,
    body: String,
    etag: String,
}

#[derive(Clone, Debug)]
struct Published {
    made: Timestamp,
    kid: Kid,
    jwk: Jwk,
}

impl Jwks {
    pub(crate) fn new(keys: impl IntoIterator<Item = (Timestamp, PublicKey)>) -> Self {
        let published = |(made, key): (Timestamp, PublicKey)| {
            let (kid, jwk) = (key.kid().clone(), key.jwk().clone());
            Published { made, kid, jwk }
        };
        Self::render(keys.into_iter().map(published).collect())
    }

    /// Several tenants' keys in one set, for validators that take one address only.
    ///
    /// Such a validator must pin `iss`: every key of the set can sign for any tenant as far as the signature goes.
    ///
    /// # Errors
    /// More than `max` keys. Leaving some out would refuse tokens that are valid, so the caller decides.
    pub fn merged(sets: &[&Self], max: usize) -> Result<Self, TooManyKeys> {
        let mut seen = HashSet::new();
        let all = sets.iter().flat_map(|set| &set.keys);
        let keys: Vec<_> = all.filter(|key| seen.insert(key.kid.clone())).cloned().collect();
        if keys.len() > max {
            return Err(TooManyKeys { keys: keys.len(), max });
        }
        Ok(Self::render(keys))
    }

    fn render(mut keys: Vec<Published>) -> Self {
        // The id settles ties, so that every process gives the same document the same ETag.
        keys.sort_by(|one, other| (Reverse(one.made), &one.kid).cmp(&(Reverse(other.made), &other.kid)));
        let set = JwkSet { keys: keys.iter().map(|key| key.jwk.clone()).collect() };
        // Text members only: there is nothing in it that could fail to be JSON.
        let body = serde_json::to_string(&set).unwrap_or_else(|_| "{\"keys\":[]}".to_owned());
        let etag = format!("\"{}\"", encoding::to_base64url(Digest::sha256(body.as_bytes()).as_bytes()));
        Self { keys, body, etag }
    }

    /// The document, `{"keys":[...]}`, of type `application/jwk-set+json`.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The strong entity tag, quotes included (RFC 9110 section 8.8.3): equal for equal documents only.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// How many keys it holds. A set without one must not be cached by anyone.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it holds no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// More keys than one set may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{keys} keys in one set, at most {max} may be")]
pub struct TooManyKeys {
    /// How many there are.
    pub keys: usize,
    /// How many may be.
    pub max: usize,
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wxgate_domain::{SigningAlgorithm, SigningKeyState, StoredSigningKey};

    use super::*;
    use crate::KeyRing;
    use crate::testing;

    fn ring(made: &[i64]) -> (Vec<StoredSigningKey>, KeyRing) {
        let states = [SigningKeyState::Active, SigningKeyState::Next, SigningKeyState::Retiring];
        let algorithms = SigningAlgorithm::ALL;
        let made = made.iter().zip(states).zip(algorithms);
        let keys: Vec<_> = made.map(|((made, state), algorithm)| testing::stored(algorithm, state, *made)).collect();
        let ring = KeyRing::new(&keys).unwrap();
        (keys, ring)
    }

    fn kids(jwks: &Jwks) -> Vec<String> {
        let set: Value = serde_json::from_str(jwks.body()).unwrap();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_newest_key_stands_first() {
        let (keys, ring) = ring(&[20, 30, 10]);
        let expected: Vec<_> = [&keys[1], &keys[0], &keys[2]].iter().map(|key| key.kid.to_string()).collect();
        assert_eq!(kids(ring.jwks()), expected);
        assert_eq!((ring.jwks().len(), ring.jwks().is_empty()), (3, false));
    }

    #[test]
    fn no_private_member_is_published_and_alg_and_use_always_are() {
        let (_, ring) = ring(&[1, 2, 3]);
        let set: Value = serde_json::from_str(ring.jwks().body()).unwrap();
        for key in set["keys"].as_array().unwrap() {
            for (name, value) in key.as_object().unwrap() {
                let public = ["kty", "use", "alg", "kid", "crv", "x", "y", "n", "e"].contains(&name.as_str());
                assert!(public && value.is_string(), "{name}");
            }
            assert_eq!(key["use"], "sig");
            assert!(SigningAlgorithm::ALL.iter().any(|algorithm| key["alg"] == algorithm.as_str()));
        }
    }

    #[test]
    fn extra_members_of_a_stored_jwk_are_not_published() {
        let (mut keys, _) = ring(&[1, 2, 3]);
        keys[1].public_jwk = keys[1].public_jwk.replacen('{', "{\"x5u\":\"https://evil.example\",\"note\":\"hi\",", 1);
        let ring = KeyRing::new(&keys).unwrap();
        assert!(!ring.jwks().body().contains("evil") && !ring.jwks().body().contains("note"));
    }

    #[test]
    fn the_etag_changes_with_the_keys_only() {
        let (keys, one) = ring(&[1, 2, 3]);
        let mut turned = keys.clone();
        turned.reverse();
        assert_eq!(one.jwks().etag(), KeyRing::new(&turned).unwrap().jwks().etag());
        let fewer = KeyRing::new(&keys[..2]).unwrap();
        assert_ne!(one.jwks().etag(), fewer.jwks().etag());
        let etag = one.jwks().etag();
        assert!(etag.len() == 45 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    }

    #[test]
    fn sets_merge_without_repeating_a_key_and_never_beyond_the_limit() {
        let ((_, one), (_, other)) = (ring(&[1, 3]), ring(&[2]));
        let merged = Jwks::merged(&[one.jwks(), other.jwks(), one.jwks()], 3).unwrap();
        let (mine, theirs) = (kids(one.jwks()), kids(other.jwks()));
        assert_eq!(kids(&merged), [mine[0].as_str(), &theirs[0], &mine[1]]);
        let refused = Jwks::merged(&[one.jwks(), other.jwks()], 2).unwrap_err();
        assert_eq!(refused, TooManyKeys { keys: 3, max: 2 });
        assert_eq!(Jwks::merged(&[], 2).unwrap().body(), "{\"keys\":[]}");
    }
}
