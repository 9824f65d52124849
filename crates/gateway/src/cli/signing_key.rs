//! `wxgate signing-key`: the keys that sign a tenant's tokens.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use wxgate_domain::{KeyMoveError, Kid, RingKey, SigningKeyState, Slug, Tenant, Timestamp, key_rotation};

use super::admin::AdminArgs;
use super::{Failure, print};
use crate::service::admin::Admin;
use crate::service::signing_keys::SigningKeyError;

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
    List {
        /// The tenant.
        #[arg(long)]
        tenant: Slug,
    },
    /// Let the next key sign now instead of on its day. Tokens of the present one stay valid.
    #[command(
        after_help = "Example:\n  wxgate signing-key rotate --tenant acme\n\nThe next key must have been published for 24 hours, or verifiers would refuse what it signs. For a key that\nwas stolen there is: wxgate signing-key retire"
    )]
    Rotate {
        /// The tenant.
        #[arg(long)]
        tenant: Slug,
    },
    /// Emergency: a key that was stolen signs and verifies nothing any more, from now on.
    #[command(
        after_help = "Example:\n  wxgate signing-key retire --tenant acme kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k\n\nEvery token that it signed is refused. If it is the one that signs, the next key takes over at once, and users go\non with their refresh tokens."
    )]
    Retire {
        /// The tenant.
        #[arg(long)]
        tenant: Slug,
        /// The key's id, as `list` shows it.
        #[arg(allow_hyphen_values = true)]
        kid: Kid,
    },
}

impl SigningKeyCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.admin.open().await?;
        match self.action {
            Action::List { tenant } => {
                let tenant = admin.tenant(&tenant).await?;
                show(&self.admin, &tenant, &keys(&admin, &tenant).await?, admin.clock.now());
            }
            Action::Rotate { tenant } => {
                let tenant = admin.tenant(&tenant).await?;
                admin.signing_keys().rotate(tenant.id).await.map_err(|error| explained(error, &tenant))?;
                self.admin.moved(&tenant, &keys(&admin, &tenant).await?, "another key signs", admin.clock.now());
            }
            Action::Retire { tenant, kid } => {
                let tenant = admin.tenant(&tenant).await?;
                admin.signing_keys().retire(tenant.id, &kid).await.map_err(|error| explained(error, &tenant))?;
                let what = format!("{kid} signs and verifies nothing any more");
                self.admin.moved(&tenant, &keys(&admin, &tenant).await?, &what, admin.clock.now());
            }
        }
        admin.storage.stop().await;
        Ok(())
    }
}

impl AdminArgs {
    fn moved(&self, tenant: &Tenant, keys: &[RingKey], what: &str, now: Timestamp) {
        if !self.json {
            print::line(format!("tenant {}: {what}", tenant.slug));
        }
        show(self, tenant, keys, now);
    }
}

async fn keys(admin: &Admin, tenant: &Tenant) -> Result<Vec<RingKey>, Failure> {
    let stored = admin.storage.tenant(tenant.id).signing_keys().await?;
    Ok(stored.iter().map(RingKey::from).collect())
}

/// What an operator does about a key that did not move.
fn explained(error: SigningKeyError, tenant: &Tenant) -> Failure {
    let slug = &tenant.slug;
    match error {
        SigningKeyError::Move(KeyMoveError::Unknown) => {
            format!("the tenant {slug} has no such signing key; `wxgate signing-key list --tenant {slug}` shows them")
                .into()
        }
        SigningKeyError::Move(KeyMoveError::NotYet { until }) => format!(
            "verifiers may not know the next key of tenant {slug} yet: wait until {}. If the present one was stolen, \
             replace it at once with `wxgate signing-key retire --tenant {slug} KID`",
            until.to_rfc3339()
        )
        .into(),
        error => error.into(),
    }
}

/// What comes next for a key.
fn next_step(state: SigningKeyState) -> &'static str {
    match state {
        SigningKeyState::Next => "signs",
        SigningKeyState::Active => "ceases to sign",
        SigningKeyState::Retiring => "is forgotten",
    }
}

fn show(args: &AdminArgs, tenant: &Tenant, keys: &[RingKey], now: Timestamp) {
    let moves_at = |key: &RingKey| key_rotation::moves_at(key, keys, &tenant.policy);
    if args.json {
        let row = |key: &RingKey| {
            json!({
                "kid": key.kid,
                "tenant": tenant.slug,
                "state": key.state,
                "algorithm": key.algorithm,
                "published_at_ms": key.published_at,
                "activated_at_ms": key.activated_at,
                "retired_at_ms": key.retired_at,
                "next_step": next_step(key.state),
                "next_step_at_ms": moves_at(key),
            })
        };
        print::json(&keys.iter().map(row).collect::<Vec<_>>());
    } else {
        let cells = |key: &RingKey| {
            let when = moves_at(key).map_or_else(|| "when a next key is there".to_owned(), Timestamp::to_rfc3339);
            [
                key.kid.to_string(),
                key.state.as_str().to_owned(),
                key.algorithm.to_string(),
                age(now.since(key.published_at)),
                format!("{} {when}", next_step(key.state)),
            ]
        };
        print::table(["KID", "STATE", "ALGORITHM", "AGE", "NEXT STEP"], &keys.iter().map(cells).collect::<Vec<_>>());
    }
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
