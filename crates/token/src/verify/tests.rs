use std::sync::LazyLock;

use serde_json::{Value, json};
use wxgate_crypto::{Digest, MacKey, Random, Secret, encoding};
use wxgate_domain::{ServiceClientId, SigningAlgorithm, SigningKeyState, Slug};

use super::*;
use crate::testing::{APPID, NOW, app, client, client_grant, clock, exchanged_grant, grant, granted, issuer};
use crate::testing::{ring, session, signed, stored, user};
use crate::{Grant, KeyRing, Subject, issue};

mod kinds;
mod properties;

static RING: LazyLock<KeyRing> = LazyLock::new(|| ring(SigningAlgorithm::ES256));
static RSA_RING: LazyLock<KeyRing> = LazyLock::new(|| ring(SigningAlgorithm::RS256));

fn issued(ring: &KeyRing) -> String {
    issue(ring, &issuer(), &grant(), NOW, &Random::seeded(1)).unwrap().token.expose().clone()
}

fn check(token: &str) -> Result<Claims, VerifyError> {
    check_with(token, &RING)
}

fn check_with(token: &str, keys: &KeyRing) -> Result<Claims, VerifyError> {
    verify(token, keys, &Expected { issuer: &issuer(), audience: APPID }, &clock())
}

fn refused(token: &str) -> VerifyError {
    check(token).unwrap_err()
}

fn header() -> Value {
    json!({"typ": "at+jwt", "alg": "ES256", "kid": RING.active().kid().as_str()})
}

fn payload() -> Value {
    json!({
        "iss": issuer().as_str(), "sub": user(), "aud": [APPID], "client_id": APPID, "sid": session(),
        "jti": "AAAAAAAAAAAAAAAAAAAAAA", "iat": NOW.seconds(), "exp": NOW.seconds() + 900, "scope": "user",
        "tenant": "acme",
    })
}

/// The object with a member set, or removed where the value is null.
fn with(object: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut object = object.clone();
    match value.into() {
        Value::Null => object.as_object_mut().unwrap().remove(name),
        value => object.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    object
}

fn token(header: &Value, payload: &Value) -> String {
    signed(&RING, header.to_string().as_bytes(), payload.to_string().as_bytes())
}

fn with_header(name: &str, value: impl Into<Value>) -> String {
    token(&with(&header(), name, value), &payload())
}

fn with_claim(name: &str, value: impl Into<Value>) -> String {
    token(&header(), &with(&payload(), name, value))
}

fn with_raw_claim(name: &str, raw: &str) -> String {
    let payload = with(&payload(), name, Value::Null).to_string();
    let payload = payload.replacen('{', &format!("{{\"{name}\":{raw},"), 1);
    signed(&RING, header().to_string().as_bytes(), payload.as_bytes())
}

#[test]
fn what_the_tests_forge_from_is_accepted() {
    let claims = check(&token(&header(), &payload())).unwrap();
    assert_eq!((claims.user(), claims.sid), (Some(user()), Some(session())));
    assert_eq!((claims.app(), claims.allows("user"), claims.allows("use")), (Some(app().clone()), true, false));
}

#[test]
fn every_algorithm_goes_round() {
    for algorithm in SigningAlgorithm::ALL {
        let ring = ring(algorithm);
        let claims = check_with(&issued(&ring), &ring).unwrap();
        assert_eq!((claims.iat, claims.tenant.as_str()), (NOW.seconds(), "acme"));
        let downstream = VerifyingKeys::from_jwks(ring.jwks().body().as_bytes()).unwrap();
        let expected = Expected { issuer: &issuer(), audience: APPID };
        assert_eq!(verify(&issued(&ring), &downstream, &expected, &clock()).unwrap(), claims);
    }
}

#[test]
fn next_and_retiring_keys_verify_and_a_removed_one_does_not() {
    let old = stored(SigningAlgorithm::ES256, SigningKeyState::Active, 1);
    let token = issued(&KeyRing::new(std::slice::from_ref(&old)).unwrap());
    let new = stored(SigningAlgorithm::EdDSA, SigningKeyState::Active, 2);
    for state in [SigningKeyState::Retiring, SigningKeyState::Next] {
        let mut old = old.clone();
        old.state = state;
        assert!(check_with(&token, &KeyRing::new(&[old, new.clone()]).unwrap()).is_ok());
    }
    assert_eq!(check_with(&token, &KeyRing::new(&[new]).unwrap()).unwrap_err(), VerifyError::UnknownKey);
}

#[test]
fn alg_none_is_refused_in_any_case() {
    for alg in ["none", "None", "NONE", "nOnE", "", " none"] {
        assert_eq!(refused(&with_header("alg", alg)), VerifyError::Algorithm, "{alg}");
        let header = encoding::to_base64url(with(&header(), "alg", alg).to_string());
        let unsigned = format!("{header}.{}.", encoding::to_base64url(payload().to_string()));
        assert_eq!(refused(&unsigned), VerifyError::Algorithm, "{alg}");
    }
    for alg in [json!(null), json!(1), json!(["ES256"]), json!({"alg": "ES256"})] {
        assert_eq!(refused(&with_header("alg", alg)), VerifyError::Algorithm);
    }
    let stripped = issued(&RING).rsplit_once('.').unwrap().0.to_owned();
    assert_eq!(refused(&format!("{stripped}.")), VerifyError::Signature);
    assert_eq!(refused(&stripped), VerifyError::Malformed);
}

#[test]
fn an_rsa_key_is_no_hmac_secret() {
    // The classic swap: HS256 "signed" with what everybody can read, in each form that the public key is passed around.
    let set: Value = serde_json::from_str(RSA_RING.jwks().body()).unwrap();
    let key = &set["keys"][0];
    let modulus = encoding::base64url(key["n"].as_str().unwrap()).unwrap();
    for secret in [key.to_string().into_bytes(), RSA_RING.jwks().body().as_bytes().to_vec(), modulus] {
        let key = jsonwebtoken::EncodingKey::from_secret(&secret);
        for algorithm in
            [jsonwebtoken::Algorithm::HS256, jsonwebtoken::Algorithm::HS384, jsonwebtoken::Algorithm::HS512]
        {
            let mut header = jsonwebtoken::Header::new(algorithm);
            header.typ = Some("at+jwt".to_owned());
            header.kid = Some(RSA_RING.active().kid().to_string());
            let token = jsonwebtoken::encode(&header, &payload(), &key).unwrap();
            assert_eq!(check_with(&token, &RSA_RING).unwrap_err(), VerifyError::Algorithm);
        }
    }
}

#[test]
fn an_algorithm_that_is_not_the_keys_own_is_refused() {
    for alg in ["EdDSA", "RS256", "ES384", "ES512", "PS256", "HS256", "es256", "ES256K", "Ed25519"] {
        assert_eq!(refused(&with_header("alg", alg)), VerifyError::Algorithm, "{alg}");
    }
}

#[test]
fn a_jwe_around_an_unsigned_token_is_refused() {
    let inner = format!("{}.{}.", encoding::to_base64url(r#"{"alg":"none"}"#), encoding::to_base64url("{}"));
    let header = json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT", "kid": RING.active().kid().as_str()});
    let header = encoding::to_base64url(header.to_string());
    let jwe = format!("{header}.{0}.{0}.{1}.{0}", encoding::to_base64url("x"), encoding::to_base64url(inner));
    assert_eq!(refused(&jwe), VerifyError::Malformed);
    assert_eq!(refused(&format!("{}.AAAA.AAAA", issued(&RING))), VerifyError::Malformed);
}

#[test]
fn times_that_are_no_whole_seconds_are_refused() {
    let now = NOW.seconds();
    for name in ["exp", "iat", "nbf"] {
        let good = if name == "exp" { now + 900 } else { now };
        assert!(check(&with_raw_claim(name, &good.to_string())).is_ok());
        let mut wrong = vec![format!("\"{good}\""), format!("{good}.0"), format!("{good}.5"), format!("-{good}")];
        let fixed = ["null", "true", "[]", "{}", "-1", "1e9", "9223372036854775807", "18446744073709551616", "1e400"];
        wrong.extend(fixed.map(str::to_owned));
        wrong.extend([format!("[{good}]"), i64::MAX.to_string(), i64::MIN.to_string(), "253402300800".to_owned()]);
        for raw in wrong {
            assert_eq!(refused(&with_raw_claim(name, &raw)), VerifyError::Claims, "{name} {raw}");
        }
    }
    for name in ["exp", "iat"] {
        assert_eq!(refused(&with_claim(name, Value::Null)), VerifyError::Claims, "{name} missing");
    }
}

#[test]
fn a_life_that_no_policy_allows_is_refused() {
    let now = NOW.seconds();
    for exp in [now, now - 1, now + 86_401, 253_402_300_799] {
        assert_eq!(refused(&with_claim("exp", exp)), VerifyError::Claims, "{exp}");
    }
    assert!(check(&with_claim("exp", now + 86_400)).is_ok());
}

#[test]
fn an_expired_token_is_refused_after_the_leeway() {
    let (token, clock) = (token(&header(), &payload()), clock());
    let (issuer, keys) = (issuer(), &*RING);
    let expected = Expected { issuer: &issuer, audience: APPID };
    clock.advance(Duration::from_secs(900 + 29));
    assert!(verify(&token, keys, &expected, &clock).is_ok());
    clock.advance(Duration::from_secs(1));
    assert_eq!(verify(&token, keys, &expected, &clock).unwrap_err(), VerifyError::Expired);
}

#[test]
fn a_token_of_the_future_is_refused_beyond_the_leeway() {
    let now = NOW.seconds();
    for name in ["iat", "nbf"] {
        let at = |seconds: i64| token(&header(), &with(&with(&payload(), "exp", now + 900), name, seconds));
        assert!(check(&at(now + 30)).is_ok());
        assert_eq!(refused(&at(now + 31)), VerifyError::NotYetValid, "{name}");
    }
}

#[test]
fn a_missing_audience_or_that_of_another_is_refused() {
    assert_eq!(refused(&with_claim("aud", Value::Null)), VerifyError::Claims);
    for aud in [json!([]), json!(""), json!([""]), json!(1), json!([1]), json!([APPID, 1]), json!({"0": APPID})] {
        assert_eq!(refused(&with_claim("aud", aud.clone())), VerifyError::Claims, "{aud}");
    }
    let upper = APPID.to_uppercase();
    for aud in [json!("wxother"), json!(["wxother", "orders"]), json!(format!("{APPID} ")), json!(upper), json!("wx")] {
        assert_eq!(refused(&with_claim("aud", aud.clone())), VerifyError::Audience, "{aud}");
    }
    for aud in [json!(APPID), json!(["orders", APPID])] {
        assert!(check(&with_claim("aud", aud)).is_ok());
    }
}

#[test]
fn a_token_of_another_app_is_refused() {
    let (ring, other) = (&*RING, "wxother".parse().unwrap());
    let (openid, unionid) = (None, None);
    let subject = Subject::User {
        user: user(),
        session: session(),
        app: &other,
        audiences: &[],
        openid,
        unionid,
        external_id: None,
        phone: None,
    };
    let token = issue(ring, &issuer(), &granted(subject), NOW, &Random::seeded(1)).unwrap();
    assert_eq!(refused(token.token.expose()), VerifyError::Audience);
}

#[test]
fn a_token_of_another_tenant_is_refused() {
    let tenant: Slug = "other".parse().unwrap();
    let foreign = Issuer::new("https://auth.example.com", &tenant);
    let token = |ring| issue(ring, &foreign, &Grant { tenant: &tenant, ..grant() }, NOW, &Random::seeded(1)).unwrap();
    // With its own keys it is unknown; and were the keys in one set, the issuer would still be another.
    let theirs = ring(SigningAlgorithm::ES256);
    assert_eq!(refused(token(&theirs).token.expose()), VerifyError::UnknownKey);
    assert_eq!(refused(token(&RING).token.expose()), VerifyError::Issuer);
}

#[test]
fn an_issuer_that_only_looks_like_ours_is_refused() {
    let own = issuer().as_str().to_owned();
    let wrong = [
        format!("{own}/"),
        format!("{own}x"),
        own.to_uppercase(),
        own.replace("https", "http"),
        own.replace("/t/acme", ""),
    ];
    for iss in wrong {
        assert_eq!(refused(&with_claim("iss", iss.clone())), VerifyError::Issuer, "{iss}");
    }
    for iss in [json!(null), json!(""), json!([own]), json!(1)] {
        assert_eq!(refused(&with_claim("iss", iss.clone())), VerifyError::Claims, "{iss}");
    }
    assert_eq!(refused(&with_claim("tenant", "other")), VerifyError::Issuer);
}

#[test]
fn a_claimed_issuer_is_read_and_nothing_else_is_taken_for_one() {
    assert_eq!(claimed_issuer(&issued(&RING)), Some(issuer()));
    assert_eq!(
        claimed_issuer(&token(&json!({}), &payload())),
        Some(issuer()),
        "it is a claim, whatever the header says"
    );
    for wrong in [
        String::new(),
        "a.b.c".to_owned(),
        with_claim("iss", Value::Null),
        with_claim("iss", 7),
        with_claim("iss", "acme"),
        with_claim("iss", "https://auth.example.com/t/acme/"),
        with_raw_claim("iss", "\"https://auth.example.com/t/acme\",\"iss\":\"https://auth.example.com/t/other\""),
        format!("{}{}", issued(&RING), "A".repeat(MAX_LENGTH)),
    ] {
        assert_eq!(claimed_issuer(&wrong), None, "{wrong}");
    }
}

#[test]
fn a_missing_or_malformed_claim_is_refused() {
    for name in ["sub", "client_id", "jti", "tenant"] {
        for value in [json!(null), json!(""), json!(1), json!(["a"])] {
            assert_eq!(refused(&with_claim(name, value.clone())), VerifyError::Claims, "{name} {value}");
        }
    }
    for (name, value) in [
        ("sid", "no-uuid"),
        ("tenant", "A/B"),
        ("openid", "a b"),
        ("unionid", ""),
        ("external_id", " a"),
        ("phone_number", "138"),
    ] {
        assert_eq!(refused(&with_claim(name, value)), VerifyError::Claims, "{name}");
    }
    assert_eq!(refused(&with_claim("scope", json!(["user"]))), VerifyError::Claims);
    let without = check(&token(&header(), &with(&with(&payload(), "sid", Value::Null), "scope", Value::Null))).unwrap();
    assert_eq!((without.sid, without.scope.as_str()), (None, ""));
    assert!(check(&with_claim("amr", json!(["wechat", {"level": 2}]))).is_ok());
}

#[test]
fn duplicate_claims_and_headers_are_refused() {
    let (head, body) = (header().to_string(), payload().to_string());
    for name in ["exp", "iss", "aud", "sub", "sid", "scope"] {
        let twice = body.replacen('{', &format!("{{\"{name}\":{},", payload()[name]), 1);
        assert_eq!(refused(&signed(&RING, head.as_bytes(), twice.as_bytes())), VerifyError::Claims, "{name}");
    }
    let unknown = body.replacen('{', r#"{"x":1,"\u0078":2,"#, 1);
    assert_eq!(refused(&signed(&RING, head.as_bytes(), unknown.as_bytes())), VerifyError::Claims);
    for name in ["alg", "kid", "typ"] {
        let twice = head.replacen('{', &format!("{{\"{name}\":{},", header()[name]), 1);
        assert_eq!(refused(&signed(&RING, twice.as_bytes(), body.as_bytes())), VerifyError::Malformed, "{name}");
    }
}

#[test]
fn a_kid_that_could_be_injected_is_refused() {
    let own = RING.active().kid().to_string();
    let wrong = [
        "../../../../dev/null".to_owned(),
        "' UNION SELECT 'key' --".to_owned(),
        format!("{own}\r\nX-Injected: 1"),
        format!("{own}\0"),
        format!(" {own}"),
        own.to_lowercase() + "=",
        "https://evil.example/jwks.json".to_owned(),
        "k".repeat(5_000),
        String::new(),
    ];
    for kid in wrong {
        assert_eq!(refused(&with_header("kid", kid.clone())), VerifyError::Malformed, "{kid:?}");
    }
    assert_eq!(refused(&with_header("kid", "k".repeat(10 * 1024))), VerifyError::Malformed);
    for kid in [json!(null), json!(0), json!([own]), json!({"kid": own})] {
        assert_eq!(refused(&with_header("kid", kid)), VerifyError::Malformed);
    }
    let unknown = encoding::to_base64url(Digest::sha256(b"unknown").as_bytes());
    assert_eq!(refused(&with_header("kid", unknown)), VerifyError::UnknownKey);
}

#[test]
fn the_kid_of_another_key_does_not_help() {
    let (one, two) = (
        stored(SigningAlgorithm::ES256, SigningKeyState::Active, 1),
        stored(SigningAlgorithm::ES256, SigningKeyState::Next, 2),
    );
    let ring = KeyRing::new(&[one, two.clone()]).unwrap();
    let header = with(&header(), "kid", two.kid.as_str()).to_string();
    let token = signed(&ring, header.as_bytes(), payload().to_string().as_bytes());
    assert_eq!(check_with(&token, &ring).unwrap_err(), VerifyError::Signature);
}

#[test]
fn keys_and_addresses_in_the_header_are_ignored() {
    let attacker = ring(SigningAlgorithm::ES256);
    let jwk = serde_json::from_str::<Value>(attacker.jwks().body()).unwrap()["keys"][0].clone();
    let lures = [("jwk", jwk.clone()), ("jku", json!("https://evil.example/jwks.json")), ("x5c", json!(["MIIB"]))];
    for (name, value) in lures.into_iter().chain([("x5u", json!("https://evil.example/x.pem"))]) {
        let header = with(&header(), name, value);
        let forged = signed(&attacker, header.to_string().as_bytes(), payload().to_string().as_bytes());
        assert_eq!(refused(&forged), VerifyError::Signature, "{name}");
        assert!(check(&token(&header, &payload())).is_ok(), "{name} beside our own signature says nothing");
        let own_kid = with(&header, "kid", jwk["kid"].clone());
        let forged = signed(&attacker, own_kid.to_string().as_bytes(), payload().to_string().as_bytes());
        assert_eq!(refused(&forged), VerifyError::UnknownKey, "{name}");
    }
}

#[test]
fn extensions_that_we_do_not_understand_are_refused() {
    for (name, value) in [("crit", json!([])), ("crit", json!(["exp"])), ("b64", json!(false)), ("b64", json!(true))] {
        assert_eq!(refused(&with_header(name, value)), VerifyError::Malformed, "{name}");
    }
}

#[test]
fn an_id_token_or_a_refresh_token_is_no_access_token() {
    for typ in
        ["JWT", "jwt", "", "at", "at+jwt ", "application/jwt", "text/at+jwt", "logout+jwt", "secevent+jwt", "ä+jwt"]
    {
        assert_eq!(refused(&with_header("typ", typ)), VerifyError::Type, "{typ}");
    }
    for typ in [json!(null), json!(["at+jwt"]), json!(1)] {
        assert_eq!(refused(&with_header("typ", typ)), VerifyError::Type);
    }
    for typ in ["AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert!(check(&with_header("typ", typ)).is_ok(), "{typ}");
    }
    let mac = MacKey::new(1.into(), Secret::new([7; 32]));
    let refresh = wxgate_crypto::opaque::mint("wxr_", &[1; 41], b"", &mac);
    assert_eq!(refused(refresh.expose()), VerifyError::Malformed);
}

#[test]
fn an_es256_signature_of_another_length_or_form_is_refused() {
    let token = issued(&RING);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let good = encoding::base64url(signature).unwrap();
    assert_eq!(good.len(), 64);
    // The DER form of the same numbers (RFC 3279 section 2.2.3), which OpenSSL makes and JWS does not take.
    let integer = |bytes: &[u8]| [&[2, 33, 0], bytes].concat();
    let der = [vec![0x30, 70], integer(&good[..32]), integer(&good[32..])].concat();
    let padded = [vec![0], good.clone()].concat();
    let wrong = [&good[..63], &good[..32], &good[1..], &[], &[0; 64], &[0xff; 64], &padded, &der];
    for signature in wrong {
        let token = format!("{message}.{}", encoding::to_base64url(signature));
        assert_eq!(refused(&token), VerifyError::Signature, "{} bytes", signature.len());
    }
}

#[test]
fn base64url_that_is_not_canonical_is_refused() {
    let token = issued(&RING);
    let parts: Vec<_> = token.split('.').collect();
    for part in 0..3 {
        for tail in ["=", "==", "\n", " ", "+", "A"] {
            let mut parts: Vec<_> = parts.iter().map(|&part| part.to_owned()).collect();
            parts[part].push_str(tail);
            assert!(check(&parts.join(".")).is_err(), "{part} {tail:?}");
        }
    }
    // 64 bytes leave four unused bits in the last of 86 characters: fifteen other spellings of the same signature.
    let (rest, last) = token.split_at(token.len() - 1);
    let others = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).filter(|c| !last.contains(*c));
    for other in others {
        assert!(check(&format!("{rest}{other}")).is_err());
    }
    for wrong in
        [format!(" {token}"), format!("{token} "), format!("Bearer {token}"), format!(".{token}"), format!("{token}.")]
    {
        assert!(check(&wrong).is_err());
    }
}

#[test]
fn a_token_longer_than_8_kib_is_refused() {
    let long = |length: usize| with_claim("note", "n".repeat(length));
    assert!(long(5_000).len() < MAX_LENGTH && check(&long(5_000)).is_ok());
    assert!(long(6_000).len() > MAX_LENGTH);
    assert_eq!(refused(&long(6_000)), VerifyError::Malformed);
    assert_eq!(refused(&"a.".repeat(1_000_000)), VerifyError::Malformed);
}

#[test]
fn what_is_no_json_object_is_refused() {
    for body in ["", "[]", "1", "null", "\"{}\"", "{", "{}{}", "\u{feff}{}"] {
        let (head, valid) = (header().to_string(), payload().to_string());
        assert_eq!(refused(&signed(&RING, body.as_bytes(), valid.as_bytes())), VerifyError::Malformed, "{body}");
        assert_eq!(refused(&signed(&RING, head.as_bytes(), body.as_bytes())), VerifyError::Claims, "{body}");
    }
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(2_000), "]".repeat(2_000));
    assert_eq!(refused(&signed(&RING, header().to_string().as_bytes(), deep.as_bytes())), VerifyError::Claims);
    let head = signed(&RING, deep.as_bytes(), b"{}");
    assert_eq!(refused(&head), VerifyError::Malformed);
}
