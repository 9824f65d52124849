//! Whose a phone number is: binding it, moving it, letting it go.
//!
//! A number that WeChat vouches for belongs to one user of a tenant. Having it proves no account, for numbers are given to
//! new owners: it leaves a user only if they let it go, or after a waiting period, and nothing else goes with it.

use std::time::Duration;

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use uuid::Uuid;
use wxgate_crypto::Digest;
use wxgate_domain::{Event, PhoneNumber, TenantId, Timestamp, UserId};

use crate::entity::{phone, tenant, user};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::merge_users::withdraw::{self, Withdrawn};
use crate::repo::events;
use crate::repo::phones::{digest, digests, of_text, place, to_text};
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};
use crate::storage::Core;
use crate::tx::{self, Tx};

/// Writes about the phone numbers of one tenant's users.
#[derive(Clone, Copy, Debug)]
pub struct TxPhones<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

/// A number that is to become a user's.
#[derive(Clone, Copy, Debug)]
pub struct NewPhone<'a> {
    /// The number.
    pub number: &'a PhoneNumber,
    /// Whether WeChat vouches for it.
    pub is_verified: bool,
    /// Whether it may take the place of another number: the user has proved that it is they who ask.
    pub may_replace: bool,
    /// If it is somebody else's: after how long it is to leave them. `None` leaves it with them.
    pub leaves_after: Option<Duration>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// It is the user's now.
    Bound {
        /// From whom it was taken, their waiting period being over.
        moved_from: Option<UserId>,
    },
    /// It was the user's before.
    AlreadyYours,
    /// It is somebody else's. Nothing was written.
    Taken {
        /// Whose.
        by: UserId,
    },
    /// It is somebody else's, and leaves them.
    Leaving {
        /// Whose.
        from: UserId,
        /// When; from then on it is whose who asks again.
        at: Timestamp,
    },
    /// The user has another number, and has not proved that it is they who ask. Nothing was written.
    HasAnother,
    /// WeChat does not vouch for it, and the user has a number for which it does. Nothing was written.
    WouldWeaken,
}

/// The number that the user has.
#[derive(Clone, Copy, Debug)]
struct Own {
    is_same: bool,
    is_verified: bool,
}

/// Somebody else's row of the number.
#[derive(Clone, Copy, Debug)]
struct Other {
    user: UserId,
    leaves_at: Option<Timestamp>,
}

/// Decides, before anything is written, what becomes of a number.
fn decide(own: Option<Own>, other: Option<Other>, new: &NewPhone<'_>, now: Timestamp) -> Binding {
    if let Some(Own { is_same: true, is_verified }) = own
        && (is_verified || !new.is_verified)
    {
        return Binding::AlreadyYours;
    }
    let has_another = own.is_some_and(|own| !own.is_same);
    if has_another && !new.is_verified && own.is_some_and(|own| own.is_verified) {
        return Binding::WouldWeaken;
    }
    let is_due = |other: &Other| other.leaves_at.is_some_and(|at| at <= now);
    match (other, new.leaves_after) {
        (Some(other), None) if !is_due(&other) => return Binding::Taken { by: other.user },
        _ if has_another && !new.may_replace => return Binding::HasAnother,
        (Some(other), Some(wait)) if !is_due(&other) => {
            return Binding::Leaving { from: other.user, at: other.leaves_at.unwrap_or_else(|| now.plus(wait)) };
        }
        _ => {}
    }
    Binding::Bound { moved_from: other.map(|other| other.user) }
}

impl<'a> TxPhones<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Makes a number a user's, if nothing speaks against it. Whoever has it already and proves so again keeps it, though
    /// somebody else asked for it.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such user; [`StorageError::Busy`] if somebody else bound the number
    /// at the same moment: begin again.
    pub async fn bind(&self, user: UserId, new: &NewPhone<'_>) -> Result<Binding, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let now = core.clock.now();
        self.lock_user(user).await?;
        let keys = self.keys().await?;
        let digests = if new.is_verified { digests(&keys, &new.number.e164()) } else { Vec::new() };
        let rows = self.lock(user, digests).await?;
        let own_row = rows.iter().find(|row| row.user_id == user.uuid());
        let other_row = rows.iter().find(|row| row.user_id != user.uuid());
        let own = own_row.map(|row| self.own(row, new.number, &keys)).transpose()?;
        let leaves_at = |row: &phone::Model| row.leaves_at.map(Timestamp::from_millis);
        let other = other_row.map(|row| Other { user: row.user_id.into(), leaves_at: leaves_at(row) });
        let binding = decide(own, other, new, now);
        let event = match binding {
            Binding::Taken { .. } | Binding::HasAnother | Binding::WouldWeaken => return Ok(binding),
            Binding::AlreadyYours => {
                self.keep(own_row, new, &keys).await?;
                return Ok(binding);
            }
            // Told once, however often it is asked for.
            Binding::Leaving { .. } if other.is_some_and(|other| other.leaves_at.is_some()) => return Ok(binding),
            Binding::Leaving { from, at } => {
                self.let_leave(other_row, at).await?;
                Event::PhoneLeaving { user: from, at }
            }
            Binding::Bound { moved_from } => {
                let gone = own_row.into_iter().chain(other_row).map(|row| row.id);
                let gone = delete_of_tenant::<phone::Entity>(self.tenant).filter(phone::Column::Id.is_in(gone));
                gone.exec(tx).await?;
                self.insert(user, new, &keys, now).await?;
                moved_from.map_or(Event::PhoneBound { user }, |from| Event::PhoneMoved { from, to: Some(user) })
            }
        };
        self.tx.tenant(self.tenant).events().tell(&event).await?;
        Ok(binding)
    }

    /// Takes a user's number from them, and what their phone codes of the last minutes stood for: none of these gives it back.
    /// Whether they had one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn release(&self, user: UserId) -> Result<bool, StorageError> {
        let release = delete_of_tenant::<phone::Entity>(self.tenant).filter(phone::Column::UserId.eq(user.uuid()));
        let released = release.exec(&self.tx.tx).await?.rows_affected > 0;
        self.tx.tenant(self.tenant).phone_codes().forget_codes(user).await?;
        withdraw::forget(self.tx, self.tenant, user, Withdrawn::Phone).await?;
        Ok(released)
    }

    /// Gives a user's number to another as it is, for a merge or its undoing, which lock both; whether it did: not if `from`
    /// has none or `to` has one. A number that is about to leave leaves the other on the same day: a merge proves nothing.
    ///
    /// # Errors
    /// [`StorageError::Busy`] if `to` got one at the same moment.
    pub async fn hand_over(&self, from: UserId, to: UserId) -> Result<bool, StorageError> {
        let tx = &self.tx.tx;
        let of = |user: UserId| phone::Column::UserId.eq(user.uuid());
        if of_tenant::<phone::Entity>(self.tenant).filter(of(to)).one(tx).await?.is_some() {
            return Ok(false);
        }
        let row = phone::ActiveModel { user_id: Set(to.uuid()), ..Default::default() };
        let given = update_of_tenant::<phone::Entity>(self.tenant).filter(of(from)).set(row).exec(tx).await;
        Ok(given.map_err(StorageError::overtaken)?.rows_affected > 0)
    }

    /// Whether a user has the number of this digest, inside the transaction. The digest may be under another key than that
    /// of the number's row: one was made meanwhile, or before the row was digested anew.
    ///
    /// # Errors
    /// The database fails, or the number does not open.
    pub async fn has(&self, user: UserId, digest: &Digest) -> Result<bool, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let row = of_tenant::<phone::Entity>(self.tenant)
            .filter(phone::Column::UserId.eq(user.uuid()))
            .filter(phone::Column::Digest.is_not_null());
        let Some(row) = row.one(tx).await? else { return Ok(false) };
        let keys = TenantKeys::load(tx, &core.master_keys, self.tenant).await?;
        let number = self.opened(&row, &keys)?.e164();
        Ok(digests(&keys, &number).iter().any(|known| known == digest.as_bytes()))
    }

    async fn lock_user(&self, user: UserId) -> Result<(), StorageError> {
        let row = of_tenant::<user::Entity>(self.tenant).filter(user::Column::Id.eq(user.uuid())).lock_exclusive();
        row.one(&self.tx.tx).await?.map(drop).ok_or(StorageError::NotFound)
    }

    /// The tenant's keys, which stay as they are until the commit: two transactions that digest by different keys could
    /// both bind one number.
    async fn keys(&self) -> Result<TenantKeys, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        #[expect(clippy::disallowed_methods, reason = "a tenant is found by its own id")]
        let hold = tenant::Entity::find_by_id(self.tenant.uuid()).lock_shared();
        hold.one(tx).await?;
        TenantKeys::load(tx, &core.master_keys, self.tenant).await
    }

    /// The user's row and that of the number, locked in the order of their ids.
    async fn lock(&self, user: UserId, digests: Vec<Vec<u8>>) -> Result<Vec<phone::Model>, StorageError> {
        let tx = &self.tx.tx;
        let either =
            Condition::any().add(phone::Column::UserId.eq(user.uuid())).add(phone::Column::Digest.is_in(digests));
        let found = of_tenant::<phone::Entity>(self.tenant).filter(either).all(tx).await?;
        if found.is_empty() {
            return Ok(found);
        }
        let ids = found.iter().map(|row| row.id);
        let rows = of_tenant::<phone::Entity>(self.tenant).filter(phone::Column::Id.is_in(ids));
        Ok(rows.order_by_asc(phone::Column::Id).lock_exclusive().all(tx).await?)
    }

    fn own(&self, row: &phone::Model, number: &PhoneNumber, keys: &TenantKeys) -> Result<Own, StorageError> {
        Ok(Own { is_same: self.opened(row, keys)? == *number, is_verified: row.digest.is_some() })
    }

    fn opened(&self, row: &phone::Model, keys: &TenantKeys) -> Result<PhoneNumber, StorageError> {
        let sealed = wxgate_crypto::Sealed::parse(row.number.clone())?;
        of_text(keys.open(&place(self.tenant, &row.id), &sealed)?.expose(), "phone")
    }

    /// A number that is the user's already: if they prove it again, it does not leave them, and is found by the newest key.
    async fn keep(
        &self,
        own: Option<&phone::Model>,
        new: &NewPhone<'_>,
        keys: &TenantKeys,
    ) -> Result<(), StorageError> {
        let Some(own) = own.filter(|_| new.is_verified) else { return Ok(()) };
        let (key_number, digested) = newest(new.number, keys)?;
        if own.leaves_at.is_none() && own.digest_key == Some(key_number) {
            return Ok(());
        }
        let kept = phone::ActiveModel {
            leaves_at: Set(None),
            digest: Set(Some(digested)),
            digest_key: Set(Some(key_number)),
            ..Default::default()
        };
        self.update(own.id, kept).await
    }

    async fn let_leave(&self, other: Option<&phone::Model>, at: Timestamp) -> Result<(), StorageError> {
        let Some(other) = other else { return Ok(()) };
        self.update(other.id, phone::ActiveModel { leaves_at: Set(Some(at.millis())), ..Default::default() }).await
    }

    async fn update(&self, row: Uuid, change: phone::ActiveModel) -> Result<(), StorageError> {
        let update = update_of_tenant::<phone::Entity>(self.tenant).filter(phone::Column::Id.eq(row)).set(change);
        update.exec(&self.tx.tx).await.map_err(StorageError::overtaken)?;
        Ok(())
    }

    async fn insert(
        &self,
        user: UserId,
        new: &NewPhone<'_>,
        keys: &TenantKeys,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let row = core.random.uuid_v7(now.millis());
        let sealed = keys.seal.seal(&place(self.tenant, &row), to_text(new.number).expose().as_bytes(), &core.random);
        let found_by = new.is_verified.then(|| newest(new.number, keys)).transpose()?;
        let (digest_key, digest) = found_by.unzip();
        let row = phone::ActiveModel {
            id: Set(row),
            tenant_id: Set(self.tenant.uuid()),
            user_id: Set(user.uuid()),
            number: Set(sealed.into_bytes()),
            digest: Set(digest),
            digest_key: Set(digest_key),
            bound_at: Set(now.millis()),
            leaves_at: Set(None),
        };
        phone::Entity::insert(row).exec_without_returning(tx).await.map_err(StorageError::overtaken)?;
        Ok(())
    }
}

/// The number of the newest key, and the digest that it makes.
fn newest(number: &PhoneNumber, keys: &TenantKeys) -> Result<(i32, Vec<u8>), StorageError> {
    let (key_number, key) = keys.digests.first().ok_or_else(|| StorageError::inconsistent("data_key", "purpose"))?;
    Ok((key_number.cast_signed(), digest(key, &number.e164()).as_bytes().to_vec()))
}

/// Takes the numbers from users whose waiting period is over.
pub(crate) async fn release_due(core: &Core, now: Timestamp, limit: u64) -> Result<(), StorageError> {
    #[expect(clippy::disallowed_methods, reason = "swept for all tenants")]
    let due = phone::Entity::find().filter(phone::Column::LeavesAt.lte(now.millis())).limit(limit);
    let due = &due;
    for row in core.read(|db| async move { due.clone().all(&db).await }).await? {
        let tx = tx::begin(core).await?;
        let still = delete_of_tenant::<phone::Entity>(row.tenant_id.into())
            .filter(phone::Column::Id.eq(row.id))
            .filter(phone::Column::LeavesAt.lte(now.millis()));
        if still.exec(&tx).await?.rows_affected == 0 {
            continue;
        }
        let (tenant, moved) = (row.tenant_id.into(), Event::PhoneMoved { from: row.user_id.into(), to: None });
        let keys = TenantKeys::load(&tx, &core.master_keys, tenant).await?;
        let told = events::tell(&tx, core, &keys, tenant, &[moved]).await?;
        tx.commit().await?;
        if told {
            core.told.notify_one();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_a_number_is_one_decision() {
        let number = PhoneNumber::new("86", "13800138000").unwrap();
        let (now, day) = (Timestamp::from_millis(1_000), Duration::from_hours(24));
        let them = UserId::from(Uuid::from_u128(1));
        let plain = NewPhone { number: &number, is_verified: true, may_replace: false, leaves_after: None };
        let unverified = NewPhone { is_verified: false, ..plain };
        let stepped_up = NewPhone { may_replace: true, ..plain };
        let moving = NewPhone { leaves_after: Some(day), ..plain };
        let own = |is_same, is_verified| Some(Own { is_same, is_verified });
        let other = |leaves_at| Some(Other { user: them, leaves_at });
        let bound = Binding::Bound { moved_from: None };
        let taken = Binding::Taken { by: them };
        for (own, other, new, expected) in [
            (None, None, plain, bound),
            (None, None, unverified, bound),
            (own(true, true), None, plain, Binding::AlreadyYours),
            (own(true, true), None, unverified, Binding::AlreadyYours),
            (own(true, false), None, unverified, Binding::AlreadyYours),
            (own(true, false), None, plain, bound),
            (own(true, false), other(None), plain, taken),
            (own(false, true), None, unverified, Binding::WouldWeaken),
            (own(false, true), None, NewPhone { is_verified: false, ..stepped_up }, Binding::WouldWeaken),
            (own(false, false), None, unverified, Binding::HasAnother),
            (own(false, true), None, plain, Binding::HasAnother),
            (own(false, true), None, stepped_up, bound),
            (None, other(None), stepped_up, taken),
            (own(false, true), other(None), plain, taken),
            (own(false, true), other(None), moving, Binding::HasAnother),
            (None, other(None), moving, Binding::Leaving { from: them, at: now.plus(day) }),
            (None, other(Some(now.plus(day))), plain, taken),
            (None, other(Some(now.plus(day))), moving, Binding::Leaving { from: them, at: now.plus(day) }),
            (None, other(Some(now)), plain, Binding::Bound { moved_from: Some(them) }),
        ] {
            assert_eq!(decide(own, other, &new, now), expected, "{own:?} {other:?} {new:?}");
        }
    }
}
