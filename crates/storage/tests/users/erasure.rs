//! Erasing: what goes, what stays, and who may come back.

use futures_util::future::join_all;
use sea_orm::ConnectionTrait;
use wxgate_domain::{EraseCause, RevocationEffect, RevokedSubject, UserId, UserStatus};
use wxgate_storage::{Erased, OpenSessionError, Storage, StorageError};

use crate::logins::{Place, count, orphans, raw};
use crate::support::{TestDatabase, app_in_group, tenant, union_group};

/// A tenant with two apps in one union group.
async fn two_apps(storage: &Storage, slug: &str) -> [Place; 2] {
    let tenant = tenant(storage, slug).await;
    let group = union_group(storage, &tenant, "open").await;
    let first = app_in_group(storage, &tenant, &format!("wx-{slug}-1"), Some(group.id)).await;
    let second = app_in_group(storage, &tenant, &format!("wx-{slug}-2"), Some(group.id)).await;
    [Place { tenant: tenant.clone(), app: first }, Place { tenant, app: second }]
}

/// Erases a user; a login in the way only delays it.
async fn erase(storage: &Storage, place: &Place, user: UserId) -> Result<Erased, StorageError> {
    loop {
        let tx = storage.begin().await.unwrap();
        match tx.tenant(place.tenant.id).users().erase(user, EraseCause::Operator).await {
            Err(StorageError::Busy) => {}
            Err(error) => return Err(error),
            Ok(erased) => match tx.commit().await {
                Err(StorageError::Busy) => {}
                committed => return committed.map(|()| erased),
            },
        }
    }
}

async fn set_status(storage: &Storage, place: &Place, user: UserId, status: UserStatus) -> Result<(), StorageError> {
    let tx = storage.begin().await.unwrap();
    tx.tenant(place.tenant.id).users().set_status(user, status).await?;
    tx.commit().await
}

pub(crate) async fn nothing_stays_of_whoever_is_erased_but_digests(database: TestDatabase) {
    let storage = database.started().await;
    let [shop, club] = two_apps(&storage, "acme").await;
    let ada = shop.login(&storage, "oAda", Some("uAda")).await;
    let too = club.login(&storage, "oAdaToo", Some("uAda")).await;
    let eve = shop.login(&storage, "oEve", Some("uEve")).await;
    assert_eq!(too.user.id, ada.user.id);

    assert_eq!(erase(&storage, &shop, ada.user.id).await, Ok(Erased { identities: 2, sessions: 2 }));
    let scope = storage.tenant(shop.tenant.id);
    assert!(scope.user(ada.user.id).await.unwrap().is_none());
    for session in [ada.id, too.id] {
        assert!(scope.acting_session(session).await.unwrap().is_none());
        assert!(scope.replay_session(session).await.unwrap().is_none());
    }
    assert!(scope.acting_session(eve.id).await.unwrap().is_some());
    let feed = scope.revocations().page(None, 10).await.unwrap().entries;
    let mut told: Vec<_> = feed.iter().map(|entry| (entry.effect, entry.subject.clone())).collect();
    told.sort_by_key(|(_, subject)| subject.id());
    let mut ended = [ada.id, too.id].map(|session| (RevocationEffect::Ended, RevokedSubject::Session(session)));
    ended.sort_by_key(|(_, subject)| subject.id());
    assert_eq!(told, ended);
    for (table, rows) in [(r#""user""#, 1), ("identity", 1), ("union_member", 1), ("session", 1), ("tombstone", 3)] {
        assert_eq!(count(&database, table).await, rows, "{table}");
    }
    assert_eq!(erase(&storage, &shop, ada.user.id).await, Err(StorageError::NotFound));

    let again = shop.login(&storage, "oAda", Some("uAda")).await;
    assert!(again.is_new && again.user.id != ada.user.id);
    // Whoever comes back may be erased again.
    assert_eq!(erase(&storage, &shop, again.user.id).await, Ok(Erased { identities: 1, sessions: 1 }));
    storage.stop().await;
}

pub(crate) async fn a_ban_outlives_the_erasure_until_it_is_lifted(database: TestDatabase) {
    let storage = database.started().await;
    let [shop, club] = two_apps(&storage, "acme").await;
    let ada = shop.login(&storage, "oAda", Some("uAda")).await.user.id;
    set_status(&storage, &shop, ada, UserStatus::Blocked).await.unwrap();
    erase(&storage, &shop, ada).await.unwrap();

    let refused = Err(OpenSessionError::UserBlocked);
    assert_eq!(shop.try_login(&storage, "oAda", None).await, refused);
    assert_eq!(club.try_login(&storage, "oNewPhone", Some("uAda")).await, refused);
    // Also where several of their new identities come in one batch.
    let at_once = (0..8).map(|n| (if n % 2 == 0 { &shop } else { &club }, format!("oNew{n}")));
    let at_once = at_once.map(|(place, openid)| {
        let storage = &storage;
        async move { place.try_login(storage, &openid, Some("uAda")).await }
    });
    assert!(join_all(at_once).await.into_iter().all(|login| login == refused));
    assert!(club.try_login(&storage, "oAda", None).await.is_ok(), "the same openid elsewhere is somebody else");
    set_status(&storage, &shop, ada, UserStatus::Active).await.unwrap();
    assert!(shop.login(&storage, "oAda", Some("uAda")).await.is_new);

    // And the other way round: whoever erased themself can be blocked.
    let eve = shop.login(&storage, "oEve", None).await.user.id;
    erase(&storage, &shop, eve).await.unwrap();
    set_status(&storage, &shop, eve, UserStatus::Blocked).await.unwrap();
    assert_eq!(shop.try_login(&storage, "oEve", None).await, refused);
    assert_eq!(orphans(&database).await, 0);
    storage.stop().await;
}

pub(crate) async fn a_later_erasure_lifts_nobodys_ban(database: TestDatabase) {
    let storage = database.started().await;
    let [shop, club] = two_apps(&storage, "acme").await;
    let ada = shop.login(&storage, "oAda", Some("uAda")).await.user.id;
    set_status(&storage, &shop, ada, UserStatus::Blocked).await.unwrap();
    erase(&storage, &shop, ada).await.unwrap();
    // The unionid turns up again with an identity that was there all along.
    let other = club.login(&storage, "oOther", None).await.user.id;
    assert_eq!(club.try_login(&storage, "oOther", Some("uAda")).await, Err(OpenSessionError::UserBlocked));
    assert_eq!(club.login(&storage, "oOther", None).await.user.id, other);
    erase(&storage, &club, other).await.unwrap();
    assert_eq!(shop.try_login(&storage, "oFresh", Some("uAda")).await, Err(OpenSessionError::UserBlocked));
    storage.stop().await;
}

pub(crate) async fn logins_during_an_erasure_come_before_or_after_it(database: TestDatabase) {
    let storage = database.started().await;
    let [shop, club] = two_apps(&storage, "acme").await;
    let logins = [(shop.clone(), "oAda"), (club.clone(), "oAdaToo")].map(|(place, openid)| {
        let storage = storage.clone();
        tokio::spawn(async move {
            for _ in 0..40 {
                place.login(&storage, openid, Some("uAda")).await;
            }
        })
    });
    let mut erased = 0;
    while !logins.iter().all(tokio::task::JoinHandle::is_finished) {
        let found = storage.tenant(shop.tenant.id).users().page(None, 10).await.unwrap();
        assert!(found.len() <= 1, "one unionid, one user: {found:?}");
        for user in found {
            erased += usize::from(erase(&storage, &shop, user.id).await.is_ok());
        }
    }
    for login in logins {
        login.await.unwrap();
    }
    assert!(erased > 0);
    assert_eq!(orphans(&database).await, 0);
    storage.stop().await;
}

pub(crate) async fn a_backup_brings_nobody_back(database: TestDatabase) {
    let (_folder, journal, storage) = database.started_with_journal().await;
    let [shop, _] = two_apps(&storage, "acme").await;
    let ada = shop.login(&storage, "oAda", Some("uAda")).await.user;
    let eve = shop.login(&storage, "oEve", None).await.user;
    set_status(&storage, &shop, ada.id, UserStatus::Blocked).await.unwrap();
    for user in [ada.id, eve.id] {
        erase(&storage, &shop, user).await.unwrap();
    }
    let text = std::fs::read_to_string(journal.path()).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(!["oAda", "uAda", "oEve"].iter().any(|name| text.contains(name)), "{text}");

    // As a backup from before would have it: both users, the ban not yet, no tombstones.
    let raw = raw(&database).await;
    raw.execute_unprepared("DELETE FROM tombstone").await.unwrap();
    for user in [&ada, &eve] {
        crate::logins::bring_back(&raw, &shop, user, if user.id == ada.id { "oAda" } else { "oEve" }).await;
    }
    raw.close().await.unwrap();
    let replayed = storage.replay_erasures(&journal).await.unwrap();
    assert_eq!((replayed.entries, replayed.erased, replayed.unreadable), (2, 2, 0));
    assert_eq!(count(&database, r#""user""#).await, 0);
    assert_eq!(shop.try_login(&storage, "oAda", None).await, Err(OpenSessionError::UserBlocked));
    assert_eq!(shop.try_login(&storage, "oElsewhere", Some("uAda")).await, Err(OpenSessionError::UserBlocked));
    assert!(shop.login(&storage, "oEve", None).await.is_new);

    // The last word counts, and a replay says it again without harm.
    set_status(&storage, &shop, ada.id, UserStatus::Active).await.unwrap();
    let replayed = storage.replay_erasures(&journal).await.unwrap();
    assert_eq!((replayed.entries, replayed.erased), (3, 0));
    assert!(shop.try_login(&storage, "oAda", None).await.is_ok());
    storage.stop().await;
}

pub(crate) async fn another_tenant_erases_and_ends_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let [shop, _] = two_apps(&storage, "acme").await;
    let [other, _] = two_apps(&storage, "umbrella").await;
    let ada = shop.login(&storage, "oAda", Some("uAda")).await;
    assert_eq!(erase(&storage, &other, ada.user.id).await, Err(StorageError::NotFound));
    let tx = storage.begin().await.unwrap();
    assert_eq!(tx.tenant(other.tenant.id).users().end_session(ada.id).await, Err(StorageError::NotFound));
    drop(tx);
    let theirs = storage.tenant(other.tenant.id).users();
    assert!(theirs.page(None, 10).await.unwrap().is_empty());
    assert!(theirs.identities(&[ada.user.id]).await.unwrap().is_empty());
    assert!(storage.tenant(shop.tenant.id).acting_session(ada.id).await.unwrap().is_some());

    set_status(&storage, &shop, ada.user.id, UserStatus::Blocked).await.unwrap();
    erase(&storage, &shop, ada.user.id).await.unwrap();
    let lifted = set_status(&storage, &other, ada.user.id, UserStatus::Active).await;
    assert_eq!(lifted, Err(StorageError::NotFound));
    assert_eq!(shop.try_login(&storage, "oAda", None).await, Err(OpenSessionError::UserBlocked));
    assert!(other.try_login(&storage, "oAda", Some("uAda")).await.is_ok());

    let eve = shop.login(&storage, "oEve", None).await;
    let tx = storage.begin().await.unwrap();
    tx.tenant(shop.tenant.id).users().end_session(eve.id).await.unwrap();
    tx.commit().await.unwrap();
    assert!(storage.tenant(shop.tenant.id).acting_session(eve.id).await.unwrap().is_none());
    storage.stop().await;
}
