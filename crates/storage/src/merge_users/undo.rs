//! Undoing a merge: what moved goes back, and what came since stays where it is.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use wxgate_domain::{
    AppId, EndReason, Event, MergeId, OpenId, RevocationEffect, RevokedSubject, Timestamp, User, UserId, UserStatus,
};

use super::moved::{Filled, GoneUser, Moved, MovedMember};
use crate::bind_phone::NewPhone;
use crate::changes::ChangeKind;
use crate::entity::{identity, merge, union_member, user};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::repo::ascii;
use crate::repo::revocations::NewRevocation;
use crate::repo::sessions;
use crate::repo::tombstones::{Called, Mark};
use crate::repo::users::{self, TxUsers};
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};
use crate::tx::Tx;

/// Somebody's account in one app, proved by a fresh login.
pub type Side = (AppId, OpenId);

/// Two users again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmerged {
    /// The user who is back.
    pub user: UserId,
    /// The user that they had become part of.
    pub from: UserId,
}

/// Why a merge stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUnmerged {
    /// Its seven days are over.
    #[error("it is too late to undo the merge")]
    TooLate,
    /// The two accounts are not one of each side.
    #[error("the two accounts are not one of each side")]
    NotBothSides,
    /// No such merge, or the database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl TxUsers<'_> {
    /// Undoes a merge: the user who was gone is back with what moved then and is still there, unless it is what the survivor
    /// was given since. If the survivor was blocked meanwhile, both are. Sessions of the user who is back end, for tokens
    /// of theirs say that they are the survivor.
    ///
    /// `sides`, where it is not an operator who asks, are accounts that proved who they are: one must have moved, and one
    /// not.
    ///
    /// # Errors
    /// [`NotUnmerged`]: then nothing is to be committed. [`StorageError::NotFound`] if the tenant has no such merge, or the
    /// survivor was erased; [`StorageError::Busy`] if the survivor just became somebody else.
    pub async fn unmerge(&self, id: MergeId, sides: Option<&[Side; 2]>) -> Result<Unmerged, NotUnmerged> {
        let (core, tenant) = (&self.tx.core, self.tenant);
        let (row, survivor) = self.locked_merge(id).await?;
        let now = core.clock.now();
        let sealed = row.moved.filter(|_| now < Timestamp::from_millis(row.undo_until)).ok_or(NotUnmerged::TooLate)?;
        let keys = TenantKeys::load(&self.tx.tx, &core.master_keys, tenant).await?;
        let moved = Moved::open(&keys, (tenant, id), sealed)?;
        if let Some(sides) = sides {
            self.are_both_sides(&moved, survivor.id, sides).await?;
        }
        let back = UserId::from(row.gone_id);
        Ok(self.part(id, (back, &survivor), &moved).await?)
    }

    /// Undoes a merge once more that was undone after the backup was made which still has it, for the user who was gone and
    /// was erased then, however long ago it is. Where what moved is forgotten, what their tombstones know of them is what
    /// goes with them.
    pub(crate) async fn unmerge_again(&self, id: MergeId, marks: &[Mark]) -> Result<(), StorageError> {
        let (core, tenant) = (&self.tx.core, self.tenant);
        let (row, survivor) = self.locked_merge(id).await?;
        let keys = TenantKeys::load(&self.tx.tx, &core.master_keys, tenant).await?;
        let moved = match row.moved {
            Some(sealed) => Moved::open(&keys, (tenant, id), sealed)?,
            None => self.marked(&survivor, marks, &keys).await?,
        };
        self.part(id, (row.gone_id.into(), &survivor), &moved).await?;
        Ok(())
    }

    /// What tombstones know of what a user has.
    async fn marked(&self, survivor: &User, marks: &[Mark], keys: &TenantKeys) -> Result<Moved, StorageError> {
        let is_marked = |called: Called<'_>| {
            keys.digests.iter().any(|(number, key)| marks.contains(&Mark { key: *number, digest: called.digest(key) }))
        };
        let mut identities = Vec::new();
        for row in self.identities_of(survivor.id).await? {
            let openid: OpenId = ascii(row.openid, "identity", "openid")?;
            if is_marked(Called::InApp(row.app_id.into(), &openid)) {
                identities.push(row.id);
            }
        }
        let members = self.members_of(&[survivor.id]).await?;
        let mut members = members.iter().map(MovedMember::of).collect::<Result<Vec<_>, _>>()?;
        members.retain(|member| is_marked(Called::InUnionGroup(member.group, &member.unionid)));
        Ok(Moved {
            user: GoneUser::nameless(survivor.created_at),
            identities,
            members,
            merges: Vec::new(),
            phone: None,
            filled: Filled::default(),
        })
    }

    /// Writes all of it.
    async fn part(
        &self,
        id: MergeId,
        (back, survivor): (UserId, &User),
        moved: &Moved,
    ) -> Result<Unmerged, StorageError> {
        let (Tx { tx, .. }, tenant) = (self.tx, self.tenant);
        delete_of_tenant::<merge::Entity>(tenant).filter(merge::Column::Id.eq(id.uuid())).exec(tx).await?;
        self.bring_back(back, survivor, moved).await?;
        self.give_phone_back(back, survivor.id, moved).await?;
        self.move_back(back, survivor.id, moved).await?;
        self.tx.tenant(tenant).merge_candidates().keep_apart(back, survivor.id).await?;
        let event = Event::UserUnmerged { user: back, from: survivor.id, merge: id };
        self.tx.tenant(tenant).events().tell(&event).await?;
        self.tell_of(back, survivor.status).await?;
        Ok(Unmerged { user: back, from: survivor.id })
    }

    /// A merge and whoever came of it, both locked, in the order of all writers.
    async fn locked_merge(&self, id: MergeId) -> Result<(merge::Model, User), StorageError> {
        let (tx, tenant) = (&self.tx.tx, self.tenant);
        let by_id = || of_tenant::<merge::Entity>(tenant).filter(merge::Column::Id.eq(id.uuid()));
        let seen = by_id().one(tx).await?.ok_or(StorageError::NotFound)?;
        self.members_of(&[seen.user_id.into()]).await?;
        let survivor = of_tenant::<user::Entity>(tenant).filter(user::Column::Id.eq(seen.user_id)).lock_exclusive();
        let survivor = survivor.one(tx).await?.ok_or(StorageError::Busy)?;
        let row = by_id().lock_exclusive().one(tx).await?.ok_or(StorageError::NotFound)?;
        if row.user_id != survivor.id {
            return Err(StorageError::Busy);
        }
        Ok((row, users::of_row(survivor)?))
    }

    async fn are_both_sides(&self, moved: &Moved, survivor: UserId, sides: &[Side; 2]) -> Result<(), NotUnmerged> {
        let mut went = 0;
        for (app, openid) in sides {
            let known = of_tenant::<identity::Entity>(self.tenant)
                .filter(identity::Column::AppId.eq(app.uuid()))
                .filter(identity::Column::Openid.eq(openid.as_str().as_bytes().to_vec()))
                .filter(identity::Column::UserId.eq(survivor.uuid()));
            let known = known.one(&self.tx.tx).await.map_err(StorageError::from)?;
            let known = known.ok_or(NotUnmerged::NotBothSides)?;
            went += usize::from(moved.identities.contains(&known.id));
        }
        if went == 1 { Ok(()) } else { Err(NotUnmerged::NotBothSides) }
    }

    /// The row of the user, and the survivor without what came from it, as far as that is still there.
    async fn bring_back(&self, back: UserId, survivor: &User, moved: &Moved) -> Result<(), StorageError> {
        let (tx, gone) = (&self.tx.tx, &moved.user);
        let mut less = user::ActiveModel::default();
        if moved.filled.nickname && survivor.profile.nickname == gone.nickname {
            less.nickname = Set(None);
        }
        if moved.filled.avatar_url && survivor.profile.avatar_url == gone.avatar_url {
            less.avatar_url = Set(None);
        }
        if moved.filled.external_id && survivor.external_id == gone.external_id {
            less.external_id = Set(None);
        }
        if less != user::ActiveModel::default() {
            self.update_user(survivor.id, less).await?;
        }
        let mut external_id = gone.external_id.as_ref().map(ToString::to_string);
        if let Some(name) = &external_id {
            // Somebody else may be called so by now.
            let taken = of_tenant::<user::Entity>(self.tenant).filter(user::Column::ExternalId.eq(name.as_str()));
            if taken.one(tx).await?.is_some() {
                external_id = None;
            }
        }
        let row = user::ActiveModel {
            id: Set(back.uuid()),
            tenant_id: Set(self.tenant.uuid()),
            status: Set(survivor.status.as_str().to_owned()),
            nickname: Set(gone.nickname.clone()),
            avatar_url: Set(gone.avatar_url.clone()),
            external_id: Set(external_id),
            sessions_epoch: Set(survivor.sessions_epoch.cast_signed()),
            created_at: Set(gone.created_at),
        };
        user::Entity::insert(row).exec_without_returning(tx).await?;
        Ok(())
    }

    /// The number goes back, if the survivor still has the one that came with the merge, or nobody else has it.
    async fn give_phone_back(&self, back: UserId, survivor: UserId, moved: &Moved) -> Result<(), StorageError> {
        let Some(phone) = &moved.phone else { return Ok(()) };
        let (number, phones) = (phone.number()?, self.tx.tenant(self.tenant).phones());
        if phone.was_handed_over {
            if self.phone_of(survivor).await?.is_some_and(|phone| phone.number == number) {
                phones.hand_over(survivor, back).await?;
            }
            return Ok(());
        }
        let is_verified = phone.is_verified;
        let new = NewPhone { number: &number, is_verified, may_replace: false, leaves_after: None };
        phones.bind(back, &new).await?;
        Ok(())
    }

    async fn move_back(&self, back: UserId, survivor: UserId, moved: &Moved) -> Result<(), StorageError> {
        let (tx, tenant) = (&self.tx.tx, self.tenant);
        for member in &moved.members {
            update_of_tenant::<union_member::Entity>(tenant)
                .filter(union_member::Column::UnionGroupId.eq(member.group.uuid()))
                .filter(union_member::Column::Unionid.eq(member.unionid.as_str().as_bytes().to_vec()))
                .filter(union_member::Column::UserId.eq(survivor.uuid()))
                .set(union_member::ActiveModel { user_id: Set(back.uuid()), ..Default::default() })
                .exec(tx)
                .await?;
        }
        if !moved.identities.is_empty() {
            update_of_tenant::<identity::Entity>(tenant)
                .filter(identity::Column::Id.is_in(moved.identities.iter().copied()))
                .filter(identity::Column::UserId.eq(survivor.uuid()))
                .set(identity::ActiveModel { user_id: Set(back.uuid()), ..Default::default() })
                .exec(tx)
                .await?;
        }
        if !moved.merges.is_empty() {
            update_of_tenant::<merge::Entity>(tenant)
                .filter(merge::Column::Id.is_in(moved.merges.iter().map(|merge| merge.uuid())))
                .filter(merge::Column::UserId.eq(survivor.uuid()))
                .set(merge::ActiveModel { user_id: Set(back.uuid()), ..Default::default() })
                .exec(tx)
                .await?;
        }
        Ok(())
    }

    /// Ends the sessions of the user who is back, and tells the feed how they stand.
    async fn tell_of(&self, back: UserId, status: UserStatus) -> Result<(), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let now = core.clock.now();
        let ended = sessions::end_all_of_user(tx, self.tenant, back, EndReason::Revoked, now).await?;
        self.tx.tenant(self.tenant).events().tell_all(&ended.events(back, EndReason::Revoked)).await?;
        let mut news = ended.news;
        if status == UserStatus::Blocked {
            let subject = RevokedSubject::User(back);
            news.insert(0, NewRevocation { subject, effect: RevocationEffect::Blocked, expires: None });
        }
        self.tx.tenant(self.tenant).revocations().record(&news).await?;
        self.tx.record(ChangeKind::User, self.tenant, Some(back.uuid())).await
    }
}
