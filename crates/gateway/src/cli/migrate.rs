//! `wxgate migrate`: the database's schema.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use wxgate_crypto::Random;
use wxgate_storage::{BatchObserver, InstanceKind};

use super::{Failure, admin, print};
use crate::telemetry;

/// The database's schema: bring it up to date, or say where it stands.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// The configuration file.
    #[arg(long, default_value = "wxgate.toml", global = true)]
    config: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Apply every migration that is missing. Several nodes may try at once.
    #[command(after_help = "Example:\n  wxgate migrate up --config /etc/wxgate/wxgate.toml")]
    Up,
    /// List what is applied and what is missing.
    #[command(after_help = "Example:\n  wxgate migrate status")]
    Status,
}

impl Migrate {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = admin::read(&self.config)?;
        telemetry::start(config.log);
        let storage = admin::connect(&config, InstanceKind::Live, Random::system()?, BatchObserver::silent()).await?;
        match self.action {
            Action::Up => {
                storage.migrate().await?;
                print::line("the schema is up to date");
            }
            Action::Status => {
                let status = storage.migration_status().await?;
                let named = |names: &[String], state: &str| -> Vec<[String; 2]> {
                    names.iter().map(|name| [name.clone(), state.to_owned()]).collect()
                };
                let rows = [
                    named(&status.applied, "applied"),
                    named(&status.pending, "pending"),
                    named(&status.unknown, "unknown to this version"),
                ];
                print::table(["MIGRATION", "STATE"], &rows.concat());
            }
        }
        storage.stop().await;
        Ok(())
    }
}
