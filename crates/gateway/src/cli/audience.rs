//! `wxgate audience`: names of services, each owned by one tenant.

use clap::{Args, Subcommand};
use wxgate_domain::Slug;

use super::Failure;
use super::admin::AdminArgs;
use crate::operation::Limit;
use crate::operation::audiences::{AddAudience, AudienceReply, ListAudiences, RemoveAudience};

/// Audiences: the names under which services know their tokens.
#[derive(Debug, Args)]
pub(super) struct AudienceCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Register an audience for a tenant. No other tenant's tokens can ever be for it.
    #[command(
        after_help = "Example:\n  wxgate audience add --tenant acme orders\n\nThe appid of an app is an audience of its tenant by itself."
    )]
    Add(AddAudience),
    /// List the audiences.
    #[command(after_help = "Example:\n  wxgate audience list --tenant acme")]
    List {
        /// Of this tenant alone.
        #[arg(long)]
        tenant: Option<Slug>,
    },
    /// Remove an audience that no app, policy and service client names any more.
    #[command(after_help = "Example:\n  wxgate audience remove orders")]
    Remove(RemoveAudience),
}

impl AudienceCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::Add(add) => {
                let audience = door.call(add).await?;
                let AudienceReply { name, tenant, .. } = &audience;
                self.admin.tell(&audience, || format!("audience {name} of tenant {tenant} registered"));
            }
            Action::List { tenant } => {
                let next = |cursor| ListAudiences { tenant: tenant.clone(), limit: Limit::MOST, cursor };
                let audiences = door.all(next).await?;
                let cells = |audience: &AudienceReply| [audience.name.to_string(), audience.tenant.to_string()];
                self.admin.list(["AUDIENCE", "TENANT"], &audiences, cells);
            }
            Action::Remove(remove) => {
                let name = remove.name.clone();
                self.admin.confirm("another tenant may get the name next", name.as_str())?;
                door.call(remove).await?;
                self.admin.gone(|| format!("audience {name}: removed"));
            }
        }
        door.close().await;
        Ok(())
    }
}
