use std::collections::HashSet;

use serde_json::Value;
use wxgate_domain::SigningAlgorithm;

use super::*;
use crate::claims;
use crate::testing::{APPID, NOW, clock, grant, issuer, ring};
use crate::{Expected, verify};

fn payload(token: &AccessToken) -> Value {
    let part = token.token.expose().split('.').nth(1).unwrap();
    serde_json::from_slice(&encoding::base64url(part).unwrap()).unwrap()
}

fn header(token: &AccessToken) -> Value {
    let part = token.token.expose().split('.').next().unwrap();
    serde_json::from_slice(&encoding::base64url(part).unwrap()).unwrap()
}

#[test]
fn a_token_says_what_the_grant_says() {
    let ring = ring(SigningAlgorithm::ES256);
    let (openid, unionid) = ("oABC".parse().unwrap(), "uDEF".parse().unwrap());
    let grant = Grant { openid: Some(&openid), unionid: Some(&unionid), ..grant() };
    let token = issue(&ring, &issuer(), &grant, NOW, &Random::seeded(1)).unwrap();

    let expected = serde_json::json!({"typ": "at+jwt", "alg": "ES256", "kid": ring.active().kid().as_str()});
    assert_eq!(header(&token), expected);
    let claims = payload(&token);
    assert_eq!(claims["iss"], "https://auth.example.com/t/acme");
    assert_eq!(claims["sub"], "01900000-0000-7000-8000-000000000001");
    assert_eq!(claims["aud"], serde_json::json!([APPID, "https://auth.example.com/t/acme"]));
    assert_eq!(claims["client_id"], APPID);
    assert_eq!(claims["sid"], "01900000-0000-7000-8000-000000000002");
    assert_eq!((claims["iat"].as_i64(), claims["scope"].as_str()), (Some(1_700_000_000), Some("user")));
    assert_eq!((claims["tenant"].as_str(), claims["openid"].as_str()), (Some("acme"), Some("oABC")));
    assert_eq!(claims["unionid"], "uDEF");
    assert_eq!(encoding::base64url(claims["jti"].as_str().unwrap()).unwrap().len(), 16);
    let names: HashSet<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, HashSet::from(claims::NAMES));
}

#[test]
fn openid_and_unionid_are_absent_unless_the_app_opted_in() {
    let token = issue(&ring(SigningAlgorithm::EdDSA), &issuer(), &grant(), NOW, &Random::seeded(1)).unwrap();
    assert!(payload(&token).get("openid").is_none() && payload(&token).get("unionid").is_none());
}

#[test]
fn the_issuer_is_always_an_audience_and_stands_there_once() {
    let ring = ring(SigningAlgorithm::EdDSA);
    let aud = |audiences: &[String]| {
        let token = issue(&ring, &issuer(), &Grant { audiences, ..grant() }, NOW, &Random::seeded(1)).unwrap();
        serde_json::from_value::<Vec<String>>(payload(&token)["aud"].clone()).unwrap()
    };
    let own = issuer().as_str().to_owned();
    assert_eq!(aud(&["orders".to_owned(), "pay".to_owned()]), ["orders", "pay", &own]);
    assert_eq!(aud(&[own.clone(), "orders".to_owned()]), [own.as_str(), "orders"]);
    assert_eq!(aud(&[]), [APPID, &own]);
}

#[test]
fn the_life_is_jittered_downwards_by_a_tenth_at_most_and_exact_in_expires_in() {
    let (ring, random) = (ring(SigningAlgorithm::EdDSA), Random::seeded(1));
    for (life, shortest) in [(900, 810), (60, 54), (9, 9), (86_400, 77_760)] {
        let mut seen = HashSet::new();
        for _ in 0..200 {
            let grant = Grant { life: Duration::from_secs(life), ..grant() };
            let token = issue(&ring, &issuer(), &grant, NOW, &random).unwrap();
            let claims = payload(&token);
            let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
            assert_eq!(exp - iat, i64::from(token.expires_in));
            assert_eq!(token.expires_at.millis(), exp * 1_000);
            assert!((shortest..=life).contains(&token.expires_in.into()), "{} of {life}", token.expires_in);
            seen.insert(token.expires_in);
        }
        assert!(seen.len() > 1 || life == shortest);
    }
}

#[test]
fn no_two_tokens_are_the_same() {
    let (ring, random) = (ring(SigningAlgorithm::EdDSA), Random::seeded(1));
    let token = || payload(&issue(&ring, &issuer(), &grant(), NOW, &random).unwrap())["jti"].to_string();
    assert_eq!((0..100).map(|_| token()).collect::<HashSet<_>>().len(), 100);
}

#[test]
fn what_nobody_would_accept_is_not_issued() {
    let ring = ring(SigningAlgorithm::ES256);
    let fails = |grant: &Grant<'_>| issue(&ring, &issuer(), grant, NOW, &Random::seeded(1)).unwrap_err();
    for life in [Duration::ZERO, Duration::from_millis(999), MAX_LIFE + Duration::from_millis(1), Duration::MAX] {
        assert_eq!(fails(&Grant { life, ..grant() }), IssueError::Life);
    }
    let audiences = vec!["a".repeat(1_000); 7];
    assert_eq!(fails(&Grant { audiences: &audiences, ..grant() }), IssueError::TooLong);
    let other = "other".parse().unwrap();
    assert_eq!(fails(&Grant { tenant: &other, ..grant() }), IssueError::Tenant);
}

#[test]
fn the_token_is_a_secret() {
    let token = issue(&ring(SigningAlgorithm::EdDSA), &issuer(), &grant(), NOW, &Random::seeded(1)).unwrap();
    assert!(!format!("{token:?}").contains("eyJ"));
}

/// The library is a second opinion: it parses keys and tokens with none of our code.
#[test]
fn another_verifier_accepts_the_token_with_the_published_key() {
    for algorithm in SigningAlgorithm::ALL {
        let ring = ring(algorithm);
        let token = issue(&ring, &issuer(), &grant(), NOW, &Random::seeded(1)).unwrap();
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(ring.jwks().body()).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(&set.keys[0]).unwrap();
        let mut validation = jsonwebtoken::Validation::new(crate::algorithm::jose(algorithm));
        validation.validate_exp = false;
        validation.set_audience(&[APPID]);
        validation.set_issuer(&["https://auth.example.com/t/acme"]);
        let read = jsonwebtoken::decode::<Value>(token.token.expose(), &key, &validation).unwrap();
        assert_eq!(read.claims, payload(&token));

        let expected = Expected { issuer: &issuer(), audience: APPID };
        let claims = verify(token.token.expose(), &ring, &expected, &clock()).unwrap();
        assert_eq!(serde_json::to_value(&claims).unwrap(), read.claims);
    }
}
