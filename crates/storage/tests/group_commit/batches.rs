//! What happens to the jobs of a batch.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, FutureExt, JoinAll, join_all};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use uuid::Uuid;
use wxgate_domain::{OpenedSession, RefreshToken};
use wxgate_storage::{
    BatchObserver, BatchOutcome, Engine, OpenSessionError, RefreshRequest, Storage, StorageConfig, StorageError,
};

use crate::logins::{self, Place, count, orphans};
use crate::support::{self, TestDatabase};

/// What batches came to.
#[derive(Clone, Default)]
pub(crate) struct Outcomes(Arc<Mutex<Vec<BatchOutcome>>>);

impl Outcomes {
    pub(crate) fn of(&self, outcome: BatchOutcome) -> usize {
        self.0.lock().unwrap().iter().filter(|other| **other == outcome).count()
    }

    pub(crate) fn observer(&self) -> BatchObserver {
        let seen = self.clone();
        BatchObserver::new(move |report| seen.0.lock().unwrap().push(report.outcome))
    }
}

async fn started(database: &TestDatabase) -> (Storage, Place, Outcomes) {
    let outcomes = Outcomes::default();
    let config = StorageConfig { observer: outcomes.observer(), ..database.config() };
    let storage = Storage::connect(config).await.unwrap();
    storage.migrate().await.unwrap();
    storage.start().await.unwrap();
    let shop = place(&storage).await;
    (storage, shop, outcomes)
}

/// A place where the tenant's keys are warm, so that a login is queued the first time it is polled.
pub(crate) async fn place(storage: &Storage) -> Place {
    let tenant = support::tenant(storage, "acme").await;
    let group = support::union_group(storage, &tenant, "One").await.id;
    let app = support::app_in_group(storage, &tenant, "wxaaaaaaaaaaaaaaaa", Some(group)).await;
    storage.tenant(tenant.id).refresh_keys(3).await.unwrap();
    Place { tenant, app }
}

type Logins = JoinAll<BoxFuture<'static, Result<OpenedSession, OpenSessionError>>>;

/// Logins that are queued when this returns.
async fn queued(storage: &Storage, logins: impl IntoIterator<Item = (Place, String)>) -> Logins {
    let logins = logins.into_iter().map(|(place, openid)| {
        let storage = storage.clone();
        async move { place.try_login(&storage, &openid, None).await }.boxed()
    });
    let mut logins = join_all(logins);
    // A task yields in the middle of so many: again until all of them had their turn.
    for _ in 0..100 {
        tokio::select! {
            biased;
            _ = &mut logins => panic!("logged in behind a lock"),
            () = tokio::task::yield_now() => {}
        }
    }
    logins
}

/// Keeps everybody from writing sessions until it is let go.
struct Barrier(DatabaseConnection);

impl Barrier {
    async fn raise(database: &TestDatabase) -> Self {
        let raw = database.raw().await;
        let lock = match database.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN; LOCK TABLE session IN EXCLUSIVE MODE",
            Engine::MySql => "LOCK TABLES session WRITE",
        };
        raw.execute_unprepared(lock).await.unwrap();
        Self(raw)
    }

    async fn lower(self) {
        let mysql = self.0.get_database_backend() == sea_orm::DbBackend::MySql;
        self.0.execute_unprepared(if mysql { "UNLOCK TABLES" } else { "COMMIT" }).await.unwrap();
        self.0.close().await.unwrap();
    }
}

pub(crate) async fn a_bad_row_fails_only_its_own_caller(database: TestDatabase) {
    let (storage, shop, outcomes) = started(&database).await;
    let mut nowhere = shop.clone();
    nowhere.app.id = Uuid::from_bytes([9; 16]).into();
    let barrier = Barrier::raise(&database).await;
    // Bad ones among the good, so that at least one of them shares its batch however the lanes are scheduled.
    let logins = (0..80).map(|n| {
        let place = if n % 16 == 15 { &nowhere } else { &shop };
        (place.clone(), format!("ada{n}"))
    });
    let logins = queued(&storage, logins).await;
    barrier.lower().await;
    let (opened, bad): (Vec<_>, Vec<_>) = logins.await.into_iter().partition(Result::is_ok);
    assert!(bad.iter().all(|bad| matches!(bad, Err(OpenSessionError::Storage(StorageError::Dangling)))), "{bad:?}");
    let users: HashSet<_> = opened.into_iter().map(|opened| opened.unwrap().user.id).collect();
    assert_eq!((users.len(), bad.len()), (75, 5));
    assert!(outcomes.of(BatchOutcome::Split) > 0);
    // Each was tried once more: somebody might have been erased meanwhile.
    assert_eq!(outcomes.of(BatchOutcome::Failed), 10);
    assert_eq!((count(&database, "session").await, orphans(&database).await), (75, 0));
    storage.stop().await;
}

/// A transaction that is rolled back because of somebody else's row takes no turn with it.
pub(crate) async fn a_bad_row_beside_a_refresh_costs_it_no_turn(database: TestDatabase) {
    let (storage, shop, outcomes) = started(&database).await;
    let session = shop.login(&storage, "ada", None).await;
    let mut nowhere = shop.clone();
    nowhere.app.id = Uuid::from_bytes([9; 16]).into();
    let refresh = async |generation| {
        let token = RefreshToken { mac_key: session.mac_key, tenant: shop.tenant.id, session: session.id, generation };
        let keys = &storage.tenant(shop.tenant.id).refresh_keys(session.mac_key).await.unwrap();
        let policy = &shop.tenant.policy;
        let request = RefreshRequest { token, keys, app: None, network: b"home", agent: b"phone", policy };
        storage.tenant(shop.tenant.id).refresh_session(&request).await.unwrap()
    };
    let barrier = Barrier::raise(&database).await;
    // Enough of them for every lane.
    let bad = queued(&storage, (0..40).map(|n| (nowhere.clone(), format!("bad{n}")))).await;
    let (refreshed, bad, ()) = tokio::join!(refresh(0), bad, barrier.lower());
    assert!(bad.iter().all(Result::is_err));
    assert!(outcomes.of(BatchOutcome::Split) > 0);
    assert_eq!((refreshed.generation, refreshed.repeated), (1, false));
    assert_eq!((refresh(1).await.generation, refresh(1).await.repeated), (2, true));
    storage.stop().await;
}

pub(crate) async fn a_lock_in_the_way_is_waited_for(database: TestDatabase) {
    let (storage, shop, outcomes) = started(&database).await;
    let barrier = Barrier::raise(&database).await;
    let logins = queued(&storage, [(shop.clone(), "ada".to_owned())]).await;
    barrier.lower().await;
    assert!(logins.await.iter().all(Result::is_ok));
    assert_eq!(outcomes.of(BatchOutcome::Failed), 0);
    storage.stop().await;
}

pub(crate) async fn stopping_writes_what_is_queued(database: TestDatabase) {
    let (storage, shop, _) = started(&database).await;
    let barrier = Barrier::raise(&database).await;
    let logins = queued(&storage, (0..100).map(|n| (shop.clone(), format!("ada{n}")))).await;
    let stopping = tokio::spawn({
        let storage = storage.clone();
        async move { storage.stop().await }
    });
    barrier.lower().await;
    stopping.await.unwrap();
    let failed: Vec<_> = logins.await.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(count(&database, "session").await, 100);
    assert_eq!(shop.try_login(&storage, "late", None).await, Err(OpenSessionError::Overloaded));
}

pub(crate) async fn a_caller_that_leaves_cancels_nothing(database: TestDatabase) {
    let (storage, shop, _) = started(&database).await;
    let barrier = Barrier::raise(&database).await;
    drop(queued(&storage, (0..10).map(|n| (shop.clone(), format!("ada{n}")))).await);
    barrier.lower().await;
    storage.stop().await;
    assert_eq!(count(&database, "session").await, 10);
}

/// Waits until a transaction of this database waits for a row.
async fn somebody_waits(raw: &DatabaseConnection, engine: Engine) {
    let waiting = if engine == Engine::Postgres {
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    } else {
        // InnoDB renews what it shows here only if nobody has looked for a tenth of a second.
        "SELECT COUNT(*) + 0 * SLEEP(0.15) FROM information_schema.innodb_trx t JOIN information_schema.processlist p \
         ON p.id = t.trx_mysql_thread_id WHERE p.db = DATABASE() AND t.trx_state = 'LOCK WAIT'"
    };
    loop {
        #[expect(clippy::disallowed_methods, reason = "a look past storage's own reads")]
        let statement = Statement::from_string(raw.get_database_backend(), waiting);
        let row = raw.query_one_raw(statement).await.unwrap().unwrap();
        if row.try_get_by_index::<i64>(0).unwrap() > 0 {
            return;
        }
    }
}

/// The login holds the union member and wants the user; the other holds the user and wants the member.
pub(crate) async fn a_deadlock_is_tried_again(database: TestDatabase) {
    let (storage, shop, outcomes) = started(&database).await;
    let user = shop.login(&storage, "ada", Some("union")).await.user.id;
    let (other, observer) = (logins::raw(&database).await, database.raw().await);
    other.execute_unprepared("BEGIN").await.unwrap();
    other.execute_unprepared(r#"SELECT id FROM "user" FOR UPDATE"#).await.unwrap();
    let login = tokio::spawn({
        let (storage, shop) = (storage.clone(), shop.clone());
        async move { shop.login(&storage, "ada-on-a-new-phone", Some("union")).await }
    });
    somebody_waits(&observer, database.engine).await;
    // One of the two is chosen to fail; if it is the login, it is tried again after the other has ended.
    let other_failed = other.execute_unprepared("SELECT user_id FROM union_member FOR UPDATE").await.is_err();
    other.execute_unprepared("ROLLBACK").await.unwrap();
    assert_eq!(login.await.unwrap().user.id, user);
    let retried = outcomes.of(BatchOutcome::Retried) > 0;
    // On a busy machine both may be: each looks for deadlocks by itself.
    assert!(other_failed || retried, "neither of the two gave way");
    assert_eq!(outcomes.of(BatchOutcome::Failed), 0);
    storage.stop().await;
}
