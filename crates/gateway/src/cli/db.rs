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
    /// Say that this database was restored from a backup: every session and token of before is worth nothing.
    #[command(
        after_help = "Example:\n  wxgate db restored\n\nRun it after a restore and before the gateways start. What happened after the backup is lost: who logged\nout, who was blocked, which key was retired. So all refresh tokens are void, each tenant's next key signs and the\nothers go, and with them all access tokens. Clients log in again by themselves; verifiers read keys and feed anew."
    )]
    Restored,
}

impl DbCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.admin.open().await?;
        match self.action {
            Action::Restored => {
                let epoch = admin.storage.restored().await?;
                admin.signing_keys().replace_all().await?;
                if self.admin.json {
                    print::json(&json!({ "restore_epoch": epoch }));
                } else {
                    print::line(format!(
                        "restore epoch {epoch}: all sessions and tokens of before are worth nothing, and other keys sign. Users \
                         that were blocked since the backup must be blocked again."
                    ));
                }
            }
        }
        admin.storage.stop().await;
        Ok(())
    }
}
