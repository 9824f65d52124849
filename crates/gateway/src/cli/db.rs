//! `wxgate db`: the database as a whole.

use clap::{Args, Subcommand};
use serde_json::json;

use super::admin::AdminArgs;
use super::{Failure, print};

/// The database as a whole.
#[derive(Debug, Args)]
pub(super) struct DbCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say that this database was restored from a backup: every session of before is over.
    #[command(
        after_help = "Example:\n  wxgate db restored\n\nRun it after a restore and before the gateways start. What happened after the backup is lost, so refresh tokens\nmay be older or newer than their rows: all of them are void, and clients log in again by themselves. Verifiers that\nfollow the feed of revocations load it anew."
    )]
    Restored,
}

impl DbCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.admin.open().await?;
        match self.action {
            Action::Restored => {
                let epoch = admin.storage.restored().await?;
                if self.admin.json {
                    print::json(&json!({ "restore_epoch": epoch }));
                } else {
                    print::line(format!("restore epoch {epoch}: all sessions of before are over"));
                }
            }
        }
        admin.storage.stop().await;
        Ok(())
    }
}
