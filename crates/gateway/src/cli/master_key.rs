//! `wxgate master-key`: the keys above all others.

use clap::{Args, Subcommand};
use serde_json::json;

use super::admin::AdminArgs;
use super::door::Door;
use super::{Failure, print};
use crate::operation::Limit;
use crate::operation::master_keys::{
    ActivateMasterKey, ListMasterKeys, MasterKeyReply, RemoveMasterKey, RemovedMasterKeyReply, RewrapKeys,
};

/// Master keys: they seal the data keys of all tenants. One is active and seals; the others only open.
#[derive(Debug, Args)]
pub(super) struct MasterKeyCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the keys by their fingerprints: which one seals, what others still seal, which gateways have them.
    #[command(after_help = "Example:\n  wxgate master-key list")]
    List,
    /// Make a key in the folder `master_key.folder` of this machine. Running gateways have it seconds later.
    #[command(
        after_help = "Example:\n  wxgate master-key add\n\nCopy the file into the folder of every other machine before the key is activated."
    )]
    Add,
    /// Let a key seal from now on. Every running gateway must have it.
    #[command(after_help = "Example:\n  wxgate master-key activate 0011223344556677")]
    Activate(ActivateMasterKey),
    /// Have all that other keys sealed sealed by the active one. Logins go on; it may be interrupted at any time.
    #[command(after_help = "Example:\n  wxgate master-key rewrap")]
    Rewrap(RewrapKeys),
    /// Forget a key that nothing needs, and remove its file from the folder. Older backups still need it.
    #[command(after_help = "Example:\n  wxgate master-key remove 0011223344556677")]
    Remove(RemoveMasterKey),
}

impl MasterKeyCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::List => {
                let keys = door.all(|cursor| ListMasterKeys { limit: Limit::MOST, cursor }).await?;
                self.admin.list_master_keys(&keys);
            }
            Action::Add => self.admin.add_master_key(&door).await?,
            Action::Activate(activate) => {
                let key = door.call(activate).await?;
                if self.admin.json {
                    print::json(&key);
                } else {
                    print::line(format!("master key {} seals from now on; next: wxgate master-key rewrap", key.id.0));
                }
            }
            Action::Rewrap(rewrap) => {
                let job = door.call(rewrap).await?;
                let job = self.admin.watch(&door, job.id).await?;
                if self.admin.json {
                    print::json(&job);
                } else {
                    print::line(format!("{} keys were sealed by the active master key", job.done));
                }
            }
            Action::Remove(remove) => {
                let id = remove.key.0.to_string();
                self.admin.confirm("backups that it sealed cannot be read without a copy of it", &id)?;
                self.admin.tell_removed(&door.call(remove).await?);
            }
        }
        door.close().await;
        Ok(())
    }
}

impl AdminArgs {
    async fn add_master_key(&self, door: &Door) -> Result<(), Failure> {
        let why = "a master key is made on the machine that keeps it, and never travels: run this there with --config";
        let admin = door.database().map_err(|_| why)?;
        let (id, path) = admin.add_master_key().await?;
        if self.json {
            print::json(&json!({ "id": id.to_string(), "file": path.display().to_string() }));
        } else {
            print::line(format!(
                "master key {id} made in {}; copy the file to every other machine and keep one apart from the backups, \
                 then: wxgate master-key activate {id}",
                path.display()
            ));
        }
        Ok(())
    }

    fn list_master_keys(&self, keys: &[MasterKeyReply]) {
        if self.json {
            print::json(&keys);
            return;
        }
        let cells = |key: &MasterKeyReply| {
            let all = key.nodes.len() + key.lacking_nodes.len();
            [
                key.id.0.to_string(),
                key.state.clone(),
                key.data_keys.to_string(),
                format!("{} of {all}", key.nodes.len()),
                key.lacking_nodes.join("; "),
            ]
        };
        let rows: Vec<_> = keys.iter().map(cells).collect();
        print::table(["FINGERPRINT", "STATE", "SEALS", "GATEWAYS", "LACKING"], &rows);
    }

    fn tell_removed(&self, removed: &RemovedMasterKeyReply) {
        if self.json {
            print::json(removed);
            return;
        }
        let id = removed.id.0;
        print::line(format!("master key {id}: forgotten. Backups of before still need it"));
        for file in &removed.removed_files {
            print::line(format!("  removed {file}"));
        }
        if let Some(entry) = &removed.configured_in {
            print::line(format!("  it still stands in {entry}: put the active key there, or take the entry out"));
        }
        for node in &removed.nodes {
            print::line(format!("  the gateway at {node} still has it"));
        }
    }
}
