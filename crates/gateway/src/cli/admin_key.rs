//! `wxgate admin-key`: who may use the admin API.

use clap::{Args, Subcommand};
use wxgate_domain::{Slug, Timestamp};

use super::admin::AdminArgs;
use super::{Failure, print};
use crate::operation::Limit;
use crate::operation::admin_keys::{AddAdminKey, AdminKeyReply, ListAdminKeys, RemoveAdminKey};

/// Admin keys: whoever holds one may use the admin API, as an operator or as the admin of one tenant.
#[derive(Debug, Args)]
pub(super) struct AdminKeyCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key. It is shown now and never again.
    #[command(
        after_help = "Examples:\n  wxgate admin-key add 'deploy pipeline' --scope read --scope write --expires-in-days 90\n  wxgate admin-key add 'Acme admins' --tenant acme --scope read --scope write --scope secrets"
    )]
    Add(AddAdminKey),
    /// List the keys with their last use.
    #[command(after_help = "Example:\n  wxgate admin-key list --tenant acme")]
    List {
        /// Of this tenant alone.
        #[arg(long)]
        tenant: Option<Slug>,
    },
    /// Remove a key, which counts no more at once.
    #[command(after_help = "Example:\n  wxgate admin-key remove 01990000-0000-7000-8000-000000000000")]
    Remove(RemoveAdminKey),
}

impl AdminKeyCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::Add(add) => {
                let made = door.call(add).await?;
                if self.admin.json {
                    print::json(&made);
                } else {
                    print::line(format!("admin key {} ({}) made; it is not shown again:", made.key.id, made.key.name));
                    print::line(made.secret.unwrap_or_default().expose());
                }
            }
            Action::List { tenant } => {
                let next = |cursor| ListAdminKeys { tenant: tenant.clone(), limit: Limit::MOST, cursor };
                let keys = door.all(next).await?;
                if self.admin.json {
                    print::json(&keys);
                } else {
                    let rows: Vec<_> = keys.iter().map(cells).collect();
                    print::table(["ID", "NAME", "TENANT", "SCOPES", "EXPIRES", "LAST USED"], &rows);
                }
            }
            Action::Remove(remove) => {
                let id = remove.id;
                self.admin.confirm("whoever holds the key can do nothing any more", &id.to_string())?;
                door.call(remove).await?;
                if !self.admin.json {
                    print::line(format!("admin key {id}: removed"));
                }
            }
        }
        door.close().await;
        Ok(())
    }
}

fn cells(key: &AdminKeyReply) -> [String; 6] {
    let time = |seconds: Option<i64>, never: &str| {
        seconds.map_or_else(|| never.to_owned(), |seconds| Timestamp::from_millis(seconds * 1_000).to_rfc3339())
    };
    [
        key.id.clone(),
        key.name.clone(),
        key.tenant_id.clone().unwrap_or_else(|| "(operator)".to_owned()),
        key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" "),
        time(key.expires_at, "never"),
        time(key.last_used_at, "never"),
    ]
}
