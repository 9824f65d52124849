//! The feed of what ended, as a follower reads it.

use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::ConnectionTrait;
use wxgate_domain::{EndReason, Revocation, RevocationEffect, RevokedSubject, UserStatus};
use wxgate_storage::{ChangeKind, FeedError, Storage};

use crate::device::{Device, logged_in, place, set_user_status};
use crate::support::TestDatabase;

/// Everything from a cursor on, and the next cursor.
async fn read(storage: &Storage, device: &Device, after: Option<String>, limit: u64) -> (Vec<Revocation>, String) {
    let feed = storage.tenant(device.place.tenant.id).revocations();
    let (mut cursor, mut entries) = (after, Vec::new());
    loop {
        let page = feed.page(cursor.as_deref(), limit).await.unwrap();
        assert!(page.entries.len() as u64 <= limit);
        entries.extend(page.entries);
        if !page.more {
            return (entries, page.cursor);
        }
        cursor = Some(page.cursor);
    }
}

async fn logout(storage: &Storage, device: &Device) {
    let tenant = storage.tenant(device.place.tenant.id);
    assert_eq!(tenant.end_sessions(&[device.session.id], None, EndReason::Logout).await.unwrap(), 1);
}

fn subjects(entries: &[Revocation]) -> Vec<(RevokedSubject, RevocationEffect)> {
    entries.iter().map(|entry| (entry.subject.clone(), entry.effect)).collect()
}

pub(crate) async fn entries_are_numbered_and_read_in_pages(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let (nothing, beginning) = read(&storage, &phone, None, 2).await;
    assert_eq!(nothing, []);
    let mut ended = Vec::new();
    for _ in 0..5 {
        let device = Device::login(&storage, &database, &phone.place, "oAda").await;
        logout(&storage, &device).await;
        ended.push((RevokedSubject::Session(device.session.id), RevocationEffect::Ended));
    }
    set_user_status(&storage, &phone, UserStatus::Blocked).await;
    ended.push((RevokedSubject::User(phone.session.user.id), RevocationEffect::Blocked));
    ended.push((RevokedSubject::Session(phone.session.id), RevocationEffect::Ended));
    for after in [None, Some(beginning)] {
        let (entries, cursor) = read(&storage, &phone, after, 2).await;
        assert_eq!(subjects(&entries), ended);
        assert!(entries.iter().map(|entry| entry.seq).eq(1..=7));
        assert_eq!(read(&storage, &phone, Some(cursor), 2).await.0, []);
    }
    let (entries, _) = read(&storage, &phone, None, 10).await;
    assert!(entries[0].expires.unwrap() > database.clock.now().plus(phone.policy.access_token_life()));
    assert_eq!(entries[5].expires, None, "a block has no end of its own");
    storage.stop().await;
}

/// A token that was issued to live for a day is still refused when the policy has become stricter since.
pub(crate) async fn an_end_is_told_for_as_long_as_the_longest_token_lives(database: TestDatabase) {
    let (storage, mut phone) = logged_in(&database).await;
    phone.policy.access_token_seconds = 86_400;
    phone.refresh(&storage, 0).await.unwrap();
    let issued = database.clock.now();
    phone.policy.access_token_seconds = 60;
    phone.refresh(&storage, 1).await.unwrap();
    logout(&storage, &phone).await;
    let (entries, _) = read(&storage, &phone, None, 10).await;
    assert!(entries[0].expires.unwrap() >= issued.plus(Duration::from_hours(24)), "{entries:?}");
    storage.stop().await;
}

pub(crate) async fn cursors_of_others_and_from_before_a_restore_are_gone(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    logout(&storage, &phone).await;
    let (_, cursor) = read(&storage, &phone, None, 10).await;
    let umbrella = place(&storage, "umbrella", "wxbbbbbbbbbbbbbbbb").await;
    let theirs = storage.tenant(umbrella.tenant.id).revocations();
    assert_eq!(theirs.page(Some(&cursor), 10).await.unwrap_err(), FeedError::Gone);
    let ours = storage.tenant(phone.place.tenant.id).revocations();
    for nonsense in ["", "AQ", "not a cursor", &cursor[1..]] {
        assert_eq!(ours.page(Some(nonsense), 10).await.unwrap_err(), FeedError::Gone, "{nonsense}");
    }
    assert_eq!(ours.page(Some(&cursor), 10).await.unwrap().entries, []);
    storage.restored().await.unwrap();
    assert_eq!(ours.page(Some(&cursor), 10).await.unwrap_err(), FeedError::Gone);
    storage.stop().await;
}

/// Both lives begin with the same rows, and number what they revoke alike.
pub(crate) async fn refuses_the_cursor_of_another_life_of_the_same_backup(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let restored = storage.restored().await.unwrap();
    let (_, cursor) = read(&storage, &phone, None, 10).await;
    let raw = database.raw().await;
    raw.execute_unprepared("UPDATE instance SET restore_epoch = 0").await.unwrap();
    raw.close().await.unwrap();
    assert_ne!(storage.restored().await.unwrap(), restored);
    let ours = storage.tenant(phone.place.tenant.id).revocations();
    assert_eq!(ours.page(Some(&cursor), 10).await.unwrap_err(), FeedError::Gone);
    storage.stop().await;
}

pub(crate) async fn numbers_have_no_gaps_under_concurrent_ends(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let other = database.started().await;
    let mut devices = Vec::new();
    for n in 0..60 {
        devices.push(Device::login(&storage, &database, &phone.place, &format!("oGuest{n}")).await);
    }
    let follower = async {
        let (mut cursor, mut seen) = (None, Vec::new());
        while seen.len() < 60 {
            let (entries, next) = read(&other, &phone, cursor, 7).await;
            seen.extend(entries.into_iter().map(|entry| entry.seq));
            cursor = Some(next);
        }
        seen
    };
    let ends = join_all(devices.iter().enumerate().map(|(index, device)| {
        let through = if index % 2 == 0 { &storage } else { &other };
        logout(through, device)
    }));
    let (seen, _) = tokio::join!(follower, ends);
    assert!(seen.iter().copied().eq(1..=60), "a follower saw {seen:?}");
    storage.stop().await;
    other.stop().await;
}

pub(crate) async fn a_follower_that_fell_behind_must_begin_anew(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let (_, behind) = read(&storage, &phone, None, 10).await;
    let later = Device::login(&storage, &database, &phone.place, "oBob").await;
    set_user_status(&storage, &later, UserStatus::Blocked).await;
    logout(&storage, &phone).await;
    database.clock.advance(Duration::from_hours(25));
    storage.sweep().await.unwrap();
    let feed = storage.tenant(phone.place.tenant.id).revocations();
    assert_eq!(feed.page(Some(&behind), 10).await.unwrap_err(), FeedError::Gone);
    // What still holds is in the snapshot, however old it is, and every page of it can be read.
    let (entries, cursor) = read(&storage, &phone, None, 1).await;
    assert_eq!(subjects(&entries), [(RevokedSubject::User(later.session.user.id), RevocationEffect::Blocked)]);
    assert_eq!(feed.page(Some(&cursor), 10).await.unwrap().entries, []);
    storage.stop().await;
}

pub(crate) async fn a_lifted_block_is_no_news_to_newcomers(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    set_user_status(&storage, &phone, UserStatus::Blocked).await;
    let (_, follower) = read(&storage, &phone, None, 10).await;
    set_user_status(&storage, &phone, UserStatus::Active).await;
    let user = RevokedSubject::User(phone.session.user.id);
    let (entries, _) = read(&storage, &phone, Some(follower), 10).await;
    assert_eq!(subjects(&entries), [(user.clone(), RevocationEffect::Lifted)]);
    database.clock.advance(Duration::from_mins(2));
    storage.sweep().await.unwrap();
    let (entries, _) = read(&storage, &phone, None, 10).await;
    assert!(!subjects(&entries).contains(&(user, RevocationEffect::Blocked)));
    storage.stop().await;
}

pub(crate) async fn another_process_hears_of_an_end(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let other = database.started().await;
    let (mut own, mut theirs) = (storage.changes(), other.changes());
    logout(&storage, &phone).await;
    for changes in [&mut own, &mut theirs] {
        let heard = async {
            loop {
                let change = changes.recv().await.unwrap();
                if change.kind == ChangeKind::Revocation {
                    return change.tenant;
                }
            }
        };
        let tenant = tokio::time::timeout(Duration::from_secs(5), heard).await.unwrap();
        assert_eq!(tenant, Some(phone.place.tenant.id));
    }
    let all = storage.revocations(10).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].0, phone.place.tenant.id);
    assert_eq!(storage.tenant(all[0].0).revocations().after(0, 10).await.unwrap(), [all[0].1.clone()]);
    assert_eq!(storage.tenant(all[0].0).revocations().after(1, 10).await.unwrap(), []);
    storage.stop().await;
    other.stop().await;
}
