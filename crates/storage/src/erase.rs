//! Erasing a user: nothing of the person stays but keyed digests, so that a ban outlives them.
//!
//! Everything that a login writes of the user goes in one transaction, sessions first. A login that is on its way either
//! commits before, and its rows go too, or finds that the user is gone and begins anew.

use sea_orm::{ColumnTrait, QueryFilter, QuerySelect};
use wxgate_crypto::MacKey;
use wxgate_domain::{
    AppId, EndReason, EraseCause, Event, OpenId, RevocationEffect, RevokedSubject, UnionId, UserId, UserStatus,
};

use crate::changes::ChangeKind;
use crate::entity::{identity, merge, union_member, user};
use crate::erasure_journal::Entry;
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::repo::revocations::NewRevocation;
use crate::repo::tombstones::{self, Buried, Called, Mark};
use crate::repo::users::TxUsers;
use crate::repo::{ascii, events, merge_candidates, merges, sessions, users};
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
    /// also what was still to be told of them, puts up tombstones and tells the tenant's services. Whoever is gone into them
    /// goes too, and the id of such a one means them. [`Tx::commit`] writes it into the erasure journal first.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such user; [`StorageError::Busy`] if a login was in the way.
    pub async fn erase(&self, id: UserId, cause: EraseCause) -> Result<Erased, StorageError> {
        let mut found = self.remove(id, cause).await?;
        if found.is_none()
            && let Some(heir) = merges::heir(&self.tx.tx, self.tenant, id).await?
        {
            found = self.remove(heir, cause).await?;
        }
        let found = found.ok_or(StorageError::NotFound)?;
        self.tx.journal(Entry::of_user(&found.buried, &found.marks));
        for alias in found.aliases {
            // A backup from before the merge brings them back as somebody of their own.
            self.tx.journal(Entry::of_user(&Buried { user: alias, ..found.buried }, &[]));
        }
        Ok(found.erased)
    }

    /// Removes a user, if there is one.
    pub(crate) async fn remove(&self, id: UserId, cause: EraseCause) -> Result<Option<Removed>, StorageError> {
        let (Tx { core, tx, .. }, tenant) = (self.tx, self.tenant);
        // Locked in the order of all writers; read again once the user is locked and nobody can add to them.
        self.members_of(&[id]).await?;
        let stored = of_tenant::<user::Entity>(tenant).filter(user::Column::Id.eq(id.uuid())).lock_exclusive().one(tx);
        let Some(stored) = stored.await?.map(users::of_row).transpose()? else { return Ok(None) };
        let members = self.members_of(&[id]).await?;
        let identities = self.identities_of(id).await?;
        let aliases: Vec<UserId> =
            merges::aliases(tx, tenant, id).await?.into_iter().map(|merge| merge.gone_id.into()).collect();
        self.forget_merges(id).await?;
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
        let openids = identities
            .iter()
            .map(|known| Ok((known.app_id.into(), ascii(known.openid.clone(), "identity", "openid")?)))
            .collect::<Result<Vec<(AppId, OpenId)>, StorageError>>()?;
        let named: Vec<_> = openids.iter().map(|(app, openid)| (*app, openid)).collect();
        events::forget_subjects(tx, &keys, tenant, &named).await?;
        let buried = Buried { tenant, user: id, status: stored.status, at: now };
        tombstones::put(tx, &buried, &marks).await?;
        let mut told = live.events(id, EndReason::Erased);
        for id in aliases.iter().copied().chain([id]) {
            self.tx.audit(Some(tenant)).forget_personal(&id.to_string()).await?;
            events::forget_user(tx, tenant, id).await?;
            told.push(Event::UserErased { user: id, cause });
        }
        self.tx.tenant(tenant).events().tell_all(&told).await?;
        self.tx.tenant(tenant).revocations().record(&live.news).await?;
        self.tx.record(ChangeKind::User, tenant, Some(id.uuid())).await?;
        let erased = Erased { identities: identities.len(), sessions: live.sessions.len() };
        Ok(Some(Removed { erased, buried, marks, aliases }))
    }

    /// Removes a user whom a restored backup brought back: if it has them as part of somebody else, they alone, as they were
    /// told apart before they were erased.
    pub(crate) async fn remove_again(&self, id: UserId, marks: &[Mark]) -> Result<Option<Removed>, StorageError> {
        let alias = of_tenant::<merge::Entity>(self.tenant).filter(merge::Column::GoneId.eq(id.uuid()));
        if let Some(alias) = alias.one(&self.tx.tx).await? {
            self.unmerge_again(alias.id.into(), marks).await?;
        }
        self.remove(id, EraseCause::Restore).await
    }

    /// Forgets who is gone into a user, who may be them, and what could make it so.
    async fn forget_merges(&self, id: UserId) -> Result<(), StorageError> {
        let (Tx { tx, .. }, tenant) = (self.tx, self.tenant);
        delete_of_tenant::<merge::Entity>(tenant).filter(merge::Column::UserId.eq(id.uuid())).exec(tx).await?;
        merge_candidates::forget(tx, tenant, id).await?;
        self.tx.tenant(tenant).merge_tokens().forget(id).await
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
}

/// A user who is gone.
pub(crate) struct Removed {
    pub(crate) erased: Erased,
    pub(crate) buried: Buried,
    pub(crate) marks: Vec<Mark>,
    /// Who was gone into them.
    pub(crate) aliases: Vec<UserId>,
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
