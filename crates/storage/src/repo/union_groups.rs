//! Union groups: the Open Platform accounts that give unionids their meaning.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, Set};
use wxgate_domain::{TenantId, Timestamp, UnionGroupId};

use crate::changes::ChangeKind;
use crate::entity::union_group;
use crate::error::StorageError;
use crate::scope::of_tenant;
use crate::storage::Storage;
use crate::tx::Tx;

/// An Open Platform account of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnionGroup {
    /// Our id.
    pub id: UnionGroupId,
    /// Its name for people, unique within the tenant, at most 200 characters.
    pub name: String,
    /// When it was added.
    pub created_at: Timestamp,
}

impl From<union_group::Model> for UnionGroup {
    fn from(row: union_group::Model) -> Self {
        Self { id: row.id.into(), name: row.name, created_at: Timestamp::from_millis(row.created_at) }
    }
}

/// The union groups of one tenant.
#[derive(Clone, Debug)]
pub struct TenantUnionGroups {
    storage: Storage,
    tenant: TenantId,
}

impl TenantUnionGroups {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self) -> Result<Vec<UnionGroup>, StorageError> {
        let query = || of_tenant::<union_group::Entity>(self.tenant).order_by_asc(union_group::Column::Name);
        let rows = self.storage.core.read(|db| async move { query().all(&db).await }).await?;
        Ok(rows.into_iter().map(UnionGroup::from).collect())
    }

    /// The one of this name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, name: &str) -> Result<Option<UnionGroup>, StorageError> {
        let query = || of_tenant::<union_group::Entity>(self.tenant).filter(union_group::Column::Name.eq(name));
        let row = self.storage.core.read(|db| async move { query().one(&db).await }).await?;
        Ok(row.map(UnionGroup::from))
    }
}

/// Writes about the union groups of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxUnionGroups<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxUnionGroups<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`StorageError::NotUnique`] (`uq_union_group_tenant_id_name`) if the tenant has one of this name.
    pub async fn add(&self, name: &str) -> Result<UnionGroup, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let now = core.clock.now();
        let group = UnionGroup { id: UnionGroupId::new(now, &core.random), name: name.to_owned(), created_at: now };
        let row = union_group::ActiveModel {
            id: Set(group.id.uuid()),
            tenant_id: Set(self.tenant.uuid()),
            name: Set(group.name.clone()),
            created_at: Set(now.millis()),
        };
        union_group::Entity::insert(row).exec_without_returning(tx).await?;
        self.tx.record(ChangeKind::UnionGroup, self.tenant, Some(group.id.uuid())).await?;
        Ok(group)
    }
}
