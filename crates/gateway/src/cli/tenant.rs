//! `wxgate tenant`: organisations with their own issuer, keys and users.

use clap::{Args, Subcommand};

use super::admin::AdminArgs;
use super::{Failure, print};
use crate::operation::Limit;
use crate::operation::tenants::{
    AddTenant, ChangeTenant, DeleteTenant, ListTenants, ResumeTenant, ShowTenant, SuspendTenant, TenantReply,
};

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
    Add(AddTenant),
    /// List the tenants.
    #[command(after_help = "Example:\n  wxgate tenant list --json")]
    List,
    /// Show a tenant: its status, its id and what it tunes.
    #[command(after_help = "Example:\n  wxgate tenant show acme")]
    Show(ShowTenant),
    /// Change what a tenant tunes, within two seconds; show it if nothing is to be changed.
    #[command(
        after_help = "Example:\n  wxgate tenant policy acme --access-token-seconds 600 --max-sessions 5\n\nA new algorithm is that of the next signing key; the one in use signs on."
    )]
    Policy(ChangeTenant),
    /// Serve nothing of a tenant, within two seconds: no login, no refresh, no token.
    #[command(after_help = "Example:\n  wxgate tenant suspend acme")]
    Suspend(SuspendTenant),
    /// Serve a suspended tenant again.
    #[command(after_help = "Example:\n  wxgate tenant resume acme")]
    Resume(ResumeTenant),
    /// Delete a suspended tenant with everything of its. There is no way back.
    #[command(
        after_help = "Example:\n  wxgate tenant suspend acme && wxgate tenant remove acme\n\nIts keys are destroyed at once, and with them every secret of its; its rows go in the background. Its name is never\nused again. Backups that were made before still hold it, and are read with the master key."
    )]
    Remove(DeleteTenant),
}

impl TenantCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::Add(add) => {
                let tenant = door.call(add).await?;
                let next = format!(
                    "created; add a mini-program with: wxgate app add --tenant {} --appid APPID --secret-file FILE",
                    tenant.slug
                );
                self.admin.tell_tenant(&tenant, &next);
            }
            Action::Show(show) => {
                let tenant = door.call(show).await?;
                if self.admin.json { print::json(&tenant) } else { show_tenant(&tenant) }
            }
            Action::Policy(change) if change.name.is_none() && change.policy.is_empty() => {
                self.admin.tell_policy(&door.call(ShowTenant { tenant: change.tenant }).await?);
            }
            Action::Policy(change) => self.admin.tell_policy(&door.call(change).await?),
            Action::Suspend(suspend) => self.admin.tell_tenant(&door.call(suspend).await?, "suspended"),
            Action::Resume(resume) => self.admin.tell_tenant(&door.call(resume).await?, "resumed"),
            Action::Remove(remove) => {
                let slug = remove.tenant.to_string();
                self.admin.confirm("all users, apps and keys of the tenant are lost for ever", &slug)?;
                let job = door.call(remove).await?;
                let job = self.admin.watch(&door, job.id).await?;
                if self.admin.json {
                    print::json(&job);
                } else {
                    print::line(format!("tenant {slug}: removed, {} rows", job.done));
                }
            }
            Action::List => {
                let next = |cursor| ListTenants { limit: Limit::MOST, cursor };
                self.admin.list_tenants(&door.all(next).await?);
            }
        }
        door.close().await;
        Ok(())
    }
}

fn show_tenant(tenant: &TenantReply) {
    print::line(format!("tenant {}: {} ({}), id {}", tenant.slug, tenant.name, tenant.status.as_str(), tenant.id));
    print::fields(&tenant.policy);
}

impl AdminArgs {
    fn tell_policy(&self, tenant: &TenantReply) {
        if self.json {
            print::json(tenant);
        } else {
            print::fields(&tenant.policy);
        }
    }

    fn tell_tenant(&self, tenant: &TenantReply, what: &str) {
        if self.json {
            print::json(tenant);
        } else {
            print::line(format!("tenant {}: {what}", tenant.slug));
        }
    }

    fn list_tenants(&self, tenants: &[TenantReply]) {
        if self.json {
            print::json(&tenants);
        } else {
            let cells = |tenant: &TenantReply| {
                [
                    tenant.slug.to_string(),
                    tenant.name.clone(),
                    tenant.status.as_str().to_owned(),
                    tenant.policy.algorithm.to_string(),
                    tenant.id.clone(),
                ]
            };
            let rows: Vec<_> = tenants.iter().map(cells).collect();
            print::table(["TENANT", "NAME", "STATUS", "ALGORITHM", "ID"], &rows);
        }
    }
}
