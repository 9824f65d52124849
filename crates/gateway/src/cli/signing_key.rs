//! `wxgate signing-key`: the keys that sign a tenant's tokens.

use std::time::Duration;

use clap::{Args, Subcommand};
use wxgate_domain::Timestamp;

use super::Failure;
use super::admin::AdminArgs;
use crate::operation::signing_keys::{ListSigningKeys, RetireSigningKey, RotateSigningKey, SigningKeyReply};

/// Signing keys: they turn by themselves; these commands show them and step in.
#[derive(Debug, Args)]
pub(super) struct SigningKeyCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List a tenant's signing keys: which one signs, which one is next, which ones still verify, and until when.
    #[command(after_help = "Example:\n  wxgate signing-key list --tenant acme")]
    List(ListSigningKeys),
    /// Let the next key sign now instead of on its day. Tokens of the present one stay valid.
    #[command(
        after_help = "Example:\n  wxgate signing-key rotate --tenant acme\n\nThe next key must have been published for 24 hours, or verifiers would refuse what it signs. For a key that\nwas stolen there is: wxgate signing-key retire"
    )]
    Rotate(RotateSigningKey),
    /// Emergency: a key that was stolen signs and verifies nothing any more, from now on.
    #[command(
        after_help = "Example:\n  wxgate signing-key retire --tenant acme kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k\n\nEvery token that it signed is refused. If it is the one that signs, the next key takes over at once, and users go\non with their refresh tokens."
    )]
    Retire(RetireSigningKey),
}

impl SigningKeyCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::List(list) => self.admin.show_keys(&door.call(list).await?.items),
            Action::Rotate(rotate) => {
                let tenant = rotate.tenant.clone();
                let keys = door.call(rotate).await?.items;
                self.admin.gone(|| format!("tenant {tenant}: another key signs"));
                self.admin.show_keys(&keys);
            }
            Action::Retire(retire) => {
                let (tenant, kid) = (retire.tenant.clone(), retire.kid.clone());
                let keys = door.call(retire).await?.items;
                self.admin.gone(|| format!("tenant {tenant}: {kid} signs and verifies nothing any more"));
                self.admin.show_keys(&keys);
            }
        }
        door.close().await;
        Ok(())
    }
}

impl AdminArgs {
    fn show_keys(&self, keys: &[SigningKeyReply]) {
        self.list(["KID", "STATE", "ALGORITHM", "AGE", "NEXT STEP"], keys, cells);
    }
}

fn cells(key: &SigningKeyReply) -> [String; 5] {
    let moment = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
    let when = key.next_step_at.map_or_else(|| "when a next key is there".to_owned(), |at| moment(at).to_rfc3339());
    [
        key.kid.to_string(),
        key.state.as_str().to_owned(),
        key.algorithm.to_string(),
        age(wxgate_domain::Clock::System.now().since(moment(key.published_at))),
        format!("{} {when}", key.next_step),
    ]
}

/// The largest unit says enough.
fn age(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    match (minutes / 1_440, minutes / 60) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h"),
        (days, _) => format!("{days} d"),
    }
}
