//! Binds an app to a union group while it serves: whoever is known by a unionid already is found by it in the group from
//! then on, and where it is another user's, both are merge candidates. Nobody is merged here, and a unionid that changed,
//! as when the app moved to another Open Platform account, joins nobody: it is a candidate at most.
//!
//! Users who log in meanwhile do it by the app as it is. So there are two passes, one before the app is bound and one
//! after it, for those who came in between.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use uuid::Uuid;
use wxgate_domain::{AppId, CandidateCause, Event, TenantId, UnionGroupId};

use super::{Outcome, PIECE, Piece};
use crate::changes::{self, ChangeKind};
use crate::entity::{app, identity, union_member};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::repo::events;
use crate::repo::merge_candidates::{self, Found};
use crate::scope::{of_tenant, update_of_tenant};
use crate::storage::Core;
use crate::tx;

/// The joining of one app's users.
pub(super) struct UnionJoin {
    tenant: TenantId,
    app: AppId,
    group: UnionGroupId,
    /// Behind this openid.
    after: Vec<u8>,
    is_bound: bool,
}

impl UnionJoin {
    pub(super) fn of(tenant: TenantId, app: AppId, group: UnionGroupId) -> Self {
        Self { tenant, app, group, after: Vec::new(), is_bound: false }
    }

    pub(super) async fn left(&self, core: &Core) -> Result<u64, StorageError> {
        use sea_orm::PaginatorTrait;
        core.read(|db| async move { self.known().count(&db).await }).await
    }

    pub(super) async fn piece(&mut self, core: &Core) -> Result<Piece, StorageError> {
        match self.join(core).await {
            // A login or an erasure was in the way: the same piece again.
            Err(StorageError::Busy | StorageError::NotUnique { .. } | StorageError::Dangling) => Ok(Piece::more(0)),
            Ok(Some(done)) => Ok(Piece::more(if self.is_bound { 0 } else { done })),
            Ok(None) if self.is_bound => Ok(Piece { done: 0, outcome: Outcome::Done }),
            Ok(None) => self.bind(core).await,
            Err(error) => Err(error),
        }
    }

    /// The app's accounts that are known by a unionid.
    fn known(&self) -> sea_orm::Select<identity::Entity> {
        of_tenant::<identity::Entity>(self.tenant)
            .filter(identity::Column::AppId.eq(self.app.uuid()))
            .filter(identity::Column::Unionid.is_not_null())
    }

    /// Joins some; how many were looked at, `None` at the end.
    async fn join(&mut self, core: &Core) -> Result<Option<u64>, StorageError> {
        let tx = tx::begin(core).await?;
        let some = self.known().filter(identity::Column::Openid.gt(self.after.clone()));
        let some = some.order_by_asc(identity::Column::Openid).limit(PIECE).all(&tx).await?;
        let Some(last) = some.last().map(|row| row.openid.clone()) else { return Ok(None) };
        let told = self.join_some(&tx, core, &some).await?;
        tx.commit().await?;
        if told {
            core.told.notify_one();
        }
        self.after = last;
        Ok(Some(some.len() as u64))
    }

    /// Whether there is anybody to be told.
    async fn join_some(
        &self,
        tx: &DatabaseTransaction,
        core: &Core,
        some: &[identity::Model],
    ) -> Result<bool, StorageError> {
        let now = core.clock.now();
        let holders = self.holders(tx, some).await?;
        let (mut joining, mut found) = (Vec::new(), Vec::new());
        for row in some {
            let Some(unionid) = &row.unionid else { continue };
            let is_changed = row.unionid_changed != 0;
            match holders.get(unionid) {
                // Another unionid than before never joins by itself: it may be another person's.
                None if is_changed => {}
                None => joining.push(union_member::ActiveModel {
                    tenant_id: Set(self.tenant.uuid()),
                    union_group_id: Set(self.group.uuid()),
                    unionid: Set(unionid.clone()),
                    user_id: Set(row.user_id),
                    created_at: Set(now.millis()),
                }),
                Some(holder) if *holder == row.user_id => {}
                Some(holder) => found.push(Found {
                    tenant: self.tenant,
                    user: row.user_id.into(),
                    other: (*holder).into(),
                    cause: if is_changed { CandidateCause::UnionidChanged } else { CandidateCause::UnionGroup },
                    at: now,
                }),
            }
        }
        if !joining.is_empty() {
            union_member::Entity::insert_many(joining).exec_without_returning(tx).await?;
        }
        let noted = merge_candidates::note(tx, &found, &core.random).await?;
        if noted.is_empty() {
            return Ok(false);
        }
        let keys = TenantKeys::load(tx, &core.master_keys, self.tenant).await?;
        let event = |Found { user, other, cause, .. }| Event::MergeCandidate { user, other, cause };
        let events: Vec<_> = noted.into_iter().map(event).collect();
        events::tell(tx, core, &keys, self.tenant, &events).await
    }

    /// Who has these unionids in the group, locked.
    async fn holders(
        &self,
        tx: &DatabaseTransaction,
        some: &[identity::Model],
    ) -> Result<HashMap<Vec<u8>, Uuid>, StorageError> {
        let members = of_tenant::<union_member::Entity>(self.tenant)
            .filter(union_member::Column::UnionGroupId.eq(self.group.uuid()))
            .filter(union_member::Column::Unionid.is_in(some.iter().filter_map(|row| row.unionid.clone())))
            .order_by_asc(union_member::Column::Unionid)
            .lock_exclusive();
        Ok(members.all(tx).await?.into_iter().map(|row| (row.unionid, row.user_id)).collect())
    }

    /// Binds the app, and begins the second pass.
    async fn bind(&mut self, core: &Core) -> Result<Piece, StorageError> {
        let tx = tx::begin(core).await?;
        let bound = app::ActiveModel { union_group_id: Set(Some(self.group.uuid())), ..Default::default() };
        let update = update_of_tenant::<app::Entity>(self.tenant).filter(app::Column::Id.eq(self.app.uuid()));
        if update.set(bound).exec(&tx).await?.rows_affected == 0 {
            // The app is gone, and its users with it.
            return Ok(Piece { done: 0, outcome: Outcome::Done });
        }
        changes::record(&tx, ChangeKind::App, self.tenant, Some(self.app.uuid()), core.clock.now()).await?;
        tx.commit().await?;
        core.news.notify_one();
        self.is_bound = true;
        self.after.clear();
        Ok(Piece::more(0))
    }
}
