use std::collections::HashSet;

use serde_json::{Value, json};
use wxgate_domain::SigningAlgorithm;

use super::*;
use crate::claims;
use crate::testing::{APPID, NOW, app, client_grant, clock, exchanged_grant, grant, grant_for, granted, issuer, ring};
use crate::testing::{client, session, user};
use crate::{Expected, verify};

fn payload(token: &AccessToken) -> Value {
    let part = token.token.expose().split('.').nth(1).unwrap();
    serde_json::from_slice(&encoding::base64url(part).unwrap()).unwrap()
}

fn header(token: &AccessToken) -> Value {
    let part = token.token.expose().split('.').next().unwrap();
    serde_json::from_slice(&encoding::base64url(part).unwrap()).unwrap()
}

fn issued(ring: &KeyRing, grant: &Grant<'_>) -> AccessToken {
    issue(ring, &issuer(), grant, NOW, &Random::seeded(1)).unwrap()
}

fn names(claims: &Value) -> HashSet<&str> {
    claims.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_users_token_says_what_the_grant_says() {
    let ring = ring(SigningAlgorithm::ES256);
    let (openid, unionid) = ("oABC".parse().unwrap(), "uDEF".parse().unwrap());
    let external_id = "built-in/ada".parse().unwrap();
    let phone = wxgate_domain::PhoneNumber::new("86", "13800138000").unwrap();
    let grant = granted(Subject::User {
        user: user(),
        session: session(),
        app: app(),
        audiences: &[],
        openid: Some(&openid),
        unionid: Some(&unionid),
        external_id: Some(&external_id),
        phone: Some(&phone),
    });
    let token = issued(&ring, &grant);

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
    assert_eq!(claims["external_id"], "built-in/ada");
    assert_eq!([&claims["phone_number"], &claims["phone_number_verified"]], [&json!("+8613800138000"), &json!(true)]);
    assert_eq!(encoding::base64url(claims["jti"].as_str().unwrap()).unwrap().len(), 16);
    // Every claim that a token can have stands in the list that discovery publishes.
    let exchanged = payload(&issued(&ring, &exchanged_grant(None, NOW.plus(MAX_LIFE))));
    let all: HashSet<_> = names(&claims).union(&names(&exchanged)).copied().collect();
    assert_eq!(all, HashSet::from(claims::NAMES));
}

#[test]
fn a_service_clients_own_token_has_no_session_and_never_the_issuers_audience() {
    let token = payload(&issued(&ring(SigningAlgorithm::EdDSA), &client_grant()));
    assert_eq!((&token["sub"], &token["client_id"]), (&client().as_str().into(), &client().as_str().into()));
    assert_eq!(token["aud"], serde_json::json!(["orders"]));
    assert!(["sid", "act", "app", "openid"].iter().all(|name| token.get(name).is_none()), "{token}");
}

#[test]
fn an_exchanged_token_keeps_user_session_and_app_and_names_who_acts() {
    let ring = ring(SigningAlgorithm::EdDSA);
    let ends_by = NOW.plus(MAX_LIFE);
    let first = payload(&issued(&ring, &exchanged_grant(None, ends_by)));
    assert_eq!((&first["sub"], &first["sid"]), (&user().to_string().into(), &session().to_string().into()));
    assert_eq!((&first["client_id"], &first["app"]), (&client().as_str().into(), &APPID.into()));
    assert_eq!((&first["aud"], &first["scope"]), (&serde_json::json!(["orders"]), &"user".into()));
    assert_eq!(first["act"], serde_json::json!({"sub": client().as_str()}));

    let before = Actor::in_front_of(&ServiceClientId::new(&Random::seeded(9)), None).unwrap();
    let second = payload(&issued(&ring, &exchanged_grant(Some(&before), ends_by)));
    assert_eq!(second["act"], serde_json::json!({"sub": client().as_str(), "act": {"sub": before.sub.as_str()}}));
    let before = Actor::in_front_of(client(), Some(&before)).unwrap();
    let third = issue(&ring, &issuer(), &exchanged_grant(Some(&before), ends_by), NOW, &Random::seeded(1));
    assert_eq!(third.unwrap_err(), IssueError::Actors);
}

#[test]
fn an_exchanged_token_never_outlives_the_one_it_comes_from() {
    let ring = ring(SigningAlgorithm::EdDSA);
    for left in [1, 60, 800, 809] {
        // Half a second more than whole ones does not become a second.
        let token = issued(&ring, &exchanged_grant(None, NOW.plus(Duration::from_millis(left * 1_000 + 400))));
        assert_eq!(
            (u64::from(token.expires_in), token.expires_at.seconds()),
            (left, NOW.seconds() + left.cast_signed())
        );
    }
    let own = issued(&ring, &exchanged_grant(None, NOW.plus(MAX_LIFE)));
    assert!((810..=900).contains(&own.expires_in), "its own life is bounded and jittered too");
    for ended in [NOW, NOW.minus(Duration::from_secs(1)), Timestamp::from_millis(i64::MIN)] {
        let refused = issue(&ring, &issuer(), &exchanged_grant(None, ended), NOW, &Random::seeded(1));
        assert_eq!(refused.unwrap_err(), IssueError::Life);
    }
}

#[test]
fn a_service_clients_token_is_refused_without_an_audience_or_for_the_issuer() {
    let (ring, issuer) = (ring(SigningAlgorithm::EdDSA), issuer());
    let own = issuer.as_str().to_owned();
    for audiences in [vec![], vec![own.clone()], vec!["orders".to_owned(), own.clone()]] {
        let grant = granted(Subject::Client { client: client(), audiences: &audiences });
        assert_eq!(issue(&ring, &issuer, &grant, NOW, &Random::seeded(1)).unwrap_err(), IssueError::Audience);
    }
    for audience in ["", own.as_str()] {
        let (user, session, ends_by) = (user(), session(), NOW.plus(MAX_LIFE));
        let subject =
            Subject::Exchanged { user, session, app: app(), client: client(), before: None, audience, ends_by };
        let refused = issue(&ring, &issuer, &granted(subject), NOW, &Random::seeded(1));
        assert_eq!(refused.unwrap_err(), IssueError::Audience);
    }
}

#[test]
fn what_others_call_a_user_is_absent_unless_the_app_opted_in() {
    let token = issue(&ring(SigningAlgorithm::EdDSA), &issuer(), &grant(), NOW, &Random::seeded(1)).unwrap();
    assert!(
        ["openid", "unionid", "external_id", "phone_number", "phone_number_verified"].iter().all(|name| payload(
            &token
        )
        .get(name)
        .is_none())
    );
}

#[test]
fn the_issuer_is_always_an_audience_and_stands_there_once() {
    let ring = ring(SigningAlgorithm::EdDSA);
    let aud = |audiences: &[String]| {
        let token = issue(&ring, &issuer(), &grant_for(audiences), NOW, &Random::seeded(1)).unwrap();
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
    assert_eq!(fails(&grant_for(&audiences)), IssueError::TooLong);
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
