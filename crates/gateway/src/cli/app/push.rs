//! `wxgate app push`: how a mini-program takes WeChat's message pushes.

use clap::{Args, Subcommand};

use super::super::admin::AdminArgs;
use super::super::door::Door;
use super::super::push_files::PushFiles;
use super::super::{Failure, print};
use crate::operation::apps::{FinishPush, PushReply, RemovePush, RotatePush, SetPush, ShowPush};
use crate::operation::secret_text::SecretText;

/// How a mini-program takes WeChat's message pushes.
#[derive(Debug, Args)]
pub(super) struct PushCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Set up pushes, and print what to enter in WeChat's console. What is not given is made the first time, and stays later.
    #[command(
        after_help = "Example:\n  wxgate app push set wx0123456789abcdef --mode safe\n\nThe Token and the EncodingAESKey are made, or come from files: --token-file, --aes-key-file."
    )]
    Set(Set),
    /// Show the URL, the mode, and fingerprints of the Token and the EncodingAESKey.
    #[command(after_help = "Example:\n  wxgate app push show wx0123456789abcdef")]
    Show(ShowPush),
    /// Take another EncodingAESKey, or another Token, and keep the one before beside it until `finish`.
    #[command(
        after_help = "Example:\n  wxgate app push rotate wx0123456789abcdef\n  wxgate app push rotate wx0123456789abcdef --what token"
    )]
    Rotate(Rotate),
    /// Forget the Token and the EncodingAESKey before: the new ones are in WeChat's console.
    #[command(after_help = "Example:\n  wxgate app push finish wx0123456789abcdef")]
    Finish(FinishPush),
    /// Take no pushes any more, and forget the Token and the keys.
    #[command(after_help = "Example:\n  wxgate app push remove wx0123456789abcdef")]
    Remove(RemovePush),
}

#[derive(Debug, Args)]
struct Set {
    #[command(flatten)]
    push: SetPush,
    #[command(flatten)]
    files: PushFiles,
}

#[derive(Debug, Args)]
struct Rotate {
    #[command(flatten)]
    push: RotatePush,
    #[command(flatten)]
    files: PushFiles,
}

impl PushCommand {
    pub(super) async fn run(self, admin: &AdminArgs, door: &Door) -> Result<(), Failure> {
        match self.action {
            Action::Set(set) => {
                let (token, encoding_aes_key) = set.files.read()?;
                admin.show_push(&door.call(SetPush { token, encoding_aes_key, ..set.push }).await?);
            }
            Action::Show(show) => admin.show_push(&door.call(show).await?),
            Action::Rotate(rotate) => {
                let (token, encoding_aes_key) = rotate.files.read()?;
                admin.show_push(&door.call(RotatePush { token, encoding_aes_key, ..rotate.push }).await?);
            }
            Action::Finish(finish) => admin.show_push(&door.call(finish).await?),
            Action::Remove(remove) => {
                let app = remove.app.clone();
                admin.confirm("its Token and keys are lost, and what WeChat pushes is refused", app.as_str())?;
                door.call(remove).await?;
                admin.gone(|| format!("app {app}: takes no pushes"));
            }
        }
        Ok(())
    }
}

impl AdminArgs {
    fn show_push(&self, push: &PushReply) {
        if self.json {
            return print::json(push);
        }
        print::line(format!("URL             {}", push.url));
        print::line(format!("mode            {}", push.mode));
        let or_fingerprint = |secret: &Option<SecretText>, fingerprint: &str| {
            secret.as_ref().map_or_else(|| format!("fingerprint {fingerprint}"), |secret| secret.expose().to_owned())
        };
        print::line(format!("Token           {}", or_fingerprint(&push.token, &push.token_fingerprint)));
        if let Some(before) = &push.previous_token_fingerprint {
            print::line(format!("the one before  fingerprint {before}, until `wxgate app push finish`"));
        }
        print::line(format!("EncodingAESKey  {}", or_fingerprint(&push.encoding_aes_key, &push.key_fingerprint)));
        if let Some(before) = &push.previous_key_fingerprint {
            print::line(format!("the one before  fingerprint {before}, until `wxgate app push finish`"));
        }
    }
}
