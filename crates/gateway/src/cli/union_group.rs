//! `wxgate union-group`: Open Platform accounts, inside which a unionid means one person.

use clap::{Args, Subcommand};
use serde_json::json;
use wxgate_domain::Slug;

use super::admin::AdminArgs;
use super::{Failure, print};

/// Union groups: WeChat Open Platform accounts that apps are bound to.
#[derive(Debug, Args)]
pub(super) struct UnionGroupCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a union group. Users of its apps who share a unionid are one user.
    #[command(after_help = "Example:\n  wxgate union-group add --tenant acme main")]
    Add {
        /// The tenant that owns it.
        #[arg(long)]
        tenant: Slug,
        /// Its name, unique in the tenant.
        name: String,
    },
    /// List a tenant's union groups.
    #[command(after_help = "Example:\n  wxgate union-group list --tenant acme")]
    List {
        /// The tenant.
        #[arg(long)]
        tenant: Slug,
    },
}

impl UnionGroupCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.admin.open().await?;
        match self.action {
            Action::Add { tenant, name } => {
                let tenant = admin.tenant(&tenant).await?;
                let group = admin.add_union_group(&tenant, &name).await?;
                if self.admin.json {
                    print::json(&json!({ "id": group.id, "name": group.name, "tenant": tenant.slug }));
                } else {
                    print::line(format!("union group {} of tenant {} created", group.name, tenant.slug));
                }
            }
            Action::List { tenant } => {
                let tenant = admin.tenant(&tenant).await?;
                let groups = admin.storage.tenant(tenant.id).union_groups().list().await?;
                if self.admin.json {
                    let row = |group: &wxgate_storage::UnionGroup| json!({ "id": group.id, "name": group.name });
                    print::json(&groups.iter().map(row).collect::<Vec<_>>());
                } else {
                    let rows: Vec<_> = groups.iter().map(|g| [g.name.clone(), g.id.to_string()]).collect();
                    print::table(["NAME", "ID"], &rows);
                }
            }
        }
        admin.storage.stop().await;
        Ok(())
    }
}
