//! Deliveries: what is still to be told to which webhook, who does it now, and what became of each attempt.
//!
//! Whoever delivers takes the webhook's turn for a while, under a name that is made for this one turn, so that one at a time
//! tells it, in order. A node that dies loses the turn, and another one goes on where it stopped: an event may then be told
//! twice, and never not at all.

use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, QueryFilter, Set, Value};
use uuid::Uuid;
use wxgate_crypto::{Sealed, Secret, WebhookSecret};
use wxgate_domain::delivery::{Settled, Tried, settle};
use wxgate_domain::{
    Attempt, Course, DeliveryState, EventId, TenantId, Timestamp, WebhookId, WebhookStatus, WebhookUrl,
};

use super::webhooks::{self, CURRENT, PREVIOUS};
use super::{events, unsigned};
use crate::changes::{self, ChangeKind};
use crate::entity::{delivery, webhook, webhook_turn};
use crate::error::StorageError;
use crate::scope::{of_tenant, update_of_tenant};
use crate::sql::{get, id, now, statement, time};
use crate::storage::Storage;
use crate::tx;

/// The deliveries of all tenants, for whoever carries them out.
#[derive(Clone, Debug)]
pub struct Deliveries(Storage);

/// A webhook whose turn somebody has.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The webhook.
    pub webhook: WebhookId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Where to.
    pub url: WebhookUrl,
    /// What requests are signed with: one secret, or two while they are rotated.
    pub secrets: Vec<WebhookSecret>,
    /// How the deliveries go.
    pub course: Course,
    /// Whose turn it is: another one each time, so that two processes under one node's id are two.
    owner: Uuid,
    pace: Pace,
}

/// How fast deliveries follow one another.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The shortest pause after a failure.
    pub first_retry: Duration,
    /// How long a turn lasts after the last attempt: longer than an attempt can take.
    pub lease: Duration,
}

/// An event that is to be told.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The event.
    pub event: EventId,
    /// The body of the request.
    pub body: Secret<Vec<u8>>,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when it waits.
    pub since: Timestamp,
}

impl Deliveries {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// Returns when this process has written something to be told, or has a moment ago.
    pub async fn told(&self) {
        self.0.core.told.notified().await;
    }

    /// At most `limit` webhooks that are to be told of something now and whose turn nobody has, each with its tenant; those
    /// that wait longest come first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn due(&self, limit: u64) -> Result<Vec<(TenantId, WebhookId)>, StorageError> {
        let core = &self.0.core;
        let at = now(&core.reader, &core.clock).await?;
        // Most of the time there is nothing, and one look at an index says so.
        let text = "SELECT due_at FROM delivery WHERE due_at <= ? ORDER BY due_at LIMIT 1";
        let due = core.read(|db| {
            let any = statement(db.get_database_backend(), text, vec![time(at)]);
            async move { db.query_one_raw(any).await }
        });
        if due.await?.is_none() {
            return Ok(Vec::new());
        }
        let text = format!(
            "SELECT w.tenant_id, w.id FROM webhook w JOIN webhook_turn t ON t.webhook_id = w.id
            WHERE w.status = ? AND t.paused_until <= ? AND t.lease_until <= ?
            AND EXISTS (SELECT 1 FROM delivery d WHERE d.tenant_id = w.tenant_id AND d.webhook_id = w.id
            AND d.state = ? AND d.due_at <= ?) ORDER BY t.lease_until, w.id LIMIT {limit}"
        );
        let values: Vec<Value> = vec![
            WebhookStatus::Enabled.as_str().into(),
            time(at),
            time(at),
            DeliveryState::Waiting.as_str().into(),
            time(at),
        ];
        let rows = core.read(|db| {
            let due = statement(db.get_database_backend(), &text, values.clone());
            async move { db.query_all_raw(due).await }
        });
        rows.await?.iter().map(|row| Ok((get::<Uuid>(row, 0)?.into(), get::<Uuid>(row, 1)?.into()))).collect()
    }

    /// Takes a webhook's turn; `None` if somebody has it, or the webhook is not to be told of
    /// anything now.
    ///
    /// # Errors
    /// The database fails.
    pub async fn take(&self, tenant: TenantId, webhook: WebhookId, pace: Pace) -> Result<Option<Turn>, StorageError> {
        let core = &self.0.core;
        let at = now(&core.writer, &core.clock).await?;
        let owner = core.random.uuid_v7(at.millis());
        let taken = update_of_tenant::<webhook_turn::Entity>(tenant)
            .filter(webhook_turn::Column::WebhookId.eq(webhook.uuid()))
            .filter(webhook_turn::Column::LeaseUntil.lte(at.millis()))
            .set(webhook_turn::ActiveModel {
                owner: Set(Some(owner)),
                lease_until: Set(at.plus(pace.lease).millis()),
                ..Default::default()
            });
        if taken.exec(&core.writer).await?.rows_affected == 0 {
            return Ok(None);
        }
        let turn = self.turn((tenant, webhook), (owner, pace), at).await?;
        if turn.is_none() {
            self.leave(tenant, webhook, owner).await?;
        }
        Ok(turn)
    }

    async fn turn(
        &self,
        (tenant, webhook): (TenantId, WebhookId),
        (owner, pace): (Uuid, Pace),
        at: Timestamp,
    ) -> Result<Option<Turn>, StorageError> {
        let core = &self.0.core;
        let by_id = of_tenant::<webhook::Entity>(tenant).filter(webhook::Column::Id.eq(webhook.uuid()));
        let row = by_id.one(&core.writer).await?;
        let course = course(&core.writer, tenant, webhook).await?;
        let (Some(row), Some(course)) = (row, course) else { return Ok(None) };
        let known = webhooks::of_row(&row)?;
        if known.status != WebhookStatus::Enabled || course.paused_until > at {
            return Ok(None);
        }
        let mut secrets = Vec::new();
        let overlaps = known.previous_until.is_some_and(|until| at < until);
        let previous = row.previous_secret.filter(|_| overlaps);
        for (column, sealed) in [(CURRENT, Some(row.secret)), (PREVIOUS, previous)] {
            let Some(sealed) = sealed else { continue };
            let number = Sealed::parse(sealed.clone())?.key_id();
            let keys = core.keys_with(tenant, number).await?;
            secrets.push(webhooks::open_secret(&keys, tenant, (column, webhook), sealed)?);
        }
        Ok(Some(Turn { webhook, tenant, url: known.url, secrets, course, owner, pace }))
    }

    /// At most `limit` events that the webhook is to be told of now, the oldest first; or the one that was tried least, if
    /// the course of deliveries says so. What a user who is erased was about is not among them.
    ///
    /// # Errors
    /// The database fails, or an event does not open.
    pub async fn next(&self, turn: &Turn, limit: u64) -> Result<Vec<Waiting>, StorageError> {
        let core = &self.0.core;
        let at = now(&core.reader, &core.clock).await?;
        let order = if turn.course.asks_another() { "d.attempts, d.event_id" } else { "d.event_id" };
        let text = format!(
            "SELECT d.event_id, o.payload, d.attempts, d.since FROM delivery d
            JOIN outbox o ON o.tenant_id = d.tenant_id AND o.id = d.event_id
            WHERE d.tenant_id = ? AND d.webhook_id = ? AND d.state = ? AND d.due_at <= ? AND o.payload IS NOT NULL
            ORDER BY {order} LIMIT {limit}"
        );
        let values: Vec<Value> =
            vec![id(turn.tenant.uuid()), id(turn.webhook.uuid()), DeliveryState::Waiting.as_str().into(), time(at)];
        let rows = core.read(|db| {
            let next = statement(db.get_database_backend(), &text, values.clone());
            async move { db.query_all_raw(next).await }
        });
        let mut waiting = Vec::new();
        for row in rows.await? {
            let event: Uuid = get(&row, 0)?;
            waiting.push(Waiting {
                event: event.into(),
                body: core.open(&events::payload_place(turn.tenant, event.as_bytes()), get(&row, 1)?).await?,
                attempts: unsigned(get(&row, 2)?, "delivery", "attempts")?,
                since: Timestamp::from_millis(get(&row, 3)?),
            });
        }
        Ok(waiting)
    }

    /// Decides and writes what becomes of an event that was tried, and keeps the turn for as long again. `None` if the
    /// turn was lost by then.
    ///
    /// # Errors
    /// The database fails; the event is told again.
    pub async fn settle(
        &self,
        turn: &mut Turn,
        waiting: &Waiting,
        attempt: Attempt,
    ) -> Result<Option<Settled>, StorageError> {
        let core = &self.0.core;
        let tx = tx::begin(core).await?;
        let at = now(&tx, &core.clock).await?;
        let attempts = waiting.attempts.saturating_add(1);
        let tried = Tried { attempt, attempts, since: waiting.since, now: at, chance: core.random.fraction() };
        let settled = settle(turn.course, &tried, turn.pace.first_retry);
        let kept = update_of_tenant::<webhook_turn::Entity>(turn.tenant)
            .filter(webhook_turn::Column::WebhookId.eq(turn.webhook.uuid()))
            .filter(webhook_turn::Column::Owner.eq(turn.owner))
            .set(webhook_turn::ActiveModel {
                failures: Set(i32::try_from(settled.course.failures).unwrap_or(i32::MAX)),
                failing_since: Set(settled.course.failing_since.map(Timestamp::millis)),
                paused_until: Set(settled.course.paused_until.millis()),
                lease_until: Set(at.plus(turn.pace.lease).millis()),
                ..Default::default()
            });
        let kept = kept.exec(&tx).await?.rows_affected > 0;
        if kept || settled.state == DeliveryState::Delivered {
            write(&tx, turn, waiting, &tried, &settled).await?;
        }
        tx.commit().await?;
        turn.course = settled.course;
        Ok(kept.then_some(settled))
    }

    /// Disables a webhook whose receiver says that it is there no more.
    ///
    /// # Errors
    /// The database fails.
    pub async fn is_gone(&self, turn: &Turn) -> Result<(), StorageError> {
        let core = &self.0.core;
        let tx = tx::begin(core).await?;
        let gone = webhook::ActiveModel { status: Set(WebhookStatus::Gone.as_str().to_owned()), ..Default::default() };
        update_of_tenant::<webhook::Entity>(turn.tenant)
            .filter(webhook::Column::Id.eq(turn.webhook.uuid()))
            .filter(webhook::Column::Status.eq(WebhookStatus::Enabled.as_str()))
            .set(gone)
            .exec(&tx)
            .await?;
        changes::record(&tx, ChangeKind::Webhook, turn.tenant, Some(turn.webhook.uuid()), core.clock.now()).await?;
        tx.commit().await?;
        core.news.notify_one();
        Ok(())
    }

    /// Gives the turn back.
    ///
    /// # Errors
    /// The database fails; the turn ends by itself.
    pub async fn give_back(&self, turn: &Turn) -> Result<(), StorageError> {
        self.leave(turn.tenant, turn.webhook, turn.owner).await
    }

    async fn leave(&self, tenant: TenantId, webhook: WebhookId, owner: Uuid) -> Result<(), StorageError> {
        let core = &self.0.core;
        let at = now(&core.writer, &core.clock).await?;
        update_of_tenant::<webhook_turn::Entity>(tenant)
            .filter(webhook_turn::Column::WebhookId.eq(webhook.uuid()))
            .filter(webhook_turn::Column::Owner.eq(owner))
            // Not zero: whoever had a turn comes after those who had none for longer.
            .set(webhook_turn::ActiveModel { owner: Set(None), lease_until: Set(at.millis()), ..Default::default() })
            .exec(&core.writer)
            .await?;
        Ok(())
    }

    /// How many deliveries of all tenants wait.
    ///
    /// # Errors
    /// The database fails.
    pub async fn waiting(&self) -> Result<u64, StorageError> {
        let text = "SELECT COUNT(*) FROM delivery WHERE due_at IS NOT NULL";
        let row = self.0.core.read(|db| {
            let count = statement(db.get_database_backend(), text, Vec::new());
            async move { db.query_one_raw(count).await }
        });
        let count: Option<i64> = row.await?.map(|row| get(&row, 0)).transpose()?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }
}

async fn write(
    tx: &DatabaseTransaction,
    turn: &Turn,
    waiting: &Waiting,
    tried: &Tried,
    settled: &Settled,
) -> Result<(), StorageError> {
    let (status, error) = match tried.attempt {
        Attempt::Answered(status) => (Some(i32::from(status)), None),
        Attempt::Unanswered(error) => (None, Some(error.as_str().to_owned())),
    };
    // One that was given up meanwhile, because its user was erased, stays so.
    update_of_tenant::<delivery::Entity>(turn.tenant)
        .filter(delivery::Column::WebhookId.eq(turn.webhook.uuid()))
        .filter(delivery::Column::EventId.eq(waiting.event.uuid()))
        .filter(delivery::Column::State.eq(DeliveryState::Waiting.as_str()))
        .set(delivery::ActiveModel {
            state: Set(settled.state.as_str().to_owned()),
            due_at: Set(settled.due_at.map(Timestamp::millis)),
            attempts: Set(i32::try_from(tried.attempts).unwrap_or(i32::MAX)),
            last_at: Set(Some(tried.now.millis())),
            last_status: Set(status),
            last_error: Set(error),
            ..Default::default()
        })
        .exec(tx)
        .await?;
    Ok(())
}

/// How the deliveries to a webhook go.
pub(crate) async fn course<C: ConnectionTrait>(
    db: &C,
    tenant: TenantId,
    webhook: WebhookId,
) -> Result<Option<Course>, StorageError> {
    let by_id = of_tenant::<webhook_turn::Entity>(tenant).filter(webhook_turn::Column::WebhookId.eq(webhook.uuid()));
    let row = by_id.one(db).await?;
    row.map(|row| {
        Ok(Course {
            failures: unsigned(row.failures, "webhook_turn", "failures")?,
            failing_since: row.failing_since.map(Timestamp::from_millis),
            paused_until: Timestamp::from_millis(row.paused_until),
        })
    })
    .transpose()
}
