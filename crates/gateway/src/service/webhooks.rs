//! Telling the tenants' services of what happened, beside the requests.
//!
//! Whatever is to be told stands in the database since the transaction in which it happened. This node looks for webhooks
//! that are to be told of something, takes the turn of each, so that nobody else tells it meanwhile, and tells it one
//! event after the other, in their order. What becomes of each attempt is the domain's to decide (`domain/delivery.rs`).

mod address;
mod connections;
mod sender;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wxgate_domain::{Attempt, Clock, DeliveryState, Meaning, TenantId, WebhookId};
use wxgate_storage::{Deliveries, Pace, Storage, StorageError, Turn, Waiting};

use crate::config;
use crate::metrics::Metrics;

pub(crate) use address::Reach;
use sender::{Message, Sender};

/// How often work is looked for at least: what other nodes wrote, what is to be tried again.
const EVERY: Duration = Duration::from_secs(1);

/// How soon after one look the next may follow.
const BETWEEN: Duration = Duration::from_millis(20);

/// How often what waits is counted.
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// Webhooks that one look finds.
const FOUND: u64 = 500;

/// How long one webhook is told of events before others get their turn.
const TURN: Duration = Duration::from_secs(10);

/// How long it may take to write down how an attempt went.
const WRITE: Duration = Duration::from_secs(5);

/// Events that are read at once.
const PIECE: u64 = 16;

/// Most webhooks of one tenant that are told of something at once, as a part of all: one in so many.
const SHARE: usize = 4;

/// Tells webhooks of events.
#[derive(Clone)]
pub(crate) struct Webhooks {
    deliveries: Deliveries,
    metrics: Arc<Metrics>,
    sender: Arc<Sender>,
    pace: Pace,
    places: Arc<Semaphore>,
    /// Turns of each tenant that are under way, and how many there may be.
    busy: Arc<Mutex<HashMap<TenantId, usize>>>,
    share: usize,
}

impl Webhooks {
    /// Tells nobody yet.
    pub(crate) fn new(
        storage: &Storage,
        (clock, metrics): (Clock, Arc<Metrics>),
        config: &config::Webhooks,
        reach: Reach,
    ) -> Self {
        // A turn is taken anew after each attempt, so it outlasts one, and what it takes to write down how that went.
        let lease = config.timeout + WRITE;
        Self {
            deliveries: storage.deliveries(),
            metrics,
            sender: Arc::new(Sender::new(reach, config.timeout, clock)),
            pace: Pace { first_retry: config.first_retry, lease },
            places: Arc::new(Semaphore::new(config.in_flight)),
            busy: Arc::default(),
            share: (config.in_flight / SHARE).max(1),
        }
    }

    /// Tells until the process stops; attempts under way come to their end.
    pub(crate) async fn keep(self, stopping: CancellationToken) {
        let turns = TaskTracker::new();
        let mut look = tokio::time::interval(EVERY.min(self.pace.first_retry));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut count = tokio::time::interval(COUNT_EVERY);
        let mut well = true;
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                _ = count.tick() => { self.count().await; continue }
                _ = look.tick() => {}
                () = self.deliveries.told() => {}
            }
            let begun = self.begin(&turns, &stopping).await;
            if let Err(error) = &begun
                && well
            {
                tracing::warn!(error.source = %error, "what is to be told to webhooks cannot be looked for");
            }
            well = begun.is_ok();
            tokio::time::sleep(BETWEEN).await;
        }
        turns.close();
        turns.wait().await;
    }

    /// Begins the turns for which there is a place.
    async fn begin(&self, turns: &TaskTracker, stopping: &CancellationToken) -> Result<(), StorageError> {
        if self.places.available_permits() == 0 {
            return Ok(());
        }
        for (tenant, webhook) in self.deliveries.due(FOUND).await? {
            let Some(share) = Share::of(self, tenant) else { continue };
            let Ok(place) = self.places.clone().try_acquire_owned() else { return Ok(()) };
            let (webhooks, stopping) = (self.clone(), stopping.clone());
            turns.spawn(async move {
                if let Err(error) = webhooks.turn(tenant, webhook, &stopping).await {
                    tracing::warn!(tenant.id = %tenant, webhook.id = %webhook, error.source = %error, "a webhook's turn broke off; another one follows");
                }
                drop((place, share));
            });
        }
        Ok(())
    }

    async fn turn(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        stopping: &CancellationToken,
    ) -> Result<(), StorageError> {
        let Some(mut turn) = self.deliveries.take(tenant, webhook, self.pace).await? else { return Ok(()) };
        let told = self.tell(&mut turn, stopping).await;
        self.deliveries.give_back(&turn).await?;
        told
    }

    /// Tells a webhook of what waits for it, until there is nothing more, the receiver fails, or others have waited enough.
    async fn tell(&self, turn: &mut Turn, stopping: &CancellationToken) -> Result<(), StorageError> {
        let begun = Instant::now();
        while !stopping.is_cancelled() && begun.elapsed() < TURN {
            // A receiver that fails is asked with one event.
            let piece = if turn.course.failures > 0 { 1 } else { PIECE };
            let next = self.deliveries.next(turn, piece).await?;
            if next.is_empty() {
                return Ok(());
            }
            // One after the other: what a receiver did not take yet, nothing overtakes.
            for waiting in next {
                let Turn { url, secrets, .. } = &*turn;
                let message = Message { url, secrets, event: waiting.event, body: waiting.body.expose() };
                let attempt = self.sender.send(message).await;
                if !self.settle(turn, &waiting, attempt).await? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Writes down how an attempt went; whether the receiver is to be told of more.
    async fn settle(&self, turn: &mut Turn, waiting: &Waiting, attempt: Attempt) -> Result<bool, StorageError> {
        let meaning = attempt.meaning();
        self.metrics.webhook_attempt(match meaning {
            Meaning::Taken => "taken",
            Meaning::Refused => "refused",
            Meaning::Failing => "failing",
            Meaning::Gone => "gone",
        });
        let settled = self.deliveries.settle(turn, waiting, attempt).await?;
        let Some(settled) = settled else { return Ok(false) };
        if meaning == Meaning::Gone {
            tracing::warn!(tenant.id = %turn.tenant, webhook.id = %turn.webhook, "the receiver of a webhook says that it is gone; the webhook is disabled");
            self.deliveries.is_gone(turn).await?;
            return Ok(false);
        }
        match settled.state {
            DeliveryState::Delivered => {
                self.metrics.webhook_delivered.inc();
            }
            DeliveryState::Failed => {
                self.metrics.webhook_failed.inc();
                tracing::warn!(tenant.id = %turn.tenant, webhook.id = %turn.webhook, event.id = %waiting.event, "an event was given up after a day; `wxgate webhook replay` has it told again");
            }
            _ => {}
        }
        Ok(settled.course.failures == 0)
    }

    async fn count(&self) {
        match self.deliveries.waiting().await {
            Ok(waiting) => {
                self.metrics.webhook_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
            }
            Err(error) => tracing::debug!(error.source = %error, "what waits for webhooks was not counted"),
        }
    }
}

/// One turn of a tenant that is under way.
struct Share {
    busy: Arc<Mutex<HashMap<TenantId, usize>>>,
    tenant: TenantId,
}

impl Share {
    /// `None` if the tenant has its share already.
    fn of(webhooks: &Webhooks, tenant: TenantId) -> Option<Self> {
        let mut busy = webhooks.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let own = busy.entry(tenant).or_default();
        if *own >= webhooks.share {
            return None;
        }
        *own += 1;
        Some(Self { busy: webhooks.busy.clone(), tenant })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = busy.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                busy.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests;
