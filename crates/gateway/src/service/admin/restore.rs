//! A database that was restored from a backup: what was worth something before is worth nothing, and whoever was erased
//! since stays so.

use std::path::PathBuf;

use wxgate_storage::{ErasureJournal, Replayed};

use super::{Admin, AdminError, Event};

/// What was done about a restored database.
#[derive(Clone, Debug)]
pub(crate) struct Restored {
    /// What the tokens and cursors of this life of the database are known by.
    pub(crate) epoch: u32,
    /// What each erasure journal said.
    pub(crate) erasures: Vec<(PathBuf, Replayed)>,
}

impl Admin {
    /// Ends all sessions, voids all tokens and cursors, replays the erasure journals, and has other keys sign. Nothing of it
    /// harms when it is done again.
    pub(crate) async fn restored(&self, journals: &[ErasureJournal]) -> Result<Restored, AdminError> {
        self.caller.must_be_operator()?;
        let epoch = self.storage.restored().await?;
        let mut erasures = Vec::with_capacity(journals.len());
        for journal in journals {
            erasures.push((journal.path().to_owned(), self.storage.replay_erasures(journal).await?));
        }
        self.signing_keys().replace_all().await?;
        let tx = self.storage.begin().await?;
        self.commit(tx, Event::of_operators("db.restored", format!("restore epoch {epoch}"))).await?;
        Ok(Restored { epoch, erasures })
    }
}
