//! What is forgotten, and when.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::Query;
use wxgate_storage::{Storage, StorageError};

use crate::support::{TestDatabase, app, tenant};
use crate::support_rows as rows;

const MINUTE: Duration = Duration::from_mins(1);

/// Migrated, and checked once so that the instance exists, but with no sweep of its own running.
async fn not_running(database: &TestDatabase) -> Storage {
    database.started().await.stop().await;
    Storage::connect(database.config()).await.unwrap()
}

pub(crate) async fn replaced_session_keys_are_forgotten(database: TestDatabase) {
    let storage = not_running(&database).await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    let raw = database.raw().await;
    let ada = rows::user(&raw, acme.id, database.clock.now()).await;
    let mine = rows::identity(&raw, acme.id, shop.id, ada, "oAda").await.unwrap();
    let other = rows::identity(&raw, acme.id, shop.id, ada, "oEve").await.unwrap();
    let owner = (acme.id, shop.id);
    let first = rows::session(&raw, owner, mine, database.clock.now()).await.unwrap();
    let alone = rows::session(&raw, owner, other, database.clock.now()).await.unwrap();
    database.clock.advance(MINUTE);
    let second = rows::session(&raw, owner, mine, database.clock.now()).await.unwrap();

    let has_key = async || {
        let mut left = rows::sessions_with_key(&raw).await;
        left.sort();
        left
    };
    let sorted = |mut ids: Vec<_>| {
        ids.sort();
        ids
    };
    database.clock.advance(10 * MINUTE);
    storage.sweep().await.unwrap();
    assert_eq!(has_key().await, sorted(vec![first, alone, second]), "replaced ten minutes ago, not longer");
    database.clock.advance(Duration::from_secs(1));
    storage.sweep().await.unwrap();
    assert_eq!(has_key().await, sorted(vec![alone, second]), "whose key was never replaced keeps it");

    let third = rows::session(&raw, owner, mine, database.clock.now()).await.unwrap();
    database.clock.advance(11 * MINUTE);
    storage.sweep().await.unwrap();
    assert_eq!(has_key().await, sorted(vec![alone, third]), "the next sweep continues where the last one ended");
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn the_sweep_walks_many_sessions(database: TestDatabase) {
    let storage = not_running(&database).await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    let raw = database.raw().await;
    let ada = rows::user(&raw, acme.id, database.clock.now()).await;
    let identity = rows::identity(&raw, acme.id, shop.id, ada, "oAda").await.unwrap();
    // More than one piece, in one transaction so that the disk is asked once.
    raw.execute_unprepared(if database.engine == wxgate_storage::Engine::MySql {
        "START TRANSACTION"
    } else {
        "BEGIN"
    })
    .await
    .unwrap();
    let mut last = None;
    for _ in 0..1_100 {
        database.clock.advance(Duration::from_millis(5));
        let owner = (acme.id, shop.id);
        last = Some(rows::session(&raw, owner, identity, database.clock.now()).await.unwrap());
    }
    raw.execute_unprepared("COMMIT").await.unwrap();
    database.clock.advance(11 * MINUTE);
    storage.sweep().await.unwrap();
    assert_eq!(rows::sessions_with_key(&raw).await, [last.unwrap()]);
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn old_changes_are_purged(database: TestDatabase) {
    let storage = not_running(&database).await;
    tenant(&storage, "acme").await;
    database.clock.advance(23 * 60 * MINUTE);
    tenant(&storage, "umbrella").await;
    database.clock.advance(61 * MINUTE);
    storage.sweep().await.unwrap();
    let raw = database.raw().await;
    let query = Query::select().column("seq").from("change").to_owned();
    let left: Vec<i64> =
        raw.query_all(&query).await.unwrap().iter().map(|row| row.try_get("", "seq").unwrap()).collect();
    assert_eq!(left, [2]);
    // Numbers go on from where they were.
    tenant(&storage, "initech").await;
    assert_eq!(raw.query_all(&query).await.unwrap().len(), 2);
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn one_step_that_fails_keeps_no_other_from_its_work(database: TestDatabase) {
    let storage = not_running(&database).await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    let raw = database.raw().await;
    let ada = rows::user(&raw, acme.id, database.clock.now()).await;
    let identity = rows::identity(&raw, acme.id, shop.id, ada, "oAda").await.unwrap();
    rows::session(&raw, (acme.id, shop.id), identity, database.clock.now()).await.unwrap();
    // A policy that no version wrote: how long its sessions live, nobody knows.
    raw.execute_unprepared("UPDATE tenant SET policy = 'nonsense'").await.unwrap();
    database.clock.advance(25 * 60 * MINUTE);
    let failed = storage.sweep().await.unwrap_err();
    assert_eq!(failed, StorageError::Inconsistent { table: "tenant", column: "policy" });
    let left = raw.query_all(&Query::select().column("seq").from("change").to_owned()).await.unwrap();
    assert!(left.is_empty(), "the last step was taken: {left:?}");
    raw.close().await.unwrap();
    storage.stop().await;
}
