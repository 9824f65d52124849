//! Which apps and tenants there are, as rows say it, kept for a moment in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use tokio::sync::broadcast::error::RecvError;
use wxgate_domain::{App, AppId, AppStatus, Credential, Slug, Tenant, TenantId, TenantStatus, WechatAppid};
use wxgate_storage::{Change, ChangeKind, Storage, StorageError};
use wxgate_token::{Issuer, Jwks, KeyRing};

use super::clients::{KnownClient, TenantClients};

/// How long a row is believed without asking again; changes are heard of much earlier.
const POSITIVE: Duration = Duration::from_mins(1);

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
}

/// A tenant with its issuer and its keys, unsealed on first use.
#[derive(Debug)]
pub(crate) struct KnownTenant {
    pub(crate) tenant: Tenant,
    pub(crate) issuer: Issuer,
    pub(crate) ring: KeyRing,
    pub(crate) key_epoch: KeyEpoch,
}

/// Moves whenever a tenant's signing keys do, and never else: what was verified in an earlier epoch is verified again.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyEpoch(Arc<AtomicU64>);

impl KeyEpoch {
    /// Its number.
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The epochs of all tenants that were ever asked for.
#[derive(Clone, Debug, Default)]
struct KeyEpochs(Arc<Mutex<HashMap<TenantId, KeyEpoch>>>);

impl KeyEpochs {
    fn of(&self, tenant: TenantId) -> KeyEpoch {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(tenant).or_default().clone()
    }

    /// Moves one tenant's, or all where it is not known whose keys moved.
    fn moved(&self, tenant: Option<TenantId>) {
        let epochs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, epoch) in epochs.iter().filter(|(id, _)| tenant.is_none_or(|tenant| tenant == **id)) {
            epoch.0.fetch_add(1, Ordering::AcqRel);
        }
    }
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
    apps: Cache<WechatAppid, Option<Arc<FoundApp>>>,
    tenants: Cache<Slug, Option<Arc<KnownTenant>>>,
    /// The same, by our ids: rows and refresh tokens name them so.
    apps_by_id: Cache<(TenantId, AppId), Option<Arc<FoundApp>>>,
    tenants_by_id: Cache<TenantId, Option<Arc<KnownTenant>>>,
    clients: Cache<TenantId, Arc<TenantClients>>,
    key_epochs: KeyEpochs,
}

struct FoundApp {
    active: Arc<ActiveApp>,
    enabled: bool,
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
                .weigher(|_, clients: &Arc<TenantClients>| u32::try_from(clients.len()).unwrap_or(u32::MAX).max(1))
                .time_to_live(POSITIVE)
                .build(),
            key_epochs: KeyEpochs::default(),
        }
    }

    /// The app with this appid, if it may act.
    pub(crate) async fn active_app(&self, appid: &WechatAppid) -> Result<Arc<ActiveApp>, DirectoryError> {
        acting(self.app(appid).await?)
    }

    /// The app of this id, if it may act.
    pub(crate) async fn active_app_of(&self, tenant: TenantId, app: AppId) -> Result<Arc<ActiveApp>, DirectoryError> {
        if let Some(known) = self.apps_by_id.get(&(tenant, app)).await {
            return acting(known);
        }
        let load = async {
            match self.storage.tenant(tenant).apps().appid(app).await? {
                Some(appid) => self.app(&appid).await,
                None => Ok(None),
            }
        };
        acting(
            Box::pin(self.apps_by_id.try_get_with((tenant, app), load))
                .await
                .map_err(|error: Arc<DirectoryError>| *error)?,
        )
    }

    async fn app(&self, appid: &WechatAppid) -> Result<Option<Arc<FoundApp>>, DirectoryError> {
        if let Some(known) = self.apps.get(appid).await {
            return Ok(known);
        }
        // On the heap, so that the future of every request need not hold it.
        Box::pin(self.apps.try_get_with_by_ref(appid, self.load_app(appid))).await.map_err(|error| *error)
    }

    /// The only enabled app of an active tenant, if there is exactly one.
    pub(crate) async fn only_app(&self) -> Result<Option<WechatAppid>, DirectoryError> {
        self.storage.apps().only_enabled().await.map_err(DirectoryError::from)
    }

    /// The tenant of this name.
    pub(crate) async fn tenant(&self, slug: &Slug) -> Result<Option<Arc<KnownTenant>>, DirectoryError> {
        if let Some(found) = self.tenants.get(slug).await {
            return Ok(found);
        }
        Box::pin(self.tenants.try_get_with_by_ref(slug, self.load_tenant(slug))).await.map_err(|error| *error)
    }

    /// The tenant of this id.
    pub(crate) async fn tenant_of(&self, tenant: TenantId) -> Result<Option<Arc<KnownTenant>>, DirectoryError> {
        if let Some(known) = self.tenants_by_id.get(&tenant).await {
            return Ok(known);
        }
        let load = async {
            match self.storage.tenants().slug(tenant).await? {
                Some(slug) => self.tenant(&slug).await,
                None => Ok(None),
            }
        };
        let loaded = Box::pin(self.tenants_by_id.try_get_with(tenant, load)).await;
        loaded.map_err(|error: Arc<DirectoryError>| *error)
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
            return Ok(known);
        }
        let load = async {
            let stored = self.storage.tenant(tenant).service_clients().with_secrets().await?;
            let known = stored
                .into_iter()
                .map(|(client, secrets)| (client.id.clone(), Arc::new(KnownClient::new(client, secrets))));
            Ok(Arc::new(known.collect()))
        };
        let loaded = Box::pin(self.clients.try_get_with(tenant, load)).await;
        loaded.map_err(|error: Arc<DirectoryError>| *error)
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
        let stored = self.storage.apps().find(appid).await?;
        let Some(stored) = stored else { return Ok(None) };
        let Some(tenant) = self.tenant(&stored.tenant.slug).await? else { return Ok(None) };
        let enabled = stored.app.status == AppStatus::Enabled && stored.tenant.status == TenantStatus::Active;
        let active = Arc::new(ActiveApp { app: stored.app, tenant, credential: stored.credential });
        Ok(Some(Arc::new(FoundApp { active, enabled })))
    }

    async fn load_tenant(&self, slug: &Slug) -> Result<Option<Arc<KnownTenant>>, DirectoryError> {
        let Some(tenant) = self.storage.tenants().find(slug).await? else {
            return Ok(None);
        };
        let keys = self.storage.tenant(tenant.id).signing_keys().await?;
        let ring = KeyRing::new(&keys).map_err(|error| unavailable(&error))?;
        let issuer = Issuer::new(&self.public_url, &tenant.slug);
        let key_epoch = self.key_epochs.of(tenant.id);
        Ok(Some(Arc::new(KnownTenant { tenant, issuer, ring, key_epoch })))
    }

    /// Forgets rows as soon as the database says that they changed. Ends when the storage stops.
    pub(crate) async fn follow_changes(self) {
        let mut changes = self.storage.changes();
        loop {
            let keys = match changes.recv().await {
                // A revocation changes no row that stands here, and every logout is one.
                Ok(Change { kind: ChangeKind::Revocation, .. }) => continue,
                Ok(Change { kind: ChangeKind::SigningKey, tenant, .. }) => Keys::Moved(tenant),
                Ok(_) => Keys::Stayed,
                Err(RecvError::Lagged(_)) => Keys::Moved(None),
                Err(RecvError::Closed) => return,
            };
            self.forget(keys);
            // Once more a moment later: a load that began before the commit may have ended after the first time.
            let directory = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                directory.forget(keys);
            });
        }
    }

    /// What happens when a tenant's keys move.
    #[cfg(test)]
    pub(crate) fn forget_keys_of(&self, tenant: TenantId) {
        self.forget(Keys::Moved(Some(tenant)));
    }

    /// Administrators change rows rarely, and a row is one indexed read: forgetting all keeps this simple.
    /// The epoch of keys moves last: a token that is verified in the new one is verified by the new keys.
    fn forget(&self, keys: Keys) {
        // By name first: what is found by id is loaded through it.
        self.apps.invalidate_all();
        self.tenants.invalidate_all();
        self.apps_by_id.invalidate_all();
        self.tenants_by_id.invalidate_all();
        self.clients.invalidate_all();
        if let Keys::Moved(tenant) = keys {
            self.key_epochs.moved(tenant);
        }
    }
}

/// Whether signing keys moved, and whose: a tenant's, or nobody knows whose.
#[derive(Clone, Copy, Debug)]
enum Keys {
    Stayed,
    Moved(Option<TenantId>),
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> DirectoryError {
    tracing::error!(error.source = %error, "an app or tenant cannot be read");
    DirectoryError::Unavailable
}

/// How long an answer of the database is believed.
struct Believed;

impl<K, V> Expiry<K, Option<V>> for Believed {
    fn expire_after_create(&self, _: &K, value: &Option<V>, _: Instant) -> Option<Duration> {
        Some(if value.is_some() { POSITIVE } else { NEGATIVE })
    }
}

impl From<StorageError> for DirectoryError {
    fn from(error: StorageError) -> Self {
        unavailable(&error)
    }
}
