//! Message push: what WeChat tells of an app's users is checked, noted and carried out before it is answered.
//!
//! WeChat waits five seconds for an answer and repeats what it got none for, three times in all. So nothing is answered
//! before it is committed, what was begun goes on when WeChat has left, and what was there before is not done again.

mod deeds;
mod frame;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use wxgate_crypto::push::{PushFailure, Stamp};
use wxgate_domain::{Clock, PushSettings, Timestamp, WechatAppid};
use wxgate_storage::{Arrival, Receiver, Storage, StorageError};

use crate::metrics::Metrics;

pub(crate) use frame::IncomingPush;
use frame::Push;

/// How far the time of a push may be from ours, either way. Whoever repeats it later is not WeChat.
pub(super) const FRESH: Duration = Duration::from_mins(5);

/// How long WeChat may wait for an answer once its push is here: half a second less than it does.
const PATIENCE: Duration = Duration::from_millis(4_500);

/// Pushes that are carried out at once.
const AT_ONCE: usize = 64;

/// Takes the pushes of all apps.
#[derive(Clone)]
pub(crate) struct Pushes {
    clock: Clock,
    storage: Storage,
    metrics: Arc<Metrics>,
    /// Those under way, which outlive their connections and are waited for when the process stops.
    tasks: TaskTracker,
    slots: Arc<Semaphore>,
}

/// Why a push is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    #[error("no such app, or it takes no pushes")]
    Unknown,
    #[error("the body is no JSON object and no XML of the kind that is read")]
    Malformed,
    #[error("{0}")]
    Frame(PushFailure),
    #[error("not encrypted, which the app's mode asks for")]
    NotEncrypted,
    #[error("its time is not that of now")]
    Stale,
    #[error("its time and nonce came with something else before")]
    Replayed,
    #[error("the message names another app")]
    OtherApp,
    #[error("too much to do")]
    Overloaded,
    #[error("the database refused: {0}")]
    Storage(StorageError),
}

impl PushError {
    /// Its stable name in metrics.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_app",
            Self::Malformed => "malformed",
            Self::Frame(failure) => failure.stage(),
            Self::NotEncrypted => "not_encrypted",
            Self::Stale => "stale",
            Self::Replayed => "replayed",
            Self::OtherApp => "other_app",
            Self::Overloaded => "overloaded",
            Self::Storage(_) => "failed",
        }
    }
}

impl From<StorageError> for PushError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Busy | StorageError::Unavailable { .. } => Self::Overloaded,
            error => Self::Storage(error),
        }
    }
}

impl Pushes {
    /// Takes pushes with these parts.
    pub(crate) fn new(clock: Clock, storage: Storage, metrics: Arc<Metrics>, tasks: TaskTracker) -> Self {
        Self { clock, storage, metrics, tasks, slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Whether WeChat verifies the address of this app. A time and nonce that serve for that serve for no push.
    pub(crate) async fn verify(&self, appid: &WechatAppid, stamp: Stamp<'_>, signature: &str) -> Result<(), PushError> {
        let verified = in_time(PushError::Overloaded, self.try_to_verify(appid, stamp, signature)).await;
        self.metrics.push(verified.as_ref().err().map_or("verified", PushError::outcome));
        verified
    }

    async fn try_to_verify(&self, appid: &WechatAppid, stamp: Stamp<'_>, signature: &str) -> Result<(), PushError> {
        let all = self.settings(appid).await?;
        let signed = all.iter().find(|settings| settings.keys.signs(&stamp, signature));
        let settings = signed.ok_or(PushError::Frame(PushFailure::Signature))?;
        if is_fresh(&stamp, self.clock.now()) {
            let mark = frame::stamp_digest(&stamp);
            let arrival = Arrival { receiver: Receiver::App(settings.app), stamp: mark, body: mark, message: None };
            deeds::note(&self.storage, settings.tenant, &arrival).await?;
        }
        Ok(())
    }

    /// Accepts a push: checked, committed, and done once however often it comes.
    pub(crate) async fn receive(&self, appid: &WechatAppid, push: &IncomingPush) -> Result<(), PushError> {
        let received = in_time(PushError::Overloaded, self.try_to_receive(appid, push)).await;
        self.metrics.push(received.as_ref().err().map_or("accepted", PushError::outcome));
        received
    }

    async fn try_to_receive(&self, appid: &WechatAppid, push: &IncomingPush) -> Result<(), PushError> {
        let (settings, push) = self.open(appid, push).await?;
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| PushError::Overloaded)?;
        let storage = self.storage.clone();
        let doing = self.tasks.spawn(async move {
            let _slot = slot;
            deeds::carry_out(&storage, &settings, &push).await
        });
        doing.await.map_err(|_| PushError::Overloaded)?
    }

    /// The push, and what opened it. If nothing does, the app's own settings say why.
    async fn open(&self, appid: &WechatAppid, push: &IncomingPush) -> Result<(PushSettings, Push), PushError> {
        let mut refused = None;
        for settings in self.settings(appid).await? {
            match push.open(&settings, self.clock.now()) {
                Ok(push) => return Ok((settings, push)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or(PushError::Unknown))
    }

    /// At least one.
    async fn settings(&self, appid: &WechatAppid) -> Result<Vec<PushSettings>, PushError> {
        let settings = self.storage.push_settings().of(appid).await?;
        if settings.is_empty() { Err(PushError::Unknown) } else { Ok(settings) }
    }
}

/// An answer while WeChat waits for it; `late` if there is none by then. Whoever is not answered in time asks again, and
/// what was begun as a task of its own is done by then.
pub(super) async fn in_time<T, E>(late: E, answer: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or(Err(late))
}

/// Whether a time is near enough to now.
pub(super) fn is_fresh(stamp: &Stamp<'_>, now: Timestamp) -> bool {
    stamp.seconds().is_some_and(|seconds| seconds.abs_diff(now.seconds()) <= FRESH.as_secs())
}

#[cfg(test)]
mod tests;
