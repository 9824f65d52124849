//! What is refused before anything is verified.

use std::time::Duration;

use wxgate_verifier::{BuildError, Feed, Verifier};

use crate::issuer::{APPID, SECRET};

const ISSUER: &str = "https://login.example.com/t/acme";
const CLIENT: &str = "svc_AAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn an_issuer_that_is_none_is_refused() {
    for issuer in ["", "login.example.com", "https://login.example.com", "https://login.example.com/t/acme/"] {
        assert_eq!(Verifier::builder(issuer, APPID).build().unwrap_err(), BuildError::Issuer, "{issuer}");
    }
    assert!(Verifier::builder(ISSUER, APPID).build().is_ok());
}

#[test]
fn keys_over_an_open_line_are_refused_unless_asked_for() {
    for issuer in ["http://login.example.com/t/acme", "http://10.0.0.1:8080/t/acme"] {
        assert_eq!(Verifier::builder(issuer, APPID).build().unwrap_err(), BuildError::Insecure);
        assert!(Verifier::builder(issuer, APPID).allow_plain_http().build().is_ok());
    }
    for near in ["http://127.0.0.1:8080/t/demo", "http://localhost:8080/t/demo", "http://[::1]:8080/t/demo"] {
        assert!(Verifier::builder(near, APPID).build().is_ok(), "{near}");
    }
    let inside = |url| Verifier::builder(ISSUER, APPID).gateway(url);
    assert_eq!(inside("http://wxgate:8080").build().unwrap_err(), BuildError::Insecure);
    assert!(inside("http://wxgate:8080").allow_plain_http().build().is_ok());
    assert!(inside("https://wxgate.internal").build().is_ok());
    for wrong in ["", "wxgate:8080", "ftp://wxgate", "file:///etc"] {
        assert_eq!(inside(wrong).allow_plain_http().build().unwrap_err(), BuildError::Address, "{wrong}");
    }
}

#[test]
fn audiences_scopes_and_service_clients_that_no_token_has_are_refused() {
    assert_eq!(Verifier::builder(ISSUER, "").build().unwrap_err(), BuildError::Audience);
    assert_eq!(Verifier::builder(ISSUER, APPID).or_audience("").build().unwrap_err(), BuildError::Audience);
    for scope in ["", "a b", "a\"b", "a\\b", "ä"] {
        let builder = Verifier::builder(ISSUER, APPID).require_scope(scope);
        assert_eq!(builder.build().unwrap_err(), BuildError::Scope, "{scope}");
    }
    let follow = |feed| Verifier::builder(ISSUER, APPID).follow(feed).build().unwrap_err();
    assert_eq!(follow(Feed::new(APPID, SECRET)), BuildError::Client);
    let hasty = Feed::new(CLIENT, SECRET).max_staleness(Duration::from_secs(2));
    assert_eq!(follow(hasty), BuildError::Staleness);
    // Nobody would follow: refused now, and not by a panic.
    assert_eq!(follow(Feed::new(CLIENT, SECRET)), BuildError::NoRuntime);
}

#[test]
fn neither_the_secret_nor_tokens_are_printed() {
    let builder = Verifier::builder(ISSUER, APPID).follow(Feed::new(CLIENT, SECRET));
    assert!(!format!("{builder:?}").contains(SECRET));
    let verifier = Verifier::builder(ISSUER, APPID).build().unwrap();
    assert_eq!(format!("{verifier:?}"), format!("Verifier({ISSUER})"), "and nothing of whom it has seen");
}
