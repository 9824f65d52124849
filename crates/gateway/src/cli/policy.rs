//! `wxgate policy`: what a proxy may ask of a token, by name.

use clap::{Args, Subcommand};
use serde_json::json;
use wxgate_domain::{Audience, ForwardAuthPolicy, PolicyName, Scope, Slug, Tenant};
use wxgate_storage::NewForwardAuthPolicy;

use super::admin::AdminArgs;
use super::{Failure, print};

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
    Add {
        /// The tenant whose tokens count.
        #[arg(long)]
        tenant: Slug,
        /// Its name: a-z, 0-9 and hyphens, at most 64. All tenants share the names.
        name: PolicyName,
        /// Whom tokens must be for: an audience of the tenant, or the appid of one of its apps.
        #[arg(long, value_name = "AUD")]
        audience: Audience,
        /// What tokens must allow; give it once for each word, at most 20.
        #[arg(long = "scope", value_name = "S")]
        scopes: Vec<Scope>,
    },
    /// List the policies.
    #[command(after_help = "Example:\n  wxgate policy list --tenant acme")]
    List {
        /// Of this tenant alone.
        #[arg(long)]
        tenant: Option<Slug>,
    },
}

impl PolicyCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.admin.open().await?;
        match self.action {
            Action::Add { tenant, name, audience, scopes } => {
                let tenant = admin.tenant(&tenant).await?;
                let new = NewForwardAuthPolicy { name, audience, scopes };
                let policy = admin.add_forward_auth_policy(&tenant, new).await?;
                if self.admin.json {
                    print::json(&row(&tenant, &policy));
                } else {
                    let ForwardAuthPolicy { name, .. } = &policy;
                    print::line(format!(
                        "policy {name} of tenant {} added; proxies ask /forward-auth/{name}",
                        tenant.slug
                    ));
                }
            }
            Action::List { tenant } => {
                let mut found = Vec::new();
                for tenant in admin.tenants(tenant.as_ref()).await? {
                    let policies = admin.storage.tenant(tenant.id).forward_auth_policies().list().await?;
                    found.extend(policies.into_iter().map(|policy| (tenant.clone(), policy)));
                }
                if self.admin.json {
                    print::json(&found.iter().map(|(tenant, policy)| row(tenant, policy)).collect::<Vec<_>>());
                } else {
                    let rows: Vec<_> = found.iter().map(cells).collect();
                    print::table(["POLICY", "TENANT", "AUDIENCE", "SCOPES"], &rows);
                }
            }
        }
        admin.storage.stop().await;
        Ok(())
    }
}

fn row(tenant: &Tenant, policy: &ForwardAuthPolicy) -> serde_json::Value {
    json!({
        "name": policy.name,
        "tenant": tenant.slug,
        "audience": policy.audience,
        "scopes": policy.scopes,
        "created_at_ms": policy.created_at,
    })
}

fn cells((tenant, policy): &(Tenant, ForwardAuthPolicy)) -> [String; 4] {
    [policy.name.to_string(), tenant.slug.to_string(), policy.audience.to_string(), Scope::join(&policy.scopes)]
}
