//! Reading a chain.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use wxgate_crypto::Digest;
use wxgate_domain::{TenantId, Timestamp};

use super::checkpoint::Checkpoint;
use super::entry::{self, AuditEntry};
use super::keys::AuditKeys;
use super::verify::{self, AuditVerdict};
use super::{AuditChain, TAMPERED, id_of, whose};
use crate::entity::{audit_chain, audit_entry};
use crate::error::StorageError;
use crate::scope::of_tenant;
use crate::storage::{Core, Storage};

/// Which entries somebody wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Of this action alone.
    pub action: Option<String>,
    /// By this actor alone.
    pub actor: Option<String>,
    /// Older than the entry of this number.
    pub before: Option<u64>,
}

/// The chain of one tenant, or the installation's own.
#[derive(Clone, Debug)]
pub struct AuditLog {
    storage: Storage,
    tenant: Option<TenantId>,
}

impl AuditLog {
    pub(crate) fn new(storage: Storage, tenant: Option<TenantId>) -> Self {
        Self { storage, tenant }
    }

    /// At most `limit` entries, newest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn page(&self, filter: &AuditFilter, limit: u64) -> Result<Vec<AuditEntry>, StorageError> {
        let chain = id_of(self.tenant);
        let query = || {
            let mut query = of_tenant::<audit_entry::Entity>(chain);
            if let Some(since) = filter.since {
                query = query.filter(audit_entry::Column::At.gte(since.millis()));
            }
            if let Some(action) = &filter.action {
                query = query.filter(audit_entry::Column::Action.eq(action.as_str()));
            }
            if let Some(actor) = &filter.actor {
                query = query.filter(audit_entry::Column::Actor.eq(actor.as_str()));
            }
            if let Some(before) = filter.before {
                query = query.filter(audit_entry::Column::Seq.lt(i64::try_from(before).unwrap_or(i64::MAX)));
            }
            query.order_by_desc(audit_entry::Column::Seq).limit(limit)
        };
        let rows = self.storage.core.read(|db| async move { query().all(&db).await }).await?;
        rows.into_iter().map(entry::of_row).collect()
    }

    /// Whether every entry is there and as it was written. A checkpoint from elsewhere proves more: that nothing of before
    /// it was put back as on an earlier day.
    ///
    /// # Errors
    /// The database fails, or a key does not open.
    pub async fn verify(&self, checkpoint: Option<&Checkpoint>) -> Result<AuditVerdict, StorageError> {
        verify::verify(&self.storage.core, self.tenant, checkpoint).await
    }

    /// Where the chain stands now; `None` if there is none, or if it is not as we left it, which is logged.
    ///
    /// # Errors
    /// The database fails, or a key does not open.
    pub async fn checkpoint(&self) -> Result<Option<Checkpoint>, StorageError> {
        let (core, chain) = (&self.storage.core, id_of(self.tenant));
        let row = core.read(|db| async move { of_tenant::<audit_chain::Entity>(chain).one(&db).await }).await?;
        let Some(row) = row else { return Ok(None) };
        let keys = core.read(|db| async move { AuditKeys::load(&db, core, chain).await }).await?;
        if !keys.anchor(&row) {
            tracing::error!(tenant.id = %chain, "{TAMPERED}");
            return Ok(None);
        }
        let head = Digest::from_slice(&row.head).ok_or_else(|| StorageError::inconsistent("audit_chain", "head"))?;
        let stands = (self.tenant, row.seq.unsigned_abs(), head);
        Ok(Some(Checkpoint::sign(stands, core.clock.now(), keys.newest()?)))
    }
}

/// How far the chains after this one go, in the order of their tenants; the installation's own is the first of all.
pub(crate) async fn heads(
    core: &Core,
    after: Option<AuditChain>,
    limit: u64,
) -> Result<Vec<(AuditChain, u64)>, StorageError> {
    let query = || {
        #[expect(clippy::disallowed_methods, reason = "of all tenants, one after another")]
        let mut chains = audit_chain::Entity::find();
        if let Some(after) = after {
            chains = chains.filter(audit_chain::Column::TenantId.gt(id_of(after).uuid()));
        }
        chains.order_by_asc(audit_chain::Column::TenantId).limit(limit)
    };
    let rows = core.read(|db| async move { query().all(&db).await }).await?;
    Ok(rows.into_iter().map(|row| (whose(row.tenant_id.into()), row.seq.unsigned_abs())).collect())
}
