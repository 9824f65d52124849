//! `wxgate config`: the same reading and checking as at start-up.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Failure, admin, print};
use crate::config::{self, Config};

/// The configuration: check it, or print it with the source of each value.
#[derive(Debug, Args)]
pub(super) struct ConfigCommand {
    /// The configuration file.
    #[arg(long, default_value = "wxgate.toml", global = true)]
    config: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Report every problem, or that there is none.
    #[command(after_help = "Example:\n  wxgate config check --config /etc/wxgate/wxgate.toml")]
    Check,
    /// Print every key, its value and where the value comes from. Secrets are not shown.
    #[command(after_help = "Example:\n  wxgate config print")]
    Print,
}

impl ConfigCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let layers = admin::layers(&self.config)?;
        match self.action {
            Action::Check => {
                Config::check(layers)?;
                print::line("the configuration is good");
            }
            Action::Print => {
                for (key, value, source) in layers.entries() {
                    let hidden = config::is_secret(key) && value.as_str().is_none_or(|text| !text.is_empty());
                    let value = if hidden { "[secret]".to_owned() } else { value.to_string() };
                    print::line(format!("{key} = {value}    # {source}"));
                }
            }
        }
        Ok(())
    }
}
