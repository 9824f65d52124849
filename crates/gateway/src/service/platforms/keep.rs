//! What is done in good time, until the process stops: codes exchanged that are still to be, tokens replaced before they end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use wxgate_domain::{Platform, PlatformId};
use wxgate_storage::{LeasedToken, StorageError};

use super::tokens::EARLY;
use super::{Platforms, authorizations};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(10);

/// Codes, platforms and apps that are looked at in one go.
const AT_ONCE: u64 = 64;

impl Platforms {
    /// Looks until the process stops.
    pub(crate) async fn keep(self, stopping: CancellationToken) {
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = interval.tick() => {}
            }
            if let Err(error) = self.look(&stopping).await {
                tracing::warn!(error.source = %error, "what is due for third-party platforms cannot be looked for");
            }
        }
    }

    async fn look(&self, stopping: &CancellationToken) -> Result<(), StorageError> {
        let all = self.storage.platforms();
        for (_, platform, appid) in all.pending(AT_ONCE).await? {
            if stopping.is_cancelled() {
                return Ok(());
            }
            if let Some(platform) = self.of_id(platform).await? {
                let settled = self.settle(&platform, &appid).await;
                authorizations::tell(&platform, &appid, settled.as_ref().err());
                if settled.is_err() {
                    // Others come first in the next look.
                    let tx = self.storage.begin().await?;
                    tx.tenant(platform.tenant).platforms().postpone(platform.id, &appid).await?;
                    tx.commit().await?;
                }
            }
        }
        self.renew_platforms(stopping).await?;
        let soon = self.clock.now().plus(EARLY);
        for (_, platform, appid) in all.due(soon, AT_ONCE).await? {
            if stopping.is_cancelled() {
                return Ok(());
            }
            if let Some(platform) = self.of_id(platform).await? {
                // Whatever it failed by is told where it failed.
                let _ = self.renew(platform.clone(), LeasedToken::App(platform.id, appid)).await;
            }
        }
        Ok(())
    }

    /// A platform that has a ticket has a token, so that no login waits for one.
    async fn renew_platforms(&self, stopping: &CancellationToken) -> Result<(), StorageError> {
        let soon = self.clock.now().plus(EARLY);
        let mut after: Option<String> = None;
        loop {
            let page = self.storage.platforms().page(None, after.as_deref(), AT_ONCE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.appid.to_string());
            for platform in page {
                let is_due = platform.ticket_at.is_some() && platform.token_until.is_none_or(|until| until < soon);
                if stopping.is_cancelled() {
                    return Ok(());
                }
                if is_due {
                    let id = platform.id;
                    let _ = self.renew(Arc::new(platform), LeasedToken::Platform(id)).await;
                }
            }
        }
    }

    async fn of_id(&self, id: PlatformId) -> Result<Option<Arc<Platform>>, StorageError> {
        Ok(self.storage.platforms().of_id(id).await?.map(Arc::new))
    }
}
