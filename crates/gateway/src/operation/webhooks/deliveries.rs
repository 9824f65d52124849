//! Receipts: what became of each event at a webhook, and telling it again.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, AttemptError, Delivery, DeliveryState, EventId, EventKind, Timestamp, WebhookId};

use crate::operation::{Limit, Method, Operation, Page, Route};
use crate::service::admin::{Admin, AdminError};

/// What became of one event at a webhook. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DeliveryReply {
    /// The event: the `webhook-id` of its requests.
    #[schema(value_type = String)]
    pub(crate) event: EventId,
    /// Its kind.
    #[schema(value_type = String)]
    pub(crate) kind: EventKind,
    /// When it happened.
    pub(crate) at: i64,
    /// `waiting`, `delivered`, `failed` after a day, or `erased` with the user whom it was about.
    pub(crate) state: State,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// When it was tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) last_at: Option<i64>,
    /// What the receiver answered then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) last_status: Option<u16>,
    /// Why there was no answer: `unreachable`, `timeout`, `broken`, or `forbidden` for an address that may not be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) last_error: Option<String>,
    /// When it is tried next, at the earliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) due_at: Option<i64>,
}

impl From<Delivery> for DeliveryReply {
    fn from(delivery: Delivery) -> Self {
        Self {
            event: delivery.event,
            kind: delivery.kind,
            at: delivery.at.seconds(),
            state: delivery.state.into(),
            attempts: delivery.attempts,
            last_at: delivery.last_at.map(Timestamp::seconds),
            last_status: delivery.last_status,
            last_error: delivery.last_error.map(AttemptError::as_str).map(str::to_owned),
            due_at: delivery.due_at.map(Timestamp::seconds),
        }
    }
}

/// How far an event is at a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It is to be told, for the first time or again.
    Waiting,
    /// The receiver took it.
    Delivered,
    /// It was given up after a day.
    Failed,
    /// It was given up because a user whom it is about was erased.
    Erased,
}

impl From<DeliveryState> for State {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Waiting => Self::Waiting,
            DeliveryState::Delivered => Self::Delivered,
            DeliveryState::Failed => Self::Failed,
            DeliveryState::Erased => Self::Erased,
        }
    }
}

impl From<State> for DeliveryState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Delivered => Self::Delivered,
            State::Failed => Self::Failed,
            State::Erased => Self::Erased,
        }
    }
}

/// The receipts of a webhook, the newest event first. They are kept for a week.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListDeliveries {
    /// The webhook.
    #[schema(value_type = String)]
    pub(crate) id: WebhookId,
    /// Those of this state alone.
    pub(crate) state: Option<State>,
    /// How many at most: 1 to 500, else 100.
    #[serde(default)]
    #[schema(value_type = u16, minimum = 1, maximum = 500)]
    pub(crate) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    pub(crate) cursor: Option<String>,
}

impl Operation for ListDeliveries {
    type Reply = Page<DeliveryReply>;
    const ROUTE: Route = Route {
        id: "listDeliveries",
        method: Method::Get,
        path: "/webhooks/{id}/deliveries",
        scope: AdminScope::Read,
        summary: "List what became of each event at a webhook.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (tenant, webhook) = admin.webhook(self.id).await?;
        let before = self.cursor.map(|cursor| cursor.parse()).transpose().map_err(|_| AdminError::Cursor)?;
        let receipts = admin.storage.tenant(tenant.id).receipts();
        let state = self.state.map(DeliveryState::from);
        let found = receipts.page(webhook.id, state, before, self.limit.and_one()).await?;
        Ok(Page::begun(found.into_iter().map(DeliveryReply::from), self.limit, |receipt| receipt.event.to_string()))
    }
}

/// What is to be told to a webhook again: one event, whatever became of it, or all that failed. It is tried for another day.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayDeliveries {
    /// The webhook.
    #[schema(value_type = String)]
    pub(crate) id: WebhookId,
    /// This event alone; else all that failed.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) event: Option<EventId>,
}

/// How many events are told again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Replayed {
    pub(crate) replayed: u64,
}

impl Operation for ReplayDeliveries {
    type Reply = Replayed;
    const ROUTE: Route = Route {
        id: "replayDeliveries",
        method: Method::Post,
        path: "/webhooks/{id}/replay",
        scope: AdminScope::Write,
        summary: "Have an event told to a webhook again, or all that failed.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        Ok(Replayed { replayed: admin.replay_webhook(self.id, self.event).await? })
    }
}
