use serde_json::json;
use wxgate_crypto::{Digest, encoding};
use wxgate_domain::Timestamp;

use super::*;
use crate::SigningKey;

const RFC_7638_MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_\
    BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZ\
    gnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-cs\
    FCur-kEgU8awapJzKnqDKgw";

fn jwk(algorithm: SigningAlgorithm) -> Value {
    let stored = SigningKey::generate(algorithm, Timestamp::from_millis(0)).unwrap();
    serde_json::from_str(&stored.public_jwk).unwrap()
}

fn without(jwk: &Value, name: &str) -> Value {
    let mut jwk = jwk.clone();
    jwk.as_object_mut().unwrap().remove(name).unwrap();
    jwk
}

fn with(jwk: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut jwk = jwk.clone();
    jwk.as_object_mut().unwrap().insert(name.to_owned(), value.into());
    jwk
}

#[test]
fn the_kid_is_the_thumbprint_of_rfc_7638_section_3_1() {
    let parameters = serde_json::from_value(json!({"kty": "RSA", "n": RFC_7638_MODULUS, "e": "AQAB"})).unwrap();
    let key = PublicKey::new(SigningAlgorithm::RS256, parameters).unwrap();
    assert_eq!(key.kid().as_str(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn the_kid_is_the_thumbprint_of_rfc_8037_appendix_a_3() {
    let parameters = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let key = PublicKey::new(SigningAlgorithm::EdDSA, serde_json::from_value(parameters).unwrap()).unwrap();
    assert_eq!(key.kid().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn the_kid_of_a_p256_key_is_the_digest_of_its_sorted_members() {
    let jwk = jwk(SigningAlgorithm::ES256);
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
    assert_eq!(jwk["kid"], encoding::to_base64url(Digest::sha256(members.as_bytes()).as_bytes()));
}

#[test]
fn a_jwk_without_alg_use_or_kid_is_refused() {
    let jwk = jwk(SigningAlgorithm::ES256);
    assert!(PublicKey::from_jwk(&jwk).is_some());
    for name in ["alg", "use", "kid", "kty", "crv", "x", "y"] {
        assert!(PublicKey::from_jwk(&without(&jwk, name)).is_none(), "{name}");
    }
    for (name, value) in [("alg", "none"), ("alg", "HS256"), ("alg", "es256"), ("alg", "ES384"), ("use", "enc")] {
        assert!(PublicKey::from_jwk(&with(&jwk, name, value)).is_none(), "{name} {value}");
    }
}

#[test]
fn an_algorithm_of_another_key_type_is_refused() {
    for own in SigningAlgorithm::ALL {
        let jwk = jwk(own);
        for other in SigningAlgorithm::ALL.into_iter().filter(|other| *other != own) {
            assert!(PublicKey::from_jwk(&with(&jwk, "alg", other.as_str())).is_none(), "{own} as {other}");
        }
    }
}

#[test]
fn a_jwk_with_private_members_or_a_symmetric_one_is_refused() {
    let public = jwk(SigningAlgorithm::ES256);
    for name in PRIVATE_MEMBERS {
        assert!(PublicKey::from_jwk(&with(&public, name, "AQAB")).is_none(), "{name}");
    }
    let symmetric = json!({"kty": "oct", "k": "AQAB", "alg": "HS256", "use": "sig", "kid": public["kid"]});
    assert!(PublicKey::from_jwk(&symmetric).is_none());
}

#[test]
fn a_kid_that_is_not_the_thumbprint_is_refused() {
    let (one, other) = (jwk(SigningAlgorithm::EdDSA), jwk(SigningAlgorithm::EdDSA));
    assert!(PublicKey::from_jwk(&with(&one, "kid", other["kid"].clone())).is_none());
    assert!(PublicKey::from_jwk(&with(&one, "kid", "../../etc/passwd")).is_none());
}

#[test]
fn coordinates_of_another_length_or_off_the_curve_are_refused() {
    let parameters = |x: &[u8], y: &[u8]| {
        let (x, y) = (encoding::to_base64url(x), encoding::to_base64url(y));
        serde_json::from_value(json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})).unwrap()
    };
    for (x, y) in [(31, 33), (32, 31), (33, 32), (0, 64)] {
        assert!(PublicKey::new(SigningAlgorithm::ES256, parameters(&vec![1; x], &vec![1; y])).is_none());
    }
    assert!(PublicKey::new(SigningAlgorithm::ES256, parameters(&[1; 32], &[1; 32])).is_none());
}

#[test]
fn a_small_rsa_key_is_refused() {
    let small = json!({"kty": "RSA", "n": encoding::to_base64url([0xff; 128]), "e": "AQAB"});
    assert!(PublicKey::new(SigningAlgorithm::RS256, serde_json::from_value(small).unwrap()).is_none());
}
