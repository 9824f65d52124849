//! `wxgate app api-security`: keys for calls that are signed and encrypted.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use wxgate_crypto::Secret;

use super::Failure;
use super::admin::AdminArgs;
use super::door::Door;
use crate::operation::apps::{ForgetApiSecurity, ForgetPreviousApiSecurity, SetApiSecurity};
use crate::operation::secret_text::SecretText;

/// Keys for calls of WeChat that are signed and encrypted.
#[derive(Debug, Args)]
pub(super) struct ApiSecurityCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Sign and encrypt with these keys from WeChat's console; what is left out stays. The set in use stays beside the new one.
    #[command(
        after_help = "Example:\n  wxgate app api-security set wx0123456789abcdef \\\n    --symmetric-serial 0a1b... --symmetric-key-file symmetric.txt \\\n    --private-serial 2c3d... --private-key-file private.pem \\\n    --certificate-serial 4e5f... --certificate-file wechat.pem"
    )]
    Set(Box<Set>),
    /// Forget the keys: calls go out plain.
    #[command(after_help = "Example:\n  wxgate app api-security forget wx0123456789abcdef")]
    Forget(ForgetApiSecurity),
    /// Forget the keys before those in use: WeChat knows the new ones.
    #[command(after_help = "Example:\n  wxgate app api-security forget-previous wx0123456789abcdef")]
    ForgetPrevious(ForgetPreviousApiSecurity),
}

#[derive(Debug, Args)]
struct Set {
    #[command(flatten)]
    keys: SetApiSecurity,
    /// A file with the symmetric key.
    #[arg(long, value_name = "FILE", requires = "symmetric_serial")]
    symmetric_key_file: Option<PathBuf>,
    /// A file with the mini-program's own key.
    #[arg(long, value_name = "FILE", requires = "private_serial")]
    private_key_file: Option<PathBuf>,
    /// A file with WeChat's certificate.
    #[arg(long, value_name = "FILE", requires = "certificate_serial")]
    certificate_file: Option<PathBuf>,
}

impl ApiSecurityCommand {
    pub(super) async fn run(self, admin: &AdminArgs, door: &Door) -> Result<(), Failure> {
        match self.action {
            Action::Set(set) => {
                let secret = |path: &Path| read(path).map(|text| SecretText::telling(text.expose()));
                let keys = SetApiSecurity {
                    symmetric_key: set.symmetric_key_file.as_deref().map(secret).transpose()?,
                    private_key: set.private_key_file.as_deref().map(secret).transpose()?,
                    certificate: set
                        .certificate_file
                        .as_deref()
                        .map(read)
                        .transpose()?
                        .map(|text| text.expose().clone()),
                    ..set.keys
                };
                admin.tell_app(&door.call(keys).await?, "signs and encrypts its calls");
            }
            Action::Forget(forget) => {
                let app = forget.app.clone();
                admin.confirm("its keys are lost, and its calls go out plain", app.as_str())?;
                door.call(forget).await?;
                admin.gone(|| format!("app {app}: its calls go out plain"));
            }
            Action::ForgetPrevious(forget) => {
                let app = forget.app.clone();
                door.call(forget).await?;
                admin.gone(|| format!("app {app}: only the keys in use are kept"));
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Secret<String>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Secret::new(text))
}
