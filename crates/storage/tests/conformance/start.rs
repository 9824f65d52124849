//! What must hold before anything is served.

use sea_orm::{ConnectionTrait, Statement};
use wxgate_crypto::{MasterKey, MasterKeyRing};
use wxgate_storage::{Engine, InstanceKind, StartError, Storage, StorageConfig};

use crate::support::{TestDatabase, app, tenant};

pub(crate) async fn a_development_database_never_goes_live(database: TestDatabase) {
    for (first, then) in [(InstanceKind::Dev, InstanceKind::Live), (InstanceKind::Live, InstanceKind::Dev)] {
        let Some(database) = TestDatabase::create(database.engine).await else { return };
        let made = Storage::connect(StorageConfig { kind: first, ..database.config() }).await.unwrap();
        made.migrate().await.unwrap();
        made.start().await.unwrap();
        made.stop().await;
        let other = Storage::connect(StorageConfig { kind: then, ..database.config() }).await.unwrap();
        let error = other.start().await.unwrap_err();
        assert!(matches!(error, StartError::Kind { found, wanted } if found == first && wanted == then), "{error}");
        other.stop().await;
    }
}

pub(crate) async fn a_wrong_master_key_is_refused_and_named(database: TestDatabase) {
    let storage = database.started().await;
    tenant(&storage, "acme").await;
    storage.stop().await;
    let right = database.master_keys.first().id();
    let wrong = MasterKey::parse(&MasterKey::generate(&database.random)).unwrap();
    let config = StorageConfig { master_keys: MasterKeyRing::new(wrong.clone(), vec![]), ..database.config() };
    let storage = Storage::connect(config).await.unwrap();
    let error = storage.start().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&right.to_string()) && text.contains(&wrong.id().to_string()), "{text}");
    assert!(matches!(error, StartError::MasterKey { missing, at_hand } if missing == right && at_hand == [wrong.id()]));
    storage.stop().await;
}

pub(crate) async fn a_second_master_key_may_stand_beside(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    storage.stop().await;
    let new = MasterKey::parse(&MasterKey::generate(&database.random)).unwrap();
    let both = MasterKeyRing::new(new.clone(), vec![database.master_keys.first().clone()]);
    let storage = Storage::connect(StorageConfig { master_keys: both, ..database.config() }).await.unwrap();
    storage.start().await.unwrap();
    assert!(storage.apps().find(&shop.appid).await.unwrap().is_some());
    let umbrella = tenant(&storage, "umbrella").await;
    app(&storage, &umbrella, "wx2").await;
    storage.stop().await;
    // Which one seals is the database's word, whatever the configuration names first.
    let storage = Storage::connect(database.config()).await.unwrap();
    storage.start().await.unwrap();
    assert!(storage.apps().find(&"wx2".parse().unwrap()).await.unwrap().is_some());
    storage.stop().await;
    let only_new = MasterKeyRing::new(new, vec![]);
    let storage = Storage::connect(StorageConfig { master_keys: only_new, ..database.config() }).await.unwrap();
    assert!(matches!(storage.start().await.unwrap_err(), StartError::MasterKey { .. }));
    storage.stop().await;
}

pub(crate) async fn it_starts_once_and_stops(database: TestDatabase) {
    let storage = database.started().await;
    storage.ping().await.unwrap();
    assert!(matches!(storage.start().await.unwrap_err(), StartError::Started));
    let changes = storage.changes();
    storage.stop().await;
    assert!(storage.ping().await.is_err());
    assert!(storage.begin().await.is_err());
    assert!(changes.is_empty());
    // Nothing is left that keeps the next start from working.
    let again = database.started().await;
    tenant(&again, "acme").await;
    again.stop().await;
}

pub(crate) async fn whoever_keeps_a_connection_keeps_nobody_from_stopping(database: TestDatabase) {
    let storage = database.started().await;
    let kept = storage.begin().await.unwrap();
    storage.stop().await;
    assert!(storage.begin().await.is_err());
    drop(kept);
}

pub(crate) async fn broken_connections_are_replaced(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    let raw = database.raw().await;
    let kill = match database.engine {
        Engine::Sqlite => return storage.stop().await,
        Engine::Postgres => {
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()"
        }
        Engine::MySql => {
            "SELECT CONCAT('KILL ', id) AS kill_it FROM information_schema.processlist \
             WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        }
    };
    for round in 0..3 {
        // Several connections that lie idle in the pool when the server closes them all.
        let begun = tokio::join!(storage.begin(), storage.begin(), storage.begin());
        drop((begun.0.unwrap(), begun.1.unwrap(), begun.2.unwrap()));
        #[expect(clippy::disallowed_methods, reason = "an operator's statement, not one of ours")]
        let rows = raw.query_all_raw(Statement::from_string(raw.get_database_backend(), kill)).await.unwrap();
        assert!(rows.len() >= 2, "{}", rows.len());
        if database.engine == Engine::MySql {
            for row in rows {
                // One that ended by itself in between is no failure.
                let _ = raw.execute_unprepared(&row.try_get::<String>("", "kill_it").unwrap()).await;
            }
        }
        assert!(storage.apps().find(&shop.appid).await.unwrap().is_some(), "round {round}");
        tenant(&storage, &format!("tenant-{round}")).await;
    }
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn administrators_may_write_before_the_first_start(database: TestDatabase) {
    let command = Storage::connect(database.config()).await.unwrap();
    assert!(matches!(command.check().await.unwrap_err(), StartError::SchemaBehind { .. }));
    command.migrate().await.unwrap();
    command.check().await.unwrap();
    let acme = tenant(&command, "acme").await;
    let shop = app(&command, &acme, "wx1").await;
    command.stop().await;

    let storage = database.started().await;
    assert_eq!(storage.apps().find(&shop.appid).await.unwrap().unwrap().tenant.id, acme.id);
    assert_eq!(storage.tenant(acme.id).refresh_keys(3).await.unwrap().restore_epoch(), 0);
    storage.stop().await;
}
