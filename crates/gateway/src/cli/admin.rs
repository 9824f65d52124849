//! What the commands on the database share: where it is, and how secrets come in.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tokio_util::task::TaskTracker;
use wxgate_crypto::{Random, Secret};
use wxgate_domain::{AppSecret, Clock};
use wxgate_storage::{BatchObserver, ErasureJournal, InstanceKind, Storage, StorageConfig};
use wxgate_wechat_client::{BaseUrl, CallObserver};

use super::door::{Door, Remote};
use super::{Failure, print};
use crate::app::{self, Addresses};
use crate::config::{self, Config, Layers};
use crate::service::admin::{Admin, Caller};
use crate::service::meters::Meters;
use crate::telemetry;

/// Where the database is and how to answer.
#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    /// The configuration file; a trial's is wxgate-data/wxgate.toml.
    #[arg(long, default_value = "wxgate.toml", global = true)]
    pub(super) config: PathBuf,
    /// Ask a running gateway instead of the database: the address of its admin listener, with --key-file.
    #[arg(long, value_name = "URL", global = true, requires = "key_file")]
    url: Option<url::Url>,
    /// A file that holds an admin key, for --url; a trial's is wxgate-data/admin-key.
    #[arg(long, value_name = "FILE", global = true)]
    key_file: Option<PathBuf>,
    /// Answer in JSON, for scripts.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Do what destroys something without asking.
    #[arg(long, global = true)]
    yes: bool,
}

impl AdminArgs {
    /// Opens the database that the configuration names.
    pub(super) async fn open(&self) -> Result<Admin, Failure> {
        let mut config = read(&self.config)?;
        telemetry::start(config.log);
        // A trial's apps are those of its simulated WeChat, which no configuration names.
        let simulator = config.data_dir.as_deref().and_then(Addresses::simulator_on);
        if let Some(simulator) = simulator.filter(|_| config.wechat.url.is_wechat()) {
            config.wechat.url = BaseUrl::parse(&format!("http://{simulator}"), true)?;
        }
        let random = Random::system()?;
        let storage = connect(&config, InstanceKind::Live, random.clone(), BatchObserver::silent()).await?;
        storage.check().await?;
        let wechat = app::wechat(&config.wechat, CallObserver::default())?;
        let (time, meters) = ((Clock::System, random), Meters::new(Clock::System, storage.clone()));
        let desk = app::desk(&config, time, storage, wechat, meters, TaskTracker::new());
        Ok(desk.serve(Caller::console()))
    }

    /// Whether a running gateway was named.
    pub(super) fn gateway(&self) -> bool {
        self.url.is_some()
    }

    /// The configuration of a command that works on the database alone.
    ///
    /// # Errors
    /// A running gateway was named instead.
    pub(super) fn database_alone(&self) -> Result<&Path, Failure> {
        if self.url.is_some() {
            return Err("this works on the database alone: give --config instead of --url".into());
        }
        Ok(&self.config)
    }

    /// Asks whoever sits at the terminal to type a name before something of it is destroyed.
    ///
    /// # Errors
    /// They type something else, or nobody sits there and `--yes` was not given.
    pub(super) fn confirm(&self, consequence: &str, name: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(format!("{consequence}; nobody is here to confirm it: give --yes").into());
        }
        print::question(&format!("{consequence}. Type {name} to go on: "));
        let mut typed = String::new();
        std::io::stdin().read_line(&mut typed)?;
        if typed.trim() == name { Ok(()) } else { Err("not confirmed; nothing was changed".into()) }
    }

    /// Prints what was done: what the API answers for scripts, a line for people.
    pub(super) fn tell(&self, reply: &impl Serialize, line: impl FnOnce() -> String) {
        if self.json {
            print::json(reply);
        } else {
            print::line(line());
        }
    }

    /// The same where the API answers nothing.
    pub(super) fn gone(&self, line: impl FnOnce() -> String) {
        if !self.json {
            print::line(line());
        }
    }

    /// Prints a list: what the API answers for scripts, a table for people.
    pub(super) fn list<T: Serialize, const N: usize>(
        &self,
        headings: [&str; N],
        items: &[T],
        cells: impl Fn(&T) -> [String; N],
    ) {
        if self.json {
            print::json(&items);
        } else {
            print::table(headings, &items.iter().map(cells).collect::<Vec<_>>());
        }
    }

    /// Opens whichever way to operations was named.
    pub(super) async fn door(&self) -> Result<Door, Failure> {
        match (&self.url, &self.key_file) {
            (Some(url), Some(file)) => Ok(Door::Gateway(Remote::new(url, file)?)),
            _ => Ok(Door::Database(Box::new(self.open().await?))),
        }
    }
}

/// Reads and checks a configuration file with everything laid over it.
pub(super) fn read(path: &std::path::Path) -> Result<Config, Failure> {
    Ok(Config::check(layers(path)?)?)
}

/// The layers of a configuration file.
pub(super) fn layers(path: &std::path::Path) -> Result<Layers, Failure> {
    let hint = "name the file with --config; that of a trial is wxgate-data/wxgate.toml";
    Ok(config::layers(path).map_err(|error| format!("{}: {error}; {hint}", path.display()))?)
}

/// Connects to the configured database, without using it yet.
pub(super) async fn connect(
    config: &Config,
    kind: InstanceKind,
    random: Random,
    observer: BatchObserver,
) -> Result<Storage, Failure> {
    let storage = StorageConfig {
        url: config.database.url.clone().pool_size(config.database.connections),
        master_keys: config.database.master_keys.ring().clone(),
        kind,
        erasure_journal: config.erasure_journal.clone().map(ErasureJournal::at),
        clock: Clock::System,
        random,
        observer,
    };
    Ok(Storage::connect(storage).await?)
}

/// Where an AppSecret comes from: never the command line, whose arguments every user of the machine can see.
#[derive(Debug, Args)]
pub(super) struct SecretArgs {
    /// A file that holds the AppSecret; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The AppSecret, from the environment.
    #[arg(long = "secret-from-env", env = "WXGATE_APP_SECRET", hide_env_values = true, hide = true, value_parser = in_custody)]
    secret: Option<Secret<String>>,
}

/// From the first moment, so that no Debug of the arguments can show it.
#[expect(clippy::unnecessary_wraps, reason = "clap wants a parser that could fail")]
fn in_custody(text: &str) -> Result<Secret<String>, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

impl SecretArgs {
    /// Reads the AppSecret.
    pub(super) fn read(&self) -> Result<AppSecret, Failure> {
        let text = match (&self.secret_file, &self.secret) {
            (Some(path), _) if path.as_os_str() == "-" => {
                let mut text = String::new();
                std::io::stdin().take(4_096).read_to_string(&mut text)?;
                text
            }
            (Some(path), _) => std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?,
            (None, Some(text)) => return Ok(AppSecret::parse(text)?),
            (None, None) => {
                return Err("give the AppSecret with --secret-file FILE, --secret-file - (standard input) or in WXGATE_APP_SECRET".into());
            }
        };
        Ok(AppSecret::parse(&Secret::new(text))?)
    }
}
