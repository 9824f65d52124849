//! `wxgate data-key`: the keys of a tenant.

use clap::{Args, Subcommand};
use wxgate_domain::Timestamp;

use super::admin::AdminArgs;
use super::{Failure, print};
use crate::operation::Limit;
use crate::operation::data_keys::{DataKeyReply, ListDataKeys, RemoveDataKey, RotateDataKey};

/// Data keys: a tenant's own, for sealing, digests, refresh tokens and the audit log. The master key seals them.
#[derive(Debug, Args)]
pub(super) struct DataKeyCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List a tenant's data keys.
    #[command(after_help = "Example:\n  wxgate data-key list --tenant acme")]
    List(ListDataKeys),
    /// Make a new key for a purpose, used at once for what is new.
    #[command(
        after_help = "Example:\n  wxgate data-key rotate --tenant acme --purpose seal\n\nWhat the key before sealed is sealed anew in the background, and two minutes later that key goes."
    )]
    Rotate(RotateDataKey),
    /// Remove an old key that nothing needs.
    #[command(after_help = "Example:\n  wxgate data-key remove --tenant acme 3")]
    Remove(RemoveDataKey),
}

impl DataKeyCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::List(list) => {
                let next = |cursor| ListDataKeys { tenant: list.tenant.clone(), limit: Limit::MOST, cursor };
                let keys = door.all(next).await?;
                if self.admin.json {
                    print::json(&keys);
                } else {
                    let rows: Vec<_> = keys.iter().map(cells).collect();
                    print::table(["NUMBER", "PURPOSE", "STATE", "MASTER KEY", "MADE"], &rows);
                }
            }
            Action::Rotate(rotate) => {
                let mut rotated = door.call(rotate).await?;
                if let Some(job) = rotated.job {
                    rotated.job = Some(self.admin.watch(&door, job.id).await?);
                }
                if self.admin.json {
                    print::json(&rotated);
                } else {
                    print::line(format!("data key {} ({}) made", rotated.key.number, rotated.key.purpose));
                    if let Some(job) = rotated.job {
                        let gone = "; the keys before go two minutes after the rotation, by a running gateway";
                        print::line(format!("{} values were sealed anew{gone}", job.done));
                    }
                }
            }
            Action::Remove(remove) => {
                let number = remove.number;
                self.admin.confirm("what the key sealed or signed is lost", &number.to_string())?;
                door.call(remove).await?;
                if !self.admin.json {
                    print::line(format!("data key {number}: removed"));
                }
            }
        }
        door.close().await;
        Ok(())
    }
}

fn cells(key: &DataKeyReply) -> [String; 5] {
    [
        key.number.to_string(),
        key.purpose.to_string(),
        key.state.clone(),
        key.master_key.0.to_string(),
        Timestamp::from_millis(key.created_at * 1_000).to_rfc3339(),
    ]
}
