//! Checkpoints of the audit logs, for the log and for a file: what stands elsewhere cannot be put back in the database.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use wxgate_domain::TenantId;
use wxgate_storage::{Checkpoint, Storage, StorageError};

/// How often.
const EVERY: Duration = Duration::from_hours(1);
/// How long the last ones may take when the process stops.
const FINISH: Duration = Duration::from_secs(5);
/// Logs that are looked at together.
const PIECE: u64 = 1_000;

/// Makes checkpoints of the logs that have grown.
#[derive(Clone)]
pub(crate) struct Checkpoints {
    storage: Storage,
    file: Option<PathBuf>,
    made: Arc<Mutex<Made>>,
}

/// How far each log went when its last checkpoint was made; `None` before the first look.
#[derive(Default)]
struct Made {
    counts: Option<BTreeMap<Option<TenantId>, u64>>,
    /// What the file holds, if there is one.
    texts: BTreeMap<Option<TenantId>, String>,
}

/// Why some checkpoints are missing.
#[derive(Debug, thiserror::Error)]
enum CheckpointError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the file of checkpoints cannot be written: {0}")]
    File(#[from] io::Error),
}

impl Checkpoints {
    /// For the log, and for this file if one is named. What it holds already is gone on from.
    pub(crate) fn new(storage: Storage, file: Option<PathBuf>) -> Self {
        let mut made = Made::default();
        if let Some(text) = file.as_ref().map(|file| fs::read_to_string(file).unwrap_or_default()) {
            let kept: Vec<Checkpoint> = text.lines().filter_map(|line| line.parse().ok()).collect();
            made.counts = Some(kept.iter().map(|kept| (kept.tenant, kept.count)).collect());
            made.texts = kept.iter().map(|kept| (kept.tenant, kept.to_string())).collect();
        }
        Self { storage, file, made: Arc::new(Mutex::new(made)) }
    }

    /// Makes them every hour.
    pub(crate) async fn keep(self) {
        let mut interval = tokio::time::interval(EVERY);
        loop {
            interval.tick().await;
            self.try_make().await;
        }
    }

    /// Makes the last ones.
    pub(crate) async fn finish(&self) {
        if tokio::time::timeout(FINISH, self.try_make()).await.is_err() {
            tracing::warn!("not all checkpoints of audit logs were made in time");
        }
    }

    async fn try_make(&self) {
        if let Err(error) = self.make().await {
            tracing::warn!(error.source = %error, "not all checkpoints of audit logs were made; the next hour goes on");
        }
    }

    async fn make(&self) -> Result<(), CheckpointError> {
        let mut made = self.made.lock().await;
        let heads = self.heads().await?;
        // Without a file, what was there at the start has its checkpoint in the log of whoever ran before.
        let Some(before) = made.counts.clone() else {
            made.counts = Some(heads);
            return Ok(());
        };
        let grown: Vec<_> = heads.iter().filter(|(log, count)| before.get(*log) != Some(*count)).collect();
        let mut counts = before;
        for (tenant, _) in &grown {
            let Some(checkpoint) = self.storage.audit(**tenant).checkpoint().await? else { continue };
            tracing::info!(audit.checkpoint = %checkpoint, audit.count = checkpoint.count, "an audit log has grown");
            counts.insert(checkpoint.tenant, checkpoint.count);
            if self.file.is_some() {
                made.texts.insert(checkpoint.tenant, checkpoint.to_string());
            }
        }
        let held = made.texts.len();
        made.texts.retain(|log, _| heads.contains_key(log));
        counts.retain(|log, _| heads.contains_key(log));
        if let Some(file) = self.file.as_ref().filter(|_| !grown.is_empty() || made.texts.len() < held) {
            write(file, made.texts.values())?;
        }
        made.counts = Some(counts);
        Ok(())
    }

    /// How far every log goes. One that is still empty has nothing to prove.
    async fn heads(&self) -> Result<BTreeMap<Option<TenantId>, u64>, StorageError> {
        let mut heads = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.storage.audit_heads(after, PIECE).await?;
            after = page.last().map(|(log, _)| *log);
            heads.extend(page.into_iter().filter(|(_, count)| *count > 0));
            if after.is_none() {
                return Ok(heads);
            }
        }
    }
}

/// Writes the file whole or not at all, for its owner's eyes.
fn write<'a>(file: &Path, lines: impl Iterator<Item = &'a String>) -> io::Result<()> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(".new");
    let mut open = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&draft)?;
    for line in lines {
        writeln!(open, "{line}")?;
    }
    open.sync_all()?;
    fs::rename(&draft, file)
}
