//! Whether a chain is as it was written.

use std::fmt;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use wxgate_crypto::Digest;
use wxgate_domain::{TenantId, TenantStatus, Timestamp};

use super::checkpoint::Checkpoint;
use super::entry;
use super::id_of;
use super::keys::AuditKeys;
use crate::entity::{audit_chain, audit_entry, tenant};
use crate::error::StorageError;
use crate::scope::of_tenant;
use crate::storage::Core;

/// Entries that are read at once.
const PIECE: u64 = 500;
/// Flaws that are told: where there are more, somebody has to look anyway.
const MOST: usize = 100;
/// How often a chain is read again because it was pruned meanwhile.
const ATTEMPTS: usize = 3;

/// What a look at a whole chain found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditVerdict {
    /// How many entries were looked at.
    pub entries: u64,
    /// The number of the oldest entry that is still kept.
    pub first: u64,
    /// The number of the newest.
    pub last: u64,
    /// What is wrong, by number, a hundred flaws at most; none, and the chain is whole.
    pub flaws: Vec<AuditFlaw>,
    /// Up to which number and moment a checkpoint proves that nothing was put back as on an earlier day.
    pub proven: Option<(u64, Timestamp)>,
}

/// Something wrong with an entry, or in the place of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditFlaw {
    /// The number of the entry.
    pub seq: u64,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The entry, or the MAC of the one before it, is not as it was written.
    Changed,
    /// What is personal was replaced.
    Personal,
    /// It is gone.
    Missing,
    /// It was added by somebody else.
    Added,
    /// The row of the chain is not as it was written; this is where it says that the chain ends.
    Chain,
    /// The checkpoint was not made here, or is of another chain.
    Checkpoint,
    /// The checkpoint saw another entry in this place.
    Replaced,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "was changed",
            Self::Personal => "had its personal part replaced",
            Self::Missing => "is missing",
            Self::Added => "was added by somebody else",
            Self::Chain => "is where the chain is said to end, and that was changed",
            Self::Checkpoint => "is what the checkpoint speaks of, which was not made here",
            Self::Replaced => "is not what the checkpoint saw",
        })
    }
}

impl AuditVerdict {
    fn flaw(&mut self, seq: i64, flaw: Flaw) {
        if self.flaws.len() < MOST {
            self.flaws.push(AuditFlaw { seq: seq.unsigned_abs(), flaw });
        }
    }
}

/// Reads the whole chain, oldest entries first.
pub(super) async fn verify(
    core: &Core,
    tenant: Option<TenantId>,
    checkpoint: Option<&Checkpoint>,
) -> Result<AuditVerdict, StorageError> {
    let chain = id_of(tenant);
    let mut attempt = 1;
    loop {
        let before = row(core, chain).await?;
        let look =
            Look { core, chain, keys: core.read(|db| async move { AuditKeys::load(&db, core, chain).await }).await? };
        let verdict = look.whole(before.as_ref(), checkpoint).await?;
        let after = row(core, chain).await?;
        // What was pruned while we looked is not missing.
        let pruned = |row: &Option<audit_chain::Model>| row.as_ref().map(|row| row.pruned);
        if verdict.flaws.is_empty() || pruned(&before) == pruned(&after) || attempt == ATTEMPTS {
            return Ok(verdict);
        }
        attempt += 1;
    }
}

async fn row(core: &Core, chain: TenantId) -> Result<Option<audit_chain::Model>, StorageError> {
    core.read(|db| async move { of_tenant::<audit_chain::Entity>(chain).one(&db).await }).await
}

struct Look<'a> {
    core: &'a Core,
    chain: TenantId,
    keys: AuditKeys,
}

impl Look<'_> {
    async fn whole(
        &self,
        row: Option<&audit_chain::Model>,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<AuditVerdict, StorageError> {
        let mut verdict = AuditVerdict::default();
        let mut seen = checkpoint.map(|checkpoint| Seen { checkpoint, head: None });
        let Some(row) = row else {
            // A tenant's chain is there with the tenant, the installation's from its first entry on, and its key before it.
            if self.keys.has_any() || self.belongs_to_a_tenant().await? || !self.next(0).await?.is_empty() {
                verdict.flaw(0, Flaw::Chain);
            }
            self.compare(0, seen, &mut verdict);
            return Ok(verdict);
        };
        if !self.keys.anchor(row) {
            verdict.flaw(row.seq, Flaw::Chain);
        }
        if let Some(seen) = &mut seen {
            seen.note(row.pruned, &row.pruned_mac);
        }
        // Nothing of what was pruned may be there again.
        if let Some(first) = self.next(0).await?.first().map(seq_of).filter(|seq| *seq <= row.pruned) {
            verdict.flaw(first, Flaw::Added);
        }
        let mut at = Step { seq: row.pruned, mac: Some(row.pruned_mac.clone()) };
        loop {
            let piece = self.next(at.seq).await?;
            if piece.is_empty() {
                break;
            }
            for entry in piece {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(seq) => {
                        skip(&mut at, seq, &mut verdict);
                        continue;
                    }
                };
                self.step(&mut at, &entry, row, &mut verdict);
                if let Some(seen) = &mut seen {
                    seen.note(entry.seq, &entry.mac);
                }
            }
        }
        // Written after the row of the chain was read is not added; the next look sees it. Fewer is a tail cut off.
        for gone in (at.seq + 1..=row.seq).take(MOST) {
            verdict.flaw(gone, Flaw::Missing);
        }
        (verdict.first, verdict.last) = (row.pruned.saturating_add(1).unsigned_abs(), at.seq.unsigned_abs());
        self.compare(row.seq, seen, &mut verdict);
        Ok(verdict)
    }

    /// One entry further.
    fn step(&self, at: &mut Step, entry: &audit_entry::Model, row: &audit_chain::Model, verdict: &mut AuditVerdict) {
        verdict.entries += 1;
        for gone in (at.seq + 1..entry.seq).take(MOST) {
            verdict.flaw(gone, Flaw::Missing);
            at.mac = None;
        }
        // After a gap nobody knows what came before: the gap is the flaw.
        let follows = |before: &Vec<u8>| {
            let key = self.keys.get(entry.mac_key);
            key.is_some_and(|key| Digest::from_slice(&entry.mac) == Some(entry::mac(key, entry, before)))
        };
        if !at.mac.as_ref().is_none_or(follows) {
            verdict.flaw(entry.seq, if entry.seq > row.seq { Flaw::Added } else { Flaw::Changed });
        } else if !entry::keeps_commitment(entry) {
            verdict.flaw(entry.seq, Flaw::Personal);
        }
        if entry.seq == row.seq && entry.mac != row.head {
            verdict.flaw(entry.seq, Flaw::Chain);
        }
        *at = Step { seq: entry.seq, mac: Some(entry.mac.clone()) };
    }

    fn compare(&self, last: i64, seen: Option<Seen<'_>>, verdict: &mut AuditVerdict) {
        let Some(Seen { checkpoint, head }) = seen else { return };
        let count = i64::try_from(checkpoint.count).unwrap_or(i64::MAX);
        let key = i32::try_from(checkpoint.mac_key).ok().and_then(|number| self.keys.get(number));
        let genuine = key.is_some_and(|key| checkpoint.mac(key) == checkpoint.mac);
        if !genuine || id_of(checkpoint.tenant) != self.chain {
            verdict.flaw(count, Flaw::Checkpoint);
        } else if let Some(head) = head {
            if Digest::from_slice(&head) == Some(checkpoint.head) {
                verdict.proven = Some((checkpoint.count, checkpoint.at));
            } else {
                verdict.flaw(count, Flaw::Replaced);
            }
        } else if count > last {
            verdict.flaw(count, Flaw::Missing);
        }
        // Else it speaks of what is pruned by now, and proves nothing any more.
    }

    /// Whether it is the chain of a tenant that is there to stay.
    async fn belongs_to_a_tenant(&self) -> Result<bool, StorageError> {
        let chain = self.chain.uuid();
        #[expect(clippy::disallowed_methods, reason = "a tenant is found by its own id")]
        let found = self.core.read(|db| async move { tenant::Entity::find_by_id(chain).one(&db).await }).await?;
        Ok(found.is_some_and(|tenant| tenant.status != TenantStatus::Deleting.as_str()))
    }

    /// The entries after this one. One by one where something among them is no entry that we could have written.
    async fn next(&self, after: i64) -> Result<Vec<Read>, StorageError> {
        let chain = self.chain;
        let entries = move || of_tenant::<audit_entry::Entity>(chain).order_by_asc(audit_entry::Column::Seq);
        let piece = move || entries().filter(audit_entry::Column::Seq.gt(after)).limit(PIECE);
        match self.core.read(|db| async move { piece().all(&db).await }).await {
            Ok(entries) => return Ok(entries.into_iter().map(Ok).collect()),
            Err(error @ (StorageError::Unavailable { .. } | StorageError::Busy)) => return Err(error),
            Err(_) => {}
        }
        let numbers = move || piece().select_only().column(audit_entry::Column::Seq).into_tuple::<i64>();
        let mut read = Vec::new();
        for seq in self.core.read(|db| async move { numbers().all(&db).await }).await? {
            let entry = move || entries().filter(audit_entry::Column::Seq.eq(seq));
            match self.core.read(|db| async move { entry().one(&db).await }).await {
                Ok(entry) => read.extend(entry.map(Ok)),
                Err(error @ (StorageError::Unavailable { .. } | StorageError::Busy)) => return Err(error),
                Err(_) => read.push(Err(seq)),
            }
        }
        Ok(read)
    }
}

/// An entry, or the number of one that cannot even be read.
type Read = Result<audit_entry::Model, i64>;

fn seq_of(read: &Read) -> i64 {
    read.as_ref().map_or_else(|seq| *seq, |entry| entry.seq)
}

/// Past an entry that cannot be read. Whether the next one follows it, nobody knows.
fn skip(at: &mut Step, seq: i64, verdict: &mut AuditVerdict) {
    verdict.entries += 1;
    for gone in (at.seq + 1..seq).take(MOST) {
        verdict.flaw(gone, Flaw::Missing);
    }
    verdict.flaw(seq, Flaw::Changed);
    *at = Step { seq, mac: None };
}

/// How far a look has come.
struct Step {
    seq: i64,
    /// The MAC of the last entry, unless it is not there.
    mac: Option<Vec<u8>>,
}

/// What a look saw in the place that a checkpoint speaks of.
struct Seen<'a> {
    checkpoint: &'a Checkpoint,
    head: Option<Vec<u8>>,
}

impl Seen<'_> {
    fn note(&mut self, seq: i64, mac: &[u8]) {
        if u64::try_from(seq) == Ok(self.checkpoint.count) {
            self.head = Some(mac.to_vec());
        }
    }
}
