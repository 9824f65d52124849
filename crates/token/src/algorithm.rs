//! What each algorithm means to the libraries: its JOSE name and the one way its signatures are checked.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use aws_lc_rs::signature::{RsaPublicKeyComponents, VerificationAlgorithm};
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve};
use wxgate_crypto::encoding;
use wxgate_domain::SigningAlgorithm;

/// RSA moduli that are read, in bytes: 2,048 to 4,096 bits. Larger ones only cost whoever verifies.
const RSA_MODULUS: std::ops::RangeInclusive<usize> = 256..=512;

/// The algorithm as jsonwebtoken names it.
pub(crate) fn jose(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::ES256 => Algorithm::ES256,
        SigningAlgorithm::EdDSA => Algorithm::EdDSA,
        SigningAlgorithm::RS256 => Algorithm::RS256,
    }
}

/// Parses the public key, once, for the one algorithm it may be used with.
///
/// `None` if the parameters are of another key type or curve than the algorithm's, or no such key.
pub(crate) fn parse(algorithm: SigningAlgorithm, parameters: &AlgorithmParameters) -> Option<ParsedPublicKey> {
    match (algorithm, parameters) {
        // RFC 7518 section 6.2.1: P-256 coordinates have exactly 32 bytes. The signature is r || s (section 3.4).
        (SigningAlgorithm::ES256, AlgorithmParameters::EllipticCurve(key)) if key.curve == EllipticCurve::P256 => {
            let mut point = vec![4];
            for coordinate in [&key.x, &key.y] {
                point.extend(encoding::base64url(coordinate).filter(|bytes| bytes.len() == 32)?);
            }
            from_bytes(&ECDSA_P256_SHA256_FIXED, &point)
        }
        // RFC 8037 section 2.
        (SigningAlgorithm::EdDSA, AlgorithmParameters::OctetKeyPair(key)) if key.curve == EllipticCurve::Ed25519 => {
            from_bytes(&ED25519, &encoding::base64url(&key.x).filter(|bytes| bytes.len() == 32)?)
        }
        // RFC 7518 section 6.3.1. aws-lc refuses leading zeros, so a key has one spelling and one thumbprint.
        (SigningAlgorithm::RS256, AlgorithmParameters::RSA(key)) => {
            let n = encoding::base64url(&key.n).filter(|bytes| RSA_MODULUS.contains(&bytes.len()))?;
            let e = encoding::base64url(&key.e)?;
            RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()
        }
        _ => None,
    }
}

fn from_bytes(algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]) -> Option<ParsedPublicKey> {
    ParsedPublicKey::new(algorithm, bytes).ok()
}
