//! `wxgate app`: mini-programs.

mod push;

use clap::{Args, Subcommand};
use wxgate_domain::{Slug, WechatAppid};

use self::push::PushCommand;
use super::admin::{AdminArgs, SecretArgs};
use super::api_security::ApiSecurityCommand;
use super::job::ended;
use super::{Failure, print};
use crate::operation::Limit;
use crate::operation::apps::{
    AddApp, AppCallsReply, AppReply, CallCount, ChangeApp, DisableApp, EnableApp, KeyReply, ListApps, RemoveApp,
    SetAppSecret, ShowApp, ShowAppCalls, VerifyApp,
};
use crate::operation::secret_text::SecretText;

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
    /// Add a mini-program to a tenant, unless WeChat refuses its AppSecret. Running gateways serve it within two seconds.
    #[command(
        after_help = "Example:\n  wxgate app add --tenant acme --appid wx0123456789abcdef --secret-file secret.txt\n\nThe AppSecret comes from --secret-file, from standard input (--secret-file -) or from WXGATE_APP_SECRET."
    )]
    Add(Box<Add>),
    /// List the mini-programs.
    #[command(after_help = "Example:\n  wxgate app list --tenant acme")]
    List {
        /// Of this tenant alone.
        #[arg(long)]
        tenant: Option<Slug>,
    },
    /// Show a mini-program, and whether WeChat has accepted its AppSecret.
    #[command(after_help = "Example:\n  wxgate app show wx0123456789abcdef")]
    Show(ShowApp),
    /// Change what a mini-program tunes, its name or union group, within two seconds; show it if nothing is to be changed.
    #[command(
        after_help = "Example:\n  wxgate app policy wx0123456789abcdef --audience orders --audience wx0123456789abcdef --openid-claim true"
    )]
    Policy(Box<ChangeApp>),
    /// Take a new AppSecret, unless WeChat refuses it. The old one still serves where WeChat does not know the new one.
    #[command(after_help = "Example:\n  wxgate app rotate-secret wx0123456789abcdef --secret-file new.txt")]
    RotateSecret(RotateSecret),
    /// Ask WeChat whether it accepts the AppSecret; if so, the one before is forgotten.
    #[command(after_help = "Example:\n  wxgate app verify wx0123456789abcdef")]
    Verify(VerifyApp),
    /// Show what was called of WeChat for a mini-program in the last seven days, and what is left of a day's quota.
    #[command(
        after_help = "Example:\n  wxgate app calls wx0123456789abcdef --quota-of /wxa/business/getuserphonenumber"
    )]
    Calls(ShowAppCalls),
    /// Keys for calls of WeChat that are signed and encrypted.
    ApiSecurity(ApiSecurityCommand),
    /// How it takes WeChat's message pushes: set, show, rotate, finish, remove.
    Push(PushCommand),
    /// Stop serving a mini-program, within two seconds.
    #[command(after_help = "Example:\n  wxgate app disable wx0123456789abcdef")]
    Disable(DisableApp),
    /// Serve a mini-program again.
    #[command(after_help = "Example:\n  wxgate app enable wx0123456789abcdef")]
    Enable(EnableApp),
    /// Remove a mini-program with its sessions and identities. Its users stay.
    #[command(
        after_help = "Example:\n  wxgate app remove wx0123456789abcdef\n\nOnly the same tenant can add the appid again, unless an operator moves it. It serves nothing more at\nonce; what there is of it goes in the background."
    )]
    Remove(RemoveApp),
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    app: AddApp,
    #[command(flatten)]
    secret: SecretArgs,
}

#[derive(Debug, Args)]
struct RotateSecret {
    #[command(flatten)]
    app: SetAppSecret,
    #[command(flatten)]
    secret: SecretArgs,
}

impl AppCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::Add(add) => {
                let secret = SecretText::from(&add.secret.read()?);
                self.admin.tell_app(&door.call(AddApp { secret, ..add.app }).await?, "added");
            }
            Action::List { tenant } => {
                let next = |cursor| ListApps { tenant: tenant.clone(), limit: Limit::MOST, cursor };
                let headings = ["APPID", "TENANT", "NAME", "STATUS", "SECRET", "UNION GROUP"];
                self.admin.list(headings, &door.all(next).await?, cells);
            }
            Action::Show(show) => {
                let app = door.call(show).await?;
                if self.admin.json { print::json(&app) } else { show_app(&app) }
            }
            Action::Policy(change) if change.is_empty() => {
                self.admin.tell_app_policy(&door.call(ShowApp { app: change.app }).await?);
            }
            Action::Policy(change) => {
                let app = door.call(*change).await?;
                self.admin.tell_app_policy(&app);
                // Of another union group.
                self.admin.finish_jobs(&door, &app.tenant).await?;
            }
            Action::RotateSecret(rotate) => {
                let secret = SecretText::from(&rotate.secret.read()?);
                let app = door.call(SetAppSecret { secret, ..rotate.app }).await?;
                self.admin.tell_app(&app, "has a new AppSecret");
            }
            Action::Verify(verify) => self.admin.tell_app(&door.call(verify).await?, "WeChat was asked"),
            Action::Calls(show) => {
                let calls = door.call(show).await?;
                if self.admin.json { print::json(&calls) } else { show_calls(&calls) }
            }
            Action::ApiSecurity(command) => command.run(&self.admin, &door).await?,
            Action::Push(push) => push.run(&self.admin, &door).await?,
            Action::Disable(disable) => self.admin.tell_app(&door.call(disable).await?, "disabled"),
            Action::Enable(enable) => self.admin.tell_app(&door.call(enable).await?, "enabled"),
            Action::Remove(remove) => {
                let app: WechatAppid = door.call(ShowApp { app: remove.app.clone() }).await?.appid;
                self.admin.confirm("its sessions end and its users are no more known by it", app.as_str())?;
                let job = door.call(remove).await?;
                let job = self.admin.watch(&door, job.id).await?;
                self.admin.tell(&job, || ended(&job));
            }
        }
        door.close().await;
        Ok(())
    }
}

impl AdminArgs {
    pub(super) fn tell_app(&self, app: &AppReply, what: &str) {
        self.tell(app, || format!("app {} of tenant {}: {what}; {}", app.appid, app.tenant, credential(app)));
    }

    fn tell_app_policy(&self, app: &AppReply) {
        if self.json {
            print::json(app);
        } else {
            print::fields(&app.policy);
        }
    }
}

fn show_app(app: &AppReply) {
    print::line(format!("app {} of tenant {}: {} ({})", app.appid, app.tenant, app.name, app.status.as_str()));
    print::line(format!("id {}, union group {}", app.id, app.union_group_id.as_deref().unwrap_or("none")));
    match &app.secret {
        Some(secret) => {
            let before = secret.previous_fingerprint.as_deref();
            let before = before.map(|fingerprint| format!("; the one before is {fingerprint}")).unwrap_or_default();
            print::line(format!("AppSecret {} {}{before}", secret.fingerprint, secret.state.as_str()));
        }
        None => print::line(credential(app)),
    }
    for (which, keys) in app.api_security.iter().flat_map(|keys| {
        std::iter::once(("signs and encrypts", &keys.current))
            .chain(keys.previous.as_ref().map(|keys| ("before that", keys)))
    }) {
        let key = |key: &KeyReply| format!("{} ({})", key.serial, key.fingerprint);
        let (symmetric, private, certificate) =
            (key(&keys.symmetric_key), key(&keys.private_key), key(&keys.certificate));
        print::line(format!("{which}: symmetric key {symmetric}, private key {private}, certificate {certificate}"));
    }
    print::fields(&app.policy);
}

/// How WeChat knows that we act for the app, in few words.
fn credential(app: &AppReply) -> String {
    match (&app.secret, &app.platform) {
        (Some(secret), _) => format!("AppSecret {}", secret.state.as_str()),
        (None, Some(platform)) if platform.withdrawn_at.is_some() => {
            format!("withdrawn from platform {}", platform.appid)
        }
        (None, Some(platform)) => format!("platform {}", platform.appid),
        (None, None) => String::new(),
    }
}

fn show_calls(app: &AppCallsReply) {
    let cells = |of: &CallCount| [of.day.clone(), of.interface.clone(), of.outcome.clone(), of.count.to_string()];
    print::table(["DAY", "INTERFACE", "OUTCOME", "CALLS"], &app.calls.iter().map(cells).collect::<Vec<_>>());
    let Some(quota) = &app.quota else { return };
    print::line(match (&quota.refused, quota.remain) {
        (Some(refused), _) => format!("WeChat does not tell the quota of {}: {refused}", quota.interface),
        (None, remain) => format!(
            "{}: {} of {} calls are left today",
            quota.interface,
            remain.unwrap_or_default(),
            quota.daily_limit.unwrap_or_default()
        ),
    });
}

fn cells(app: &AppReply) -> [String; 6] {
    [
        app.appid.to_string(),
        app.tenant.to_string(),
        app.name.clone(),
        app.status.as_str().to_owned(),
        app.secret.as_ref().map_or_else(|| credential(app), |secret| secret.state.as_str().to_owned()),
        app.union_group_id.clone().unwrap_or_default(),
    ]
}
