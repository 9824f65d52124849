//! What a user takes back is not brought back by undoing a merge.

use sea_orm::{ColumnTrait, QueryFilter, QuerySelect, Set};
use wxgate_domain::{ProfileParts, TenantId, UserId};

use super::moved::Moved;
use crate::entity::merge;
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::scope::{of_tenant, update_of_tenant};
use crate::tx::Tx;

/// What is to be forgotten of those who became part of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    Profile(ProfileParts),
    Phone,
}

/// Forgets it in what is kept for undoing merges into this user.
pub(crate) async fn forget(
    transaction: &Tx,
    tenant: TenantId,
    user: UserId,
    what: Withdrawn,
) -> Result<(), StorageError> {
    let Tx { core, tx, .. } = transaction;
    let kept = of_tenant::<merge::Entity>(tenant)
        .filter(merge::Column::UserId.eq(user.uuid()))
        .filter(merge::Column::Moved.is_not_null())
        .lock_exclusive();
    let kept = kept.all(tx).await?;
    if kept.is_empty() {
        return Ok(());
    }
    let keys = TenantKeys::load(tx, &core.master_keys, tenant).await?;
    for row in kept {
        let (id, Some(sealed)) = (row.id, row.moved) else { continue };
        let place = (tenant, id.into());
        let mut moved = Moved::open(&keys, place, sealed)?;
        moved.withdraw(what);
        let left =
            merge::ActiveModel { moved: Set(Some(moved.sealed(&keys, place, &core.random)?)), ..Default::default() };
        update_of_tenant::<merge::Entity>(tenant).filter(merge::Column::Id.eq(id)).set(left).exec(tx).await?;
    }
    Ok(())
}

impl Moved {
    fn withdraw(&mut self, what: Withdrawn) {
        match what {
            Withdrawn::Profile(parts) => {
                self.user.nickname.take_if(|_| parts.nickname);
                self.user.avatar_url.take_if(|_| parts.avatar);
            }
            Withdrawn::Phone => self.phone = None,
        }
    }
}
