//! `wxgate serve`: the gateway.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use wxgate_crypto::Random;
use wxgate_domain::Clock;
use wxgate_storage::InstanceKind;

use super::{Failure, admin};
use crate::app::{Addresses, App, Parts, Sockets};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::telemetry;

/// Serve logins. Needs a configuration and a database whose schema is up to date.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wxgate config check && wxgate migrate up && wxgate serve --config wxgate.toml")]
pub(super) struct Serve {
    /// The configuration file.
    #[arg(long, default_value = "wxgate.toml")]
    config: PathBuf,
}

impl Serve {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = admin::read(&self.config)?;
        telemetry::start(config.log);
        let _lock = config.database.url.file().map(take_database).transpose()?;
        if let Some(data_dir) = &config.data_dir {
            Addresses::withdraw(data_dir);
        }
        let stop = termination()?;
        let sockets = Sockets::bind(config.listen.public, config.listen.admin)?;
        let (random, metrics) = (Random::system()?, Metrics::new());
        let storage = admin::connect(&config, InstanceKind::Live, random.clone(), metrics.batch_observer()).await?;
        storage.start().await?;
        let parts = Parts { clock: Clock::System, random, metrics, storage };
        let addresses = sockets.addresses(None)?;
        let app = App::start(&config, parts, sockets).await?;
        announce(&config, addresses)?;
        stop.then_stop(app).await;
        Ok(())
    }
}

/// Takes an SQLite database, in a folder that there is.
fn take_database(database: &Path) -> Result<File, Failure> {
    if database.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        return Err(format!("there is no database {}; `wxgate migrate up` makes it", database.display()).into());
    }
    lock_sqlite(database)
}

/// What is in a folder of ours is nobody else's, but its mode is its owner's to change.
fn tell_of_readers(config: &Config) {
    let of_database = config.database.url.file().and_then(Path::parent);
    let folders: BTreeSet<_> = config.data_dir.as_deref().into_iter().chain(of_database).collect();
    for folder in folders {
        let mode = std::fs::metadata(folder).map_or(0, |known| known.permissions().mode());
        if mode & 0o077 != 0 {
            tracing::warn!(path = %folder.display(), mode = %format_args!("{:04o}", mode & 0o7777), "others can look into this folder; `chmod 700` keeps it to its owner");
        }
    }
}

/// An SQLite database belongs to one gateway: the memory of login codes is the process's own. The lock ends with the
/// process, however that ends.
pub(super) fn lock_sqlite(database: &Path) -> Result<File, Failure> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let file = File::options().create(true).write(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!("another gateway runs on {}", database.display()).into()),
        Err(TryLockError::Error(error)) => Err(format!("{}: {error}", path.display()).into()),
    }
}

/// Tells the log and, if asked, a file where the gateway listens.
pub(super) fn announce(config: &Config, addresses: Addresses) -> Result<(), Failure> {
    if let Some(data_dir) = &config.data_dir {
        addresses.publish(data_dir)?;
    }
    if !config.wechat.url.is_wechat() {
        tracing::warn!(wechat.url = %config.wechat.url, "another host than WeChat's answers for WeChat");
    }
    tell_of_readers(config);
    tracing::info!(listen.public = %addresses.public, listen.admin = %addresses.admin, public_url = %config.public_url, "ready");
    Ok(())
}

/// The two signals that ask a process to end.
pub(super) struct Termination {
    terminate: Signal,
    interrupt: Signal,
}

/// Listens for SIGTERM and SIGINT from now on.
pub(super) fn termination() -> std::io::Result<Termination> {
    Ok(Termination { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
}

impl Termination {
    /// Waits for a signal.
    pub(super) async fn first(mut self) -> Self {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
        self
    }

    /// Waits for a signal, then stops the gateway; a second signal ends the process at once.
    pub(super) async fn then_stop(self, app: App) {
        let second = self.first().await;
        tracing::info!("stopping");
        tokio::select! {
            () = app.stop() => {}
            _ = second.first() => {
                telemetry::finish();
                process::exit(1)
            }
        }
    }
}
