//! The keys: read once for all, kept as long as the gateway says, never for ever, and never because a stranger asks.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use wxgate_token::domain::{SigningAlgorithm, SigningKeyState, StoredSigningKey};
use wxgate_token::{KeyRing, SigningKey};
use wxgate_verifier::{Error, Unavailable, VerifyError};

use crate::issuer::{APPID, Answer, FakeIssuer};
use crate::verifier;

const MINUTE: Duration = Duration::from_mins(1);

fn says(status: u16, body: &str) -> Answer {
    Answer(status, "", body.as_bytes().to_vec())
}

/// A token whose key nobody knows.
fn of_an_unknown_key(issuer: &FakeIssuer) -> String {
    let key = SigningKey::generate(SigningAlgorithm::EdDSA, issuer.clock.now()).unwrap();
    let ring = KeyRing::new(&[StoredSigningKey { state: SigningKeyState::Active, ..key }]).unwrap();
    issuer.token_of(&ring, &issuer.url().parse().unwrap(), APPID, "user")
}

#[tokio::test]
async fn many_first_requests_read_the_keys_once() {
    let issuer = FakeIssuer::start().await;
    let (verifier, token) = (verifier(&issuer), issuer.token());
    let all: Vec<_> = (0..100)
        .map(|_| {
            let (verifier, token) = (verifier.clone(), token.clone());
            tokio::spawn(async move { verifier.verify(&token).await.is_ok() })
        })
        .collect();
    for one in all {
        assert!(one.await.unwrap());
    }
    assert_eq!(issuer.keys_asked(), 1);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_end_the_read_for_the_others() {
    let issuer = FakeIssuer::start().await;
    let (verifier, token) = (verifier(&issuer), issuer.token());
    {
        let mut leaving = pin!(verifier.verify(&token));
        std::future::poll_fn(|context| {
            assert!(leaving.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    assert!(verifier.verify(&token).await.is_ok());
    assert_eq!(issuer.keys_asked(), 1);
}

#[tokio::test]
async fn a_flood_of_unknown_kids_costs_one_read_in_each_cooldown() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer);
    verifier.ready().await.unwrap();
    for round in 1..4 {
        issuer.clock.advance(Duration::from_secs(30));
        for _ in 0..50 {
            let error = verifier.verify(&of_an_unknown_key(&issuer)).await.unwrap_err();
            assert_eq!(error, VerifyError::UnknownKey.into());
        }
        assert_eq!(issuer.keys_asked(), 1 + round);
    }
    issuer.clock.advance(Duration::from_secs(29));
    let flood: Vec<_> = (0..50).map(|_| of_an_unknown_key(&issuer)).collect();
    for token in &flood {
        assert!(verifier.verify(token).await.is_err());
    }
    assert_eq!(issuer.keys_asked(), 4);
}

#[tokio::test]
async fn a_rotation_is_noticed_by_the_first_token_of_the_new_key() {
    let issuer = FakeIssuer::start().await;
    let (verifier, old) = (verifier(&issuer), issuer.token());
    verifier.verify(&old).await.unwrap();
    // As it should be, with a key that was published before: nothing is read at all.
    issuer.promote(true);
    assert!(verifier.verify(&issuer.token()).await.is_ok() && verifier.verify(&old).await.is_ok());
    assert_eq!(issuer.keys_asked(), 1);
    // And with one that nobody has heard of.
    issuer.surprise();
    issuer.clock.advance(Duration::from_secs(30));
    assert!(verifier.verify(&issuer.token()).await.is_ok());
    assert_eq!(issuer.keys_asked(), 2);
}

#[tokio::test]
async fn a_token_of_a_key_that_is_published_no_more_is_refused_also_if_it_was_seen_before() {
    let issuer = FakeIssuer::start().await;
    let (verifier, old) = (verifier(&issuer), issuer.token());
    verifier.verify(&old).await.unwrap();
    issuer.promote(false);
    issuer.clock.advance(5 * MINUTE);
    assert_eq!(verifier.verify(&old).await.unwrap_err(), VerifyError::UnknownKey.into());
    assert!(verifier.verify(&issuer.token()).await.is_ok());
}

#[tokio::test]
async fn keys_are_read_again_when_their_time_is_over_and_by_their_tag() {
    let issuer = FakeIssuer::start().await;
    issuer.cache_control("max-age=120");
    let (verifier, token) = (verifier(&issuer), issuer.token());
    verifier.verify(&token).await.unwrap();
    issuer.clock.advance(Duration::from_secs(95));
    verifier.verify(&token).await.unwrap();
    assert_eq!(issuer.keys_asked(), 1);
    issuer.clock.advance(Duration::from_secs(25));
    for _ in 0..3 {
        verifier.verify(&token).await.unwrap();
    }
    assert_eq!(issuer.keys_tags(), [None, Some(issuer.ring().jwks().etag().to_owned())]);
    // Not modified counts as read: the next time is over two minutes later again.
    issuer.clock.advance(Duration::from_secs(95));
    verifier.verify(&token).await.unwrap();
    assert_eq!(issuer.keys_asked(), 2);
}

#[tokio::test]
async fn keys_are_used_for_an_hour_while_the_gateway_is_down_and_no_longer() {
    let issuer = FakeIssuer::start().await;
    let (verifier, token) = (verifier(&issuer), issuer.token());
    verifier.verify(&token).await.unwrap();
    for broken in [says(500, ""), says(200, "<html>"), says(200, r#"{"keys":[]}"#), says(302, ""), says(403, "")] {
        issuer.answer_keys(broken, 1);
    }
    issuer.answer_keys(says(503, ""), 1_000);
    for _ in 0..11 {
        issuer.clock.advance(5 * MINUTE);
        verifier.verify(&token).await.unwrap();
    }
    // A token of a new key may be good: nobody can say.
    let error = verifier.verify(&of_an_unknown_key(&issuer)).await.unwrap_err();
    assert_eq!(error, Unavailable::Keys.into());
    issuer.clock.advance(5 * MINUTE);
    assert_eq!(verifier.verify(&token).await.unwrap_err(), Unavailable::Keys.into());
    issuer.recover();
    issuer.clock.advance(Duration::from_secs(1));
    assert!(verifier.verify(&token).await.is_ok());
}

#[tokio::test]
async fn a_gateway_that_is_down_from_the_beginning_is_asked_once_a_second() {
    let issuer = FakeIssuer::start().await;
    let (verifier, token) = (verifier(&issuer), issuer.token());
    issuer.answer_keys(says(500, ""), 1_000);
    for round in 1..4 {
        for _ in 0..10 {
            let error = verifier.verify(&token).await.unwrap_err();
            assert_eq!((error.status(), error), (503, Unavailable::Keys.into()));
        }
        assert_eq!(issuer.keys_asked(), round);
        issuer.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn an_empty_set_is_no_set() {
    let issuer = FakeIssuer::start().await;
    let (verifier, token) = (verifier(&issuer), issuer.token());
    let symmetric = r#"{"keys":[{"kty":"oct","k":"AQAB","alg":"HS256","use":"sig","kid":"1"}]}"#;
    let huge = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    for body in [r#"{"keys":[]}"#, "{}", "", "[]", symmetric, &huge] {
        issuer.answer_keys(says(200, body), 1);
        assert_eq!(verifier.verify(&token).await.unwrap_err(), Unavailable::Keys.into());
        issuer.clock.advance(Duration::from_secs(1));
    }
    assert!(verifier.verify(&token).await.is_ok());
}

#[tokio::test]
async fn keys_behind_a_redirect_are_refused() {
    let (issuer, evil) = (FakeIssuer::start().await, FakeIssuer::start().await);
    let location = format!("Location: {}/jwks.json\r\n", evil.url());
    for status in [301, 302, 303, 307, 308] {
        issuer.answer_keys(Answer(status, location.clone().leak(), Vec::new()), 1);
        let verifier = verifier(&issuer);
        assert_eq!(verifier.verify(&issuer.token()).await.unwrap_err(), Unavailable::Keys.into());
    }
    assert_eq!(evil.keys_asked(), 0);
}

#[tokio::test]
async fn no_key_of_a_tenant_that_is_gone_is_trusted() {
    for status in [404, 410] {
        let issuer = FakeIssuer::start().await;
        let (verifier, token) = (verifier(&issuer), issuer.token());
        verifier.verify(&token).await.unwrap();
        issuer.answer_keys(says(status, ""), 1);
        issuer.clock.advance(5 * MINUTE);
        let error = verifier.verify(&token).await.unwrap_err();
        assert_eq!((error.status(), error), (503, Unavailable::Tenant.into()));
        // Also nobody waits for it at the start.
        issuer.answer_keys(says(status, ""), 1);
        issuer.clock.advance(Duration::from_secs(1));
        assert_eq!(verifier.ready().await, Err(Error::Unavailable(Unavailable::Tenant)));
        issuer.clock.advance(Duration::from_secs(1));
        assert!(verifier.verify(&token).await.is_ok(), "it came back");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_make_old_keys_new() {
    let issuer = FakeIssuer::start().await;
    let token = issuer.token();
    let behind = wxgate_verifier::Clock::manual(issuer.clock.now());
    issuer.clock.advance(Duration::from_hours(1));
    let verifier = verifier(&issuer);
    verifier.verify(&issuer.token()).await.unwrap();
    // The clock goes back by an hour: the keys seem to come from the future.
    let wxgate_verifier::Clock::Manual(shared) = &issuer.clock else { panic!("a clock for tests") };
    shared.store(behind.now().millis(), std::sync::atomic::Ordering::Relaxed);
    verifier.verify(&token).await.unwrap();
    assert_eq!(issuer.keys_asked(), 2);
}
