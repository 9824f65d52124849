//! The erasure journal: an append-only file outside the database, so that a restored backup brings nobody back.
//!
//! A line is one erasure, a block or unblock of somebody who was erased, or the deletion of a whole tenant, as JSON: ids of
//! ours and keyed digests, nothing that names a person. It is on the disk before the erasure is seen.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Once;

use serde::{Deserialize, Serialize};
use wxgate_crypto::{Digest, encoding};
use wxgate_domain::{TenantId, TenantStatus, Timestamp, UserId, UserStatus};

use crate::error::StorageError;
use crate::repo::tombstones::{self, Buried, Mark};
use crate::storage::{Core, Storage};

/// How many lines are replayed in one transaction.
const PIECE: usize = 256;

/// Where erasures are written down. Processes may share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureJournal {
    path: PathBuf,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Entry {
    User(Erasure),
    Tenant(Deletion),
}

/// A user who was erased, and whether they may come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Erasure {
    /// Milliseconds since 1970.
    at: i64,
    tenant: TenantId,
    user: UserId,
    blocked: bool,
    tombstones: Vec<Tombstone>,
}

/// A tenant that was deleted with everything of theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deletion {
    /// Milliseconds since 1970.
    at: i64,
    deleted_tenant: TenantId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tombstone {
    key: u32,
    digest: String,
}

/// What a replay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Lines that were read.
    pub entries: usize,
    /// Users who had come back with the backup and are gone again.
    pub erased: usize,
    /// Tenants that had come back with the backup and are being deleted again.
    pub deleted_tenants: usize,
    /// Lines of tenants that are not in the database: deleted, or newer than the backup.
    pub of_unknown_tenants: usize,
    /// Lines that could not be read: a crash tore them, or the file was changed.
    pub unreadable: usize,
}

impl ErasureJournal {
    /// The journal in this file, which need not be there yet.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn append(&self, entries: &[Entry]) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(&self.path)?;
        let mut lines = Vec::new();
        if !ends_a_line(&mut file)? {
            // A crash tore the last line. It must not take the next one with it.
            lines.push(b'\n');
        }
        for entry in entries {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        // In one piece: others append to the same file.
        file.write_all(&lines)?;
        file.sync_all()
    }

    fn failed(&self, error: &io::Error) -> StorageError {
        StorageError::Journal { path: self.path.clone(), reason: error.kind() }
    }
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

impl Entry {
    /// The erasure of a user, or what became of it later.
    pub(crate) fn of_user(buried: &Buried, marks: &[Mark]) -> Self {
        let tombstone =
            |mark: &Mark| Tombstone { key: mark.key, digest: encoding::to_base64url(mark.digest.as_bytes()) };
        Self::User(Erasure {
            at: buried.at.millis(),
            tenant: buried.tenant,
            user: buried.user,
            blocked: buried.status == UserStatus::Blocked,
            tombstones: marks.iter().map(tombstone).collect(),
        })
    }

    /// The deletion of a tenant.
    pub(crate) fn of_tenant(tenant: TenantId, at: Timestamp) -> Self {
        Self::Tenant(Deletion { at: at.millis(), deleted_tenant: tenant })
    }
}

impl Erasure {
    /// `None` if a digest is none.
    fn read(self) -> Option<(Buried, Vec<Mark>)> {
        let Self { at, tenant, user, blocked, tombstones } = self;
        let status = if blocked { UserStatus::Blocked } else { UserStatus::Active };
        let mark = |tombstone: &Tombstone| {
            let digest = encoding::base64url(&tombstone.digest)?;
            Some(Mark { key: tombstone.key, digest: Digest::from_slice(&digest)? })
        };
        let marks = tombstones.iter().map(mark).collect::<Option<_>>()?;
        Some((Buried { tenant, user, status, at: Timestamp::from_millis(at) }, marks))
    }
}

/// What a line asks for once more.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Again {
    Erase(Buried, Vec<Mark>),
    Delete(TenantId),
}

impl Again {
    fn parse(line: &[u8]) -> Option<Self> {
        match serde_json::from_slice(line).ok()? {
            Entry::User(erasure) => erasure.read().map(|(buried, marks)| Self::Erase(buried, marks)),
            Entry::Tenant(deletion) => Some(Self::Delete(deletion.deleted_tenant)),
        }
    }

    fn tenant(&self) -> TenantId {
        match self {
            Self::Erase(buried, _) => buried.tenant,
            Self::Delete(tenant) => *tenant,
        }
    }
}

impl Core {
    /// Writes lines to the disk, if there is a journal.
    pub(crate) async fn write_journal(&self, entries: &[Entry]) -> Result<(), StorageError> {
        static TOLD: Once = Once::new();
        let Some(journal) = self.erasure_journal.clone() else {
            TOLD.call_once(|| {
                tracing::warn!(
                    "erased without an erasure journal: set erasure_journal, or a backup brings people back"
                );
            });
            return Ok(());
        };
        let entries = entries.to_vec();
        let written =
            tokio::task::spawn_blocking(move || journal.append(&entries).map_err(|error| journal.failed(&error)));
        written.await.map_err(|_| StorageError::Unavailable { code: "stopping".to_owned() })?
    }
}

impl Storage {
    /// Where erasures are written down, if anywhere.
    pub fn erasure_journal(&self) -> Option<&ErasureJournal> {
        self.core.erasure_journal.as_ref()
    }

    /// Erases again whoever a journal says was erased, and begins again to delete the tenants that it says were deleted, after
    /// a backup was restored. The last word of the journal on whether somebody is blocked counts. Doing it twice changes
    /// nothing.
    ///
    /// # Errors
    /// [`StorageError::Journal`] if the file cannot be read, or the database fails; what was done stays.
    pub async fn replay_erasures(&self, journal: &ErasureJournal) -> Result<Replayed, StorageError> {
        let failed = |error: io::Error| journal.failed(&error);
        let mut lines = BufReader::new(File::open(journal.path()).map_err(failed)?);
        let mut replayed = Replayed::default();
        loop {
            let mut entries = Vec::new();
            let mut line = Vec::new();
            while entries.len() < PIECE && lines.read_until(b'\n', &mut line).map_err(failed)? > 0 {
                match Again::parse(&line) {
                    Some(entry) => entries.push(entry),
                    None if line.trim_ascii().is_empty() => {}
                    None => replayed.unreadable += 1,
                }
                line.clear();
            }
            if entries.is_empty() {
                self.core.empty_log().await;
                return Ok(replayed);
            }
            self.replay(&entries, &mut replayed).await?;
        }
    }

    async fn replay(&self, entries: &[Again], replayed: &mut Replayed) -> Result<(), StorageError> {
        let tx = self.begin().await?;
        for entry in entries {
            replayed.entries += 1;
            let Some(tenant) = self.tenants().of_id(entry.tenant()).await? else {
                replayed.of_unknown_tenants += 1;
                continue;
            };
            match entry {
                // Without keys nobody can be known, and everything of theirs goes.
                Again::Erase(..) if tenant.status == TenantStatus::Deleting => {}
                Again::Erase(buried, marks) => {
                    let removed = tx.tenant(tenant.id).users().remove_again(buried.user, marks).await?;
                    replayed.erased += usize::from(removed.is_some());
                    tombstones::put(&tx.tx, buried, marks).await?;
                    tombstones::set_status(&tx.tx, tenant.id, buried.user, buried.status).await?;
                }
                Again::Delete(_) => replayed.deleted_tenants += usize::from(tx.tenants().delete_again(tenant).await?),
            }
        }
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> uuid::Uuid {
        uuid::Uuid::from_bytes([byte; 16])
    }

    fn buried(user: u8) -> (Buried, Vec<Mark>) {
        let (status, at) = (UserStatus::Blocked, Timestamp::from_millis(5));
        let buried = Buried { tenant: id(1).into(), user: id(user).into(), status, at };
        (buried, vec![Mark { key: 2, digest: Digest::sha256(&[user]) }])
    }

    fn entry(user: u8) -> Entry {
        let (buried, marks) = buried(user);
        Entry::of_user(&buried, &marks)
    }

    fn again(user: u8) -> Again {
        let (buried, marks) = buried(user);
        Again::Erase(buried, marks)
    }

    #[test]
    fn a_line_is_of_a_user_or_of_a_tenant() {
        let deleted = Entry::of_tenant(id(9).into(), Timestamp::from_millis(5));
        let line = |entry: &Entry| serde_json::to_vec(entry).unwrap();
        assert_eq!(Again::parse(&line(&deleted)), Some(Again::Delete(id(9).into())));
        assert_eq!(Again::parse(&line(&entry(2))), Some(again(2)));
        let both = format!(r#"{{"at":5,"tenant":"{0}","deleted_tenant":"{0}"}}"#, id(9));
        assert_eq!(Again::parse(both.as_bytes()), None);
    }

    #[test]
    fn a_torn_line_is_lost_alone() {
        let folder = tempfile::tempdir().unwrap();
        let journal = ErasureJournal::at(folder.path().join("erasures.jsonl"));
        journal.append(&[entry(2), entry(3)]).unwrap();
        let whole = std::fs::read(journal.path()).unwrap();
        std::fs::write(journal.path(), &whole[..whole.len() - 20]).unwrap();
        journal.append(&[entry(4)]).unwrap();
        let text = std::fs::read(journal.path()).unwrap();
        let read: Vec<_> =
            text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(Again::parse).collect();
        assert_eq!(read, [Some(again(2)), None, Some(again(4))]);
    }
}
