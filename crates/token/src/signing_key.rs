//! A private key that signs access tokens and security events.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use wxgate_crypto::Secret;
use wxgate_domain::{Kid, SigningAlgorithm, SigningKeyState, StoredSigningKey, Timestamp};

use crate::jws::Headers;
use crate::public_key::PublicKey;

/// A key pair that was parsed once and is kept parsed: parsing at every signature costs more than half as much again.
pub struct SigningKey {
    pair: Pair,
    public: PublicKey,
    headers: Headers,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// A new key, to be sealed and stored. It is [`SigningKeyState::Next`]: whoever stores it decides when it signs.
    ///
    /// RS256 keys have 2,048 bits and take a fraction of a second to find.
    ///
    /// # Errors
    /// [`KeyError::Generate`].
    pub fn generate(algorithm: SigningAlgorithm, now: Timestamp) -> Result<StoredSigningKey, KeyError> {
        let pair = Pair::generate(algorithm).map_err(|_| KeyError::Generate)?;
        let private = pair.private().map_err(|_| KeyError::Generate)?;
        let public = PublicKey::from_pair(algorithm, pair.public()).ok_or(KeyError::Generate)?;
        let public_jwk = serde_json::to_string(public.jwk()).map_err(|_| KeyError::Generate)?;
        let kid = public.kid().clone();
        // Operators give ids to commands, which take what begins with a hyphen for an option. One in 64 does.
        if kid.as_str().starts_with('-') {
            return Self::generate(algorithm, now);
        }
        Ok(StoredSigningKey {
            kid,
            algorithm,
            state: SigningKeyState::Next,
            private,
            public_jwk,
            created_at: now,
            activated_at: None,
            retired_at: None,
        })
    }

    /// Parses a stored key.
    ///
    /// # Errors
    /// [`KeyError::Private`] if the private part is no key of this algorithm, [`KeyError::Mismatch`] if it is not the
    /// key that the id names.
    pub fn open(stored: &StoredSigningKey) -> Result<Self, KeyError> {
        let algorithm = stored.algorithm;
        let pair = Pair::parse(algorithm, stored.private.expose()).map_err(|_| KeyError::Private)?;
        let public = PublicKey::from_pair(algorithm, pair.public()).ok_or(KeyError::Private)?;
        if *public.kid() != stored.kid {
            return Err(KeyError::Mismatch);
        }
        let headers = Headers::new(algorithm, &stored.kid).map_err(|_| KeyError::Private)?;
        Ok(Self { pair, public, headers })
    }

    /// The key's id, its RFC 7638 thumbprint.
    pub fn kid(&self) -> &Kid {
        self.public.kid()
    }

    /// What it signs with.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.public.algorithm()
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The encoded JOSE headers of what this key signs.
    pub(crate) fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The signature in JWS form: r || s for ES256 (RFC 7518 section 3.4).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        // aws-lc takes its randomness from its own generator and ignores this one.
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.try_sign(message)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {})", self.algorithm(), self.kid())
    }
}

impl Pair {
    fn generate(algorithm: SigningAlgorithm) -> Result<Self, Unspecified> {
        match algorithm {
            SigningAlgorithm::ES256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::Ecdsa),
            SigningAlgorithm::EdDSA => Ed25519KeyPair::generate().map(Self::Ed25519),
            SigningAlgorithm::RS256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Self::Rsa),
        }
    }

    fn parse(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Result<Self, KeyRejected> {
        match algorithm {
            SigningAlgorithm::ES256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Self::Ecdsa)
            }
            SigningAlgorithm::EdDSA => Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::Ed25519),
            SigningAlgorithm::RS256 => RsaKeyPair::from_pkcs8(pkcs8).map(Self::Rsa),
        }
    }

    /// The private key in PKCS#8 version 1, which every library reads.
    fn private(&self) -> Result<Secret<Vec<u8>>, Unspecified> {
        let bytes = match self {
            Self::Ecdsa(pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
            Self::Ed25519(pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
            Self::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair)?.as_ref().to_vec(),
        };
        Ok(Secret::new(bytes))
    }

    fn public(&self) -> &[u8] {
        match self {
            Self::Ecdsa(pair) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
            Self::Rsa(pair) => pair.public_key().as_ref(),
        }
    }
}

/// Why keys cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The library made no key.
    #[error("no signing key could be made")]
    Generate,
    /// The private part is no key of its algorithm.
    #[error("the private part is no key of its algorithm")]
    Private,
    /// The public part is no public JWK of its algorithm.
    #[error("the public part is no public JWK of its algorithm")]
    Public,
    /// Key, id and algorithm do not belong together.
    #[error("key, id and algorithm do not belong together")]
    Mismatch,
    /// No such key signs: neither the active one nor the next.
    #[error("no such key signs")]
    Unknown,
    /// No key is active.
    #[error("no signing key is active")]
    NoActive,
    /// More than one key is active.
    #[error("more than one signing key is active")]
    SeveralActive,
    /// One key stands there twice.
    #[error("one key stands there twice")]
    Duplicate,
    /// Not a JWK set, too large, or without one key to verify with.
    #[error("not a set of public keys to verify with")]
    Set,
}

#[cfg(test)]
mod tests {
    use wxgate_crypto::encoding;

    use super::*;

    fn stored(algorithm: SigningAlgorithm) -> StoredSigningKey {
        SigningKey::generate(algorithm, Timestamp::from_millis(1)).unwrap()
    }

    #[test]
    fn a_generated_key_opens_signs_and_verifies() {
        for (algorithm, length) in SigningAlgorithm::ALL.into_iter().zip([64, 64, 256]) {
            let stored = stored(algorithm);
            let key = SigningKey::open(&stored).unwrap();
            assert_eq!((key.kid(), key.algorithm()), (&stored.kid, algorithm));
            let signature = key.sign(b"message").unwrap();
            assert_eq!(signature.len(), length);
            assert!(key.public().verifies(b"message", &signature));
            assert!(!key.public().verifies(b"massage", &signature));
        }
    }

    #[test]
    fn a_stored_key_publishes_no_private_member_and_prints_none() {
        for algorithm in SigningAlgorithm::ALL {
            let stored = stored(algorithm);
            let jwk: serde_json::Value = serde_json::from_str(&stored.public_jwk).unwrap();
            let mut names: Vec<_> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
            names.sort_unstable();
            let expected: &[&str] = match algorithm {
                SigningAlgorithm::ES256 => &["alg", "crv", "kid", "kty", "use", "x", "y"],
                SigningAlgorithm::EdDSA => &["alg", "crv", "kid", "kty", "use", "x"],
                SigningAlgorithm::RS256 => &["alg", "e", "kid", "kty", "n", "use"],
            };
            assert_eq!(names, expected);
            assert_eq!((jwk["alg"].as_str(), jwk["use"].as_str()), (Some(algorithm.as_str()), Some("sig")));
            let printed = format!("{:?}", SigningKey::open(&stored).unwrap());
            assert_eq!(printed, format!("SigningKey({algorithm}, {})", stored.kid));
        }
    }

    #[test]
    fn no_two_tenants_are_given_the_same_key() {
        for algorithm in [SigningAlgorithm::ES256, SigningAlgorithm::EdDSA] {
            let keys: std::collections::HashSet<_> = (0..20).map(|_| stored(algorithm).kid).collect();
            assert_eq!(keys.len(), 20, "a key that ships with the program is everybody's");
        }
    }

    #[test]
    fn no_key_has_an_id_that_looks_like_an_option() {
        assert!((0..300).all(|_| !stored(SigningAlgorithm::EdDSA).kid.as_str().starts_with('-')));
    }

    #[test]
    fn a_key_under_another_id_or_algorithm_is_refused() {
        let (one, other) = (stored(SigningAlgorithm::ES256), stored(SigningAlgorithm::ES256));
        let swapped = StoredSigningKey { private: other.private, ..one.clone() };
        assert_eq!(SigningKey::open(&swapped).unwrap_err(), KeyError::Mismatch);
        let renamed = StoredSigningKey { algorithm: SigningAlgorithm::EdDSA, ..one.clone() };
        assert_eq!(SigningKey::open(&renamed).unwrap_err(), KeyError::Private);
        for private in [vec![], vec![0x30, 0x82], vec![0xff; 100]] {
            let broken = StoredSigningKey { private: Secret::new(private), ..one.clone() };
            assert_eq!(SigningKey::open(&broken).unwrap_err(), KeyError::Private);
        }
    }

    #[test]
    fn ed25519_signs_as_rfc_8037_appendix_a_4() {
        // PKCS#8 of RFC 8410 section 7 around the seed of RFC 8037 appendix A.1.
        let seed = encoding::base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let mut pkcs8 = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        pkcs8.extend(seed);
        let key = SigningKey::open(&StoredSigningKey {
            kid: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".parse().unwrap(),
            private: Secret::new(pkcs8),
            ..stored(SigningAlgorithm::EdDSA)
        })
        .unwrap();
        let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        assert_eq!(
            encoding::to_base64url(key.sign(message.as_bytes()).unwrap()),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }
}
