//! Whatever changes or comes from elsewhere fails, and nothing panics.

use proptest::prelude::*;

use super::*;

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{1,3}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn any_changed_character_fails(
        at in any::<prop::sample::Index>(),
        to in "[A-Za-z0-9_.-]",
        algorithm in 0..2,
    ) {
        let ring = if algorithm == 0 { &RING } else { &RSA_RING };
        let token = issued(ring);
        let at = at.index(token.len());
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        prop_assert_eq!(check_with(&changed, ring).is_ok(), changed == token);
    }

    #[test]
    fn any_cut_fails(at in any::<prop::sample::Index>()) {
        let token = issued(&RING);
        let at = at.index(token.len());
        prop_assert!(check(&token[..at]).is_err());
        prop_assert!(at == 0 || check(&token[at..]).is_err());
    }

    #[test]
    fn no_text_panics(text in any::<String>(), segments in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,5}") {
        prop_assert!(check(&text).is_err());
        prop_assert!(check(&segments).is_err());
    }

    #[test]
    fn no_signed_content_panics(
        name in prop::sample::select(&crate::claims::NAMES[..]),
        member in prop::sample::select(&["typ", "alg", "kid", "crit", "jwk"][..]),
        value in json_value(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = check(&with_claim(name, value.clone()));
        let _ = check(&with_header(member, value));
        prop_assert!(check(&signed(&RING, header().to_string().as_bytes(), &bytes)).is_err());
        prop_assert!(check(&signed(&RING, &bytes, payload().to_string().as_bytes())).is_err());
    }

    #[test]
    fn what_is_issued_is_read_back(
        seed in any::<u64>(),
        life in 1..=86_400_u64,
        scope in "[ -~]{0,40}",
        audiences in prop::collection::vec("[a-z:/.]{1,30}", 0..4),
        openid in prop::option::of("[A-Za-z0-9_-]{1,64}"),
    ) {
        let openid = openid.map(|text| text.parse().unwrap());
        let (session, openid_claim, unionid) = (session(), openid.as_ref(), None);
        let (audiences, app) = (&audiences[..], app());
        let subject = Subject::User { user: user(), session, app, audiences, openid: openid_claim, unionid, external_id: None, phone: None };
        let grant = Grant { scope: &scope, life: Duration::from_secs(life), ..granted(subject) };
        let token = issue(&RING, &issuer(), &grant, NOW, &Random::seeded(seed)).unwrap();
        let audience = audiences.first().map_or(APPID, String::as_str);
        let expected = Expected { issuer: &issuer(), audience };
        let claims = verify(token.token.expose(), &*RING, &expected, &clock()).unwrap();
        prop_assert_eq!((claims.user(), claims.sid), (Some(user()), Some(session)));
        prop_assert_eq!((claims.scope, claims.openid), (scope, openid));
        prop_assert!(claims.aud.contains(&issuer().as_str().to_owned()));
        prop_assert_eq!(claims.exp - claims.iat, i64::from(token.expires_in));
    }
}
