//! The revocation feed: who is blocked does not get in, and if nobody can say, nobody does.

use std::time::Duration;

use wxgate_token::domain::{RevocationEffect, RevokedSubject, SessionId, UserId};
use wxgate_verifier::{Error, Feed, Unavailable, Verifier, VerifyError};

use crate::builder;
use crate::issuer::{APPID, Answer, FakeIssuer, SECRET};

fn feed(issuer: &FakeIssuer) -> Feed {
    Feed::new(issuer.client.as_str(), SECRET)
}

async fn following(issuer: &FakeIssuer, feed: Feed) -> Verifier {
    let verifier = builder(issuer).follow(feed).build().unwrap();
    verifier.ready().await.unwrap();
    verifier
}

fn session(n: u128) -> RevokedSubject {
    RevokedSubject::Session(SessionId::from(uuid::Uuid::from_u128(n)))
}

fn fails(status: u16) -> Answer {
    Answer(status, "", Vec::new())
}

/// The long poll that is under way ends, and the next ones fail.
fn break_feed(issuer: &FakeIssuer, answer: Answer) {
    issuer.answer_feed(answer, 100);
    issuer.revoke(session(1), RevocationEffect::Ended);
}

#[tokio::test]
async fn a_session_that_ended_is_refused_and_others_are_not() {
    let issuer = FakeIssuer::start().await;
    let (verifier, token) = (following(&issuer, feed(&issuer)).await, issuer.token());
    assert!(verifier.verify(&token).await.is_ok());
    issuer.revoke(session(7), RevocationEffect::Ended);
    issuer.followed().await;
    assert!(verifier.verify(&token).await.is_ok());
    issuer.revoke(RevokedSubject::Session(issuer.session), RevocationEffect::Ended);
    issuer.followed().await;
    let error = verifier.verify(&token).await.unwrap_err();
    assert_eq!((error.status(), error), (401, Error::Revoked));
    assert_eq!(verifier.verify(&issuer.token()).await.unwrap_err(), Error::Revoked, "a new token of it neither");
}

#[tokio::test]
async fn a_blocked_user_app_or_tenant_is_refused_until_the_block_is_lifted() {
    let issuer = FakeIssuer::start().await;
    let verifier = following(&issuer, feed(&issuer)).await;
    let subjects = [
        RevokedSubject::User(issuer.user),
        RevokedSubject::App(APPID.parse().unwrap()),
        RevokedSubject::Tenant("acme".parse().unwrap()),
    ];
    for subject in subjects {
        let before = issuer.token();
        assert!(verifier.verify(&before).await.is_ok());
        issuer.revoke(subject.clone(), RevocationEffect::Blocked);
        issuer.followed().await;
        // Whatever was issued when, also a minute after the block.
        issuer.clock.advance(Duration::from_secs(1));
        for token in [before.clone(), issuer.token()] {
            assert_eq!(verifier.verify(&token).await.unwrap_err(), Error::Revoked, "{subject:?}");
        }
        issuer.revoke(subject, RevocationEffect::Lifted);
        issuer.followed().await;
        assert!(verifier.verify(&before).await.is_ok());
    }
}

#[tokio::test]
async fn a_retired_key_verifies_nothing_more_and_the_keys_are_read_at_once() {
    let issuer = FakeIssuer::start().await;
    let (verifier, token) = (following(&issuer, feed(&issuer)).await, issuer.token());
    assert!(verifier.verify(&token).await.is_ok());
    let retired = issuer.ring().active().kid().clone();
    issuer.promote(false);
    issuer.revoke(RevokedSubject::Key(retired), RevocationEffect::Ended);
    issuer.followed().await;
    let error = verifier.verify(&token).await.unwrap_err();
    assert!(matches!(error, Error::Revoked | Error::Invalid(VerifyError::UnknownKey)), "{error}");
    assert!(verifier.verify(&issuer.token()).await.is_ok());
    issuer.keys_asked_for(2).await;
    assert_eq!(issuer.keys_tags(), [None, None], "and whole, because the tag was of more keys");
}

#[tokio::test]
async fn a_retired_key_stays_refused_where_a_cache_still_publishes_it() {
    let issuer = FakeIssuer::start().await;
    let (verifier, token) = (following(&issuer, feed(&issuer)).await, issuer.token());
    let retired = issuer.ring().active().kid().clone();
    issuer.promote(true);
    issuer.revoke(RevokedSubject::Key(retired), RevocationEffect::Ended);
    issuer.followed().await;
    for _ in 0..2 {
        assert!(verifier.verify(&token).await.is_err());
        issuer.clock.advance(Duration::from_secs(31));
    }
}

#[tokio::test]
async fn a_page_signed_by_a_retired_key_is_refused_whatever_is_published() {
    let issuer = FakeIssuer::start().await;
    let (verifier, stolen) = (following(&issuer, feed(&issuer)).await, issuer.keys());
    let retired = issuer.ring().active().kid().clone();
    issuer.promote(false);
    issuer.revoke(RevokedSubject::Key(retired), RevocationEffect::Ended);
    issuer.revoke(RevokedSubject::User(issuer.user), RevocationEffect::Blocked);
    issuer.followed().await;
    assert_eq!(verifier.verify(&issuer.token()).await.unwrap_err(), Error::Revoked);
    // Whoever stole it answers in the gateway's place, with the keys of before.
    let (own, token) = (issuer.keys(), issuer.token());
    issuer.clock.advance(Duration::from_secs(31));
    issuer.set_keys(stolen);
    let asked = issuer.feed_asked().len();
    issuer.revoke(RevokedSubject::User(issuer.user), RevocationEffect::Lifted);
    issuer.asked_more_than(asked + 1).await;
    assert_eq!(verifier.verify(&token).await.unwrap_err(), Error::Revoked);
    issuer.set_keys(own);
    issuer.revoke(session(1), RevocationEffect::Ended);
    issuer.followed().await;
    assert!(verifier.verify(&token).await.is_ok());
}

#[tokio::test]
async fn nothing_passes_before_the_snapshot_is_whole() {
    let issuer = FakeIssuer::start().await;
    issuer.answer_feed(fails(500), 1);
    let (verifier, token) = (builder(&issuer).follow(feed(&issuer)).build().unwrap(), issuer.token());
    let error = verifier.verify(&token).await.unwrap_err();
    assert_eq!((error.status(), error), (503, Unavailable::FeedNotLoaded.into()));
    verifier.ready().await.unwrap();
    assert!(verifier.verify(&token).await.is_ok());
}

#[tokio::test]
async fn a_snapshot_of_many_pages_is_read_to_its_end() {
    let issuer = FakeIssuer::start().await;
    issuer.page_size(2);
    for n in 0..6 {
        issuer.revoke(session(n), RevocationEffect::Ended);
    }
    issuer.revoke(RevokedSubject::User(issuer.user), RevocationEffect::Blocked);
    let verifier = following(&issuer, feed(&issuer)).await;
    assert_eq!(verifier.verify(&issuer.token()).await.unwrap_err(), Error::Revoked);
    let asked = issuer.feed_asked();
    assert!(asked[0] == "wait=0&limit=500" && asked[3] == "wait=0&limit=500&after=1-6", "{asked:?}");
}

#[tokio::test]
async fn a_cursor_that_is_gone_leads_to_a_new_snapshot() {
    let issuer = FakeIssuer::start().await;
    issuer.revoke(RevokedSubject::User(issuer.user), RevocationEffect::Blocked);
    let verifier = following(&issuer, feed(&issuer)).await;
    assert_eq!(verifier.verify(&issuer.token()).await.unwrap_err(), Error::Revoked);
    // The backup knows nothing of the block, and the old cursor means nothing.
    issuer.restore();
    issuer.revoke(session(1), RevocationEffect::Ended);
    issuer.followed().await;
    assert!(verifier.verify(&issuer.token()).await.is_ok());
}

#[tokio::test]
async fn stale_news_are_no_news_and_everything_is_refused_until_there_are_new_ones() {
    let issuer = FakeIssuer::start().await;
    let feed = feed(&issuer).max_staleness(Duration::from_mins(10));
    let (verifier, token) = (following(&issuer, feed).await, issuer.token());
    issuer.followed().await;
    break_feed(&issuer, fails(500));
    issuer.asked_more_than(issuer.feed_asked().len() + 1).await;
    issuer.clock.advance(Duration::from_mins(10));
    assert!(verifier.verify(&token).await.is_ok());
    issuer.clock.advance(Duration::from_secs(1));
    let error = verifier.verify(&token).await.unwrap_err();
    assert_eq!((error.status(), error), (503, Unavailable::FeedStale.into()));
    issuer.recover();
    issuer.revoke(session(2), RevocationEffect::Ended);
    issuer.followed().await;
    assert!(verifier.verify(&token).await.is_ok());
}

#[tokio::test]
async fn a_page_that_is_not_this_clients_newest_page_is_refused() {
    let issuer = FakeIssuer::start().await;
    let access = issuer.token().into_bytes();
    let event = "Content-Type: application/secevent+jwt\r\n";
    let wrong = [
        Answer(200, event, access),
        Answer(200, event, b"{}".to_vec()),
        Answer(200, event, vec![b'a'; 2 * 1024 * 1024]),
        Answer(200, "Content-Type: text/html\r\n", b"<html>".to_vec()),
        Answer(204, "", Vec::new()),
        Answer(302, "Location: /t/acme/revocations\r\n", Vec::new()),
    ];
    for answer in wrong {
        issuer.answer_feed(answer.clone(), 10);
        let verifier = builder(&issuer).follow(feed(&issuer)).build().unwrap();
        // The second question comes after the first answer was refused.
        issuer.asked_more_than(issuer.feed_asked().len() + 1).await;
        let error = verifier.verify(&issuer.token()).await.unwrap_err();
        assert_eq!(error, Unavailable::FeedNotLoaded.into(), "{answer:?}");
        issuer.recover();
    }
    // Rightly signed, but by a cache that kept it.
    issuer.lag(Duration::from_secs(91));
    let verifier = builder(&issuer).follow(feed(&issuer)).build().unwrap();
    issuer.asked_more_than(issuer.feed_asked().len() + 1).await;
    assert_eq!(verifier.verify(&issuer.token()).await.unwrap_err(), Unavailable::FeedNotLoaded.into());
}

#[tokio::test]
async fn a_service_client_that_is_refused_is_told_so_and_lets_nobody_in() {
    let issuer = FakeIssuer::start().await;
    let stranger = Feed::new(issuer.client.as_str(), "wxs_wrong");
    let verifier = builder(&issuer).follow(stranger).build().unwrap();
    assert_eq!(verifier.ready().await, Err(Unavailable::FeedRefused.into()));
    assert_eq!(verifier.verify(&issuer.token()).await.unwrap_err().status(), 503);
}

#[tokio::test]
async fn more_revocations_than_fit_let_nobody_in() {
    let issuer = FakeIssuer::start().await;
    issuer.revoke(session(1), RevocationEffect::Ended);
    let verifier = following(&issuer, feed(&issuer).capacity(1)).await;
    assert!(verifier.verify(&issuer.token()).await.is_ok());
    issuer.revoke(RevokedSubject::User(UserId::from(uuid::Uuid::nil())), RevocationEffect::Blocked);
    // The page does not fit, then neither does the snapshot.
    issuer.asked_more_than(issuer.feed_asked().len() + 1).await;
    let error = verifier.verify(&issuer.token()).await.unwrap_err();
    assert_eq!((error.status(), error), (503, Unavailable::FeedFull.into()));

    let too_small = builder(&issuer).follow(feed(&issuer).capacity(1)).build().unwrap();
    assert_eq!(too_small.ready().await, Err(Unavailable::FeedFull.into()));
}

#[tokio::test]
async fn a_verifier_that_is_dropped_asks_no_more() {
    let issuer = FakeIssuer::start().await;
    let verifier = following(&issuer, feed(&issuer)).await;
    issuer.followed().await;
    let clone = verifier.clone();
    drop(verifier);
    issuer.revoke(session(1), RevocationEffect::Ended);
    issuer.followed().await;
    assert!(clone.verify(&issuer.token()).await.is_ok(), "a clone keeps it alive");
    drop(clone);
    let asked = issuer.feed_asked().len();
    issuer.revoke(session(2), RevocationEffect::Ended);
    // Another one needs three questions to come as far; were the first still there, there would be more.
    let _other = following(&issuer, feed(&issuer)).await;
    issuer.followed().await;
    assert_eq!(issuer.feed_asked().len(), asked + 2);
}
