//! `wxgate tenant`: organisations with their own issuer, keys and users.

use clap::{Args, Subcommand};
use serde_json::json;
use wxgate_domain::{SigningAlgorithm, Slug, Tenant, TenantPolicy, TenantStatus};

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
    /// Change what a tenant tunes, within two seconds; show it if nothing is to be changed.
    #[command(
        after_help = "Example:\n  wxgate tenant policy acme --access-token-seconds 600 --max-sessions 5\n\nA new algorithm is that of the next signing key; the one in use signs on."
    )]
    Policy {
        /// Its name in addresses.
        slug: Slug,
        #[command(flatten)]
        change: PolicyChange,
    },
    /// Serve nothing of a tenant, within two seconds: no login, no refresh, no token.
    #[command(after_help = "Example:\n  wxgate tenant suspend acme")]
    Suspend {
        /// Its name in addresses.
        slug: Slug,
    },
    /// Serve a suspended tenant again.
    #[command(after_help = "Example:\n  wxgate tenant resume acme")]
    Resume {
        /// Its name in addresses.
        slug: Slug,
    },
}

/// What is to be changed of a policy.
#[derive(Clone, Copy, Debug, Args)]
struct PolicyChange {
    /// How long an access token lives, 60 to 86400. A tenth of it is taken off at random.
    #[arg(long, value_name = "N")]
    access_token_seconds: Option<u32>,
    /// How long a session lives without a refresh, an hour to a year.
    #[arg(long, value_name = "N")]
    refresh_idle_seconds: Option<u32>,
    /// How long a session lives at most, an hour to two years.
    #[arg(long, value_name = "N")]
    refresh_absolute_seconds: Option<u32>,
    /// How long the refresh token before still gets the same answer, 0 to 60.
    #[arg(long, value_name = "N")]
    refresh_grace_seconds: Option<u32>,
    /// Live sessions of one user in one app, 1 to 100.
    #[arg(long, value_name = "N")]
    max_sessions: Option<u32>,
    /// How far the watermark of user data may be from now, 60 to 86400.
    #[arg(long, value_name = "N")]
    user_data_window_seconds: Option<u32>,
    /// How long a signing key signs before the next one takes over, 2 to 365.
    #[arg(long, value_name = "N")]
    signing_key_days: Option<u32>,
    /// How the next signing key signs: ES256, EdDSA or RS256.
    #[arg(long, value_name = "A")]
    algorithm: Option<SigningAlgorithm>,
}

impl PolicyChange {
    fn apply(self, policy: &TenantPolicy) -> TenantPolicy {
        TenantPolicy {
            version: policy.version,
            algorithm: self.algorithm.unwrap_or(policy.algorithm),
            access_token_seconds: self.access_token_seconds.unwrap_or(policy.access_token_seconds),
            refresh_idle_seconds: self.refresh_idle_seconds.unwrap_or(policy.refresh_idle_seconds),
            refresh_absolute_seconds: self.refresh_absolute_seconds.unwrap_or(policy.refresh_absolute_seconds),
            refresh_grace_seconds: self.refresh_grace_seconds.unwrap_or(policy.refresh_grace_seconds),
            max_sessions: self.max_sessions.unwrap_or(policy.max_sessions),
            signing_key_days: self.signing_key_days.unwrap_or(policy.signing_key_days),
            user_data_window_seconds: self.user_data_window_seconds.unwrap_or(policy.user_data_window_seconds),
        }
    }
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
            Action::Policy { slug, change } => {
                let tenant = admin.tenant(&slug).await?;
                let changes = change.apply(&tenant.policy) != tenant.policy;
                let tenant = if changes { admin.set_tenant_policy(&slug, |p| change.apply(&p)).await? } else { tenant };
                self.admin.tell_policy(&tenant);
            }
            Action::Suspend { slug } => {
                let tenant = admin.set_tenant_status(&slug, TenantStatus::Suspended).await?;
                self.admin.tell_tenant(&tenant, "suspended");
            }
            Action::Resume { slug } => {
                let tenant = admin.set_tenant_status(&slug, TenantStatus::Active).await?;
                self.admin.tell_tenant(&tenant, "resumed");
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

impl AdminArgs {
    fn tell_policy(&self, tenant: &Tenant) {
        if self.json {
            print::json(&row(tenant));
        } else {
            print::fields(&tenant.policy);
        }
    }

    fn tell_tenant(&self, tenant: &Tenant, what: &str) {
        if self.json {
            print::json(&row(tenant));
        } else {
            print::line(format!("tenant {}: {what}", tenant.slug));
        }
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
