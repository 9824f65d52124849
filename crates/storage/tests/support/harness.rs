//! Fresh databases on every engine, and the rows that most stories begin with.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test binary uses its part")]

use std::sync::atomic::{AtomicU32, Ordering};

use wxgate_crypto::{MasterKey, MasterKeyRing, Random, Secret};
use wxgate_domain::{
    App, AppPolicy, ClientSecret, Clock, ServiceClient, ServiceClientPolicy, SigningAlgorithm, SigningKeyState,
    StoredSigningKey, Tenant, TenantPolicy, Timestamp, UnionGroupId,
};
use wxgate_storage::{
    BatchObserver, DatabaseUrl, Engine, ErasureJournal, InstanceKind, NewApp, NewTenant, Storage, StorageConfig,
    UnionGroup,
};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};

/// When the stories begin: 2026-11-22T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_305_600_000);

/// A database that was made for one test and goes with it.
pub(crate) struct TestDatabase {
    pub(crate) engine: Engine,
    pub(crate) url: Secret<String>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) master_keys: MasterKeyRing,
    _folder: Option<tempfile::TempDir>,
    /// The server's URL and the database's name, to drop it.
    server: Option<(String, String)>,
}

impl TestDatabase {
    /// An empty database, or `None` (with a word about it) where the engine is not at hand.
    pub(crate) async fn create(engine: Engine) -> Option<Self> {
        let random = Random::system().unwrap();
        let (url, folder, server) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                (format!("sqlite:{}", folder.path().join("data/wxgate.db").display()), Some(folder), None)
            }
            Engine::Postgres => create_on_server("WXGATE_TEST_POSTGRES_URL", &random).await?,
            Engine::MySql => create_on_server("WXGATE_TEST_MYSQL_URL", &random).await?,
        };
        let master = MasterKey::parse(&MasterKey::generate(&random)).unwrap();
        Some(Self {
            engine,
            url: Secret::new(url),
            clock: Clock::manual(START),
            random,
            master_keys: MasterKeyRing::new(master, vec![]),
            _folder: folder,
            server,
        })
    }

    /// The configuration that a gateway on this database would have.
    pub(crate) fn config(&self) -> StorageConfig {
        StorageConfig {
            // Tests run beside each other, and a server has only so many connections.
            url: DatabaseUrl::parse(&self.url).unwrap().pool_size(5),
            master_keys: self.master_keys.clone(),
            kind: InstanceKind::Live,
            erasure_journal: None,
            clock: self.clock.clone(),
            random: self.random.clone(),
            observer: BatchObserver::silent(),
        }
    }

    /// The same database as it lies elsewhere.
    pub(crate) fn at(&self, url: Secret<String>) -> Self {
        Self {
            engine: self.engine,
            url,
            clock: self.clock.clone(),
            random: self.random.clone(),
            master_keys: self.master_keys.clone(),
            _folder: None,
            server: None,
        }
    }

    /// A started storage that writes an erasure journal, the journal, and the folder that it goes with.
    pub(crate) async fn started_with_journal(&self) -> (tempfile::TempDir, ErasureJournal, Storage) {
        let folder = tempfile::tempdir().unwrap();
        let journal = ErasureJournal::at(folder.path().join("erasures.jsonl"));
        self.started().await.stop().await;
        let config = StorageConfig { erasure_journal: Some(journal.clone()), ..self.config() };
        let storage = Storage::connect(config).await.unwrap();
        storage.start().await.unwrap();
        (folder, journal, storage)
    }

    /// Storage that is connected, migrated and started. Asked again, a second process on the same database.
    pub(crate) async fn started(&self) -> Storage {
        let storage = Storage::connect(self.config()).await.unwrap();
        storage.migrate().await.unwrap();
        storage.start().await.unwrap();
        storage
    }

    /// A plain connection beside storage's, to look at rows or to spoil them.
    pub(crate) async fn raw(&self) -> DatabaseConnection {
        let mut options = sea_orm::ConnectOptions::new(self.url.expose().clone());
        // Where connections end by themselves, sqlx 0.9 walks over a count of idle ones that may have gone below zero.
        options.max_connections(1).idle_timeout(None).max_lifetime(None).sqlx_logging(false);
        Database::connect(options).await.unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some((server, name)) = self.server.take() else { return };
        // The test's own runtime is blocked in this destructor.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let force = if server.starts_with("postgres") { " WITH (FORCE)" } else { "" };
                let connection = Database::connect(server).await.unwrap();
                connection.execute_unprepared(&format!("DROP DATABASE {name}{force}")).await.unwrap();
                connection.close().await.unwrap();
            });
        });
        let _ = dropped.join();
    }
}

type Created = (String, Option<tempfile::TempDir>, Option<(String, String)>);

#[expect(clippy::disallowed_methods, reason = "where the test servers are is the environment's to say")]
async fn create_on_server(variable: &str, random: &Random) -> Option<Created> {
    let Ok(server) = std::env::var(variable) else {
        assert!(std::env::var("CI").is_err(), "{variable} is not set");
        #[expect(clippy::print_stdout, reason = "a skipped engine must not look like a tested one")]
        {
            println!("skipped: {variable} is not set");
        }
        return None;
    };
    let name = format!("wxgate_test_{}", wxgate_crypto::encoding::to_hex(random.bytes::<8>()));
    let connection = Database::connect(&server).await.unwrap();
    connection.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    connection.close().await.unwrap();
    let (base, query) = server.split_once('?').map_or((server.as_str(), String::new()), |(b, q)| (b, format!("?{q}")));
    let (base, _) = base.rsplit_once('/').unwrap();
    Some((format!("{base}/{name}{query}"), None, Some((server, name))))
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A signing key of plausible shape; nothing here signs with it.
pub(crate) fn signing_key(random: &Random) -> StoredSigningKey {
    let kid = wxgate_crypto::encoding::to_base64url(random.bytes::<32>());
    StoredSigningKey {
        public_jwk: format!("{{\"kid\":\"{kid}\"}}"),
        kid: kid.parse().unwrap(),
        algorithm: SigningAlgorithm::ES256,
        state: SigningKeyState::Active,
        private: Secret::new(random.bytes::<138>().to_vec()),
        created_at: START,
        activated_at: None,
        retired_at: None,
    }
}

/// What a new tenant of this slug looks like.
pub(crate) fn new_tenant(slug: &str) -> NewTenant {
    let random = Random::system().unwrap();
    NewTenant {
        slug: slug.parse().unwrap(),
        name: format!("Tenant {slug}"),
        policy: TenantPolicy::default(),
        signing_key: signing_key(&random),
        next_key: signing_key(&random),
    }
}

/// What a new app of this appid looks like.
pub(crate) fn new_app(appid: &str) -> NewApp {
    NewApp {
        appid: appid.parse().unwrap(),
        name: format!("App {appid}"),
        secret: format!("secret-of-{appid}").parse().unwrap(),
        is_accepted: true,
        union_group: None,
        policy: AppPolicy::default(),
        may_move: false,
    }
}

/// Creates a tenant.
pub(crate) async fn tenant(storage: &Storage, slug: &str) -> Tenant {
    let tx = storage.begin().await.unwrap();
    let tenant = tx.tenants().create(new_tenant(slug)).await.unwrap();
    tx.commit().await.unwrap();
    tenant
}

/// Adds an app to a tenant.
pub(crate) async fn app(storage: &Storage, tenant: &Tenant, appid: &str) -> App {
    app_in_group(storage, tenant, appid, None).await
}

/// Adds an app to a tenant, bound to a union group.
pub(crate) async fn app_in_group(storage: &Storage, tenant: &Tenant, appid: &str, group: Option<UnionGroupId>) -> App {
    let tx = storage.begin().await.unwrap();
    let app = tx.tenant(tenant.id).apps().add(NewApp { union_group: group, ..new_app(appid) }).await.unwrap();
    tx.commit().await.unwrap();
    app
}

/// Adds a union group to a tenant.
pub(crate) async fn union_group(storage: &Storage, tenant: &Tenant, name: &str) -> UnionGroup {
    let tx = storage.begin().await.unwrap();
    let group = tx.tenant(tenant.id).union_groups().add(name).await.unwrap();
    tx.commit().await.unwrap();
    group
}

/// Registers an audience for a tenant.
pub(crate) async fn audience(storage: &Storage, tenant: &Tenant, name: &str) {
    let tx = storage.begin().await.unwrap();
    tx.tenant(tenant.id).audiences().add(&name.parse().unwrap()).await.unwrap();
    tx.commit().await.unwrap();
}

/// Adds a service client that may do nothing to a tenant.
pub(crate) async fn service_client(storage: &Storage, tenant: &Tenant, name: &str) -> (ServiceClient, ClientSecret) {
    let tx = storage.begin().await.unwrap();
    let added = tx.tenant(tenant.id).service_clients().add(name, ServiceClientPolicy::default()).await.unwrap();
    tx.commit().await.unwrap();
    added
}

/// A name that no other test of this process uses.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Runs stories of the form `async fn story(database: TestDatabase)` on every engine, each as a test of its own.
macro_rules! on_every_engine {
    ($(crate::$file:ident::$story:ident),* $(,)?) => {
        mod sqlite { $crate::support::on_engine!(Sqlite: $($file::$story),*); }
        mod postgres { $crate::support::on_engine!(Postgres: $($file::$story),*); }
        mod mysql { $crate::support::on_engine!(MySql: $($file::$story),*); }
    };
}

macro_rules! on_engine {
    ($engine:ident: $($file:ident::$story:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $story() {
            let engine = wxgate_storage::Engine::$engine;
            if let Some(database) = $crate::support::TestDatabase::create(engine).await {
                crate::$file::$story(database).await;
            }
        }
    )*};
}

pub(crate) use {on_engine, on_every_engine};
