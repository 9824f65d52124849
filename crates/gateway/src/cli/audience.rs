//! `wxgate audience`: names of services, each owned by one tenant.

use clap::{Args, Subcommand};
use serde_json::json;
use wxgate_domain::{Audience, Slug, Tenant};
use wxgate_storage::OwnedAudience;

use super::admin::AdminArgs;
use super::{Failure, print};

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
    Add {
        /// The tenant that owns it.
        #[arg(long)]
        tenant: Slug,
        /// Its name: 1 to 200 visible ASCII characters, such as `orders` or `https://api.example.com/orders`.
        name: Audience,
    },
    /// List the audiences.
    #[command(after_help = "Example:\n  wxgate audience list --tenant acme")]
    List {
        /// Of this tenant alone.
        #[arg(long)]
        tenant: Option<Slug>,
    },
}

impl AudienceCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.admin.open().await?;
        match self.action {
            Action::Add { tenant, name } => {
                let tenant = admin.tenant(&tenant).await?;
                let audience = admin.add_audience(&tenant, &name).await?;
                if self.admin.json {
                    print::json(&row(&tenant, &audience));
                } else {
                    print::line(format!("audience {} of tenant {} registered", audience.name, tenant.slug));
                }
            }
            Action::List { tenant } => {
                let mut found = Vec::new();
                for tenant in admin.tenants(tenant.as_ref()).await? {
                    let audiences = admin.storage.tenant(tenant.id).audiences().list().await?;
                    found.extend(audiences.into_iter().map(|audience| (tenant.clone(), audience)));
                }
                if self.admin.json {
                    print::json(&found.iter().map(|(tenant, audience)| row(tenant, audience)).collect::<Vec<_>>());
                } else {
                    let rows: Vec<_> = found.iter().map(|(t, a)| [a.name.to_string(), t.slug.to_string()]).collect();
                    print::table(["AUDIENCE", "TENANT"], &rows);
                }
            }
        }
        admin.storage.stop().await;
        Ok(())
    }
}

fn row(tenant: &Tenant, audience: &OwnedAudience) -> serde_json::Value {
    json!({ "name": audience.name, "tenant": tenant.slug, "created_at_ms": audience.created_at })
}
