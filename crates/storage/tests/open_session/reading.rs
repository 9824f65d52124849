//! Reading sessions back.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use wxgate_crypto::user_data::SessionKey;
use wxgate_domain::{NewSession, OpenedSession, UserStatus};
use wxgate_storage::Storage;

use crate::logins::{self, Place};
use crate::support::{self, START, TestDatabase};

async fn place(storage: &Storage) -> Place {
    let tenant = support::tenant(storage, "acme").await;
    let group = support::union_group(storage, &tenant, "One").await.id;
    let app = support::app_in_group(storage, &tenant, "wxaaaaaaaaaaaaaaaa", Some(group)).await;
    Place { tenant, app }
}

async fn replayed(storage: &Storage, place: &Place, opened: &OpenedSession) -> Option<OpenedSession> {
    storage.tenant(place.tenant.id).replay_session(opened.id).await.unwrap()
}

pub(crate) async fn a_repeated_login_reads_the_same_session(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage).await;
    let first = shop.login(&storage, "ada", Some("union")).await;
    let later = START.plus(Duration::from_secs(5));
    let scope = storage.tenant(shop.tenant.id);
    let second = scope.open_session(shop.session_at("ada", None, 7, later)).await.unwrap();
    for opened in [&first, &second] {
        assert!(opened.session_key.is_some());
        // WeChat's key does not come back with it.
        let read = OpenedSession { session_key: None, ..opened.clone() };
        assert_eq!(replayed(&storage, &shop, opened).await, Some(read));
    }
    let stranger = support::tenant(&storage, "stranger").await;
    assert_eq!(storage.tenant(stranger.id).replay_session(first.id).await.unwrap(), None);
    storage.stop().await;
}

pub(crate) async fn a_session_is_replayed_only_while_it_is_live(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage).await;
    let raw = logins::raw(&database).await;
    let ends = [
        "UPDATE session SET ended_at = 1",
        "UPDATE session SET generation = 1",
        r#"UPDATE "user" SET sessions_epoch = sessions_epoch + 1"#,
        "UPDATE app SET sessions_epoch = sessions_epoch + 1",
        "UPDATE tenant SET sessions_epoch = sessions_epoch + 1",
        r#"UPDATE "user" SET status = 'blocked'"#,
    ];
    let mut now = shop.clone();
    for end in ends {
        let opened = now.login(&storage, "ada", None).await;
        assert!(replayed(&storage, &now, &opened).await.is_some(), "before {end}");
        raw.execute_unprepared(end).await.unwrap();
        assert_eq!(replayed(&storage, &now, &opened).await, None, "{end}");
        now.app.sessions_epoch += u32::from(end.contains("app"));
        now.tenant.sessions_epoch += u32::from(end.contains("tenant"));
    }
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn the_key_ring_holds_the_newest_keys(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage).await;
    let scope = storage.tenant(shop.tenant.id);
    let openid = "ada".parse().unwrap();
    let minute = |n: u64| START.plus(Duration::from_secs(60 * n));
    let ring = async |at| -> Vec<u8> {
        let keys = scope.key_ring(shop.app.id, &openid, minute(at)).await.unwrap();
        keys.iter().map(|key| key.bytes().expose()[0]).collect()
    };
    assert!(ring(0).await.is_empty());
    for (at, key) in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (5, 4)] {
        scope.open_session(shop.session_at("ada", None, key, minute(at))).await.unwrap();
    }
    // Somebody else's keys never mix in.
    scope.open_session(shop.session_at("bob", None, 9, minute(5))).await.unwrap();
    assert_eq!(ring(5).await, [4, 3, 2]);
    // Key 2 was superseded in minute 4, key 3 in minute 5.
    assert_eq!(ring(14).await, [4, 3, 2]);
    assert_eq!(ring(15).await, [4, 3]);
    assert_eq!(ring(16).await, [4]);
    assert_eq!(ring(60 * 24 * 365).await, [4]);
    // A key that comes back is current, and counts once.
    scope.open_session(shop.session_at("ada", None, 3, minute(6))).await.unwrap();
    assert_eq!(ring(6).await, [3, 4, 2]);
    // The ring outlives the sessions: the user may still open what the key of a lost session encrypted.
    let user = scope.open_session(shop.session_at("ada", None, 3, minute(7))).await.unwrap().user.id;
    let tx = storage.begin().await.unwrap();
    tx.tenant(shop.tenant.id).users().set_status(user, UserStatus::Blocked).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ring(7).await, [3, 4, 2]);
    storage.stop().await;
}

pub(crate) async fn a_proof_keeps_its_key_and_is_nobody_s_session(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage).await;
    let scope = storage.tenant(shop.tenant.id);
    let openid = "ada".parse().unwrap();
    let own = shop.login(&storage, "ada", None).await;
    // One more than allowed, were it a session.
    let proof = NewSession {
        is_proof: true,
        max_sessions: 1,
        ..shop.session_at("ada", None, 9, START.plus(Duration::from_secs(1)))
    };
    let proof = scope.open_session(proof).await.unwrap();
    assert_eq!(proof.user, own.user);
    let live = scope.live_sessions(own.user.id).await.unwrap();
    assert_eq!(live.iter().map(|live| live.id).collect::<Vec<_>>(), [own.id]);
    assert_eq!(scope.live_session(proof.id).await.unwrap(), None);
    assert!(scope.live_session(own.id).await.unwrap().is_some());
    assert!(replayed(&storage, &shop, &proof).await.is_some(), "a proof that is repeated is one");
    // The key is WeChat's current one, for as long as a session would have kept it.
    let newest = async || scope.key_ring(shop.app.id, &openid, database.clock.now()).await.unwrap().remove(0);
    assert!(newest().await == SessionKey::from_bytes([9; 16]));
    database.clock.advance(Duration::from_hours(48));
    storage.sweep().await.unwrap();
    assert!(newest().await == SessionKey::from_bytes([9; 16]));
    assert_eq!(logins::count(&database, "session").await, 2);
    // A newer key takes its place, and then nothing holds the row.
    scope.open_session(shop.session_at("ada", None, 10, database.clock.now())).await.unwrap();
    database.clock.advance(Duration::from_hours(1));
    for _ in 0..2 {
        storage.sweep().await.unwrap();
    }
    assert!(newest().await == SessionKey::from_bytes([10; 16]));
    assert_eq!(logins::count(&database, "session").await, 2);
    storage.stop().await;
}
