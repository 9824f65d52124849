//! Union groups: the Open Platform accounts that give unionids their meaning.

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use wxgate_domain::{TenantId, Timestamp, UnionGroupId};

use crate::changes::ChangeKind;
use crate::entity::{app, union_group, union_member};
use crate::error::StorageError;
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};
use crate::storage::Storage;
use crate::tx::Tx;

/// An Open Platform account of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnionGroup {
    /// Our id.
    pub id: UnionGroupId,
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// Its name for people, unique within the tenant, at most 200 characters.
    pub name: String,
    /// When it was added.
    pub created_at: Timestamp,
}

impl From<union_group::Model> for UnionGroup {
    fn from(row: union_group::Model) -> Self {
        let created_at = Timestamp::from_millis(row.created_at);
        Self { id: row.id.into(), tenant: row.tenant_id.into(), name: row.name, created_at }
    }
}

/// What is in a union group: as long as there is something, it cannot go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupMembers {
    /// Apps that are bound to it.
    pub apps: u64,
    /// People whose unionid it gives a meaning.
    pub people: u64,
}

/// The union groups of all tenants.
#[derive(Clone, Debug)]
pub struct AllUnionGroups(Storage);

impl AllUnionGroups {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// The group of this id, for operators, who know ids and not always tenants.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of_id(&self, id: UnionGroupId) -> Result<Option<UnionGroup>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "our ids are unique among all tenants")]
        let query = || union_group::Entity::find_by_id(id.uuid());
        let row = self.0.core.read(|db| async move { query().one(&db).await }).await?;
        Ok(row.map(UnionGroup::from))
    }

    /// At most `limit` groups, of one tenant or of all, by id, after this one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn page(
        &self,
        tenant: Option<TenantId>,
        after: Option<UnionGroupId>,
        limit: u64,
    ) -> Result<Vec<UnionGroup>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the operator sees all tenants")]
        let mut query = tenant.map_or_else(union_group::Entity::find, of_tenant::<union_group::Entity>);
        if let Some(after) = after {
            query = query.filter(union_group::Column::Id.gt(after.uuid()));
        }
        let query = &query.order_by_asc(union_group::Column::Id).limit(limit);
        let rows = self.0.core.read(|db| async move { query.clone().all(&db).await }).await?;
        Ok(rows.into_iter().map(UnionGroup::from).collect())
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
        let id = UnionGroupId::new(now, &core.random);
        let group = UnionGroup { id, tenant: self.tenant, name: name.to_owned(), created_at: now };
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
    /// Gives a group another name: `change` gets it as it is, under the row's lock.
    ///
    /// # Errors
    /// What `change` fails with; [`StorageError::NotFound`] if the tenant has no such group;
    /// [`StorageError::NotUnique`] (`uq_union_group_tenant_id_name`) if it has another one of this name.
    pub async fn rename<E: From<StorageError>>(
        &self,
        id: UnionGroupId,
        change: impl FnOnce(&UnionGroup) -> Result<String, E>,
    ) -> Result<UnionGroup, E> {
        let group = self.current(id).await?;
        let name = change(&group)?;
        let row = union_group::ActiveModel { name: Set(name.clone()), ..Default::default() };
        let update = update_of_tenant::<union_group::Entity>(self.tenant).filter(union_group::Column::Id.eq(id.uuid()));
        update.set(row).exec(&self.tx.tx).await.map_err(StorageError::from)?;
        self.tx.record(ChangeKind::UnionGroup, self.tenant, Some(id.uuid())).await?;
        Ok(UnionGroup { name, ..group })
    }

    /// Removes a group, unless something is in it: then nothing happens, and that is returned.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such group.
    pub async fn remove(&self, id: UnionGroupId) -> Result<GroupMembers, StorageError> {
        self.current(id).await?;
        let tx = &self.tx.tx;
        let apps = of_tenant::<app::Entity>(self.tenant).filter(app::Column::UnionGroupId.eq(id.uuid()));
        let people =
            of_tenant::<union_member::Entity>(self.tenant).filter(union_member::Column::UnionGroupId.eq(id.uuid()));
        let members = GroupMembers { apps: apps.count(tx).await?, people: people.count(tx).await? };
        if members == GroupMembers::default() {
            let remove = delete_of_tenant::<union_group::Entity>(self.tenant);
            remove.filter(union_group::Column::Id.eq(id.uuid())).exec(tx).await?;
            self.tx.record(ChangeKind::UnionGroup, self.tenant, Some(id.uuid())).await?;
        }
        Ok(members)
    }

    /// The group as it is, locked until the transaction ends.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such group.
    pub async fn current(&self, id: UnionGroupId) -> Result<UnionGroup, StorageError> {
        let by_id = of_tenant::<union_group::Entity>(self.tenant).filter(union_group::Column::Id.eq(id.uuid()));
        let row = by_id.lock_exclusive().one(&self.tx.tx).await?;
        row.map(UnionGroup::from).ok_or(StorageError::NotFound)
    }
}
