//! Merge candidates: two users who may be one person, each pair once.

use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use uuid::Uuid;
use wxgate_crypto::Random;
use wxgate_domain::{CandidateCause, CandidateState, MergeCandidateId, TenantId, Timestamp, UserId};

use crate::entity::merge_candidate;
use crate::error::StorageError;
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};
use crate::sql::{get, id};
use crate::storage::Storage;
use crate::tx::Tx;

/// Two users who may be one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeCandidate {
    /// Our id.
    pub id: MergeCandidateId,
    /// The two, the older id first.
    pub users: [UserId; 2],
    /// What says so.
    pub cause: CandidateCause,
    /// Whether somebody decided.
    pub state: CandidateState,
    /// When it was noted.
    pub created_at: Timestamp,
}

/// A pair that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) tenant: TenantId,
    /// Who logged in.
    pub(crate) user: UserId,
    /// Who they may be.
    pub(crate) other: UserId,
    pub(crate) cause: CandidateCause,
    pub(crate) at: Timestamp,
}

impl Found {
    /// In the order of their ids, so that a pair has one name.
    fn pair(&self) -> [UserId; 2] {
        [self.user.min(self.other), self.user.max(self.other)]
    }
}

/// Notes pairs; those that were noted now. One that was dismissed is not asked about again.
pub(crate) async fn note(
    tx: &DatabaseTransaction,
    found: &[Found],
    random: &Random,
) -> Result<Vec<Found>, StorageError> {
    let mut noted: Vec<Found> = Vec::new();
    for found in found {
        let [first, second] = found.pair();
        let known = of_tenant::<merge_candidate::Entity>(found.tenant).filter(of_pair([first, second]));
        let again = noted.iter().any(|other| (other.tenant, other.pair()) == (found.tenant, found.pair()));
        if again || known.one(tx).await?.is_some() {
            continue;
        }
        insert(tx, found, CandidateState::Open, random).await?;
        noted.push(*found);
    }
    Ok(noted)
}

async fn insert(
    tx: &DatabaseTransaction,
    found: &Found,
    state: CandidateState,
    random: &Random,
) -> Result<(), StorageError> {
    let [first, second] = found.pair();
    let row = merge_candidate::ActiveModel {
        id: Set(MergeCandidateId::new(found.at, random).uuid()),
        tenant_id: Set(found.tenant.uuid()),
        user_id: Set(first.uuid()),
        other_id: Set(second.uuid()),
        cause: Set(found.cause.as_str().to_owned()),
        state: Set(state.as_str().to_owned()),
        created_at: Set(found.at.millis()),
    };
    merge_candidate::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

fn of_pair([first, second]: [UserId; 2]) -> Condition {
    let (user, other) = (merge_candidate::Column::UserId, merge_candidate::Column::OtherId);
    Condition::all().add(user.eq(first.uuid())).add(other.eq(second.uuid()))
}

/// Those that name this user.
fn naming(user: UserId) -> Condition {
    let (one, other) = (merge_candidate::Column::UserId, merge_candidate::Column::OtherId);
    Condition::any().add(one.eq(user.uuid())).add(other.eq(user.uuid()))
}

/// Forgets the candidates that name a user who is gone.
pub(crate) async fn forget(tx: &DatabaseTransaction, tenant: TenantId, user: UserId) -> Result<(), StorageError> {
    delete_of_tenant::<merge_candidate::Entity>(tenant).filter(naming(user)).exec(tx).await?;
    Ok(())
}

/// Whoever might have been `gone` might be `into` now.
pub(crate) async fn inherit(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    (gone, into): (UserId, UserId),
    random: &Random,
) -> Result<(), StorageError> {
    let theirs = of_tenant::<merge_candidate::Entity>(tenant).filter(naming(gone)).all(tx).await?;
    forget(tx, tenant, gone).await?;
    for row in theirs {
        let found = of_row(&row)?;
        let [first, second] = found.users;
        let other = if first == gone { second } else { first };
        let pair = Found { tenant, user: into, other, cause: found.cause, at: found.created_at };
        let known = of_tenant::<merge_candidate::Entity>(tenant).filter(of_pair(pair.pair()));
        if other != into && known.one(tx).await?.is_none() {
            insert(tx, &pair, found.state, random).await?;
        }
    }
    Ok(())
}

fn of_row(row: &merge_candidate::Model) -> Result<MergeCandidate, StorageError> {
    let malformed = |column| StorageError::inconsistent("merge_candidate", column);
    Ok(MergeCandidate {
        id: row.id.into(),
        users: [row.user_id.into(), row.other_id.into()],
        cause: CandidateCause::from_word(&row.cause).ok_or_else(|| malformed("cause"))?,
        state: CandidateState::from_word(&row.state).ok_or_else(|| malformed("state"))?,
        created_at: Timestamp::from_millis(row.created_at),
    })
}

/// The merge candidates of one tenant.
#[derive(Clone, Debug)]
pub struct TenantMergeCandidates {
    storage: Storage,
    tenant: TenantId,
}

impl TenantMergeCandidates {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// Those in this state, oldest first: at most `limit` after `after`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn page(
        &self,
        state: CandidateState,
        after: Option<MergeCandidateId>,
        limit: u64,
    ) -> Result<Vec<MergeCandidate>, StorageError> {
        let query = || {
            let mut found = of_tenant::<merge_candidate::Entity>(self.tenant)
                .filter(merge_candidate::Column::State.eq(state.as_str()))
                .order_by_asc(merge_candidate::Column::Id)
                .limit(limit);
            if let Some(after) = after {
                found = found.filter(merge_candidate::Column::Id.gt(after.uuid()));
            }
            found
        };
        let rows = self.storage.core.read(|db| async move { query().all(&db).await }).await?;
        rows.iter().map(of_row).collect()
    }

    /// Who the user is by WeChat's word, and still is: the other side of each open candidate that a unionid made (not one
    /// that changed), where that unionid is still one user's in a group and the account's of the other.
    ///
    /// # Errors
    /// The database fails.
    pub async fn by_unionid(&self, user: UserId) -> Result<Vec<UserId>, StorageError> {
        let text = "SELECT c.user_id, c.other_id FROM merge_candidate c
            WHERE c.tenant_id = ? AND (c.user_id = ? OR c.other_id = ?) AND c.state = ? AND c.cause IN (?, ?)
            AND EXISTS (SELECT 1 FROM identity i
                JOIN app a ON a.tenant_id = i.tenant_id AND a.id = i.app_id
                JOIN union_member m ON m.tenant_id = i.tenant_id AND m.union_group_id = a.union_group_id
                    AND m.unionid = i.unionid
                WHERE i.tenant_id = c.tenant_id AND i.unionid_changed = 0
                AND ((i.user_id = c.user_id AND m.user_id = c.other_id)
                    OR (i.user_id = c.other_id AND m.user_id = c.user_id)))
            ORDER BY c.id";
        let (uuid, word) = (id(user.uuid()), |word: &str| sea_orm::Value::from(word));
        let causes = [CandidateCause::Unionid, CandidateCause::UnionGroup].map(CandidateCause::as_str);
        let [late, joined] = causes.map(word);
        let of = [id(self.tenant.uuid()), uuid.clone(), uuid, word(CandidateState::Open.as_str()), late, joined];
        let rows = self.storage.tenant(self.tenant).read(text, &of).await?;
        let other = |row: &sea_orm::QueryResult| {
            let (one, other): (UserId, UserId) = (get::<Uuid>(row, 0)?.into(), get::<Uuid>(row, 1)?.into());
            Ok(if one == user { other } else { one })
        };
        rows.iter().map(other).collect()
    }

    /// The one of this id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, id: MergeCandidateId) -> Result<Option<MergeCandidate>, StorageError> {
        let query =
            || of_tenant::<merge_candidate::Entity>(self.tenant).filter(merge_candidate::Column::Id.eq(id.uuid()));
        let row = self.storage.core.read(|db| async move { query().one(&db).await }).await?;
        row.as_ref().map(of_row).transpose()
    }
}

/// Writes about the merge candidates of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxMergeCandidates<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxMergeCandidates<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Two users stay two: nobody is asked about them again.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such candidate.
    pub async fn dismiss(&self, id: MergeCandidateId) -> Result<(), StorageError> {
        let state = CandidateState::Dismissed.as_str().to_owned();
        let dismissed = update_of_tenant::<merge_candidate::Entity>(self.tenant)
            .filter(merge_candidate::Column::Id.eq(id.uuid()))
            .set(merge_candidate::ActiveModel { state: Set(state), ..Default::default() });
        let found = of_tenant::<merge_candidate::Entity>(self.tenant).filter(merge_candidate::Column::Id.eq(id.uuid()));
        found.lock_exclusive().one(&self.tx.tx).await?.ok_or(StorageError::NotFound)?;
        dismissed.exec(&self.tx.tx).await?;
        Ok(())
    }

    /// The same for two users of whom nobody may have thought yet.
    pub(crate) async fn keep_apart(&self, user: UserId, other: UserId) -> Result<(), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let now = core.clock.now();
        let found = Found { tenant: self.tenant, user, other, cause: CandidateCause::Unionid, at: now };
        delete_of_tenant::<merge_candidate::Entity>(self.tenant).filter(of_pair(found.pair())).exec(tx).await?;
        insert(tx, &found, CandidateState::Dismissed, &core.random).await
    }
}
