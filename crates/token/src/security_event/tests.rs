use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use wxgate_crypto::Digest;
use wxgate_domain::{SigningAlgorithm, SigningKeyState};

use super::*;
use crate::testing::{APPID, NOW, client, clock, grant, issuer, ring, session, signed, stored, user};
use crate::{Expected, issue, verify};

static RING: LazyLock<KeyRing> = LazyLock::new(|| ring(SigningAlgorithm::ES256));

fn kid(n: u8) -> Kid {
    encoding::to_base64url(Digest::sha256(&[n]).as_bytes()).parse().unwrap()
}

fn revocation(seq: u64, subject: RevokedSubject, effect: RevocationEffect) -> Revocation {
    let at = Timestamp::from_millis(NOW.seconds() * 1_000);
    let expires = (effect == RevocationEffect::Ended).then(|| at.plus(Duration::from_mins(15)));
    Revocation { seq, at, subject, effect, expires }
}

/// A page with an entry of each sort.
fn page() -> RevocationPage {
    use RevocationEffect::{Blocked, Ended, Lifted};
    let entries = vec![
        revocation(3, RevokedSubject::Session(session()), Ended),
        revocation(4, RevokedSubject::User(user()), Blocked),
        revocation(7, RevokedSubject::App(APPID.parse().unwrap()), Blocked),
        revocation(8, RevokedSubject::Tenant("acme".parse().unwrap()), Lifted),
        revocation(9, RevokedSubject::User(user()), Ended),
        revocation(10, RevokedSubject::Key(kid(1)), Ended),
    ];
    let as_of = Timestamp::from_millis(NOW.seconds() * 1_000);
    RevocationPage { as_of, first: 3, last: 10, cursor: "c.1-10".to_owned(), snapshot: true, more: false, entries }
}

fn sign(page: &RevocationPage) -> Result<String, IssueError> {
    sign_page(&RING, &issuer(), client(), page, NOW, &Random::seeded(1))
}

fn check(token: &str) -> Result<VerifiedPage, VerifyError> {
    verify_page(token, &*RING, &issuer(), client(), &clock())
}

fn header() -> Value {
    json!({"typ": "secevent+jwt", "alg": "ES256", "kid": RING.active().kid().as_str()})
}

fn payload() -> Value {
    json!({
        "iss": issuer().as_str(), "aud": client().as_str(), "iat": NOW.seconds(), "jti": "AAAAAAAAAAAAAAAAAAAAAA",
        "events": { REVOCATIONS: page().to_json() },
    })
}

fn refused(payload: &Value) -> VerifyError {
    check(&signed(&RING, header().to_string().as_bytes(), payload.to_string().as_bytes())).unwrap_err()
}

/// The payload with the value at a JSON pointer set, or removed where it is null.
fn with(pointer: &str, value: Value) -> Value {
    let mut payload = payload();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = payload.pointer_mut(parent).unwrap();
    if let Value::Array(items) = parent {
        items[name.parse::<usize>().unwrap()] = value;
    } else if value.is_null() {
        parent.as_object_mut().unwrap().remove(name).unwrap();
    } else {
        parent.as_object_mut().unwrap().insert(name.to_owned(), value);
    }
    payload
}

fn in_page(path: &str, value: Value) -> Value {
    with(&format!("/events/{REVOCATIONS}/{path}"), value)
}

#[test]
fn a_page_reads_back_under_every_algorithm() {
    for algorithm in SigningAlgorithm::ALL {
        let ring = ring(algorithm);
        for page in [page(), RevocationPage { first: 0, last: 0, snapshot: false, entries: vec![], ..page() }] {
            let token = sign_page(&ring, &issuer(), client(), &page, NOW, &Random::seeded(1)).unwrap();
            let read = verify_page(&token, &ring, &issuer(), client(), &clock()).unwrap();
            assert_eq!((read.page, &read.kid), (page, ring.active().kid()));
        }
    }
    assert!(check(&signed(&RING, header().to_string().as_bytes(), payload().to_string().as_bytes())).is_ok());
}

#[test]
fn an_entry_names_its_event_and_only_what_ends_says_when_it_may_be_forgotten() {
    let entries = page().to_json()["entries"].clone();
    let events: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    let revoked = SESSION_REVOKED;
    assert_eq!(events, [revoked, revoked, revoked, BLOCK_LIFTED, revoked, KEY_RETIRED]);
    let subject = json!({"kind": "session", "id": session().to_string()});
    let (at, expires) = (NOW.seconds(), NOW.seconds() + 900);
    let whole =
        json!({"seq": 3, "at": at, "event": revoked, "subject": subject, "effect": "ended", "expires": expires});
    assert_eq!(entries[0], whole);
    assert!(entries[1].get("expires").is_none() && entries[3].get("expires").is_none());
    // A fraction of a second is not cut off: the entry would be forgotten while a token still lives.
    let mut odd = revocation(1, RevokedSubject::Session(session()), RevocationEffect::Ended);
    odd.expires = Some(NOW.plus(Duration::from_millis(1)));
    assert_eq!(entry(&odd)["expires"], NOW.seconds() + 1);
    let blocked = revocation(1, RevokedSubject::User(user()), RevocationEffect::Blocked);
    assert!(entry(&Revocation { expires: Some(NOW), ..blocked }).get("expires").is_none());
}

#[test]
fn an_access_token_is_no_security_event_and_the_reverse() {
    let access = issue(&RING, &issuer(), &grant(), NOW, &Random::seeded(1)).unwrap();
    assert_eq!(check(access.token.expose()).unwrap_err(), VerifyError::Type);
    let expected = Expected { issuer: &issuer(), audience: client().as_str() };
    let event = sign(&page()).unwrap();
    assert_eq!(verify(&event, &*RING, &expected, &clock()).unwrap_err(), VerifyError::Type);
    // Nor does the content of one pass under the header of the other.
    let parts: Vec<_> = event.split('.').collect();
    let swapped = signed(&RING, br#"{"typ":"at+jwt"}"#, &encoding::base64url(parts[1]).unwrap());
    assert!(verify(&swapped, &*RING, &expected, &clock()).is_err());
    let as_access = json!({"typ": "at+jwt", "alg": "ES256", "kid": RING.active().kid().as_str()}).to_string();
    let swapped = signed(&RING, as_access.as_bytes(), payload().to_string().as_bytes());
    assert_eq!(verify(&swapped, &*RING, &expected, &clock()).unwrap_err(), VerifyError::Claims);
    for typ in ["at+jwt", "JWT", "logout+jwt", ""] {
        let header = json!({"typ": typ, "alg": "ES256", "kid": RING.active().kid().as_str()}).to_string();
        let token = signed(&RING, header.as_bytes(), payload().to_string().as_bytes());
        assert_eq!(check(&token).unwrap_err(), VerifyError::Type, "{typ}");
    }
}

#[test]
fn a_page_of_another_key_issuer_client_or_time_is_refused() {
    let own = sign(&page()).unwrap();
    let theirs = ring(SigningAlgorithm::ES256);
    assert_eq!(verify_page(&own, &theirs, &issuer(), client(), &clock()).unwrap_err(), VerifyError::UnknownKey);
    let other = Issuer::new("https://auth.example.com", &"other".parse().unwrap());
    assert_eq!(verify_page(&own, &*RING, &other, client(), &clock()).unwrap_err(), VerifyError::Issuer);
    let stranger = ServiceClientId::new(&Random::seeded(8));
    assert_eq!(verify_page(&own, &*RING, &issuer(), &stranger, &clock()).unwrap_err(), VerifyError::Audience);
    assert_eq!(refused(&with("/iat", json!(NOW.seconds() + 31))), VerifyError::NotYetValid);
    assert_eq!(refused(&with("/aud", json!([client().as_str()]))), VerifyError::Claims);

    let (message, signature) = own.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", signature.chars().rev().collect::<String>());
    assert!(matches!(check(&forged).unwrap_err(), VerifyError::Signature | VerifyError::Malformed));
    let header = json!({"typ": "secevent+jwt", "alg": "none", "kid": RING.active().kid().as_str()}).to_string();
    let unsigned = signed(&RING, header.as_bytes(), payload().to_string().as_bytes());
    assert_eq!(check(&unsigned).unwrap_err(), VerifyError::Algorithm);
}

#[test]
fn a_key_never_announces_its_own_end_and_the_next_one_does() {
    let keys = [SigningKeyState::Active, SigningKeyState::Next].map(|s| stored(SigningAlgorithm::ES256, s, 1));
    let ring = KeyRing::new(&keys).unwrap();
    let [active, next] = keys.map(|key| key.kid);
    let retires = |kid: &Kid| {
        let entries = vec![revocation(3, RevokedSubject::Key(kid.clone()), RevocationEffect::Ended)];
        RevocationPage { first: 3, last: 3, entries, ..page() }
    };
    let sign =
        |by: &Kid, page| sign_page_with(ring.signing(by).unwrap(), &issuer(), client(), page, NOW, &Random::seeded(1));
    let page = retires(&active);
    assert_eq!(sign(&active, &page).unwrap_err(), IssueError::RetiredKey);
    let token = sign(&next, &page).unwrap();
    assert_eq!(verify_page(&token, &ring, &issuer(), client(), &clock()).unwrap().kid, next);

    // Whoever stole the key has our code but not our manners.
    let payload = json!({
        "iss": issuer().as_str(), "aud": client().as_str(), "iat": NOW.seconds(), "jti": "AAAAAAAAAAAAAAAAAAAAAA",
        "events": { REVOCATIONS: retires(&active).to_json() },
    });
    let header = json!({"typ": "secevent+jwt", "alg": "ES256", "kid": active.as_str()}).to_string();
    let token = signed(&ring, header.as_bytes(), payload.to_string().as_bytes());
    let refused = verify_page(&token, &ring, &issuer(), client(), &clock()).unwrap_err();
    assert_eq!(refused, VerifyError::RetiredKey);
}

#[test]
fn a_page_that_is_not_exactly_a_page_is_refused() {
    let claims = ["/iss", "/aud", "/iat", "/jti", "/events"].map(|path| with(path, Value::Null));
    let members = ["as_of", "first", "last", "cursor", "snapshot", "more", "entries"].map(|m| in_page(m, Value::Null));
    let parts = ["seq", "at", "event", "subject", "effect"].map(|m| in_page(&format!("entries/0/{m}"), Value::Null));
    let long = "c".repeat(MAX_CURSOR + 1);
    let changed = [
        with("/events/urn:other", json!({})),
        with("/iat", json!("1700000000")),
        in_page("note", json!("unknown, so perhaps what matters")),
        in_page("as_of", json!(1.5)),
        in_page("as_of", json!(-1)),
        in_page("first", json!(2)),
        in_page("last", json!(11)),
        in_page("last", json!(-1)),
        in_page("cursor", json!("")),
        in_page("cursor", json!("a b")),
        in_page("cursor", json!(long)),
        in_page("snapshot", json!("true")),
        in_page("more", json!(1)),
        in_page("entries", json!({})),
        in_page("entries/0", json!(null)),
        in_page("entries/0/seq", json!(0)),
        in_page("entries/1/seq", json!(3)),
        in_page("entries/1/seq", json!(8)),
        in_page("entries/0/at", json!(253_402_300_800_i64)),
        in_page("entries/0/note", json!("?")),
        in_page("entries/0/expires", json!("soon")),
        in_page("entries/1/expires", json!(NOW.seconds())),
        in_page("entries/0/effect", json!("paused")),
        in_page("entries/0/effect", json!("blocked")),
        in_page("entries/0/effect", json!("lifted")),
        in_page("entries/5/effect", json!("lifted")),
        in_page("entries/0/event", json!(KEY_RETIRED)),
        in_page("entries/3/event", json!(SESSION_REVOKED)),
        in_page("entries/0/subject/kind", json!("device")),
        in_page("entries/0/subject/id", json!("1")),
        in_page("entries/0/subject/note", json!("?")),
    ];
    for payload in claims.into_iter().chain(members).chain(parts).chain(changed) {
        assert_eq!(refused(&payload), VerifyError::Claims, "{payload}");
    }
    let twice = payload().to_string().replacen(r#""seq":3"#, r#""seq":3,"seq":3"#, 1);
    let token = signed(&RING, header().to_string().as_bytes(), twice.as_bytes());
    assert_eq!(check(&token).unwrap_err(), VerifyError::Claims);
}

#[test]
fn a_page_has_at_most_500_entries_and_a_mebibyte() {
    let of = |count: u64| {
        let sessions =
            (1..=count).map(|seq| revocation(seq, RevokedSubject::Session(session()), RevocationEffect::Ended));
        RevocationPage { first: 1, last: count, entries: sessions.collect(), ..page() }
    };
    assert_eq!(check(&sign(&of(500)).unwrap()).unwrap().page.entries.len(), MAX_ENTRIES);
    assert_eq!(sign(&of(501)).unwrap_err(), IssueError::Claims);
    assert_eq!(refused(&with(&format!("/events/{REVOCATIONS}"), of(501).to_json())), VerifyError::Claims);
    let padded = with("/note", json!("n".repeat(MAX_LENGTH)));
    assert_eq!(refused(&padded), VerifyError::Malformed);
}

#[test]
fn what_no_reader_takes_is_not_signed() {
    let lifted = revocation(1, RevokedSubject::Session(session()), RevocationEffect::Lifted);
    for wrong in [
        RevocationPage { cursor: String::new(), ..page() },
        RevocationPage { cursor: "c\n".to_owned(), ..page() },
        RevocationPage { first: 4, ..page() },
        RevocationPage { entries: vec![], ..page() },
        RevocationPage { entries: page().entries.into_iter().rev().collect(), first: 10, last: 3, ..page() },
        RevocationPage { entries: vec![lifted], first: 1, last: 1, ..page() },
    ] {
        assert_eq!(sign(&wrong).unwrap_err(), IssueError::Claims, "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn any_changed_character_fails(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let token = sign(&page()).unwrap();
        let at = at.index(token.len());
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        prop_assert_eq!(check(&changed).is_ok(), changed == token);
    }

    #[test]
    fn no_signed_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(check(&signed(&RING, header().to_string().as_bytes(), &bytes)).is_err());
    }
}
