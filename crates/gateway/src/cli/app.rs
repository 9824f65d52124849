//! `wxgate app`: mini-programs.

use clap::{Args, Subcommand};
use serde_json::json;
use wxgate_domain::{App, AppPolicy, AppStatus, Audience, Scope, Slug, Tenant, WechatAppid};

use super::admin::{AdminArgs, SecretArgs};
use super::{Failure, print};
use crate::service::admin::AppToAdd;

/// Apps: one for each mini-program.
#[derive(Debug, Args)]
pub(super) struct AppCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a mini-program to a tenant. Running gateways serve it within two seconds.
    #[command(
        after_help = "Example:\n  wxgate app add --tenant acme --appid wx0123456789abcdef --secret-file secret.txt\n\nThe AppSecret comes from --secret-file, from standard input (--secret-file -) or from WXGATE_APP_SECRET."
    )]
    Add {
        /// The tenant that owns it.
        #[arg(long)]
        tenant: Slug,
        /// WeChat's id of the mini-program.
        #[arg(long)]
        appid: WechatAppid,
        /// Its name for people; the appid if left out.
        #[arg(long)]
        name: Option<String>,
        /// The union group of the Open Platform account it is bound to.
        #[arg(long, value_name = "NAME")]
        union_group: Option<String>,
        #[command(flatten)]
        secret: SecretArgs,
    },
    /// List the mini-programs.
    #[command(after_help = "Example:\n  wxgate app list --tenant acme")]
    List {
        /// Of this tenant alone.
        #[arg(long)]
        tenant: Option<Slug>,
    },
    /// Take a new AppSecret. The old one still serves where WeChat does not know the new one yet.
    #[command(after_help = "Example:\n  wxgate app rotate-secret wx0123456789abcdef --secret-file new.txt")]
    RotateSecret {
        /// WeChat's id of the mini-program.
        appid: WechatAppid,
        #[command(flatten)]
        secret: SecretArgs,
    },
    /// Stop serving a mini-program, within two seconds.
    #[command(after_help = "Example:\n  wxgate app disable wx0123456789abcdef")]
    Disable {
        /// WeChat's id of the mini-program.
        appid: WechatAppid,
    },
    /// Change what a mini-program tunes, within two seconds; show it if nothing is to be changed.
    #[command(
        after_help = "Example:\n  wxgate app policy wx0123456789abcdef --audience orders --audience wx0123456789abcdef --openid-claim true"
    )]
    Policy {
        /// WeChat's id of the mini-program.
        appid: WechatAppid,
        #[command(flatten)]
        change: Box<PolicyChange>,
    },
    /// Serve a mini-program again.
    #[command(after_help = "Example:\n  wxgate app enable wx0123456789abcdef")]
    Enable {
        /// WeChat's id of the mini-program.
        appid: WechatAppid,
    },
}

/// What is to be changed of a policy.
#[derive(Debug, Args)]
struct PolicyChange {
    /// Whom its tokens are for, instead of all before: an audience of the tenant. Give it once for each, at most 20.
    #[arg(long = "audience", value_name = "NAME")]
    audiences: Vec<Audience>,
    /// What its tokens allow, instead of all before. Give it once for each, at most 20.
    #[arg(long = "scope", value_name = "NAME")]
    scopes: Vec<Scope>,
    /// Whether its tokens carry the openid.
    #[arg(long, value_name = "BOOL")]
    openid_claim: Option<bool>,
    /// Whether its tokens carry the unionid.
    #[arg(long, value_name = "BOOL")]
    unionid_claim: Option<bool>,
    /// Whether tokens carry what another system calls the user (true or false).
    #[arg(long, value_name = "BOOL")]
    external_id_claim: Option<bool>,
    /// Sessions that one openid may open in a minute, 1 to 1000.
    #[arg(long, value_name = "N")]
    logins_per_minute: Option<u32>,
    /// Logins a second of the whole app, 1 to 100000.
    #[arg(long, value_name = "N")]
    requests_per_second: Option<u32>,
    /// Logins at once of the whole app, 1 to 100000.
    #[arg(long, value_name = "N")]
    request_burst: Option<u32>,
}

impl PolicyChange {
    fn apply(&self, policy: &AppPolicy) -> AppPolicy {
        let listed = |new: Vec<String>, old: &Vec<String>| if new.is_empty() { old.clone() } else { new };
        AppPolicy {
            version: policy.version,
            audiences: listed(self.audiences.iter().map(ToString::to_string).collect(), &policy.audiences),
            scopes: listed(self.scopes.iter().map(ToString::to_string).collect(), &policy.scopes),
            openid_claim: self.openid_claim.unwrap_or(policy.openid_claim),
            unionid_claim: self.unionid_claim.unwrap_or(policy.unionid_claim),
            external_id_claim: self.external_id_claim.unwrap_or(policy.external_id_claim),
            requests_per_second: self.requests_per_second.unwrap_or(policy.requests_per_second),
            request_burst: self.request_burst.unwrap_or(policy.request_burst),
            logins_per_minute: self.logins_per_minute.unwrap_or(policy.logins_per_minute),
        }
    }
}

impl AppCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.admin.open().await?;
        match self.action {
            Action::Add { tenant, appid, name, union_group, secret } => {
                let name = name.unwrap_or_else(|| appid.to_string());
                let app = AppToAdd { appid, name, secret: secret.read()?, union_group };
                let tenant = admin.tenant(&tenant).await?;
                let app = admin.add_app(&tenant, app).await?;
                self.admin.tell(&tenant, &app, "added");
            }
            Action::List { tenant } => {
                let mut found = Vec::new();
                for tenant in admin.tenants(tenant.as_ref()).await? {
                    let apps = admin.storage.tenant(tenant.id).apps().list().await?;
                    found.extend(apps.into_iter().map(|app| (tenant.clone(), app)));
                }
                self.admin.list(&found);
            }
            Action::RotateSecret { appid, secret } => {
                let (tenant, app) = admin.rotate_secret(&appid, secret.read()?).await?;
                self.admin.tell(&tenant, &app, "has a new AppSecret");
            }
            Action::Policy { appid, change } => {
                let (tenant, app) = admin.app(&appid).await?;
                let changes = change.apply(&app.policy) != app.policy;
                let (tenant, app) =
                    if changes { admin.set_app_policy(&appid, |p| change.apply(&p)).await? } else { (tenant, app) };
                if self.admin.json {
                    print::json(&row(&tenant, &app));
                } else {
                    print::fields(&app.policy);
                }
            }
            Action::Disable { appid } => {
                let (tenant, app) = admin.set_app_status(&appid, AppStatus::Disabled).await?;
                self.admin.tell(&tenant, &app, "disabled");
            }
            Action::Enable { appid } => {
                let (tenant, app) = admin.set_app_status(&appid, AppStatus::Enabled).await?;
                self.admin.tell(&tenant, &app, "enabled");
            }
        }
        admin.storage.stop().await;
        Ok(())
    }
}

impl AdminArgs {
    fn tell(&self, tenant: &Tenant, app: &App, what: &str) {
        if self.json {
            print::json(&row(tenant, app));
        } else {
            print::line(format!("app {} of tenant {}: {what}", app.appid, tenant.slug));
        }
    }

    fn list(&self, found: &[(Tenant, App)]) {
        if self.json {
            print::json(&found.iter().map(|(tenant, app)| row(tenant, app)).collect::<Vec<_>>());
        } else {
            let cells = |(tenant, app): &(Tenant, App)| {
                [
                    app.appid.to_string(),
                    tenant.slug.to_string(),
                    app.name.clone(),
                    app.status.as_str().to_owned(),
                    app.union_group.map(|id| id.to_string()).unwrap_or_default(),
                ]
            };
            let rows: Vec<_> = found.iter().map(cells).collect();
            print::table(["APPID", "TENANT", "NAME", "STATUS", "UNION GROUP"], &rows);
        }
    }
}

fn row(tenant: &Tenant, app: &App) -> serde_json::Value {
    json!({
        "id": app.id,
        "appid": app.appid,
        "tenant": tenant.slug,
        "name": app.name,
        "status": app.status,
        "union_group_id": app.union_group,
        "policy": app.policy,
        "created_at_ms": app.created_at,
    })
}
