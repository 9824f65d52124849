//! `wxgate backup`: a copy of the database while it is in use.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use wxgate_storage::{Backup, BackupError};

use super::admin::AdminArgs;
use super::{Failure, admin, print};

/// Copy an embedded database into a new file while the gateway serves, and check the copy.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  wxgate backup /backups/wxgate-2026-11-24.db\n\nThe database alone is not enough to come back: keep the master key, and the erasure journal for as long as the backup.\nPostgreSQL, MySQL and MariaDB have tools of their own: the command prints how to call them. How to restore:\ndocs/backup.md."
)]
pub(super) struct BackupCommand {
    #[command(flatten)]
    admin: AdminArgs,
    /// The new file.
    file: PathBuf,
}

impl BackupCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = admin::read(self.admin.database_alone()?)?;
        if let Some(command) = config.database.url.dump_command(&self.file) {
            return Err(format!("{} has a tool of its own:\n  {command}", config.database.url.engine()).into());
        }
        let admin = self.admin.open().await?;
        let made = admin.storage.backup(&self.file).await;
        let journal = admin.storage.erasure_journal().map(|journal| journal.path().to_owned());
        admin.storage.stop().await;
        let Backup { path, bytes } = made.map_err(|error| match error {
            BackupError::Storage(error) => Failure::from(error),
            error => format!("{}: {error}", self.file.display()).into(),
        })?;
        if self.admin.json {
            print::json(&json!({ "file": path, "bytes": bytes, "erasure_journal": journal }));
            return Ok(());
        }
        print::line(format!("{}: {bytes} bytes, checked", path.display()));
        print::line("keep beside it, but not in the same place: the master key, without which it opens nothing");
        match journal {
            Some(journal) => print::line(format!(
                "keep for as long as this backup: {}, or a restore brings back who was erased since",
                journal.display()
            )),
            None => print::line("no erasure journal is configured: a restore will bring back who was erased since"),
        }
        Ok(())
    }
}
