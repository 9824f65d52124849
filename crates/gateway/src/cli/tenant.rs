//! `wxgate tenant`: organisations with their own issuer, keys and users.

use clap::{Args, Subcommand};
use serde_json::json;
use wxgate_domain::{SigningAlgorithm, Slug, Tenant};

use super::admin::AdminArgs;
use super::{Failure, print};

/// Tenants: organisations with their own issuer, signing keys and users.
#[derive(Debug, Args)]
pub(super) struct TenantCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a tenant with its keys.
    #[command(after_help = "Example:\n  wxgate tenant add acme --name 'Acme Ltd.'")]
    Add {
        /// Its name in addresses: a-z, 0-9 and hyphens, at most 62. It can never be changed or reused.
        slug: Slug,
        /// Its name for people; the slug if left out.
        #[arg(long)]
        name: Option<String>,
        /// How its access tokens are signed: ES256, EdDSA or RS256.
        #[arg(long, default_value = "ES256")]
        algorithm: SigningAlgorithm,
    },
    /// List the tenants.
    #[command(after_help = "Example:\n  wxgate tenant list --json")]
    List,
}

impl TenantCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.admin.open().await?;
        match self.action {
            Action::Add { slug, name, algorithm } => {
                let name = name.unwrap_or_else(|| slug.to_string());
                let tenant = admin.add_tenant(slug, name, algorithm).await?;
                if self.admin.json {
                    print::json(&row(&tenant));
                } else {
                    print::line(format!(
                        "tenant {} created; add a mini-program with: wxgate app add --tenant {0} --appid APPID --secret-file FILE",
                        tenant.slug
                    ));
                }
            }
            Action::List => {
                let tenants = admin.storage.tenants().list().await?;
                if self.admin.json {
                    print::json(&tenants.iter().map(row).collect::<Vec<_>>());
                } else {
                    let rows: Vec<_> = tenants.iter().map(cells).collect();
                    print::table(["TENANT", "NAME", "STATUS", "ALGORITHM", "ID"], &rows);
                }
            }
        }
        admin.storage.stop().await;
        Ok(())
    }
}

fn row(tenant: &Tenant) -> serde_json::Value {
    json!({
        "id": tenant.id,
        "slug": tenant.slug,
        "name": tenant.name,
        "status": tenant.status,
        "policy": tenant.policy,
        "created_at_ms": tenant.created_at,
    })
}

fn cells(tenant: &Tenant) -> [String; 5] {
    [
        tenant.slug.to_string(),
        tenant.name.clone(),
        tenant.status.as_str().to_owned(),
        tenant.policy.algorithm.to_string(),
        tenant.id.to_string(),
    ]
}
