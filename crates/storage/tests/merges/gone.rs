//! Whoever is gone: where their id leads, how a ban holds, and what an erasure takes along.

use sea_orm::ConnectionTrait;
use uuid::Uuid;
use wxgate_domain::{Profile, RevocationEffect, RevokedSubject, UserStatus};
use wxgate_storage::{NotMerged, NotUnmerged, OpenSessionError, StorageError};

use crate::couple::{couple, house};
use crate::logins::{count, raw};
use crate::rows;
use crate::support::TestDatabase;

pub(crate) async fn the_old_id_leads_to_the_survivor_everywhere(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    house.merge(&storage, one.user.id, other.user.id).await.unwrap();
    let scope = storage.tenant(house.shop.tenant.id);
    assert_eq!(house.user(&storage, one.user.id).await.unwrap().id, other.user.id);
    assert!(scope.merges().is_one_user(one.user.id, other.user.id).await.unwrap());
    assert!(!scope.merges().is_one_user(other.user.id, one.user.id).await.unwrap());
    scope.update_profile(one.user.id, &Profile::shown(Some("Ada"), None)).await.unwrap();
    assert_eq!(house.user(&storage, other.user.id).await.unwrap().profile.nickname.as_deref(), Some("Ada"));
    let listed: Vec<_> = scope.users().page(None, 10).await.unwrap().iter().map(|user| user.id).collect();
    assert_eq!(listed, [other.user.id], "a list has each person once");

    // A block by the old id is a block of the person, under all their ids.
    house.set_status(&storage, one.user.id, UserStatus::Blocked).await.unwrap();
    for (place, openid) in [(&house.shop, "oAda"), (&house.alone, "oOther")] {
        assert_eq!(place.try_login(&storage, openid, None).await, Err(OpenSessionError::UserBlocked), "{openid}");
    }
    let told = async |effect| {
        let feed = scope.revocations().page(None, 100).await.unwrap().entries;
        let of = |id| feed.iter().any(|told| told.effect == effect && told.subject == RevokedSubject::User(id));
        of(one.user.id) && of(other.user.id)
    };
    assert!(told(RevocationEffect::Blocked).await);
    house.set_status(&storage, one.user.id, UserStatus::Active).await.unwrap();
    assert!(told(RevocationEffect::Lifted).await);
    storage.stop().await;
}

pub(crate) async fn a_ban_is_never_escaped_by_merging(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    house.set_status(&storage, one.user.id, UserStatus::Blocked).await.unwrap();
    for (gone, into) in [(one.user.id, other.user.id), (other.user.id, one.user.id)] {
        assert_eq!(house.merge(&storage, gone, into).await, Err(NotMerged::Blocked));
    }
    assert_eq!(house.shop.try_login(&storage, "oAda", None).await, Err(OpenSessionError::UserBlocked));
    storage.stop().await;
}

pub(crate) async fn erasing_the_survivor_takes_everybody_along(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    let third = house.alone.login(&storage, "oThird", None).await;
    let first = house.merge(&storage, one.user.id, other.user.id).await.unwrap();
    house.merge(&storage, other.user.id, third.user.id).await.unwrap();
    // By the oldest of their ids.
    let erased = house.erase(&storage, one.user.id).await.unwrap();
    assert_eq!((erased.identities, erased.sessions), (3, 3));
    for table in [r#""user""#, "identity", "union_member", "session", "merge", "merge_candidate"] {
        assert_eq!(count(&database, table).await, 0, "{table}");
    }
    assert_eq!(count(&database, "tombstone").await, 4, "three accounts and a unionid");
    for user in [one.user.id, other.user.id, third.user.id] {
        assert!(house.user(&storage, user).await.is_none());
    }
    let undone = house.undo(&storage, &first, None).await;
    assert_eq!(undone, Err(NotUnmerged::Storage(StorageError::NotFound)));
    storage.stop().await;
}

pub(crate) async fn a_backup_from_before_the_merge_brings_nobody_back(database: TestDatabase) {
    let (_folder, journal, storage) = database.started_with_journal().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    house.merge(&storage, one.user.id, other.user.id).await.unwrap();
    house.erase(&storage, other.user.id).await.unwrap();

    // As the backup has it: two users, no merge, no tombstones.
    let raw = raw(&database).await;
    raw.execute_unprepared("DELETE FROM tombstone").await.unwrap();
    crate::logins::bring_back(&raw, &house.shop, &one.user, "oAda").await;
    crate::logins::bring_back(&raw, &house.alone, &other.user, "oOther").await;
    raw.close().await.unwrap();
    let replayed = storage.replay_erasures(&journal).await.unwrap();
    assert_eq!((replayed.entries, replayed.erased, replayed.unreadable), (2, 2, 0));
    assert_eq!((count(&database, r#""user""#).await, count(&database, "tombstone").await), (0, 3));

    // A backup from in between has them as one, and takes them along too.
    let (one, other) = couple(&storage, &house).await;
    house.merge(&storage, one.user.id, other.user.id).await.unwrap();
    assert_eq!(storage.replay_erasures(&journal).await.unwrap().erased, 0, "these are new users");
    storage.stop().await;
}

/// The backup has two users as one; after it they were told apart, and the one who was back was erased.
pub(crate) async fn whoever_was_told_apart_and_erased_stays_erased(database: TestDatabase) {
    let (_folder, journal, storage) = database.started_with_journal().await;
    let house = house(&storage, "acme").await;
    let tenant = house.shop.tenant.id;
    let raw = raw(&database).await;
    // What moved is still in the backup, or it is forgotten there.
    for forgotten in [false, true] {
        let (one, other) = couple(&storage, &house).await;
        let merge = house.merge(&storage, one.user.id, other.user.id).await.unwrap();
        let account: Uuid = rows::first(&raw, "identity", "id", ("openid", b"oAda".to_vec().into())).await;
        let moved: Vec<u8> = rows::first(&raw, "merge", "moved", ("id", merge.id.uuid().into())).await;
        house.undo(&storage, &merge, None).await.unwrap();
        assert_eq!(house.erase(&storage, one.user.id).await.unwrap().identities, 1);

        // As the backup has it, restored when it is too late to undo.
        database.clock.advance(std::time::Duration::from_hours(24 * 8));
        raw.execute_unprepared("DELETE FROM tombstone").await.unwrap();
        let (unionid, at) = (b"uAda".to_vec(), 0_i64);
        let row = vec![
            ("id", account.into()),
            ("tenant_id", tenant.uuid().into()),
            ("app_id", house.shop.app.id.uuid().into()),
            ("openid", b"oAda".to_vec().into()),
            ("unionid", unionid.clone().into()),
            ("user_id", other.user.id.uuid().into()),
            ("created_at", at.into()),
        ];
        rows::insert(&raw, "identity", row).await.unwrap();
        let member = vec![
            ("tenant_id", tenant.uuid().into()),
            ("union_group_id", house.shop.app.union_group.unwrap().uuid().into()),
            ("unionid", unionid.into()),
            ("user_id", other.user.id.uuid().into()),
            ("created_at", at.into()),
        ];
        rows::insert(&raw, "union_member", member).await.unwrap();
        let mut alias = vec![
            ("id", merge.id.uuid().into()),
            ("tenant_id", tenant.uuid().into()),
            ("gone_id", one.user.id.uuid().into()),
            ("user_id", other.user.id.uuid().into()),
            ("into_id", other.user.id.uuid().into()),
            ("cause", merge.cause.as_str().into()),
            ("at", merge.at.millis().into()),
            ("undo_until", merge.undo_until.millis().into()),
        ];
        if !forgotten {
            alias.push(("moved", moved.into()));
        }
        rows::insert(&raw, "merge", alias).await.unwrap();

        assert_eq!(storage.replay_erasures(&journal).await.unwrap().unreadable, 0);
        assert!(house.user(&storage, one.user.id).await.is_none());
        assert!(house.user(&storage, other.user.id).await.is_some(), "who was not erased stays");
        for (table, left) in [("identity", 1), ("union_member", 0), ("merge", 0), (r#""user""#, 1)] {
            assert_eq!(count(&database, table).await, left, "{table}, forgotten: {forgotten}");
        }
        assert!(count(&database, "tombstone").await >= 2);
        house.erase(&storage, other.user.id).await.unwrap();
    }
    raw.close().await.unwrap();
    storage.stop().await;
}
