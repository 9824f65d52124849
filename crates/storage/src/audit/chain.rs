//! Writing: the row of the chain stays locked from one entry's number to the commit, so entries appear in their order.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect, Set};
use wxgate_domain::TenantId;

use super::entry::{self, NewAuditEntry};
use super::keys::{self, AuditKeys};
use super::{TAMPERED, id_of};
use crate::entity::{audit_chain, audit_entry};
use crate::error::StorageError;
use crate::scope::{of_tenant, update_of_tenant};
use crate::sql::LARGEST;
use crate::storage::Core;
use crate::tx::Tx;

/// The MAC before the first entry, and that of a chain that was found broken: no key makes it.
pub(super) const NONE: [u8; 32] = [0; 32];

/// Begins a chain: a tenant's with the tenant, the installation's with its first entry.
pub(crate) async fn begin(tx: &DatabaseTransaction, core: &Core, chain: TenantId) -> Result<(), StorageError> {
    let keys = AuditKeys::to_write(tx, core, chain).await?;
    let mut row = fresh(chain);
    row.anchor = keys::anchor(&keys.newest()?.1, &row).as_bytes().to_vec();
    insert(tx, row).await
}

fn fresh(chain: TenantId) -> audit_chain::Model {
    let nothing = || NONE.to_vec();
    audit_chain::Model {
        tenant_id: chain.uuid(),
        seq: 0,
        head: nothing(),
        pruned: 0,
        pruned_mac: nothing(),
        anchor: nothing(),
    }
}

async fn insert(tx: &DatabaseTransaction, row: audit_chain::Model) -> Result<(), StorageError> {
    let row = audit_chain::ActiveModel {
        tenant_id: Set(row.tenant_id),
        seq: Set(row.seq),
        head: Set(row.head),
        pruned: Set(row.pruned),
        pruned_mac: Set(row.pruned_mac),
        anchor: Set(row.anchor),
    };
    let mut once = OnConflict::column(audit_chain::Column::TenantId);
    once.do_nothing_on([audit_chain::Column::TenantId]);
    audit_chain::Entity::insert(row).on_conflict(once).exec_without_returning(tx).await?;
    Ok(())
}

/// The row of a chain, locked until the transaction ends.
pub(super) async fn locked(
    tx: &DatabaseTransaction,
    chain: TenantId,
) -> Result<Option<audit_chain::Model>, StorageError> {
    Ok(of_tenant::<audit_chain::Entity>(chain).lock_exclusive().one(tx).await?)
}

/// Writes the row of a chain with its MAC. One that was found broken stays so for good: no later entry hides it.
pub(super) async fn store(
    tx: &DatabaseTransaction,
    keys: &AuditKeys,
    mut row: audit_chain::Model,
    sound: bool,
) -> Result<(), StorageError> {
    row.anchor = if sound { keys::anchor(&keys.newest()?.1, &row).as_bytes().to_vec() } else { NONE.to_vec() };
    let change = audit_chain::ActiveModel {
        seq: Set(row.seq),
        head: Set(row.head),
        pruned: Set(row.pruned),
        pruned_mac: Set(row.pruned_mac),
        anchor: Set(row.anchor),
        ..Default::default()
    };
    update_of_tenant::<audit_chain::Entity>(row.tenant_id.into()).set(change).exec(tx).await?;
    Ok(())
}

/// The writes into one chain.
#[derive(Clone, Copy, Debug)]
pub struct TxAudit<'a> {
    tx: &'a Tx,
    tenant: Option<TenantId>,
}

impl<'a> TxAudit<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: Option<TenantId>) -> Self {
        Self { tx, tenant }
    }

    /// Writes an entry, to be seen with the transaction; its number. After everything else of the transaction: the row of
    /// the chain is locked last. Control characters become U+FFFD, and what is too long for its column is cut.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant is gone.
    pub async fn record(&self, new: &NewAuditEntry) -> Result<u64, StorageError> {
        self.record_all(std::slice::from_ref(new)).await
    }

    /// Writes entries, one after the other, as [`Self::record`] does one; the number of the last.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant is gone.
    pub async fn record_all(&self, new: &[NewAuditEntry]) -> Result<u64, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let chain = id_of(self.tenant);
        let (mut row, sound, keys) = self.lock().await?;
        let (number, key) = keys.newest()?;
        for new in new.chunks(LARGEST) {
            let mut entries = Vec::with_capacity(new.len());
            for new in new {
                row.seq = row.seq.saturating_add(1);
                let mut entry = new.to_row(chain, row.seq, core.clock.now(), &core.random);
                entry.mac_key = number.cast_signed();
                entry.mac = entry::mac(key, &entry, &row.head).as_bytes().to_vec();
                row.head.clone_from(&entry.mac);
                entries.push(entry::inserted(entry));
            }
            audit_entry::Entity::insert_many(entries).exec_without_returning(tx).await?;
        }
        let seq = row.seq.unsigned_abs();
        store(tx, &keys, row, sound).await?;
        Ok(seq)
    }

    /// The chain's row, locked; whether it is as we left it; and the keys.
    async fn lock(&self) -> Result<(audit_chain::Model, bool, AuditKeys), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let chain = id_of(self.tenant);
        if let Some(row) = locked(tx, chain).await? {
            let keys = AuditKeys::to_write(tx, core, chain).await?;
            let sound = keys.anchor(&row);
            if !sound {
                tracing::error!(tenant.id = %chain, "{TAMPERED}");
            }
            return Ok((row, sound, keys));
        }
        // The installation's chain begins with its key. Any other that is not there was removed.
        let known = AuditKeys::load(tx, core, chain).await?;
        if self.tenant.is_none() && !known.has_any() {
            begin(tx, core, chain).await?;
        } else if known.has_any() {
            insert(tx, fresh(chain)).await?;
        }
        let row = locked(tx, chain).await?.ok_or(StorageError::NotFound)?;
        let keys = AuditKeys::load(tx, core, chain).await?;
        let sound = keys.anchor(&row);
        Ok((row, sound, keys))
    }

    /// Forgets what is personal in the entries that name somebody as who did it, or as to whom it was done; how many.
    /// The chain holds without it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget_personal(&self, somebody: &str) -> Result<u64, StorageError> {
        let (actor, target) = (audit_entry::Column::Actor, audit_entry::Column::Target);
        let theirs = Condition::any().add(actor.eq(somebody)).add(target.eq(somebody));
        let nothing = audit_entry::ActiveModel { personal: Set(None), salt: Set(None), ..Default::default() };
        let forget = update_of_tenant::<audit_entry::Entity>(id_of(self.tenant)).filter(theirs);
        let forget = forget.filter(audit_entry::Column::Personal.is_not_null()).set(nothing);
        Ok(forget.exec(&self.tx.tx).await?.rows_affected)
    }
}
