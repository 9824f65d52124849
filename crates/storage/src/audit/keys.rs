//! The keys that make the MACs: each tenant's own, and the installation's, which is made when it is first needed.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, Set};
use uuid::Uuid;
use wxgate_crypto::{Digest, KeyId, MacKey};
use wxgate_domain::TenantId;

use crate::entity::{audit_chain, data_key, instance_key};
use crate::error::StorageError;
use crate::keys::{self, Purpose};
use crate::repo::{self, master_keys};
use crate::scope::of_tenant;
use crate::storage::Core;

/// The installation's first key.
const FIRST: u32 = 1;

/// The keys of one chain, newest first.
pub(super) struct AuditKeys(Vec<(u32, MacKey)>);

impl AuditKeys {
    /// Reads and opens them; there are none where nothing was ever written.
    pub(super) async fn load<C: ConnectionTrait>(db: &C, core: &Core, chain: TenantId) -> Result<Self, StorageError> {
        let purpose = Purpose::Audit.as_str();
        let (table, rows): (&'static str, Vec<(i32, Vec<u8>)>) = if chain.uuid() == Uuid::nil() {
            #[expect(clippy::disallowed_methods, reason = "the installation's keys belong to no tenant")]
            let keys = instance_key::Entity::find().filter(instance_key::Column::Purpose.eq(purpose));
            let rows = keys.order_by_desc(instance_key::Column::Number).all(db).await?;
            ("instance_key", rows.into_iter().map(|row| (row.number, row.sealed)).collect())
        } else {
            let keys = of_tenant::<data_key::Entity>(chain).filter(data_key::Column::Purpose.eq(purpose));
            let rows = keys.order_by_desc(data_key::Column::Number).all(db).await?;
            ("data_key", rows.into_iter().map(|row| (row.number, row.sealed)).collect())
        };
        let open = |(number, sealed)| {
            let number = repo::unsigned(number, table, "number")?;
            let key = keys::open_sealed(&core.master_keys, table, chain.uuid(), number, sealed)?;
            Ok((number, MacKey::new(KeyId::from(number), key)))
        };
        Ok(Self(rows.into_iter().map(open).collect::<Result<_, StorageError>>()?))
    }

    /// The same, for whoever is about to write: the installation gets its first key.
    pub(super) async fn to_write(tx: &DatabaseTransaction, core: &Core, chain: TenantId) -> Result<Self, StorageError> {
        let found = Self::load(tx, core, chain).await?;
        if !found.0.is_empty() || chain.uuid() != Uuid::nil() {
            return Ok(found);
        }
        let place = ("instance_key", chain.uuid(), FIRST);
        let sealed = keys::seal_new(&master_keys::sealing(tx, core).await?, place, &core.random.secret(), &core.random);
        let row = instance_key::ActiveModel {
            number: Set(FIRST.cast_signed()),
            purpose: Set(Purpose::Audit.as_str().to_owned()),
            sealed: Set(sealed.into_bytes()),
            created_at: Set(core.clock.now().millis()),
        };
        // Of two that are first at once one wins, and both take what it wrote.
        let mut once = OnConflict::column(instance_key::Column::Number);
        once.do_nothing_on([instance_key::Column::Number]);
        instance_key::Entity::insert(row).on_conflict(once).exec_without_returning(tx).await?;
        Self::load(tx, core, chain).await
    }

    /// The one that makes MACs today; `NotFound` if the tenant is gone.
    pub(super) fn newest(&self) -> Result<&(u32, MacKey), StorageError> {
        self.0.first().ok_or(StorageError::NotFound)
    }

    /// The one of this number.
    pub(super) fn get(&self, number: i32) -> Option<&MacKey> {
        let number = u32::try_from(number).ok()?;
        self.0.iter().find(|(known, _)| *known == number).map(|(_, key)| key)
    }

    /// Whether there are any.
    pub(super) fn has_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether the row of the chain is as one of these keys left it.
    pub(super) fn anchor(&self, row: &audit_chain::Model) -> bool {
        self.0.iter().any(|(_, key)| Digest::from_slice(&row.anchor) == Some(anchor(key, row)))
    }
}

/// The MAC of a chain's row.
pub(super) fn anchor(key: &MacKey, row: &audit_chain::Model) -> Digest {
    let parts: [&[u8]; 5] =
        [row.tenant_id.as_bytes(), &row.seq.to_be_bytes(), &row.head, &row.pruned.to_be_bytes(), &row.pruned_mac];
    key.digest("audit chain", &parts)
}
