//! A tenant's data keys: random, made with the tenant, stored sealed by the operator's master key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, Set};
use uuid::Uuid;
use wxgate_crypto::{KeyId, MacKey, MasterKey, MasterKeyRing, Place, Random, SealKey, Sealed, Secret};
pub(crate) use wxgate_domain::DataKeyPurpose as Purpose;
use wxgate_domain::{EventKinds, TenantId, Timestamp};

use crate::entity::data_key;
use crate::error::StorageError;
use crate::repo;
use crate::scope::of_tenant;
use crate::storage::Core;

/// The opened keys of a tenant that daily work needs.
pub(crate) struct TenantKeys {
    /// The newest, which seals.
    pub(crate) seal: SealKey,
    /// The ones before, which still open what they sealed.
    others: Vec<SealKey>,
    /// The newest, by its number.
    pub(crate) refresh_mac: (u32, MacKey),
    older_macs: Vec<(u32, MacKey)>,
    /// The newest that digests what is looked up or compared.
    pub(crate) digest: MacKey,
    /// Those that digest, newest first: what an earlier one digested is still to be found.
    pub(crate) digests: Arc<[(u32, MacKey)]>,
    /// What its services want to be told of: whoever writes what they are told needs both.
    pub(crate) wanted: EventKinds,
    /// Another one when a backup was restored; part of every refresh token's MAC.
    pub(crate) restore_epoch: u32,
    /// When they were read.
    since: Instant,
}

impl TenantKeys {
    /// Reads and opens a tenant's keys; `NotFound` if there is no such tenant.
    pub(crate) async fn load<C: ConnectionTrait>(
        db: &C,
        master_keys: &MasterKeyRing,
        tenant: TenantId,
    ) -> Result<Self, StorageError> {
        let purposes = [Purpose::Seal, Purpose::RefreshMac, Purpose::Digest].map(Purpose::as_str);
        let newest_first = of_tenant::<data_key::Entity>(tenant)
            .filter(data_key::Column::Purpose.is_in(purposes))
            .order_by_desc(data_key::Column::Number);
        let mut seals = Vec::new();
        let mut macs = Vec::new();
        let mut digests = Vec::new();
        for row in newest_first.all(db).await? {
            let number = repo::unsigned(row.number, "data_key", "number")?;
            let key = open_sealed(master_keys, "data_key", tenant.uuid(), number, row.sealed)?;
            if row.purpose == Purpose::Seal.as_str() {
                seals.push(SealKey::new(KeyId::from(number), key));
            } else if row.purpose == Purpose::Digest.as_str() {
                digests.push((number, MacKey::new(KeyId::from(number), key)));
            } else {
                macs.push((number, MacKey::new(KeyId::from(number), key)));
            }
        }
        let mut seals = seals.into_iter();
        let mut macs = macs.into_iter();
        Ok(Self {
            seal: seals.next().ok_or(StorageError::NotFound)?,
            others: seals.collect(),
            refresh_mac: macs.next().ok_or(StorageError::NotFound)?,
            older_macs: macs.collect(),
            digest: digests.first().map(|(_, key)| key.clone()).ok_or(StorageError::NotFound)?,
            digests: digests.into(),
            wanted: repo::webhooks::wanted(db, tenant).await?,
            restore_epoch: repo::instance::restore_epoch(db).await?,
            since: Instant::now(),
        })
    }

    /// Whether the key of this id is among them.
    pub(crate) fn knows(&self, id: KeyId) -> bool {
        let seals = std::iter::once(&self.seal).chain(&self.others);
        let macs = std::iter::once(&self.refresh_mac).chain(&self.older_macs);
        seals.map(SealKey::id).chain(macs.map(|(number, _)| KeyId::from(*number))).any(|known| known == id)
    }

    /// Opens a value of this tenant with whichever of its keys sealed it.
    pub(crate) fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Result<Secret<Vec<u8>>, StorageError> {
        let id = sealed.key_id();
        let key = std::iter::once(&self.seal).chain(&self.others).find(|key| key.id() == id);
        Ok(key.unwrap_or(&self.seal).open(place, sealed)?)
    }

    /// The MAC key of this number.
    pub(crate) fn mac_key(&self, number: u32) -> Option<&MacKey> {
        let mut all = std::iter::once(&self.refresh_mac).chain(&self.older_macs);
        all.find(|(n, _)| *n == number).map(|(_, key)| key)
    }
}

/// The keys that MAC a tenant's refresh tokens, as they were a moment ago. They are of use for that tenant alone.
#[derive(Clone)]
pub struct RefreshKeys {
    tenant: TenantId,
    keys: Arc<TenantKeys>,
}

impl RefreshKeys {
    pub(crate) fn new(tenant: TenantId, keys: Arc<TenantKeys>) -> Self {
        Self { tenant, keys }
    }

    /// Whose they are.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The key of this number.
    pub fn key(&self, number: u32) -> Option<&MacKey> {
        self.keys.mac_key(number)
    }

    /// Which life of this database it is, as restores of backups count them; part of every MAC.
    pub fn restore_epoch(&self) -> u32 {
        self.keys.restore_epoch
    }

    /// All keys of the tenant, if it is this one.
    pub(crate) fn of(&self, tenant: TenantId) -> Option<&Arc<TenantKeys>> {
        (self.tenant == tenant).then_some(&self.keys)
    }
}

impl std::fmt::Debug for RefreshKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RefreshKeys({})", self.tenant)
    }
}

/// Opens a key that stands in one of the two tables of data keys: a tenant's, or the installation's under the nil id.
pub(crate) fn open_sealed(
    master_keys: &MasterKeyRing,
    table: &'static str,
    tenant: Uuid,
    number: u32,
    sealed: Vec<u8>,
) -> Result<Secret<[u8; 32]>, StorageError> {
    let opened = master_keys.open(&place(table, tenant, &number.to_be_bytes()), &Sealed::parse(sealed)?)?;
    let key: [u8; 32] =
        opened.expose().as_slice().try_into().map_err(|_| StorageError::inconsistent(table, "sealed"))?;
    Ok(Secret::new(key))
}

/// Seals a key for its place, by the master key that [`master_keys::sealing`](crate::repo::master_keys::sealing) names.
pub(crate) fn seal_new(
    master_key: &MasterKey,
    (table, tenant, number): (&'static str, Uuid, u32),
    key: &Secret<[u8; 32]>,
    random: &Random,
) -> Sealed {
    master_key.seal(&place(table, tenant, &number.to_be_bytes()), key.expose(), random)
}

fn place<'a>(table: &'static str, tenant: Uuid, row: &'a [u8]) -> Place<'a> {
    Place { tenant, table, column: "sealed", row }
}

/// New keys for a new tenant, one for each purpose: the rows to store, and the one that seals.
pub(crate) fn create(
    master_key: &MasterKey,
    random: &Random,
    tenant: TenantId,
    now: Timestamp,
) -> (Vec<data_key::ActiveModel>, SealKey) {
    let keys: [Secret<[u8; 32]>; 4] = std::array::from_fn(|_| random.secret());
    let [seal, ..] = &keys;
    let seal_key = SealKey::new(KeyId::from(1), seal.clone());
    let numbered = (1_u32..).zip(Purpose::ALL.iter().zip(&keys));
    let rows = numbered.map(|(number, (purpose, key))| {
        let sealed = seal_new(master_key, ("data_key", tenant.uuid(), number), key, random);
        data_key::ActiveModel {
            tenant_id: Set(tenant.uuid()),
            number: Set(number.cast_signed()),
            purpose: Set(purpose.as_str().to_owned()),
            sealed: Set(sealed.into_bytes()),
            created_at: Set(now.millis()),
        }
    });
    (rows.collect(), seal_key)
}

/// How old a tenant's keys must be to be read again for want of one.
const AGAIN: Duration = Duration::from_millis(100);

/// How long keys are believed after they were read or the log of changes was, which a gateway does several times a second.
const UNHEARD: Duration = Duration::from_mins(1);

/// Opened keys of the tenants in use: at most 20,000, ten minutes each, and forgotten sooner when a change says so.
pub(crate) struct KeyCache(Cache<TenantId, Arc<TenantKeys>>);

impl KeyCache {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(20_000).time_to_live(Duration::from_mins(10)).build())
    }

    pub(crate) async fn forget(&self, tenant: TenantId) {
        self.0.invalidate(&tenant).await;
    }

    pub(crate) fn forget_all(&self) {
        self.0.invalidate_all();
    }
}

impl Core {
    /// The keys of a tenant; concurrent callers share one read. `NotFound` if there is no such tenant.
    pub(crate) async fn keys(&self, tenant: TenantId) -> Result<Arc<TenantKeys>, StorageError> {
        if let Some(keys) = self.keys.0.get(&tenant).await {
            if self.heard.age().min(keys.since.elapsed()) <= UNHEARD {
                return Ok(keys);
            }
            self.keys.forget(tenant).await;
        }
        let load = self.read(|db| async move { TenantKeys::load(&db, &self.master_keys, tenant).await.map(Arc::new) });
        Box::pin(self.keys.0.try_get_with(tenant, load)).await.map_err(|error| error.as_ref().clone())
    }

    /// The keys of a tenant, the one of this id among them if there is such a one: another process may have begun to use
    /// it a moment ago. Whoever guesses ids has the keys read ten times a second, and no more.
    pub(crate) async fn keys_with(&self, tenant: TenantId, id: KeyId) -> Result<Arc<TenantKeys>, StorageError> {
        let known = self.keys(tenant).await?;
        if known.knows(id) {
            return Ok(known);
        }
        tokio::time::sleep(AGAIN.saturating_sub(known.since.elapsed())).await;
        let newer = self.keys(tenant).await?;
        if newer.since > known.since {
            return Ok(newer);
        }
        self.keys.forget(tenant).await;
        self.keys(tenant).await
    }

    /// Opens a value of a tenant.
    pub(crate) async fn open(&self, place: &Place<'_>, sealed: Vec<u8>) -> Result<Secret<Vec<u8>>, StorageError> {
        let sealed = Sealed::parse(sealed)?;
        self.keys_with(place.tenant.into(), sealed.key_id()).await?.open(place, &sealed)
    }
}
