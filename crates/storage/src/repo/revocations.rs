//! The feed of what ended: numbered entries of each tenant, which verifiers follow.
//!
//! Each entry takes its number from the tenant's counter row, which stays locked until the commit, so numbers appear in
//! their order and whoever has seen one has seen all before it.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use wxgate_crypto::encoding;
use wxgate_domain::{Revocation, RevocationEffect, RevokedSubject, TenantId, Timestamp};

use crate::changes::{self, ChangeKind};
use crate::entity::{revocation, revocation_counter};
use crate::error::StorageError;
use crate::scope::{of_tenant, update_of_tenant};
use crate::storage::{Core, Storage};
use crate::tx::Tx;

/// An entry to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRevocation {
    /// Whose tokens it is about.
    pub subject: RevokedSubject,
    /// What it does to them.
    pub effect: RevocationEffect,
    /// When the last token that it is about has ended; `None` for what holds until it is lifted.
    pub expires: Option<Timestamp>,
}

impl NewRevocation {
    /// That tokens of an app or a tenant are refused from now on, or no longer.
    pub(crate) fn of_status(subject: RevokedSubject, may_act: bool) -> Self {
        let effect = if may_act { RevocationEffect::Lifted } else { RevocationEffect::Blocked };
        Self { subject, effect, expires: None }
    }
}

/// How long a lifted block is told of: longer than any follower may be behind.
const LIFTED: Duration = Duration::from_hours(48);

/// Writes entries, and says so in the log of changes.
pub(crate) async fn record(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    news: &[NewRevocation],
    now: Timestamp,
) -> Result<(), StorageError> {
    if news.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(news.len()).unwrap_or(i64::MAX);
    let last = raise(tx, tenant, count).await?;
    let mut rows = Vec::with_capacity(news.len());
    for (entry, seq) in news.iter().zip(last - count + 1..) {
        let lifted = entry.effect == RevocationEffect::Lifted;
        if entry.effect != RevocationEffect::Blocked && is_blocked_at_times(&entry.subject) {
            lift(tx, tenant, &entry.subject).await?;
        }
        let expires = if lifted { Some(now.plus(LIFTED)) } else { entry.expires };
        rows.push(revocation::ActiveModel {
            tenant_id: Set(tenant.uuid()),
            seq: Set(seq),
            kind: Set(entry.subject.kind().to_owned()),
            subject: Set(entry.subject.id().into_bytes()),
            effect: Set(entry.effect.as_str().to_owned()),
            at: Set(now.millis()),
            expires_at: Set(expires.map(Timestamp::millis)),
        });
    }
    revocation::Entity::insert_many(rows).exec_without_returning(tx).await?;
    changes::record(tx, ChangeKind::Revocation, tenant, None, now).await
}

/// Raises the tenant's counter, keeps its row locked, and returns its new value.
async fn raise(tx: &DatabaseTransaction, tenant: TenantId, by: i64) -> Result<i64, StorageError> {
    let seq = Expr::col(revocation_counter::Column::Seq).add(by);
    let raised = update_of_tenant::<revocation_counter::Entity>(tenant).col_expr(revocation_counter::Column::Seq, seq);
    if raised.exec(tx).await?.rows_affected == 0 {
        return Err(StorageError::NotFound);
    }
    counter(tx, tenant).await.map(|row| row.seq)
}

async fn counter<C: ConnectionTrait>(db: &C, tenant: TenantId) -> Result<revocation_counter::Model, StorageError> {
    let row = of_tenant::<revocation_counter::Entity>(tenant).one(db).await?;
    row.ok_or(StorageError::NotFound)
}

/// Whether there can be a block of it, which holds until something else is said.
fn is_blocked_at_times(subject: &RevokedSubject) -> bool {
    matches!(subject, RevokedSubject::User(_) | RevokedSubject::App(_) | RevokedSubject::Tenant(_))
}

/// Whether tokens of this subject are refused now.
pub(crate) async fn holds(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    subject: &RevokedSubject,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let matters = revocation::Column::ExpiresAt.is_null().or(revocation::Column::ExpiresAt.gt(now.millis()));
    let newest = of_tenant::<revocation::Entity>(tenant)
        .filter(revocation::Column::Kind.eq(subject.kind()))
        .filter(revocation::Column::Subject.eq(subject.id().into_bytes()))
        .filter(matters)
        .order_by_desc(revocation::Column::Seq);
    let newest = newest.one(tx).await?;
    Ok(newest.is_some_and(|row| row.effect != RevocationEffect::Lifted.as_str()))
}

/// A block that is lifted, or whose subject is gone for good, holds no more: newcomers need not hear of it.
async fn lift(tx: &DatabaseTransaction, tenant: TenantId, subject: &RevokedSubject) -> Result<(), StorageError> {
    let held = update_of_tenant::<revocation::Entity>(tenant)
        .filter(revocation::Column::Kind.eq(subject.kind()))
        .filter(revocation::Column::Subject.eq(subject.id().into_bytes()))
        .filter(revocation::Column::ExpiresAt.is_null())
        .col_expr(revocation::Column::ExpiresAt, Expr::value(0_i64));
    held.exec(tx).await?;
    Ok(())
}

/// Where a follower is in a tenant's feed. Opaque on the wire; it names the tenant and the restore epoch, so a cursor of
/// another tenant or from before a restore is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    tenant: TenantId,
    restore_epoch: u32,
    seq: u64,
    /// Whether a snapshot is still being read, in which old entries have gaps.
    snapshot: bool,
}

const CURSOR_VERSION: u8 = 1;

impl Cursor {
    fn to_text(self) -> String {
        let tenant = self.tenant.uuid();
        let parts: [&[u8]; 4] = [
            &[CURSOR_VERSION, u8::from(self.snapshot)],
            tenant.as_bytes(),
            &self.restore_epoch.to_be_bytes(),
            &self.seq.to_be_bytes(),
        ];
        encoding::to_base64url(parts.concat())
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = encoding::base64url(text)?;
        let ([version, snapshot], rest) = bytes.split_first_chunk::<2>()?;
        let (tenant, rest) = rest.split_first_chunk::<16>()?;
        let (epoch, rest) = rest.split_first_chunk::<4>()?;
        let seq: [u8; 8] = rest.try_into().ok()?;
        (*version == CURSOR_VERSION && *snapshot <= 1).then(|| Self {
            tenant: uuid::Uuid::from_bytes(*tenant).into(),
            restore_epoch: u32::from_be_bytes(*epoch),
            seq: u64::from_be_bytes(seq),
            snapshot: *snapshot == 1,
        })
    }
}

/// A piece of a tenant's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRows {
    /// In the order of their numbers.
    pub entries: Vec<Revocation>,
    /// Everything that was committed by then is in this piece, or in one before or after it if there is more.
    pub as_of: Timestamp,
    /// Where the next piece begins.
    pub cursor: String,
    /// Whether there is a next piece already.
    pub more: bool,
    /// Whether this is a piece of a snapshot.
    pub snapshot: bool,
}

/// Why a follower gets no piece.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The cursor is too old, another tenant's, or from before a restore: the follower must load a snapshot.
    #[error("the cursor is of no more use")]
    Gone,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The feed of one tenant.
#[derive(Clone, Debug)]
pub struct TenantRevocations {
    storage: Storage,
    tenant: TenantId,
}

impl TenantRevocations {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// At most `limit` entries after a cursor; without one, the beginning of a snapshot of all that still matters.
    ///
    /// # Errors
    /// [`FeedError`].
    pub async fn page(&self, after: Option<&str>, limit: u64) -> Result<RevocationRows, FeedError> {
        let Self { storage, tenant } = self;
        let (core, tenant) = (&storage.core, *tenant);
        let restore_epoch = core.keys(tenant).await?.restore_epoch;
        let beginning = Cursor { tenant, restore_epoch, seq: 0, snapshot: true };
        let cursor = after.map_or(Some(beginning), Cursor::parse).ok_or(FeedError::Gone)?;
        if cursor.tenant != tenant || cursor.restore_epoch != restore_epoch {
            return Err(FeedError::Gone);
        }
        let as_of = core.clock.now();
        // First the counter, then the rows: what is numbered after it belongs to the next piece.
        let counted = core.read(|db| async move { counter(&db, tenant).await }).await?;
        let (last, pruned) = (whole(counted.seq)?, whole(counted.pruned)?);
        if cursor.seq > last || (cursor.seq < pruned && !cursor.snapshot) {
            return Err(FeedError::Gone);
        }
        let mut entries = between(core, tenant, cursor.seq, last, limit.saturating_add(1)).await?;
        let more = entries.len() as u64 > limit;
        entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let seq = entries.last().filter(|_| more).map_or(last, |entry| entry.seq);
        let next = Cursor { seq, snapshot: cursor.snapshot && more, ..cursor };
        Ok(RevocationRows { entries, as_of, cursor: next.to_text(), more, snapshot: cursor.snapshot })
    }

    /// At most `limit` entries with larger numbers than `seq`, for whoever follows through the log of changes.
    ///
    /// # Errors
    /// The database fails.
    pub async fn after(&self, seq: u64, limit: u64) -> Result<Vec<Revocation>, StorageError> {
        between(&self.storage.core, self.tenant, seq, i64::MAX.unsigned_abs(), limit).await
    }
}

/// The entries of all tenants that still matter, in the order of tenant and number.
pub(crate) async fn all(core: &Core, limit: u64) -> Result<Vec<(TenantId, Revocation)>, StorageError> {
    let now = core.clock.now().millis();
    let rows = core.read(|db| async move {
        #[expect(clippy::disallowed_methods, reason = "a gateway serves all tenants")]
        let query = revocation::Entity::find();
        let matters = revocation::Column::ExpiresAt.is_null().or(revocation::Column::ExpiresAt.gt(now));
        let ordered = query.filter(matters).order_by_asc(revocation::Column::TenantId);
        ordered.order_by_asc(revocation::Column::Seq).limit(limit).all(&db).await
    });
    rows.await?.into_iter().map(|row| Ok((row.tenant_id.into(), of_row(row)?))).collect()
}

async fn between(
    core: &Core,
    tenant: TenantId,
    after: u64,
    last: u64,
    limit: u64,
) -> Result<Vec<Revocation>, StorageError> {
    let signed = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
    let rows = core.read(|db| async move {
        of_tenant::<revocation::Entity>(tenant)
            .filter(revocation::Column::Seq.gt(signed(after)))
            .filter(revocation::Column::Seq.lte(signed(last)))
            .order_by_asc(revocation::Column::Seq)
            .limit(limit)
            .all(&db)
            .await
    });
    rows.await?.into_iter().map(of_row).collect()
}

fn of_row(row: revocation::Model) -> Result<Revocation, StorageError> {
    let inconsistent = |column| StorageError::inconsistent("revocation", column);
    let subject = String::from_utf8(row.subject).map_err(|_| inconsistent("subject"))?;
    Ok(Revocation {
        seq: whole(row.seq)?,
        at: Timestamp::from_millis(row.at),
        subject: RevokedSubject::parse(&row.kind, &subject).map_err(|_| inconsistent("subject"))?,
        effect: RevocationEffect::from_word(&row.effect).ok_or_else(|| inconsistent("effect"))?,
        expires: row.expires_at.map(Timestamp::from_millis),
    })
}

fn whole(seq: i64) -> Result<u64, StorageError> {
    u64::try_from(seq).map_err(|_| StorageError::inconsistent("revocation", "seq"))
}

/// Deletes entries that have expired, at most `limit` of them; how many there were. A follower who has not come so far must
/// load a snapshot, for what is gone may have lifted something.
pub(crate) async fn prune(core: &Core, cutoff: Timestamp, limit: u64) -> Result<usize, StorageError> {
    let tx = crate::tx::begin(core).await?;
    #[expect(clippy::disallowed_methods, reason = "swept for all tenants")]
    let expired = revocation::Entity::find().filter(revocation::Column::ExpiresAt.lt(cutoff.millis()));
    let rows = expired.order_by_asc(revocation::Column::ExpiresAt).limit(limit).all(&tx).await?;
    let mut by_tenant: BTreeMap<TenantId, Vec<i64>> = BTreeMap::new();
    for row in &rows {
        by_tenant.entry(row.tenant_id.into()).or_default().push(row.seq);
    }
    for (tenant, seqs) in by_tenant {
        let Some(highest) = seqs.iter().max().copied() else { continue };
        raise(&tx, tenant, 0).await?;
        let pruned = update_of_tenant::<revocation_counter::Entity>(tenant)
            .filter(revocation_counter::Column::Pruned.lt(highest))
            .set(revocation_counter::ActiveModel { pruned: Set(highest), ..Default::default() });
        pruned.exec(&tx).await?;
        #[expect(clippy::disallowed_methods, reason = "of one tenant, by number")]
        let gone = revocation::Entity::delete_many().filter(revocation::Column::TenantId.eq(tenant.uuid()));
        gone.filter(revocation::Column::Seq.is_in(seqs)).exec(&tx).await?;
    }
    tx.commit().await?;
    Ok(rows.len())
}

/// Writes into one tenant's feed.
#[derive(Clone, Copy, Debug)]
pub struct TxRevocations<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxRevocations<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Writes entries into the feed, to be seen with the transaction. Before any [`Tx::commit`] and before rows of other
    /// kinds are changed: counters are locked last.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is no such tenant.
    pub async fn record(&self, news: &[NewRevocation]) -> Result<(), StorageError> {
        record(&self.tx.tx, self.tenant, news, self.tx.core.clock.now()).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cursors_read_back_and_nothing_else_reads(tenant: u128, restore_epoch: u32, seq: u64, snapshot: bool, text in "[A-Za-z0-9_-]{0,60}") {
            let cursor = Cursor { tenant: uuid::Uuid::from_u128(tenant).into(), restore_epoch, seq, snapshot };
            prop_assert_eq!(Cursor::parse(&cursor.to_text()), Some(cursor));
            let read = Cursor::parse(&text);
            prop_assert!(read.is_none_or(|cursor| cursor.to_text() == text));
        }
    }
}
