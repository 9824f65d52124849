//! Merging two users of a tenant into one, and back: see `moved.rs` for what moves, `undo.rs` for the way back.
//!
//! All of it is one transaction, with the locks of all writers in their one order: union member, user, identity, session,
//! each by key. The row of the user who is gone goes, so that whatever was on its way to them meets nobody and begins
//! anew, as after an erasure; their id stays as an alias.

mod moved;
mod undo;
pub(crate) mod withdraw;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use uuid::Uuid;
use wxgate_domain::{Event, MergeCause, MergeId, Phone, User, UserId, UserStatus, merge as terms};

use crate::changes::ChangeKind;
use crate::entity::{identity, merge, phone, union_member, user};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::repo::merge_candidates;
use crate::repo::merges::{self, Merge};
use crate::repo::phones::SealedPhone;
use crate::repo::users::{self, TxUsers};
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};
use crate::sql::{LARGEST, id, list, number, statement};
use crate::tx::Tx;

use moved::{Filled, Moved, MovedMember, MovedPhone};

pub use undo::{NotUnmerged, Side, Unmerged};

/// Most identities, unionids and aliases that move: what moved must fit into one row.
const MOST: usize = 200;

/// Two users who are to become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewMerge {
    /// The user who goes.
    pub gone: UserId,
    /// The user who stays, and gets everything.
    pub into: UserId,
    /// Why.
    pub cause: MergeCause,
    /// Whether what another system calls the user who goes may be forgotten, where it calls the other one something
    /// else.
    pub may_drop_external_id: bool,
}

/// Why two users stayed two.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMerged {
    /// A ban is not escaped by merging.
    #[error("one of them is blocked")]
    Blocked,
    /// Both ids mean one user already.
    #[error("they are one user already")]
    OneUser,
    /// Another system knows both, as two.
    #[error("another system knows both of them, by different ids")]
    ExternalIds,
    /// They have different unionids in one Open Platform account, so WeChat says that they are two.
    #[error("they have different unionids in one union group")]
    OtherUnionid,
    /// The user who goes has more identities than can be moved back.
    #[error("one of them has more than {MOST} accounts")]
    TooMuch,
    /// Nobody there, or the database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl TxUsers<'_> {
    /// Makes two users one: identities with their sessions, unionids and aliases move, what the survivor lacks is filled
    /// in, and the old id becomes an alias. The services are told.
    ///
    /// # Errors
    /// [`NotMerged`]: then nothing is to be committed. [`StorageError::NotFound`] if the tenant lacks one of them,
    /// who may be gone into another user: see [`TenantMerges::heir`](crate::TenantMerges::heir).
    pub async fn merge(&self, new: &NewMerge) -> Result<Merge, NotMerged> {
        if new.gone == new.into {
            return Err(NotMerged::OneUser);
        }
        let (gone, into) = self.locked_pair(new).await?;
        let members = self.members_of(&[gone.id, into.id]).await?;
        may_merge(new, (&gone, &into), &members)?;
        let identities = self.identities_of(gone.id).await?;
        let aliases = merges::aliases(&self.tx.tx, self.tenant, gone.id).await?;
        let phone = self.phone_of(gone.id).await?;
        let mut moved = Moved {
            user: (&gone).into(),
            identities: identities.iter().map(|row| row.id).collect(),
            members: members
                .iter()
                .filter(|row| row.user_id == gone.id.uuid())
                .map(MovedMember::of)
                .collect::<Result<_, _>>()?,
            merges: aliases.iter().map(|row| row.id.into()).collect(),
            phone: None,
            filled: Filled::of(&gone, &into),
        };
        if [moved.identities.len(), moved.members.len(), moved.merges.len()].iter().any(|count| *count > MOST) {
            return Err(NotMerged::TooMuch);
        }
        self.move_phone(&mut moved, phone, (gone.id, into.id)).await?;
        Ok(self.join(new, (&gone, &into), &moved).await?)
    }

    /// Writes all of it.
    async fn join(&self, new: &NewMerge, (gone, into): (&User, &User), moved: &Moved) -> Result<Merge, StorageError> {
        let (Tx { tx, .. }, tenant) = (self.tx, self.tenant);
        self.even_epochs(gone, into, &moved.identities).await?;
        self.move_all(gone.id, into.id).await?;
        delete_of_tenant::<user::Entity>(tenant).filter(user::Column::Id.eq(gone.id.uuid())).exec(tx).await?;
        self.complete(gone, into, moved.filled).await?;
        let merge = self.record_merge(new, moved).await?;
        let event = Event::UserMerged { user: gone.id, into: into.id, merge: merge.id };
        self.tx.tenant(tenant).events().tell(&event).await?;
        self.tx.record(ChangeKind::User, tenant, Some(gone.id.uuid())).await?;
        self.tx.record(ChangeKind::User, tenant, Some(into.id.uuid())).await?;
        Ok(merge)
    }

    /// Both users, their unionids locked first, as everybody does.
    async fn locked_pair(&self, new: &NewMerge) -> Result<(User, User), StorageError> {
        let both = [new.gone, new.into];
        self.members_of(&both).await?;
        let users = of_tenant::<user::Entity>(self.tenant)
            .filter(user::Column::Id.is_in(both.map(UserId::uuid)))
            .order_by_asc(user::Column::Id)
            .lock_exclusive()
            .all(&self.tx.tx)
            .await?;
        let users = users.into_iter().map(users::of_row).collect::<Result<Vec<_>, _>>()?;
        let of = |id: UserId| users.iter().find(|user| user.id == id).cloned().ok_or(StorageError::NotFound);
        Ok((of(new.gone)?, of(new.into)?))
    }

    /// The unionids of users, locked.
    pub(crate) async fn members_of(&self, users: &[UserId]) -> Result<Vec<union_member::Model>, StorageError> {
        let members = of_tenant::<union_member::Entity>(self.tenant)
            .filter(union_member::Column::UserId.is_in(users.iter().map(|user| user.uuid())))
            .order_by_asc(union_member::Column::UnionGroupId)
            .order_by_asc(union_member::Column::Unionid)
            .lock_exclusive();
        Ok(members.all(&self.tx.tx).await?)
    }

    /// The identities of a user whose row is locked, locked.
    pub(crate) async fn identities_of(&self, user: UserId) -> Result<Vec<identity::Model>, StorageError> {
        let identities = of_tenant::<identity::Entity>(self.tenant)
            .filter(identity::Column::UserId.eq(user.uuid()))
            .order_by_asc(identity::Column::Id)
            .lock_exclusive();
        Ok(identities.all(&self.tx.tx).await?)
    }

    /// Sessions count while they carry their user's epoch. The survivor takes the higher of both, and the live sessions of
    /// the other side come along; those that were over before stay over, for their epoch is lower than either.
    async fn even_epochs(&self, gone: &User, into: &User, of_gone: &[Uuid]) -> Result<(), StorageError> {
        let epoch = gone.sessions_epoch.max(into.sessions_epoch);
        if gone.sessions_epoch < epoch {
            self.raise_epoch(of_gone, gone.sessions_epoch, epoch).await?;
        }
        if into.sessions_epoch < epoch {
            let own: Vec<_> = self.identities_of(into.id).await?.iter().map(|row| row.id).collect();
            self.raise_epoch(&own, into.sessions_epoch, epoch).await?;
            let raised = user::ActiveModel { sessions_epoch: Set(epoch.cast_signed()), ..Default::default() };
            self.update_user(into.id, raised).await?;
        }
        Ok(())
    }

    async fn raise_epoch(&self, identities: &[Uuid], from: u32, to: u32) -> Result<(), StorageError> {
        let tx = &self.tx.tx;
        for identities in identities.chunks(LARGEST) {
            let text = format!(
                "UPDATE session SET user_epoch = ? WHERE tenant_id = ? AND identity_id IN ({}) AND user_epoch = ? \
                 AND ended_at IS NULL",
                list("?", identities.len())
            );
            let mut values = vec![number(to), id(self.tenant.uuid())];
            values.extend(identities.iter().copied().map(id));
            values.push(number(from));
            tx.execute_raw(statement(tx.get_database_backend(), &text, values)).await?;
        }
        Ok(())
    }

    async fn move_all(&self, from: UserId, to: UserId) -> Result<(), StorageError> {
        let (tx, tenant) = (&self.tx.tx, self.tenant);
        update_of_tenant::<union_member::Entity>(tenant)
            .filter(union_member::Column::UserId.eq(from.uuid()))
            .set(union_member::ActiveModel { user_id: Set(to.uuid()), ..Default::default() })
            .exec(tx)
            .await?;
        update_of_tenant::<identity::Entity>(tenant)
            .filter(identity::Column::UserId.eq(from.uuid()))
            .set(identity::ActiveModel { user_id: Set(to.uuid()), ..Default::default() })
            .exec(tx)
            .await?;
        update_of_tenant::<merge::Entity>(tenant)
            .filter(merge::Column::UserId.eq(from.uuid()))
            .set(merge::ActiveModel { user_id: Set(to.uuid()), ..Default::default() })
            .exec(tx)
            .await?;
        merge_candidates::inherit(tx, tenant, (from, to), &self.tx.core.random).await
    }

    /// Gives the survivor what they lack.
    async fn complete(&self, gone: &User, into: &User, filled: Filled) -> Result<(), StorageError> {
        let mut change = user::ActiveModel::default();
        if filled.nickname {
            change.nickname = Set(gone.profile.nickname.clone());
        }
        if filled.avatar_url {
            change.avatar_url = Set(gone.profile.avatar_url.clone());
        }
        if filled.external_id {
            change.external_id = Set(gone.external_id.as_ref().map(ToString::to_string));
        }
        if filled == Filled::default() { Ok(()) } else { self.update_user(into.id, change).await }
    }

    /// A survivor who has a number keeps it, and the other one is nobody's then.
    async fn move_phone(
        &self,
        moved: &mut Moved,
        phone: Option<Phone>,
        (gone, into): (UserId, UserId),
    ) -> Result<(), StorageError> {
        let Some(phone) = phone else { return Ok(()) };
        let phones = self.tx.tenant(self.tenant).phones();
        let was_handed_over = phones.hand_over(gone, into).await?;
        phones.release(gone).await?;
        moved.phone = Some(MovedPhone::of(&phone, was_handed_over));
        Ok(())
    }

    /// The number of a user whose row is locked, so that nobody binds another.
    async fn phone_of(&self, user: UserId) -> Result<Option<Phone>, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let row = of_tenant::<phone::Entity>(self.tenant).filter(phone::Column::UserId.eq(user.uuid())).one(tx).await?;
        core.open_phone(row.map(SealedPhone::from)).await
    }

    async fn update_user(&self, id: UserId, change: user::ActiveModel) -> Result<(), StorageError> {
        let update = update_of_tenant::<user::Entity>(self.tenant).filter(user::Column::Id.eq(id.uuid())).set(change);
        update.exec(&self.tx.tx).await?;
        Ok(())
    }

    async fn record_merge(&self, new: &NewMerge, moved: &Moved) -> Result<Merge, StorageError> {
        let (Tx { core, tx, .. }, tenant) = (self.tx, self.tenant);
        let at = core.clock.now();
        let id = MergeId::new(at, &core.random);
        let NewMerge { gone, into, cause, .. } = *new;
        let merge = Merge { id, gone, user: into, into, cause, at, undo_until: at.plus(terms::UNDO) };
        let keys = TenantKeys::load(tx, &core.master_keys, tenant).await?;
        let row = merge::ActiveModel {
            id: Set(id.uuid()),
            tenant_id: Set(tenant.uuid()),
            gone_id: Set(gone.uuid()),
            user_id: Set(into.uuid()),
            into_id: Set(into.uuid()),
            cause: Set(cause.as_str().to_owned()),
            at: Set(at.millis()),
            undo_until: Set(merge.undo_until.millis()),
            moved: Set(Some(moved.sealed(&keys, (tenant, id), &core.random)?)),
        };
        merge::Entity::insert(row).exec_without_returning(tx).await?;
        Ok(merge)
    }
}

/// The rules of who may become one, asked with all rows locked.
fn may_merge(new: &NewMerge, (gone, into): (&User, &User), members: &[union_member::Model]) -> Result<(), NotMerged> {
    if [gone, into].iter().any(|user| user.status == UserStatus::Blocked) {
        return Err(NotMerged::Blocked);
    }
    let known_as_two = gone.external_id.is_some() && into.external_id.is_some();
    if known_as_two && !new.may_drop_external_id {
        return Err(NotMerged::ExternalIds);
    }
    let groups_of =
        |user: UserId| members.iter().filter(move |row| row.user_id == user.uuid()).map(|row| row.union_group_id);
    let in_both = groups_of(gone.id).any(|group| groups_of(into.id).any(|other| other == group));
    if new.cause == MergeCause::Unionid && in_both {
        return Err(NotMerged::OtherUnionid);
    }
    Ok(())
}
