//! What runs beside the requests: readiness, signing keys that turn, signs of life, jobs, and forgetting what needs no
//! memory.

mod checkpoints;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wxgate_storage::{Node, Storage};

use crate::master_keys::MasterKeys;
pub(crate) use checkpoints::Checkpoints;

use crate::service::jobs::Jobs;
use crate::service::limits::Limits;
use crate::service::signing_keys::SigningKeys;

/// How often the database is asked whether it answers.
const EVERY: Duration = Duration::from_secs(1);

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often signing keys are looked at. They move once in days.
const KEYS_EVERY: Duration = Duration::from_hours(1);

/// How often a node says that it is there.
const LIFE_EVERY: Duration = Duration::from_secs(5);

/// How often the folder of master keys is read.
const FOLDER_EVERY: Duration = Duration::from_secs(2);

/// How often open jobs are looked for.
const JOBS_EVERY: Duration = Duration::from_secs(1);

/// How soon they are looked at again where something failed.
const KEYS_AGAIN: Duration = Duration::from_mins(1);

/// Whether requests are welcome: the database answers, and the process is not about to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness {
    database: Arc<AtomicBool>,
    stops: Arc<AtomicBool>,
    /// The same for those who wait for it; every reply asks, and a lock would cost it more.
    stopping: CancellationToken,
}

impl Readiness {
    /// The state of a process whose database has just answered.
    pub(crate) fn new() -> Self {
        let readiness = Self::default();
        readiness.database.store(true, Ordering::Relaxed);
        readiness
    }

    /// Whether requests are welcome.
    pub(crate) fn is_ready(&self) -> bool {
        self.database.load(Ordering::Relaxed) && !self.is_stopping()
    }

    /// Turns requests away for good.
    pub(crate) fn stop(&self) {
        self.stops.store(true, Ordering::Relaxed);
        self.stopping.cancel();
    }

    /// Whether the process is about to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stops.load(Ordering::Relaxed)
    }

    /// For whoever waits, to be told when the process stops.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Asks the database again and again, so that no probe has to.
    pub(crate) async fn watch(self, storage: Storage) {
        let mut interval = tokio::time::interval(EVERY);
        loop {
            interval.tick().await;
            let answer = tokio::time::timeout(PATIENCE, storage.ping()).await;
            let answers = matches!(answer, Ok(Ok(())));
            if self.database.swap(answers, Ordering::Relaxed) != answers {
                tracing::warn!(database.answers = answers, "the database's state changed");
            }
        }
    }
}

/// Keeps the memory of the limits small.
pub(crate) async fn forget_full_buckets(limits: Arc<Limits>) {
    let mut interval = tokio::time::interval(EVERY * 5);
    loop {
        interval.tick().await;
        limits.forget_full_buckets();
    }
}

/// Turns every tenant's signing keys in time. Each node looks; what is due is done once.
pub(crate) async fn keep_signing_keys(keys: SigningKeys) {
    loop {
        let pause = match keys.keep_all().await {
            Ok(()) => KEYS_EVERY,
            Err(error) => {
                tracing::warn!(error.source = %error, "not all signing keys were looked at; another look follows soon");
                KEYS_AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Says again and again that this node is there, until the process stops; then that it is not.
/// Meanwhile it looks for master keys that come and go in their folder.
pub(crate) async fn keep_node(storage: Storage, mut node: Node, keys: MasterKeys, stopping: CancellationToken) {
    let (mut life, mut folder) = (tokio::time::interval(LIFE_EVERY), tokio::time::interval(FOLDER_EVERY));
    let mut well = true;
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            _ = life.tick() => {}
            _ = folder.tick() => if !other_keys(&storage, &keys, &mut well).await { continue },
        }
        node.master_keys = keys.ids();
        if let Err(error) = storage.nodes().seen(&node).await {
            tracing::warn!(error.source = %error, "other nodes do not hear of this one");
        }
    }
    if let Err(error) = storage.nodes().left(node.id).await {
        tracing::warn!(error.source = %error, "this node counts as live for half a minute more");
    }
}

/// Whether other master keys are at hand than before; the database hears of them.
async fn other_keys(storage: &Storage, keys: &MasterKeys, well: &mut bool) -> bool {
    let reloaded = keys.reload();
    if let Err(error) = &reloaded
        && *well
    {
        tracing::warn!(error.source = %error, "the folder of master keys cannot be read; the keys of before count");
    }
    *well = reloaded.is_ok();
    if !reloaded.unwrap_or(false) {
        return false;
    }
    tracing::info!(master_keys = ?keys.ids(), "other master keys are at hand");
    if let Err(error) = storage.master_keys().saw(&keys.ids()).await {
        tracing::warn!(error.source = %error, "the database does not hear of a master key");
    }
    true
}

/// Does jobs until the process stops.
pub(crate) async fn work(jobs: Jobs, stopping: CancellationToken) {
    let mut interval = tokio::time::interval(JOBS_EVERY);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = interval.tick() => {}
        }
        if let Err(error) = jobs.work(&stopping).await {
            tracing::warn!(error.source = %error, "jobs cannot be looked for");
        }
    }
}
