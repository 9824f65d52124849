//! The three kinds of access token: a user's, a service client's own, an exchanged one. And nothing between.

use super::*;
use crate::Actor;

fn read(grant: &Grant<'_>, audience: &str) -> Result<Claims, VerifyError> {
    let token = issue(&RING, &issuer(), grant, NOW, &Random::seeded(1)).unwrap();
    verify(token.token.expose(), &*RING, &Expected { issuer: &issuer(), audience }, &clock())
}

fn exchanged() -> Value {
    let payload = with(&payload(), "client_id", client().as_str());
    with(&with(&payload, "app", APPID), "act", json!({"sub": client().as_str()}))
}

fn of_client() -> Value {
    let payload = with(&with(&payload(), "client_id", client().as_str()), "sub", client().as_str());
    with(&payload, "sid", Value::Null)
}

#[test]
fn each_kind_tells_user_app_and_client() {
    let of_user = read(&grant(), APPID).unwrap();
    assert_eq!((of_user.user(), of_user.app(), of_user.client()), (Some(user()), Some(app().clone()), None));
    let own = read(&client_grant(), "orders").unwrap();
    assert_eq!((own.user(), own.app(), own.client().as_ref(), own.sid), (None, None, Some(client()), None));

    let before = Actor::in_front_of(&ServiceClientId::new(&Random::seeded(9)), None).unwrap();
    let exchanged = read(&exchanged_grant(Some(&before), NOW.plus(crate::claims::MAX_LIFE)), "orders").unwrap();
    assert_eq!((exchanged.user(), exchanged.sid), (Some(user()), Some(session())));
    assert_eq!((exchanged.app().as_ref(), exchanged.client().as_ref()), (Some(app()), Some(client())));
    assert_eq!(exchanged.act.as_ref().map(Actor::depth), Some(2));
    assert_eq!([&of_user.kid, &own.kid, &exchanged.kid], [RING.active().kid(); 3]);
}

#[test]
fn a_service_clients_tokens_are_refused_where_the_gateways_own_audience_is_asked_for() {
    let issuer = issuer();
    for grant in [client_grant(), exchanged_grant(None, NOW.plus(crate::claims::MAX_LIFE))] {
        assert_eq!(read(&grant, issuer.as_str()).unwrap_err(), VerifyError::Audience);
        assert_eq!(read(&grant, APPID).unwrap_err(), VerifyError::Audience);
    }
}

#[test]
fn one_of_several_audiences_is_enough_and_none_is_not() {
    let token = issued(&RING);
    let check = |audiences: &[&str]| verify_for_any(&token, &*RING, &issuer(), audiences, &clock());
    assert!(check(&["orders", APPID]).is_ok());
    assert_eq!(check(&["orders", "pay"]).unwrap_err(), VerifyError::Audience);
    assert_eq!(check(&[]).unwrap_err(), VerifyError::Audience);
}

#[test]
fn claims_of_which_no_kind_has_all_are_refused() {
    let other = ServiceClientId::new(&Random::seeded(9));
    for whole in [exchanged(), of_client()] {
        assert!(check(&token(&header(), &whole)).is_ok(), "{whole}");
    }
    let wrong = [
        // An actor or an app that nobody exchanged for, or only one of them.
        with(&payload(), "act", json!({"sub": client().as_str()})),
        with(&payload(), "app", APPID),
        with(&with(&payload(), "app", APPID), "act", json!({"sub": client().as_str()})),
        with(&exchanged(), "act", Value::Null),
        with(&exchanged(), "app", Value::Null),
        // Without user or session, or with an actor who is not the holder.
        with(&exchanged(), "sid", Value::Null),
        with(&exchanged(), "sub", client().as_str()),
        with(&exchanged(), "act", json!({"sub": other.as_str()})),
        // A service client that speaks for a user, or whose id is none.
        with(&of_client(), "sub", user().to_string()),
        with(&of_client(), "sub", other.as_str()),
        with(&of_client(), "sid", session().to_string()),
        with(&with(&of_client(), "sub", "svc_1"), "client_id", "svc_1"),
    ];
    for payload in wrong {
        assert_eq!(refused(&token(&header(), &payload)), VerifyError::Claims, "{payload}");
    }
    for (name, value) in [("app", json!("a b")), ("app", json!([APPID])), ("act", json!(client().as_str()))] {
        assert_eq!(refused(&token(&header(), &with(&exchanged(), name, value))), VerifyError::Claims, "{name}");
    }
    let deep = json!({"sub": client().as_str(), "act": {"sub": other.as_str(), "act": {"sub": other.as_str()}}});
    assert_eq!(refused(&token(&header(), &with(&exchanged(), "act", deep))), VerifyError::Claims);
}
