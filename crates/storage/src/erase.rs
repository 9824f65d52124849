//! Erasing a user: nothing of the person stays but keyed digests, so that a ban outlives them.
//!
//! Everything that a login writes of the user goes in one transaction, sessions first. A login that is on its way either
//! commits before, and its rows go too, or finds that the user is gone and begins anew.

use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use wxgate_crypto::MacKey;
use wxgate_domain::{OpenId, RevocationEffect, RevokedSubject, UnionId, UserId, UserStatus};

use crate::changes::ChangeKind;
use crate::entity::{identity, union_member, user};
use crate::erasure_journal::Entry;
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::repo::revocations::NewRevocation;
use crate::repo::tombstones::{self, Buried, Called, Mark};
use crate::repo::users::TxUsers;
use crate::repo::{ascii, sessions, users};
use crate::scope::{delete_of_tenant, of_tenant};
use crate::tx::Tx;

/// What went with a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    /// In how many mini-programs they were known.
    pub identities: usize,
    /// How many of their sessions were live.
    pub sessions: usize,
}

impl TxUsers<'_> {
    /// Erases a user: ends all sessions and tells the feed, removes identities, unionids and whatever is known of the person,
    /// and puts up tombstones. [`Tx::commit`] writes it into the erasure journal first.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such user; [`StorageError::Busy`] if a login was in the way.
    pub async fn erase(&self, id: UserId) -> Result<Erased, StorageError> {
        let found = self.remove(id).await?.ok_or(StorageError::NotFound)?;
        self.tx.journal(Entry::of_user(&found.buried, &found.marks));
        Ok(found.erased)
    }

    /// Removes a user, if there is one.
    pub(crate) async fn remove(&self, id: UserId) -> Result<Option<Removed>, StorageError> {
        let (Tx { core, tx, .. }, tenant) = (self.tx, self.tenant);
        // Locked in the order of all writers; read again once the user is locked and nobody can add to them.
        self.members(id).await?;
        let stored = of_tenant::<user::Entity>(tenant).filter(user::Column::Id.eq(id.uuid())).lock_exclusive().one(tx);
        let Some(stored) = stored.await?.map(users::of_row).transpose()? else { return Ok(None) };
        let members = self.members(id).await?;
        let identities = of_tenant::<identity::Entity>(tenant)
            .filter(identity::Column::UserId.eq(id.uuid()))
            .order_by_asc(identity::Column::Id)
            .lock_exclusive()
            .all(tx)
            .await?;
        self.tx.tenant(tenant).phones().release(id).await?;
        for known in &identities {
            self.tx.tenant(tenant).phone_codes().forget(known.app_id, &known.openid).await?;
        }
        let now = core.clock.now();
        let live = sessions::delete_all_of_user(tx, tenant, id, now).await?;
        delete_of_tenant::<identity::Entity>(tenant).filter(identity::Column::UserId.eq(id.uuid())).exec(tx).await?;
        delete_of_tenant::<union_member::Entity>(tenant)
            .filter(union_member::Column::UserId.eq(id.uuid()))
            .exec(tx)
            .await?;
        delete_of_tenant::<user::Entity>(tenant).filter(user::Column::Id.eq(id.uuid())).exec(tx).await?;

        let keys = TenantKeys::load(tx, &core.master_keys, tenant).await?;
        let (number, key) = keys.digests.first().ok_or_else(|| StorageError::inconsistent("data_key", "purpose"))?;
        let marks = marks(*number, key, &identities, &members)?;
        let buried = Buried { tenant, user: id, status: stored.status, at: now };
        tombstones::put(tx, &buried, &marks).await?;
        self.tx.audit(Some(tenant)).forget_personal(&id.to_string()).await?;
        self.tx.tenant(tenant).revocations().record(&live.news).await?;
        self.tx.record(ChangeKind::User, tenant, Some(id.uuid())).await?;
        let erased = Erased { identities: identities.len(), sessions: live.sessions };
        Ok(Some(Removed { erased, buried, marks }))
    }

    /// Blocks or unblocks somebody who was erased, if they were.
    pub(crate) async fn set_erased_status(&self, id: UserId, status: UserStatus) -> Result<(), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let marks = tombstones::set_status(tx, self.tenant, id, status).await?;
        if marks.is_empty() {
            return Err(StorageError::NotFound);
        }
        let buried = Buried { tenant: self.tenant, user: id, status, at: core.clock.now() };
        self.tx.journal(Entry::of_user(&buried, &marks));
        if status == UserStatus::Active {
            // A block that was told of before the erasure holds no more.
            let subject = RevokedSubject::User(id);
            let lifted = NewRevocation { subject, effect: RevocationEffect::Lifted, expires: None };
            self.tx.tenant(self.tenant).revocations().record(&[lifted]).await?;
        }
        self.tx.record(ChangeKind::User, self.tenant, Some(id.uuid())).await
    }

    /// The unionids of a user, locked.
    async fn members(&self, id: UserId) -> Result<Vec<union_member::Model>, StorageError> {
        let members = of_tenant::<union_member::Entity>(self.tenant)
            .filter(union_member::Column::UserId.eq(id.uuid()))
            .order_by_asc(union_member::Column::UnionGroupId)
            .order_by_asc(union_member::Column::Unionid)
            .lock_exclusive();
        Ok(members.all(&self.tx.tx).await?)
    }
}

/// A user who is gone.
pub(crate) struct Removed {
    pub(crate) erased: Erased,
    pub(crate) buried: Buried,
    pub(crate) marks: Vec<Mark>,
}

fn marks(
    number: u32,
    key: &MacKey,
    identities: &[identity::Model],
    members: &[union_member::Model],
) -> Result<Vec<Mark>, StorageError> {
    let mut marks = Vec::with_capacity(identities.len() + members.len());
    for known in identities {
        let openid: OpenId = ascii(known.openid.clone(), "identity", "openid")?;
        marks.push(Mark { key: number, digest: Called::InApp(known.app_id.into(), &openid).digest(key) });
    }
    for member in members {
        let unionid: UnionId = ascii(member.unionid.clone(), "union_member", "unionid")?;
        let digest = Called::InUnionGroup(member.union_group_id.into(), &unionid).digest(key);
        marks.push(Mark { key: number, digest });
    }
    Ok(marks)
}
