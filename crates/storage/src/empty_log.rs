//! Emptying SQLite's write-ahead log: what was overwritten there is gone then.

use sea_orm::{ConnectionTrait, DbBackend};

use crate::connect::Engine;
use crate::error::StorageError;
use crate::sql::{get, statement};
use crate::storage::Core;

/// How often it is tried while readers are in the way; each try waits for them as long as any write would.
const ATTEMPTS: u32 = 3;

impl Core {
    /// Empties the log into the file. Where that fails it is said, and the next erasure or start does it.
    pub(crate) async fn empty_log(&self) {
        if self.engine != Engine::Sqlite {
            return;
        }
        for _ in 0..ATTEMPTS {
            match self.checkpoint().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "the write-ahead log was not emptied; the next start reads it");
                    return;
                }
            }
        }
        tracing::warn!("the write-ahead log was not emptied: readers were in the way");
    }

    /// Whether the log could be emptied. A reader in the way is no error to SQLite, but a row that says so.
    async fn checkpoint(&self) -> Result<bool, StorageError> {
        let pragma = statement(DbBackend::Sqlite, "PRAGMA wal_checkpoint(TRUNCATE)", Vec::new());
        let row = self.writer.query_one_raw(pragma).await?;
        let busy: Option<i32> = row.map(|row| get(&row, 0)).transpose()?;
        Ok(busy != Some(1))
    }
}
