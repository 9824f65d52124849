//! Who became whom: the users who are gone into others, and whom their old ids lead to.

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect};
use wxgate_domain::{MergeCause, MergeId, TenantId, Timestamp, UserId};

use crate::entity::merge;
use crate::error::StorageError;
use crate::scope::{of_tenant, update_of_tenant};
use crate::storage::{Core, Storage};

/// That a user became another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// By which it is undone.
    pub id: MergeId,
    /// The user who is gone; an alias of [`Merge::user`].
    pub gone: UserId,
    /// Who they are now.
    pub user: UserId,
    /// Who they became then, who may have become somebody else since.
    pub into: UserId,
    /// Why.
    pub cause: MergeCause,
    /// When.
    pub at: Timestamp,
    /// Until when it can be undone.
    pub undo_until: Timestamp,
}

pub(crate) fn of_row(row: &merge::Model) -> Result<Merge, StorageError> {
    Ok(Merge {
        id: row.id.into(),
        gone: row.gone_id.into(),
        user: row.user_id.into(),
        into: row.into_id.into(),
        cause: MergeCause::from_word(&row.cause).ok_or_else(|| StorageError::inconsistent("merge", "cause"))?,
        at: Timestamp::from_millis(row.at),
        undo_until: Timestamp::from_millis(row.undo_until),
    })
}

/// Whom the id of a user who is gone leads to.
pub(crate) async fn heir<C: ConnectionTrait>(
    db: &C,
    tenant: TenantId,
    gone: UserId,
) -> Result<Option<UserId>, StorageError> {
    let alias = of_tenant::<merge::Entity>(tenant).filter(merge::Column::GoneId.eq(gone.uuid()));
    Ok(alias.one(db).await?.map(|row| row.user_id.into()))
}

/// The users who are gone into this one.
pub(crate) async fn aliases<C: ConnectionTrait>(
    db: &C,
    tenant: TenantId,
    user: UserId,
) -> Result<Vec<merge::Model>, StorageError> {
    let theirs = of_tenant::<merge::Entity>(tenant).filter(merge::Column::UserId.eq(user.uuid()));
    Ok(theirs.order_by_asc(merge::Column::Id).all(db).await?)
}

/// The merges of one tenant.
#[derive(Clone, Debug)]
pub struct TenantMerges {
    storage: Storage,
    tenant: TenantId,
}

impl TenantMerges {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// The merge of this id, unless it was undone or whoever came of it was erased.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, id: MergeId) -> Result<Option<Merge>, StorageError> {
        let query = || of_tenant::<merge::Entity>(self.tenant).filter(merge::Column::Id.eq(id.uuid()));
        let row = self.storage.core.read(|db| async move { query().one(&db).await }).await?;
        row.as_ref().map(of_row).transpose()
    }

    /// The merges, newest first: those older than `before`, at most `limit`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn page(&self, before: Option<MergeId>, limit: u64) -> Result<Vec<Merge>, StorageError> {
        let query = || {
            let mut merges = of_tenant::<merge::Entity>(self.tenant).order_by_desc(merge::Column::Id).limit(limit);
            if let Some(before) = before {
                merges = merges.filter(merge::Column::Id.lt(before.uuid()));
            }
            merges
        };
        let rows = self.storage.core.read(|db| async move { query().all(&db).await }).await?;
        rows.iter().map(of_row).collect()
    }

    /// Whether two ids mean one user: they are the same, or `before` is gone into `now`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn is_one_user(&self, before: UserId, now: UserId) -> Result<bool, StorageError> {
        Ok(before == now || self.heir(before).await? == Some(now))
    }

    /// Whom the id of a user who is gone leads to; `None` for everybody else.
    ///
    /// # Errors
    /// The database fails.
    pub async fn heir(&self, gone: UserId) -> Result<Option<UserId>, StorageError> {
        self.storage.core.read(|db| async move { heir(&db, self.tenant, gone).await }).await
    }
}

/// Forgets what moved where it can no longer be moved back. That the user is gone stays known.
pub(crate) async fn forget_moved(core: &Core, now: Timestamp, piece: u64) -> Result<(), StorageError> {
    loop {
        #[expect(clippy::disallowed_methods, reason = "a sweep is over all tenants")]
        let over = <merge::Entity as sea_orm::EntityTrait>::find()
            .filter(merge::Column::UndoUntil.lte(now.millis()))
            .filter(merge::Column::Moved.is_not_null())
            .limit(piece)
            .all(&core.reader)
            .await?;
        for row in &over {
            let forget = merge::ActiveModel { moved: sea_orm::Set(None), ..Default::default() };
            update_of_tenant::<merge::Entity>(row.tenant_id.into())
                .filter(merge::Column::Id.eq(row.id))
                .set(forget)
                .exec(&core.writer)
                .await?;
        }
        if (over.len() as u64) < piece {
            return Ok(());
        }
    }
}
