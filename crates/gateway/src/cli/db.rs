//! `wxgate db`: the database as a whole.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use wxgate_storage::{ErasureJournal, Replayed};

use super::admin::AdminArgs;
use super::{Failure, print};
use crate::service::admin::{Admin, Restored};

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
    /// Say that this database was restored from a backup: every session and token of before is worth nothing.
    #[command(
        after_help = "Example:\n  wxgate db restored\n\nRun it after a restore and before the gateways start. What happened after the backup is lost: who logged\nout, who was blocked, which key was retired. So all refresh tokens are void, each tenant gets new signing keys\nand the others go, and with them all access tokens. Whoever the erasure journal names is erased again. Clients log in again by themselves; verifiers read keys and feed anew."
    )]
    Restored {
        /// Another erasure journal, beside the configured one: that of a further node. Give it for each.
        #[arg(long, value_name = "FILE")]
        erasure_journal: Vec<PathBuf>,
    },
}

impl DbCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        self.admin.database_alone()?;
        let admin = self.admin.open().await?;
        match self.action {
            Action::Restored { erasure_journal } => {
                let journals = journals(&admin, erasure_journal)?;
                self.admin.tell_restored(&admin.restored(&journals).await?);
            }
        }
        admin.storage.stop().await;
        Ok(())
    }
}

/// The journals to replay. The configured one need not be there: nobody may have been erased yet.
fn journals(admin: &Admin, others: Vec<PathBuf>) -> Result<Vec<ErasureJournal>, Failure> {
    for path in &others {
        std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let own = admin.storage.erasure_journal().filter(|journal| journal.path().exists());
    Ok(own.cloned().into_iter().chain(others.into_iter().map(ErasureJournal::at)).collect())
}

impl AdminArgs {
    fn tell_restored(&self, Restored { epoch, erasures }: &Restored) {
        if self.json {
            let told = erasures.iter().map(|(journal, replayed)| json!({ "journal": journal, "replayed": replayed }));
            print::json(&json!({ "restore_epoch": epoch, "erasures": told.collect::<Vec<_>>() }));
            return;
        }
        print::line(format!(
            "restore epoch {epoch}: all sessions and tokens of before are worth nothing, and new keys sign. Users that \
             were blocked since the backup must be blocked again."
        ));
        for (journal, replayed) in erasures {
            let Replayed { entries, erased, deleted_tenants, unreadable, .. } = replayed;
            let path = journal.display();
            print::line(format!("{path}: {entries} entries, {erased} users had come back and are erased again"));
            if *deleted_tenants > 0 {
                print::line(format!(
                    "{path}: {deleted_tenants} tenants had come back; a gateway deletes them again once it runs"
                ));
            }
            if *unreadable > 0 {
                print::line(format!(
                    "{path}: {unreadable} lines are not readable; whom they erased may have come back"
                ));
            }
        }
        if erasures.is_empty() {
            print::line("no erasure journal: whoever was erased since the backup has come back");
        }
    }
}
