//! A public key that verifies: parsed once, named by its thumbprint, bound to one algorithm.

use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, CommonParameters, Jwk, PublicKeyUse, ThumbprintHash};
use serde_json::Value;
use wxgate_domain::{Kid, SigningAlgorithm};

use crate::algorithm;

/// Members that only private and symmetric keys have (RFC 7518 sections 6.2.2, 6.3.2, 6.4.1).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key with its own algorithm. The JWK is made anew from the key, so nothing else can be published with it.
#[derive(Clone)]
pub(crate) struct PublicKey {
    kid: Kid,
    algorithm: SigningAlgorithm,
    jwk: Jwk,
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// A key from its parameters; `None` if they are no key for this algorithm.
    pub(crate) fn new(algorithm: SigningAlgorithm, parameters: AlgorithmParameters) -> Option<Self> {
        let parsed = algorithm::parse(algorithm, &parameters)?;
        let mut jwk = Jwk { common: CommonParameters::default(), algorithm: parameters };
        // RFC 7638. The parameters were read as canonical base64url, so the thumbprint's JSON needs no escapes.
        let kid: Kid = jwk.thumbprint(ThumbprintHash::SHA256).ok()?.parse().ok()?;
        // `alg` and `use` always: where a JWK names no algorithm, verifiers have let the token choose (RFC 8725, 3.1).
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_algorithm = Some(algorithm::jose(algorithm).into());
        jwk.common.key_id = Some(kid.as_str().to_owned());
        Some(Self { kid, algorithm, jwk, parsed })
    }

    /// A key from the public half of a key pair, as aws-lc gives it: point, Ed25519 key, or RSAPublicKey in DER.
    pub(crate) fn from_pair(algorithm: SigningAlgorithm, public: &[u8]) -> Option<Self> {
        let key = match algorithm {
            SigningAlgorithm::ES256 => DecodingKey::from_ec_der(public),
            SigningAlgorithm::EdDSA => DecodingKey::from_ed_der(public),
            SigningAlgorithm::RS256 => DecodingKey::from_rsa_der(public),
        };
        let jwk = Jwk::from_decoding_key(&key, Some(algorithm::jose(algorithm))).ok()?;
        Self::new(algorithm, jwk.algorithm)
    }

    /// A key from a JWK with `kid`, `alg` and `use`, as wxgate publishes them.
    ///
    /// `None` for anything else: without `alg` or `use`, with private members, symmetric, or with a `kid` that is not
    /// the key's thumbprint (or one key could take another's name).
    pub(crate) fn from_jwk(jwk: &Value) -> Option<Self> {
        let member = |name| jwk.get(name).and_then(Value::as_str);
        let algorithm = member("alg")?.parse().ok()?;
        let (kid, is_public) = (member("kid")?, PRIVATE_MEMBERS.iter().all(|name| jwk.get(name).is_none()));
        if member("use")? != "sig" || !is_public {
            return None;
        }
        let parsed: Jwk = serde_json::from_value(jwk.clone()).ok()?;
        Self::new(algorithm, parsed.algorithm).filter(|key| key.kid.as_str() == kid)
    }

    pub(crate) fn kid(&self) -> &Kid {
        &self.kid
    }

    pub(crate) fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The public JWK: `use`, `alg`, `kid` and the key itself.
    pub(crate) fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Whether this key made the signature over the message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.algorithm, self.kid)
    }
}

#[cfg(test)]
mod tests;
