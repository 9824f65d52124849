//! Transactions: how they begin, and the writes of administrators.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use wxgate_crypto::KeyId;
use wxgate_domain::TenantId;

use crate::audit::TxAudit;
use crate::bind_phone::TxPhones;
use crate::changes::ChangeKind;
use crate::connect::Engine;
use crate::erasure_journal::Entry;
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::repo::admin_keys::TxAdminKeys;
use crate::repo::apps::TxApps;
use crate::repo::audiences::TxAudiences;
use crate::repo::data_keys::TxDataKeys;
use crate::repo::events::TxEvents;
use crate::repo::forward_auth_policies::TxForwardAuthPolicies;
use crate::repo::idempotency::{self, Creation};
use crate::repo::jobs::TxJobs;
use crate::repo::master_keys::TxMasterKeys;
use crate::repo::merge_candidates::TxMergeCandidates;
use crate::repo::merge_tokens::TxMergeTokens;
use crate::repo::phone_budgets::TxPhoneBudgets;
use crate::repo::phone_codes::TxPhoneCodes;
use crate::repo::platforms::TxPlatforms;
use crate::repo::push_marks::TxPushMarks;
use crate::repo::push_settings::TxPushSettings;
use crate::repo::receipts::TxReceipts;
use crate::repo::revocations::TxRevocations;
use crate::repo::service_clients::TxServiceClients;
use crate::repo::signing_keys::TxSigningKeys;
use crate::repo::tenants::TxTenants;
use crate::repo::union_groups::TxUnionGroups;
use crate::repo::users::TxUsers;
use crate::repo::webhooks::TxWebhooks;
use crate::storage::Core;

/// A server that restarted leaves every pooled connection broken; each attempt weeds out one of them.
pub(crate) const ATTEMPTS: usize = 17;

/// Begins a transaction on a connection that works.
///
/// SQLite takes its write lock at once, because a transaction that reads first and writes later can fail half-way. The
/// servers run READ COMMITTED, set when the connection is made.
pub(crate) async fn begin(core: &Core) -> Result<DatabaseTransaction, StorageError> {
    let mut attempt = 1;
    loop {
        let mode = (core.engine == Engine::Sqlite).then_some(SqliteTransactionMode::Immediate);
        let options = TransactionOptions { sqlite_transaction_mode: mode, ..TransactionOptions::default() };
        match core.writer.begin_with_options(options).await {
            Ok(tx) => return Ok(tx),
            Err(error) => match StorageError::from(error) {
                error if error.is_broken_connection() && attempt < ATTEMPTS => attempt += 1,
                error => return Err(error),
            },
        }
    }
}

/// Administrative writes that are seen together or not at all. Dropped without [`Tx::commit`], it undoes them.
///
/// Locks are taken in one order by everybody: rows first, by what belongs to what, then the counters: that of the tenant's
/// feed, that of changes, and last the row of the audit chain. Of several chains, that of the lowest tenant id goes first.
#[expect(clippy::struct_field_names, reason = "the database's transaction inside ours")]
pub struct Tx {
    pub(crate) core: Arc<Core>,
    pub(crate) tx: DatabaseTransaction,
    /// What is to stand in the erasure journal before anything of this is seen.
    erasures: Mutex<Vec<Entry>>,
    /// Tenants whose keys, or what is remembered with them, this changes.
    keys_of: Mutex<BTreeSet<TenantId>>,
    /// The keys that this read: a tenant may be as new as the transaction, and then nobody else knows its keys.
    keys: Mutex<HashMap<TenantId, Arc<TenantKeys>>>,
    /// Whether there is something to tell services of.
    told: AtomicBool,
}

impl Tx {
    pub(crate) async fn begin(core: Arc<Core>) -> Result<Self, StorageError> {
        let tx = begin(&core).await?;
        let (erasures, keys_of, keys) = (Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Self { core, tx, erasures, keys_of, keys, told: AtomicBool::new(false) })
    }

    /// Writes about tenants themselves.
    pub fn tenants(&self) -> TxTenants<'_> {
        TxTenants::new(self)
    }

    /// Writes about master keys.
    pub fn master_keys(&self) -> TxMasterKeys<'_> {
        TxMasterKeys::new(self)
    }

    /// Writes about admin keys.
    pub fn admin_keys(&self) -> TxAdminKeys<'_> {
        TxAdminKeys::new(self)
    }

    /// Notes a creation of something of a tenant, or of none, which is not to happen twice, and what is answered to whoever
    /// asks for it again. No secret may be in that.
    ///
    /// # Errors
    /// [`StorageError::NotUnique`] if it happened already.
    pub async fn note(
        &self,
        tenant: Option<TenantId>,
        creation: &Creation,
        reply: &serde_json::Value,
    ) -> Result<(), StorageError> {
        idempotency::note(self, tenant, creation, reply).await
    }

    /// Asks for jobs.
    pub fn jobs(&self) -> TxJobs<'_> {
        TxJobs::new(self)
    }

    /// The audit log of a tenant, or the installation's own. Nothing is written after it.
    pub fn audit(&self, tenant: Option<TenantId>) -> TxAudit<'_> {
        TxAudit::new(self, tenant)
    }

    /// Writes inside a tenant.
    pub fn tenant(&self, id: TenantId) -> TxScope<'_> {
        TxScope { tx: self, tenant: id }
    }

    /// Makes it so. Other processes hear of it within 250 ms. Whoever was erased stands in the erasure journal before, and
    /// on SQLite the write-ahead log holds nothing of them afterwards.
    ///
    /// # Errors
    /// [`StorageError::Busy`] if the database could not; [`StorageError::Unavailable`] if nobody knows;
    /// [`StorageError::Journal`] if the erasure journal could not be written.
    pub async fn commit(self) -> Result<(), StorageError> {
        let erasures = self.erasures.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !erasures.is_empty() {
            self.core.write_journal(&erasures).await?;
        }
        self.tx.commit().await?;
        // This process need not wait until it reads of its own change.
        for tenant in self.keys_of.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.core.keys.forget(tenant).await;
        }
        self.core.news.notify_one();
        if self.told.into_inner() {
            self.core.told.notify_one();
        }
        if !erasures.is_empty() {
            self.core.empty_log().await;
        }
        Ok(())
    }

    /// The keys of a tenant as this transaction sees them, read once. `NotFound` if there is no such tenant.
    pub(crate) async fn keys(&self, tenant: TenantId) -> Result<Arc<TenantKeys>, StorageError> {
        let known = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(&tenant).cloned();
        match known {
            Some(keys) => Ok(keys),
            None => self.read_keys(tenant).await,
        }
    }

    /// The same, the key of this id among them: somebody else may have begun to use it since they were read.
    pub(crate) async fn keys_with(&self, tenant: TenantId, id: KeyId) -> Result<Arc<TenantKeys>, StorageError> {
        let keys = self.keys(tenant).await?;
        if keys.knows(id) { Ok(keys) } else { self.read_keys(tenant).await }
    }

    async fn read_keys(&self, tenant: TenantId) -> Result<Arc<TenantKeys>, StorageError> {
        let keys = Arc::new(TenantKeys::load(&self.tx, &self.core.master_keys, tenant).await?);
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant, keys.clone());
        Ok(keys)
    }

    /// Notes what is to stand in the erasure journal.
    pub(crate) fn journal(&self, entry: Entry) {
        self.erasures.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    /// Notes that there is something to tell services of.
    pub(crate) fn has_told(&self) {
        self.told.store(true, Ordering::Relaxed);
    }

    /// Logs a change, to be seen with the transaction.
    pub(crate) async fn record(
        &self,
        kind: ChangeKind,
        tenant: TenantId,
        row: Option<uuid::Uuid>,
    ) -> Result<(), StorageError> {
        if kind.is_about_keys() {
            self.keys_of.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant);
            self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
        }
        crate::changes::record(&self.tx, kind, tenant, row, self.core.clock.now()).await
    }
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tx")
    }
}

/// The writes inside one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxScope<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxScope<'a> {
    /// The tenant's apps.
    pub fn apps(&self) -> TxApps<'a> {
        TxApps::new(self.tx, self.tenant)
    }

    /// The tenant's data keys.
    pub fn data_keys(&self) -> TxDataKeys<'a> {
        TxDataKeys::new(self.tx, self.tenant)
    }

    /// The tenant's signing keys.
    pub fn signing_keys(&self) -> TxSigningKeys<'a> {
        TxSigningKeys::new(self.tx, self.tenant)
    }

    /// The tenant's union groups.
    pub fn union_groups(&self) -> TxUnionGroups<'a> {
        TxUnionGroups::new(self.tx, self.tenant)
    }

    /// The tenant's audiences.
    pub fn audiences(&self) -> TxAudiences<'a> {
        TxAudiences::new(self.tx, self.tenant)
    }

    /// The tenant's service clients.
    pub fn service_clients(&self) -> TxServiceClients<'a> {
        TxServiceClients::new(self.tx, self.tenant)
    }

    /// What the tenant's services are told of.
    pub fn events(&self) -> TxEvents<'a> {
        TxEvents::new(self.tx, self.tenant)
    }

    /// The tenant's forward-auth policies.
    pub fn forward_auth_policies(&self) -> TxForwardAuthPolicies<'a> {
        TxForwardAuthPolicies::new(self.tx, self.tenant)
    }

    /// The tenant's webhooks.
    pub fn webhooks(&self) -> TxWebhooks<'a> {
        TxWebhooks::new(self.tx, self.tenant)
    }

    /// What became of what the tenant's webhooks were to be told.
    pub fn receipts(&self) -> TxReceipts<'a> {
        TxReceipts::new(self.tx, self.tenant)
    }

    /// The tenant's third-party platforms.
    pub fn platforms(&self) -> TxPlatforms<'a> {
        TxPlatforms::new(self.tx, self.tenant)
    }

    /// How the tenant's apps take pushes.
    pub fn push_settings(&self) -> TxPushSettings<'a> {
        TxPushSettings::new(self.tx, self.tenant)
    }

    /// Which pushes of the tenant's apps were there before.
    pub fn push_marks(&self) -> TxPushMarks<'a> {
        TxPushMarks::new(self.tx, self.tenant)
    }

    /// The tenant's feed of what ended.
    pub fn revocations(&self) -> TxRevocations<'a> {
        TxRevocations::new(self.tx, self.tenant)
    }

    /// Who of the tenant may be whom.
    pub fn merge_candidates(&self) -> TxMergeCandidates<'a> {
        TxMergeCandidates::new(self.tx, self.tenant)
    }

    /// The phone numbers of the tenant's users.
    pub fn phones(&self) -> TxPhones<'a> {
        TxPhones::new(self.tx, self.tenant)
    }

    /// Moves about how often WeChat is asked about phone numbers.
    pub fn phone_budgets(&self) -> TxPhoneBudgets<'a> {
        TxPhoneBudgets::new(self.tx, self.tenant)
    }

    /// The phone codes that the tenant's users sent.
    pub fn phone_codes(&self) -> TxPhoneCodes<'a> {
        TxPhoneCodes::new(self.tx, self.tenant)
    }

    /// The tenant's merge tokens.
    pub fn merge_tokens(&self) -> TxMergeTokens<'a> {
        TxMergeTokens::new(self.tx, self.tenant)
    }

    /// The tenant's users.
    pub fn users(&self) -> TxUsers<'a> {
        TxUsers::new(self.tx, self.tenant)
    }
}
