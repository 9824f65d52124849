//! `wxgate policy`: what a proxy may ask of a token, by name.

use clap::{Args, Subcommand};
use wxgate_domain::{Scope, Slug};

use super::admin::AdminArgs;
use super::{Failure, print};
use crate::operation::Limit;
use crate::operation::policies::{AddPolicy, ChangePolicy, ListPolicies, PolicyReply, RemovePolicy, ShowPolicy};

/// Forward-auth policies: what a proxy may ask of a token, by name.
#[derive(Debug, Args)]
pub(super) struct PolicyCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a policy. Proxies name it in their address: /forward-auth/NAME.
    #[command(after_help = "Example:\n  wxgate policy add --tenant acme orders-api --audience orders --scope user")]
    Add(AddPolicy),
    /// List the policies.
    #[command(after_help = "Example:\n  wxgate policy list --tenant acme")]
    List {
        /// Of this tenant alone.
        #[arg(long)]
        tenant: Option<Slug>,
    },
    /// Show a policy.
    #[command(after_help = "Example:\n  wxgate policy show orders-api")]
    Show(ShowPolicy),
    /// Change what a policy asks for, within two seconds.
    #[command(after_help = "Example:\n  wxgate policy change orders-api --scope user --scope orders:read")]
    Change(ChangePolicy),
    /// Remove a policy. Proxies that still name it are refused within two seconds.
    #[command(after_help = "Example:\n  wxgate policy remove orders-api")]
    Remove(RemovePolicy),
}

impl PolicyCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::Add(add) => {
                let policy = door.call(add).await?;
                let PolicyReply { name, tenant, .. } = &policy;
                let told = || format!("policy {name} of tenant {tenant} added; proxies ask /forward-auth/{name}");
                self.admin.tell(&policy, told);
            }
            Action::List { tenant } => {
                let next = |cursor| ListPolicies { tenant: tenant.clone(), limit: Limit::MOST, cursor };
                self.admin.list(["POLICY", "TENANT", "AUDIENCE", "SCOPES"], &door.all(next).await?, cells);
            }
            Action::Show(show) => {
                let policy = door.call(show).await?;
                if self.admin.json { print::json(&policy) } else { print::fields(&policy) }
            }
            Action::Change(change) => {
                let policy = door.call(change).await?;
                if self.admin.json { print::json(&policy) } else { print::fields(&policy) }
            }
            Action::Remove(remove) => {
                let name = remove.name.clone();
                self.admin.confirm("proxies that still name the policy are refused", name.as_str())?;
                door.call(remove).await?;
                self.admin.gone(|| format!("policy {name}: removed"));
            }
        }
        door.close().await;
        Ok(())
    }
}

fn cells(policy: &PolicyReply) -> [String; 4] {
    [policy.name.to_string(), policy.tenant.to_string(), policy.audience.to_string(), Scope::join(&policy.scopes)]
}
