//! Which apps and tenants there are, as rows say it, kept for a moment in memory.

mod freshness;

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use tokio::sync::broadcast::error::RecvError;
use wxgate_domain::{App, AppId, AppStatus, Credential, Slug, Tenant, TenantId, TenantStatus, WechatAppid};
use wxgate_storage::{Storage, StorageError};
use wxgate_token::{Issuer, Jwks, KeyRing};

use self::freshness::Freshness;
pub(crate) use self::freshness::{AsOf, TenantChanges};
use super::clients::{KnownClient, TenantClients};
use super::signed_calls::SignedCalls;

/// How long rows are believed after the log of changes was last read, which is several times a second.
const UNHEARD: Duration = Duration::from_mins(1);

/// How long a row is believed without asking again although no change of it is heard of. Not shorter: with ten thousand
/// tenants, what is read again for no reason would cost more than the logins.
const POSITIVE: Duration = Duration::from_mins(10);

/// How long the absence of a row is believed.
const NEGATIVE: Duration = Duration::from_secs(2);

/// Rows kept at once.
const ENTRIES: u64 = 20_000;

/// Most keys that the operator-named set holds.
const MAX_SHARED_KEYS: usize = 1_000;

/// An app that may act now, with all that serving it needs.
#[derive(Debug)]
pub(crate) struct ActiveApp {
    pub(crate) app: App,
    pub(crate) tenant: Arc<KnownTenant>,
    pub(crate) credential: Credential,
    /// The keys of an app whose calls are signed and encrypted.
    pub(crate) signed_calls: Option<SignedCalls>,
    /// Whether somebody notes already what WeChat said about the secret, until this is read anew.
    pub(crate) secret_noted: AtomicBool,
}

/// A tenant with its issuer and its keys, unsealed on first use.
#[derive(Debug)]
pub(crate) struct KnownTenant {
    pub(crate) tenant: Tenant,
    pub(crate) issuer: Issuer,
    pub(crate) ring: KeyRing,
    pub(crate) as_of: AsOf,
    pub(crate) changes: TenantChanges,
}

impl KnownTenant {
    /// The tenant's id.
    pub(crate) fn id(&self) -> TenantId {
        self.tenant.id
    }
}

/// Finds apps and tenants.
#[derive(Clone)]
pub(crate) struct Directory {
    storage: Storage,
    public_url: Arc<str>,
    /// Tenants whose keys stand in the operator-named set.
    shared: Arc<[Slug]>,
    apps: Cache<WechatAppid, Known<FoundApp>>,
    tenants: Cache<Slug, Known<KnownTenant>>,
    /// The same, by our ids: rows and refresh tokens name them so.
    apps_by_id: Cache<(TenantId, AppId), Known<FoundApp>>,
    tenants_by_id: Cache<TenantId, Known<KnownTenant>>,
    clients: Cache<TenantId, Arc<FoundClients>>,
    freshness: Freshness,
}

struct FoundApp {
    active: Arc<ActiveApp>,
    enabled: bool,
    as_of: AsOf,
}

struct FoundClients {
    clients: Arc<TenantClients>,
    as_of: AsOf,
    changes: TenantChanges,
}

/// What the database answered: a row, or since when there is none.
enum Known<T> {
    There(Arc<T>),
    Absent(AsOf),
}

impl<T> Known<T> {
    fn found(self) -> Option<Arc<T>> {
        match self {
            Self::There(found) => Some(found),
            Self::Absent(_) => None,
        }
    }
}

impl<T> Clone for Known<T> {
    fn clone(&self) -> Self {
        match self {
            Self::There(found) => Self::There(found.clone()),
            Self::Absent(as_of) => Self::Absent(*as_of),
        }
    }
}

/// What can become stale.
trait Remembered {
    /// Whether nothing has changed since it was read.
    fn holds(&self) -> bool;
}

impl Remembered for FoundApp {
    fn holds(&self) -> bool {
        self.active.tenant.changes.none_since(self.as_of)
    }
}

impl Remembered for KnownTenant {
    fn holds(&self) -> bool {
        self.changes.none_since(self.as_of)
    }
}

/// The app, if there is one and it may act.
fn acting(found: Option<Arc<FoundApp>>) -> Result<Arc<ActiveApp>, DirectoryError> {
    match found {
        None => Err(DirectoryError::Unknown),
        Some(found) if found.enabled => Ok(found.active.clone()),
        Some(_) => Err(DirectoryError::Disabled),
    }
}

/// Why there is no app to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DirectoryError {
    #[error("no such app")]
    Unknown,
    #[error("the app is disabled or its tenant suspended")]
    Disabled,
    #[error("the database does not answer")]
    Unavailable,
}

impl Directory {
    /// A directory over these rows; `public_url` begins every issuer.
    pub(crate) fn new(storage: Storage, public_url: &str, shared: &[Slug]) -> Self {
        Self {
            storage,
            public_url: public_url.into(),
            shared: shared.into(),
            apps: Cache::builder().max_capacity(ENTRIES).expire_after(Believed).build(),
            tenants: Cache::builder().max_capacity(ENTRIES).expire_after(Believed).build(),
            apps_by_id: Cache::builder().max_capacity(ENTRIES).expire_after(Believed).build(),
            tenants_by_id: Cache::builder().max_capacity(ENTRIES).expire_after(Believed).build(),
            clients: Cache::builder()
                .max_capacity(ENTRIES)
                .weigher(|_, found: &Arc<FoundClients>| u32::try_from(found.clients.len()).unwrap_or(u32::MAX).max(1))
                .time_to_live(POSITIVE)
                .build(),
            freshness: Freshness::default(),
        }
    }

    /// The app with this appid, if it may act.
    pub(crate) async fn active_app(&self, appid: &WechatAppid) -> Result<Arc<ActiveApp>, DirectoryError> {
        acting(self.app(appid).await?)
    }

    /// The app of this id, if it may act.
    pub(crate) async fn active_app_of(&self, tenant: TenantId, app: AppId) -> Result<Arc<ActiveApp>, DirectoryError> {
        let load = || async {
            match self.storage.tenant(tenant).apps().appid(app).await? {
                Some(appid) => self.app(&appid).await,
                None => Ok(None),
            }
        };
        acting(self.remembered(&self.apps_by_id, &(tenant, app), load).await?)
    }

    async fn app(&self, appid: &WechatAppid) -> Result<Option<Arc<FoundApp>>, DirectoryError> {
        self.remembered(&self.apps, appid, || self.load_app(appid)).await
    }

    /// What `cache` remembers of a key, if it still holds, else what is read now. Concurrent callers share one read; one
    /// that began before a change that is known by now is not believed.
    async fn remembered<K, T, F, R>(
        &self,
        cache: &Cache<K, Known<T>>,
        key: &K,
        load: F,
    ) -> Result<Option<Arc<T>>, DirectoryError>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        T: Remembered + Send + Sync + 'static,
        F: Fn() -> R,
        R: Future<Output = Result<Option<Arc<T>>, DirectoryError>>,
    {
        if let Some(known) = cache.get(key).await {
            if self.holds(&known) {
                return Ok(known.found());
            }
            cache.invalidate(key).await;
        }
        let read = || async {
            let as_of = self.freshness.as_of();
            Ok(load().await?.map_or(Known::Absent(as_of), Known::There))
        };
        // On the heap, so that the future of every request need not hold it.
        let known =
            Box::pin(cache.try_get_with_by_ref(key, read())).await.map_err(|error: Arc<DirectoryError>| *error)?;
        if self.holds(&known) {
            return Ok(known.found());
        }
        // Whoever comes with the next change reads again.
        cache.invalidate(key).await;
        Ok(Box::pin(read()).await?.found())
    }

    fn holds<T: Remembered>(&self, known: &Known<T>) -> bool {
        match known {
            Known::There(found) => found.holds() && self.hears(),
            Known::Absent(as_of) => !self.freshness.may_have_appeared_since(*as_of),
        }
    }

    /// Whether changes are heard of. Where they are not, nothing that is remembered is believed.
    fn hears(&self) -> bool {
        self.storage.changes_age() <= UNHEARD
    }

    /// The only enabled app of an active tenant, if there is exactly one.
    pub(crate) async fn only_app(&self) -> Result<Option<WechatAppid>, DirectoryError> {
        self.storage.apps().only_enabled().await.map_err(DirectoryError::from)
    }

    /// The tenant of this name.
    pub(crate) async fn tenant(&self, slug: &Slug) -> Result<Option<Arc<KnownTenant>>, DirectoryError> {
        self.remembered(&self.tenants, slug, || self.load_tenant(slug)).await
    }

    /// The tenant of this id.
    pub(crate) async fn tenant_of(&self, tenant: TenantId) -> Result<Option<Arc<KnownTenant>>, DirectoryError> {
        let load = || async {
            match self.storage.tenants().slug(tenant).await? {
                Some(slug) => self.tenant(&slug).await,
                None => Ok(None),
            }
        };
        self.remembered(&self.tenants_by_id, &tenant, load).await
    }

    /// The tenant of this name as it is now, not as it was a moment ago.
    pub(crate) async fn tenant_anew(&self, slug: &Slug) -> Result<Option<Arc<KnownTenant>>, DirectoryError> {
        self.tenants.invalidate(slug).await;
        self.tenant(slug).await
    }

    /// The tenant whose tokens name this issuer; nobody is asked about the issuers of others.
    pub(crate) async fn tenant_by_issuer(&self, issuer: &Issuer) -> Result<Option<Arc<KnownTenant>>, DirectoryError> {
        if Issuer::new(&self.public_url, issuer.tenant()) != *issuer {
            return Ok(None);
        }
        self.tenant(issuer.tenant()).await
    }

    /// The service clients of a tenant, all of them together: so a known id is found no faster than an unknown one is
    /// missed, and unknown ids cost no reads.
    pub(crate) async fn service_clients(&self, tenant: TenantId) -> Result<Arc<TenantClients>, DirectoryError> {
        if let Some(known) = self.clients.get(&tenant).await {
            if known.changes.none_since(known.as_of) && self.hears() {
                return Ok(known.clients.clone());
            }
            self.clients.invalidate(&tenant).await;
        }
        let load = || async {
            let (as_of, changes) = (self.freshness.as_of(), self.freshness.of(tenant));
            let stored = self.storage.tenant(tenant).service_clients().with_secrets().await?;
            let known = stored
                .into_iter()
                .map(|(client, secrets)| (client.id.clone(), Arc::new(KnownClient::new(client, secrets))));
            Ok(Arc::new(FoundClients { clients: Arc::new(known.collect()), as_of, changes }))
        };
        let loaded = Box::pin(self.clients.try_get_with(tenant, load())).await;
        let loaded = loaded.map_err(|error: Arc<DirectoryError>| *error)?;
        if loaded.changes.none_since(loaded.as_of) {
            return Ok(loaded.clients.clone());
        }
        self.clients.invalidate(&tenant).await;
        load().await.map(|loaded| loaded.clients.clone())
    }

    /// The keys of the tenants that the operator named, as one set.
    pub(crate) async fn shared_jwks(&self) -> Result<Jwks, DirectoryError> {
        let mut tenants = Vec::new();
        for slug in self.shared.iter() {
            tenants.extend(self.tenant(slug).await?);
        }
        let sets: Vec<_> = tenants.iter().map(|tenant| tenant.ring.jwks()).collect();
        Jwks::merged(&sets, MAX_SHARED_KEYS).map_err(|error| unavailable(&error))
    }

    async fn load_app(&self, appid: &WechatAppid) -> Result<Option<Arc<FoundApp>>, DirectoryError> {
        let as_of = self.freshness.as_of();
        let stored = self.storage.apps().find(appid).await?;
        let Some(stored) = stored else { return Ok(None) };
        let Some(tenant) = self.tenant(&stored.tenant.slug).await? else { return Ok(None) };
        let enabled = stored.app.status == AppStatus::Enabled && stored.tenant.status == TenantStatus::Active;
        let id = (stored.app.tenant, stored.app.id);
        // Whoever stored them has read them.
        let signed_calls = SignedCalls::of(&stored.api_security).map_err(|error| unavailable(&error))?;
        let active = Arc::new(ActiveApp {
            app: stored.app,
            tenant,
            credential: stored.credential,
            signed_calls,
            secret_noted: AtomicBool::new(false),
        });
        let found = Arc::new(FoundApp { active, enabled, as_of });
        // A refresh asks by our id, soon after a login that asked by name.
        self.apps_by_id.insert(id, Known::There(found.clone())).await;
        Ok(Some(found))
    }

    async fn load_tenant(&self, slug: &Slug) -> Result<Option<Arc<KnownTenant>>, DirectoryError> {
        let as_of = self.freshness.as_of();
        let Some(tenant) = self.storage.tenants().find(slug).await? else {
            return Ok(None);
        };
        if tenant.status == TenantStatus::Deleting {
            return Ok(None);
        }
        // Before its keys are read: what changes from now on counts.
        let changes = self.freshness.of(tenant.id);
        let keys = self.storage.tenant(tenant.id).signing_keys().await?;
        let ring = KeyRing::new(&keys).map_err(|error| unavailable(&error))?;
        let issuer = Issuer::new(&self.public_url, &tenant.slug);
        let found = Arc::new(KnownTenant { tenant, issuer, ring, as_of, changes });
        self.tenants_by_id.insert(found.id(), Known::There(found.clone())).await;
        Ok(Some(found))
    }

    /// What happens when changes were missed.
    #[cfg(test)]
    pub(crate) fn miss_changes(&self) {
        self.freshness.missed(1);
    }

    /// Takes note of what the database says has changed. Ends when the storage stops.
    pub(crate) async fn follow_changes(self) {
        let mut changes = self.storage.changes();
        loop {
            match changes.recv().await {
                Ok(change) => self.freshness.heard(&change),
                Err(RecvError::Lagged(missed)) => self.freshness.missed(missed),
                Err(RecvError::Closed) => return,
            }
        }
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> DirectoryError {
    tracing::error!(error.source = %error, "an app or tenant cannot be read");
    DirectoryError::Unavailable
}

/// How long an answer of the database is believed.
struct Believed;

impl<K, V> Expiry<K, Known<V>> for Believed {
    fn expire_after_create(&self, _: &K, value: &Known<V>, _: Instant) -> Option<Duration> {
        Some(if matches!(value, Known::There(_)) { POSITIVE } else { NEGATIVE })
    }
}

impl From<StorageError> for DirectoryError {
    fn from(error: StorageError) -> Self {
        unavailable(&error)
    }
}
