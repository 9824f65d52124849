//! `wxgate platform`: third-party platforms, and the mini-programs that authorise them.

use std::io::Read;

use clap::{Args, Subcommand};
use url::Url;
use wxgate_domain::{PlatformAppState, Slug, Timestamp, WechatAppid};

use super::admin::{AdminArgs, SecretArgs};
use super::push_files::PushFiles;
use super::{Failure, print};
use crate::operation::Limit;
use crate::operation::platforms::{
    AddPlatform, AttachPlatformApp, FinishAuthorization, FinishPlatformPush, ListPlatformApps, ListPlatforms,
    MadePlatform, PlatformAppReply, PlatformReply, RemovePlatform, RotatePlatformPush, SetPlatformSecret, ShowPlatform,
    StartAuthorization, StartTickets,
};
use crate::operation::secret_text::SecretText;

/// Longest address that is read.
const LONGEST: u64 = 8_192;

/// Third-party platforms, which log in and call for mini-programs that authorised them.
#[derive(Debug, Args)]
pub(super) struct PlatformCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a platform, and print what WeChat's console is to know of it. The keys are never shown again.
    #[command(
        after_help = "Example:\n  wxgate platform add --tenant acme --appid wx0123456789abcdef --secret-file component.txt\n\nThe platform's secret comes from --secret-file, from standard input (--secret-file -) or from WXGATE_APP_SECRET."
    )]
    Add(Add),
    /// List the platforms.
    #[command(after_help = "Example:\n  wxgate platform list --tenant acme")]
    List {
        /// Of this tenant alone.
        #[arg(long)]
        tenant: Option<Slug>,
    },
    /// Show a platform: how old its newest ticket is, and how long its token lives.
    #[command(after_help = "Example:\n  wxgate platform show wx0123456789abcdef")]
    Show(ShowPlatform),
    /// List the mini-programs that authorised a platform. Those that are parked wait for an operator.
    #[command(after_help = "Example:\n  wxgate platform apps wx0123456789abcdef")]
    Apps {
        /// WeChat's id of the platform.
        platform: WechatAppid,
    },
    /// Ask for a mini-program's authorisation, and print where its administrator agrees.
    #[command(after_help = "Example:\n  wxgate platform authorize wx0123456789abcdef --app wx1111111111111111")]
    Authorize(StartAuthorization),
    /// Carry out an authorisation whose browser came back to an address that it cannot open. The address is read from
    /// standard input.
    #[command(after_help = "Example:\n  wxgate platform finish wx0123456789abcdef < address.txt")]
    Finish {
        /// WeChat's id of the platform.
        platform: WechatAppid,
    },
    /// Have a platform act for a mini-program that is parked.
    #[command(after_help = "Example:\n  wxgate platform attach wx0123456789abcdef wx1111111111111111")]
    Attach(AttachPlatformApp),
    /// Have WeChat push tickets again.
    #[command(after_help = "Example:\n  wxgate platform start-tickets wx0123456789abcdef")]
    StartTickets(StartTickets),
    /// Take a new secret of a platform.
    #[command(after_help = "Example:\n  wxgate platform rotate-secret wx0123456789abcdef --secret-file new.txt")]
    RotateSecret(RotateSecret),
    /// Other keys for what WeChat pushes to a platform: rotate, finish.
    #[command(subcommand)]
    Push(Push),
    /// Remove a platform that acts for no mini-program.
    #[command(after_help = "Example:\n  wxgate platform remove wx0123456789abcdef --yes")]
    Remove(RemovePlatform),
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    platform: AddPlatform,
    #[command(flatten)]
    secret: SecretArgs,
}

#[derive(Debug, Subcommand)]
enum Push {
    /// Take another EncodingAESKey, or another Token, and keep the one before beside it until `finish`.
    #[command(
        after_help = "Example:\n  wxgate platform push rotate wx0123456789abcdef\n  wxgate platform push rotate wx0123456789abcdef --what token"
    )]
    Rotate(RotatePush),
    /// Forget the Token and the EncodingAESKey before: the new ones are in WeChat's console.
    #[command(after_help = "Example:\n  wxgate platform push finish wx0123456789abcdef")]
    Finish(FinishPlatformPush),
}

#[derive(Debug, Args)]
struct RotatePush {
    #[command(flatten)]
    push: RotatePlatformPush,
    #[command(flatten)]
    files: PushFiles,
}

#[derive(Debug, Args)]
struct RotateSecret {
    #[command(flatten)]
    platform: SetPlatformSecret,
    #[command(flatten)]
    secret: SecretArgs,
}

impl PlatformCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (door, admin) = (self.admin.door().await?, &self.admin);
        match self.action {
            Action::Add(add) => {
                let secret = SecretText::from(&add.secret.read()?);
                admin.tell_keys(&door.call(AddPlatform { secret, ..add.platform }).await?, "added");
            }
            Action::List { tenant } => {
                let next = |cursor| ListPlatforms { tenant: tenant.clone(), limit: Limit::MOST, cursor };
                admin.list(["APPID", "TENANT", "NAME", "TICKET", "TOKEN UNTIL"], &door.all(next).await?, cells);
            }
            Action::Show(show) => admin.tell_platform(&door.call(show).await?, "is known"),
            Action::Apps { platform } => {
                let next = |cursor| ListPlatformApps { platform: platform.clone(), limit: Limit::MOST, cursor };
                admin.list(["APPID", "STATE", "GRANTED", "PERMISSIONS"], &door.all(next).await?, app_cells);
            }
            Action::Authorize(start) => {
                let started = door.call(start).await?;
                admin.tell(&started, || {
                    let (computer, wechat) = (started.on_a_computer.expose(), started.in_wechat.expose());
                    format!("on a computer:\n{computer}\n\nin WeChat:\n{wechat}\n\nuntil {}", time(started.expires_at))
                });
            }
            Action::Finish { platform } => {
                let (state, auth_code) = returned()?;
                let finished = door.call(FinishAuthorization { platform, state, auth_code }).await?;
                admin.tell(&finished, || format!("app {}: the platform acts for it", finished.app));
            }
            Action::Attach(attach) => {
                let app = door.call(attach).await?;
                admin.tell(&app, || format!("app {}: {}", app.appid, app.state.as_str()));
            }
            Action::StartTickets(start) => {
                admin.tell_platform(&door.call(start).await?, "WeChat was asked for tickets, and pushes one soon");
            }
            Action::RotateSecret(rotate) => {
                let secret = SecretText::from(&rotate.secret.read()?);
                let platform = door.call(SetPlatformSecret { secret, ..rotate.platform }).await?;
                admin.tell_platform(&platform, "has a new secret");
            }
            Action::Push(Push::Rotate(rotate)) => {
                let (push_token, encoding_aes_key) = rotate.files.read()?;
                let rotate = RotatePlatformPush { push_token, encoding_aes_key, ..rotate.push };
                admin.tell_keys(&door.call(rotate).await?, "those before count until `wxgate platform push finish`");
            }
            Action::Push(Push::Finish(finish)) => {
                admin.tell_platform(&door.call(finish).await?, "one Token and one EncodingAESKey count");
            }
            Action::Remove(remove) => {
                let platform = door.call(ShowPlatform { platform: remove.platform.clone() }).await?.appid;
                admin.confirm("what mini-programs granted to it is forgotten", platform.as_str())?;
                door.call(remove).await?;
                admin.gone(|| format!("platform {platform}: removed"));
            }
        }
        door.close().await;
        Ok(())
    }
}

impl AdminArgs {
    fn tell_platform(&self, platform: &PlatformReply, what: &str) {
        self.tell(platform, || {
            let ticket = platform.ticket_at.map_or_else(|| "none yet".to_owned(), time);
            let token =
                platform.token_until.map_or_else(|| "none".to_owned(), |until| format!("until {}", time(until)));
            let PlatformReply { appid, tenant, push_url, message_url, .. } = platform;
            format!(
                "platform {appid} of tenant {tenant}: {what}\nevents    {push_url}\nmessages  {message_url}\nticket    {ticket}\ntoken     {token}"
            )
        });
    }

    /// Prints keys, which is all that anybody will ever see of them.
    fn tell_keys(&self, made: &MadePlatform, what: &str) {
        if self.json {
            print::json(made);
            return;
        }
        self.tell_platform(&made.platform, what);
        if let Some(keys) = &made.secret {
            if let Some(token) = &keys.push_token {
                print::line(format!("token of pushes  {}", token.expose()));
            }
            if let Some(key) = &keys.encoding_aes_key {
                print::line(format!("EncodingAESKey   {}", key.expose()));
            }
            print::line("Enter this in WeChat's console now: it is sealed and never shown again.");
        }
    }
}

/// State and code of the address that a browser came back to. The address is never an argument: every user of the machine
/// can see those.
fn returned() -> Result<(SecretText, SecretText), Failure> {
    let mut text = String::new();
    std::io::stdin().take(LONGEST).read_to_string(&mut text)?;
    let wrong = "this is no address with state and auth_code; copy all of it out of the browser";
    let address = Url::parse(text.trim()).map_err(|_| wrong)?;
    let value = |wanted: &str| {
        let found = address.query_pairs().find(|(name, _)| name == wanted);
        found.map(|(_, value)| SecretText::telling(&value)).ok_or(wrong)
    };
    Ok((value("state")?, value("auth_code")?))
}

fn time(seconds: i64) -> String {
    Timestamp::from_millis(seconds.saturating_mul(1_000)).to_rfc3339()
}

fn cells(platform: &PlatformReply) -> [String; 5] {
    [
        platform.appid.to_string(),
        platform.tenant.to_string(),
        platform.name.clone(),
        platform.ticket_at.map(time).unwrap_or_default(),
        platform.token_until.map(time).unwrap_or_default(),
    ]
}

fn app_cells(app: &PlatformAppReply) -> [String; 4] {
    let granted = match (app.is_granted, app.is_pending) {
        (true, _) => "yes",
        (false, true) => "not yet exchanged",
        (false, false) if app.state == PlatformAppState::Withdrawn => "",
        (false, false) => "lost: authorise again",
    };
    let permissions = app.permissions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    [app.appid.to_string(), app.state.as_str().to_owned(), granted.to_owned(), permissions]
}
