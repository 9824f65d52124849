//! Webhooks as tests set them up and empty them.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::time::Duration;

use serde_json::Value;
use wxgate_domain::{Attempt, EventKinds, TenantId, Webhook, WebhookStatus};
use wxgate_storage::{NewWebhook, Pace, Storage, Turn};

/// How fast deliveries follow one another in these stories.
pub(crate) const PACE: Pace = Pace { first_retry: Duration::from_secs(2), lease: Duration::from_secs(30) };

/// What a webhook of this name looks like that wants these events.
pub(crate) fn wanting(name: &str, events: &[&str]) -> NewWebhook {
    NewWebhook {
        name: name.to_owned(),
        url: "https://hooks.example/wxgate".parse().unwrap(),
        events: EventKinds::of_words(events.iter().copied()).unwrap(),
        status: WebhookStatus::Enabled,
    }
}

/// Adds one.
pub(crate) async fn webhook(storage: &Storage, tenant: TenantId, name: &str, events: &[&str]) -> Webhook {
    let tx = storage.begin().await.unwrap();
    let (webhook, _) = tx.tenant(tenant).webhooks().add(wanting(name, events), None).await.unwrap();
    tx.commit().await.unwrap();
    webhook
}

/// Takes the turn of a webhook.
pub(crate) async fn turn(storage: &Storage, webhook: &Webhook) -> Option<Turn> {
    storage.deliveries().take(webhook.tenant, webhook.id, PACE).await.unwrap()
}

/// Tries the next event at a receiver that answers so; what it was told, if there was anything.
pub(crate) async fn try_next(storage: &Storage, turn: &mut Turn, attempt: Attempt) -> Option<Value> {
    let next = storage.deliveries().next(turn, 1).await.unwrap();
    let waiting = next.first()?;
    storage.deliveries().settle(turn, waiting, attempt).await.unwrap();
    Some(serde_json::from_slice(waiting.body.expose()).unwrap())
}

/// Tells a receiver that takes everything all that waits now.
pub(crate) async fn drain(storage: &Storage, webhook: &Webhook) -> Vec<Value> {
    let Some(mut turn) = turn(storage, webhook).await else { return Vec::new() };
    let mut told = Vec::new();
    while let Some(event) = try_next(storage, &mut turn, Attempt::Answered(204)).await {
        told.push(event);
    }
    storage.deliveries().give_back(&turn).await.unwrap();
    told
}

/// The kinds of events.
pub(crate) fn kinds(told: &[Value]) -> Vec<&str> {
    told.iter().map(|event| event["type"].as_str().unwrap()).collect()
}
