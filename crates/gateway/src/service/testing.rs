//! What the tests of use cases share: a database with a tenant, a clock that is set by hand, and tokens of every kind.

use std::time::Duration;

use tempfile::TempDir;
use wxgate_crypto::{MasterKey, MasterKeyRing, Random, Secret};
use wxgate_domain::{
    Clock, ServiceClientId, SessionId, SigningAlgorithm, StoredSigningKey, Tenant, TenantPolicy, Timestamp, UserId,
    WechatAppid,
};
use wxgate_storage::{BatchObserver, DatabaseUrl, InstanceKind, NewTenant, Storage, StorageConfig};
use wxgate_token::{AccessToken, Grant, Issuer, KeyRing, SigningKey, Subject, issue};

/// When the stories begin: 2026-11-22T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_305_600_000);

/// The public address of the gateway.
pub(crate) const PUBLIC_URL: &str = "https://auth.example.com";

/// A database with a tenant whose tokens live as long as tokens may, and whose keys turn as often as keys may.
pub(crate) struct House {
    folder: TempDir,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) storage: Storage,
    pub(crate) tenant: Tenant,
    pub(crate) issuer: Issuer,
    pub(crate) app: WechatAppid,
    master_keys: MasterKeyRing,
}

/// A user's session.
pub(crate) struct Session {
    pub(crate) user: UserId,
    pub(crate) id: SessionId,
}

impl House {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, random) = (Clock::manual(START), Random::system().unwrap());
        let master = MasterKey::parse(&MasterKey::generate(&random)).unwrap();
        let master_keys = MasterKeyRing::new(master, vec![]);
        let storage = connect(&folder, &clock, &random, &master_keys).await;
        storage.migrate().await.unwrap();
        let tenant = add_tenant(&storage, "acme").await;
        let issuer = Issuer::new(PUBLIC_URL, &tenant.slug);
        let app = "wx1".parse().unwrap();
        Self { folder, clock, random, storage, tenant, issuer, app, master_keys }
    }

    /// Another process on the same database.
    pub(crate) async fn another_process(&self) -> Storage {
        connect(&self.folder, &self.clock, &self.random, &self.master_keys).await
    }

    /// Another tenant.
    pub(crate) async fn another_tenant(&self, slug: &str) -> Tenant {
        add_tenant(&self.storage, slug).await
    }

    /// What a gateway has in memory.
    pub(crate) async fn ring(&self) -> KeyRing {
        KeyRing::new(&self.stored().await).unwrap()
    }

    pub(crate) async fn stored(&self) -> Vec<StoredSigningKey> {
        self.storage.tenant(self.tenant.id).signing_keys().await.unwrap()
    }

    pub(crate) fn session(&self) -> Session {
        let now = self.clock.now();
        Session { user: UserId::new(now, &self.random), id: SessionId::new(now, &self.random) }
    }

    /// A token of a user of the app, for the app and the gateway.
    pub(crate) fn user(&self, session: &Session) -> Subject<'_> {
        Subject::User {
            user: session.user,
            session: session.id,
            app: &self.app,
            audiences: &[],
            openid: None,
            unionid: None,
            external_id: None,
            phone: None,
        }
    }

    /// A token of a service client for itself.
    pub(crate) fn client<'a>(client: &'a ServiceClientId, audiences: &'a [String]) -> Subject<'a> {
        Subject::Client { client, audiences }
    }

    /// A user's token in the hands of a service client.
    pub(crate) fn exchanged<'a>(
        &'a self,
        session: &Session,
        client: &'a ServiceClientId,
        audience: &'a str,
    ) -> Subject<'a> {
        Subject::Exchanged {
            user: session.user,
            session: session.id,
            app: &self.app,
            client,
            before: None,
            audience,
            ends_by: self.clock.now().plus(Duration::from_hours(1)),
        }
    }

    /// A signed token that allows `user` and `orders:read`.
    pub(crate) fn issue(&self, ring: &KeyRing, subject: Subject<'_>) -> AccessToken {
        let life = self.tenant.policy.access_token_life();
        let grant = Grant { tenant: &self.tenant.slug, subject, scope: "user orders:read", life };
        issue(ring, &self.issuer, &grant, self.clock.now(), &self.random).unwrap()
    }
}

async fn connect(folder: &TempDir, clock: &Clock, random: &Random, master_keys: &MasterKeyRing) -> Storage {
    let url = Secret::new(format!("sqlite:{}", folder.path().join("wxgate.db").display()));
    let config = StorageConfig {
        url: DatabaseUrl::parse(&url).unwrap(),
        master_keys: master_keys.clone(),
        kind: InstanceKind::Live,
        erasure_journal: None,
        clock: clock.clone(),
        random: random.clone(),
        observer: BatchObserver::silent(),
    };
    Storage::connect(config).await.unwrap()
}

async fn add_tenant(storage: &Storage, slug: &str) -> Tenant {
    let key = || SigningKey::generate(SigningAlgorithm::ES256, START).unwrap();
    let policy = TenantPolicy { access_token_seconds: 86_400, signing_key_days: 2, ..TenantPolicy::default() };
    let new =
        NewTenant { slug: slug.parse().unwrap(), name: slug.to_owned(), policy, signing_key: key(), next_key: key() };
    let tx = storage.begin().await.unwrap();
    let tenant = tx.tenants().create(new).await.unwrap();
    tx.commit().await.unwrap();
    tenant
}

/// Time that stands still, so that no time-out strikes because the machine is slow. Networks go on.
pub(crate) struct StandingClock {
    /// A blocking task keeps tokio from moving a paused clock by itself.
    _held: std::sync::mpsc::Sender<()>,
}

impl StandingClock {
    pub(crate) fn begin() -> Self {
        let (held, until) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || until.recv());
        tokio::time::pause();
        Self { _held: held }
    }

    /// Moves it.
    pub(crate) async fn pass(&self, time: Duration) {
        tokio::time::advance(time).await;
    }
}
