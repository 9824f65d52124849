//! The history of the schema on every engine.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::Query;
use uuid::Uuid;
use wxgate_migrations::{Migrator, MigratorTrait};
use wxgate_storage::{StartError, Storage};

use crate::support::{TestDatabase, app, tenant};
use crate::support_rows as rows;

pub(crate) async fn up_down_up(database: TestDatabase) {
    let storage = Storage::connect(database.config()).await.unwrap();
    let before = storage.migration_status().await.unwrap();
    assert!(before.applied.is_empty() && !before.pending.is_empty());
    storage.migrate().await.unwrap();
    assert!(storage.migration_status().await.unwrap().is_current());
    let raw = database.raw().await;
    Migrator::down(&raw, None).await.unwrap();
    assert_eq!(storage.migration_status().await.unwrap(), before);
    storage.migrate().await.unwrap();
    storage.migrate().await.unwrap();
    storage.start().await.unwrap();
    tenant(&storage, "acme").await;
    raw.close().await.unwrap();
    storage.stop().await;
}

/// A session that was there before the table of sessions was made anew is there afterwards, and back again.
pub(crate) async fn sessions_outlive_the_change_of_their_table(database: TestDatabase) {
    let storage = Storage::connect(database.config()).await.unwrap();
    storage.migrate().await.unwrap();
    storage.start().await.unwrap();
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    let raw = database.raw().await;
    let now = database.clock.now();
    let ada = rows::user(&raw, acme.id, now).await;
    let identity = rows::identity(&raw, acme.id, shop.id, ada, "oAda").await.unwrap();
    let session = rows::session(&raw, (acme.id, shop.id), identity, now).await.unwrap();

    let later = u32::try_from(Migrator::migrations().len() - 1).unwrap();
    Migrator::down(&raw, Some(later)).await.unwrap();
    let before = Query::select().columns(["id", "user_id"]).from("session").to_owned();
    let before = raw.query_one(&before).await.unwrap().unwrap();
    assert_eq!(before.try_get::<Uuid>("", "id").unwrap(), session.uuid());
    assert_eq!(before.try_get::<Uuid>("", "user_id").unwrap(), ada.uuid());
    raw.close().await.unwrap();
    storage.migrate().await.unwrap();
    let live = storage.tenant(acme.id).live_session(session).await.unwrap().unwrap();
    assert_eq!((live.id, live.user.id), (session, ada));
    storage.stop().await;
}

pub(crate) async fn nodes_that_migrate_at_once_do_not_collide(database: TestDatabase) {
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(Storage::connect(database.config()).await.unwrap());
    }
    let migrating: Vec<_> = nodes
        .into_iter()
        .map(|node| {
            tokio::spawn(async move {
                node.migrate().await.unwrap();
                node.start().await.unwrap();
                node.stop().await;
            })
        })
        .collect();
    for node in migrating {
        node.await.unwrap();
    }
}

pub(crate) async fn an_old_schema_is_refused_with_the_remedy(database: TestDatabase) {
    let storage = Storage::connect(database.config()).await.unwrap();
    let error = storage.start().await.unwrap_err();
    assert!(matches!(&error, StartError::SchemaBehind { pending } if !pending.is_empty()), "{error}");
    assert!(error.to_string().contains("wxgate migrate up"), "{error}");
    // Asking wrote nothing.
    assert!(storage.migration_status().await.unwrap().applied.is_empty());
    storage.stop().await;
}

pub(crate) async fn a_newer_schema_is_refused(database: TestDatabase) {
    let storage = Storage::connect(database.config()).await.unwrap();
    storage.migrate().await.unwrap();
    let raw = database.raw().await;
    let newer = "INSERT INTO schema_migration (version, applied_at) VALUES ('m29990101_000001_future', 0)";
    raw.execute_unprepared(newer).await.unwrap();
    raw.close().await.unwrap();
    for error in [storage.start().await.unwrap_err(), storage.migrate().await.unwrap_err()] {
        assert!(
            matches!(&error, StartError::SchemaAhead { unknown } if *unknown == ["m29990101_000001_future"]),
            "{error}"
        );
    }
    storage.stop().await;
}
