//! One turn after another, and every way in which a token can be out of turn.

use std::time::Duration;

use futures_util::future::join_all;
use wxgate_domain::{EndReason, RevokedSubject};
use wxgate_storage::{NotRefreshed, RefreshSessionError, StorageError};

use crate::device::{Device, logged_in, place};
use crate::logins::Place;
use crate::support::{self, TestDatabase};

fn ended_now(device: &Device, reason: EndReason) -> NotRefreshed {
    NotRefreshed::EndedNow(reason, device.session.id)
}

pub(crate) async fn a_session_moves_on_turn_by_turn(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    for turn in 0..5 {
        database.clock.advance(Duration::from_hours(1));
        let refreshed = phone.refresh(&storage, turn).await.unwrap();
        assert_eq!((refreshed.generation, refreshed.repeated), (turn + 1, false));
        assert_eq!((refreshed.id, refreshed.user), (phone.session.id, phone.session.user.id));
        assert_eq!((refreshed.app, &refreshed.openid), (phone.place.app.id, &phone.session.openid));
        assert_eq!(refreshed.expires_at, database.clock.now().plus(phone.policy.refresh_idle()));
    }
    storage.stop().await;
}

pub(crate) async fn fifty_parallel_refreshes_make_one_turn(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let refreshed = join_all((0..50).map(|_| phone.refresh(&storage, 0))).await;
    let refreshed: Vec<_> = refreshed.into_iter().map(Result::unwrap).collect();
    assert!(refreshed.iter().all(|session| session.generation == 1));
    assert_eq!(refreshed.iter().filter(|session| !session.repeated).count(), 1);
    assert_eq!(phone.refresh(&storage, 1).await.unwrap().generation, 2);
    storage.stop().await;
}

pub(crate) async fn a_lost_answer_is_given_again_inside_the_window(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let first = phone.refresh(&storage, 0).await.unwrap();
    database.clock.advance(Duration::from_secs(29));
    let again = phone.refresh(&storage, 0).await.unwrap();
    assert!(again.repeated);
    assert_eq!((again.generation, again.mac_key), (first.generation, first.mac_key), "the same token is made of it");
    // The window closes when the successor is used.
    phone.refresh(&storage, 1).await.unwrap();
    assert_eq!(phone.refresh(&storage, 0).await.unwrap_err(), ended_now(&phone, EndReason::Reuse));
    storage.stop().await;
}

pub(crate) async fn what_comes_too_late_ends_the_session_as_a_lost_answer(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    phone.refresh(&storage, 0).await.unwrap();
    database.clock.advance(Duration::from_secs(30));
    assert_eq!(phone.refresh(&storage, 0).await.unwrap_err(), ended_now(&phone, EndReason::LostAnswer));
    for generation in 0..3 {
        let refused = phone.refresh(&storage, generation).await.unwrap_err();
        assert_eq!(refused, NotRefreshed::Ended(EndReason::LostAnswer));
    }
    storage.stop().await;
}

pub(crate) async fn reuse_of_an_old_token_ends_the_session(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    for turn in 0..3 {
        phone.refresh(&storage, turn).await.unwrap();
    }
    assert_eq!(phone.stolen().refresh(&storage, 0).await.unwrap_err(), ended_now(&phone, EndReason::Reuse));
    assert_eq!(phone.refresh(&storage, 3).await.unwrap_err(), NotRefreshed::Ended(EndReason::Reuse));
    storage.stop().await;
}

pub(crate) async fn a_token_of_a_turn_that_is_not_there_yet_ends_the_session(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    assert_eq!(phone.refresh(&storage, 7).await.unwrap_err(), ended_now(&phone, EndReason::StateLost));
    storage.stop().await;
}

pub(crate) async fn replay_is_refused_by_another_process_and_after_a_restart(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    phone.refresh(&storage, 0).await.unwrap();
    let other = database.started().await;
    assert_eq!(phone.refresh(&other, 1).await.unwrap().generation, 2);
    storage.stop().await;
    let again = database.started().await;
    assert_eq!(phone.refresh(&again, 0).await.unwrap_err(), ended_now(&phone, EndReason::Reuse));
    assert_eq!(phone.refresh(&other, 2).await.unwrap_err(), NotRefreshed::Ended(EndReason::Reuse));
    other.stop().await;
    again.stop().await;
}

pub(crate) async fn another_tenant_and_another_app_refresh_nothing(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let umbrella = place(&storage, "umbrella", "wxbbbbbbbbbbbbbbbb").await;
    let sister = support::app(&storage, &phone.place.tenant, "wxcccccccccccccccc").await;
    let foreign = phone.refresh_as(&storage, umbrella.tenant.id, None, 0).await.unwrap_err();
    assert_eq!(foreign, NotRefreshed::Unknown);
    let own = phone.place.tenant.id;
    let theirs = &storage.tenant(umbrella.tenant.id).refresh_keys(phone.session.mac_key).await.unwrap();
    assert_eq!(phone.refresh_by(&storage, theirs).await, Err(RefreshSessionError::Storage(StorageError::NotFound)));
    assert_eq!(phone.refresh_as(&storage, own, Some(sister.id), 0).await.unwrap_err(), NotRefreshed::OtherApp);
    assert_eq!(phone.refresh_as(&storage, own, Some(phone.place.app.id), 0).await.unwrap().generation, 1);
    storage.stop().await;
}

pub(crate) async fn a_session_that_idled_is_over(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    database.clock.advance(phone.policy.refresh_idle());
    assert_eq!(phone.refresh(&storage, 0).await.unwrap_err(), NotRefreshed::Ended(EndReason::Expired));
    storage.stop().await;
}

pub(crate) async fn the_twenty_first_session_ends_the_first(database: TestDatabase) {
    let (storage, first) = logged_in(&database).await;
    let tenant = storage.tenant(first.place.tenant.id);
    let login = async || {
        database.clock.advance(Duration::from_secs(30));
        Device::login(&storage, &database, &first.place, "oAda").await
    };
    let second = login().await;
    for _ in 2..20 {
        login().await;
    }
    // The same person in a sister app and somebody else in this one: other identities, which do not count.
    let sister = support::app(&storage, &first.place.tenant, "wxcccccccccccccccc").await;
    Device::login(&storage, &database, &Place { app: sister, ..first.place.clone() }, "oAda").await;
    Device::login(&storage, &database, &first.place, "oBob").await;
    assert_eq!(first.refresh(&storage, 0).await.unwrap().generation, 1);
    assert_eq!(tenant.revocations().page(None, 10).await.unwrap().entries, []);

    let newest = login().await;
    assert!(tenant.live_session(first.session.id).await.unwrap().is_none());
    assert_eq!(first.refresh(&storage, 1).await.unwrap_err(), NotRefreshed::Ended(EndReason::Crowded));
    for live in [&second, &newest] {
        assert_eq!(live.refresh(&storage, 0).await.unwrap().generation, 1);
    }
    // Its access token lives on, so verifiers hear of it.
    let entries = tenant.revocations().page(None, 10).await.unwrap().entries;
    assert_eq!(
        entries.iter().map(|entry| &entry.subject).collect::<Vec<_>>(),
        [&RevokedSubject::Session(first.session.id)]
    );
    // Long after the last tokens of the others ended, there is nothing to say of them.
    database.clock.advance(Duration::from_hours(2));
    login().await;
    assert_eq!(tenant.live_sessions(first.session.user.id).await.unwrap().len(), 20);
    assert_eq!(tenant.revocations().page(None, 10).await.unwrap().entries.len(), 1);
    storage.stop().await;
}

pub(crate) async fn a_stranger_who_repeats_every_turn_ends_the_session(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let thief = phone.stolen();
    for turn in 0..3 {
        assert!(!phone.refresh(&storage, turn).await.unwrap().repeated);
        assert!(thief.refresh(&storage, turn).await.unwrap().repeated);
        assert!(thief.refresh(&storage, turn).await.unwrap().repeated);
    }
    phone.refresh(&storage, 3).await.unwrap();
    assert_eq!(thief.refresh(&storage, 3).await.unwrap_err(), ended_now(&phone, EndReason::Contested));
    assert_eq!(phone.refresh(&storage, 4).await.unwrap_err(), NotRefreshed::Ended(EndReason::Contested));
    storage.stop().await;
}
