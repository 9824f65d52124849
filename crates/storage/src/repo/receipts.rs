//! Receipts: what became of each event at each webhook of a tenant, and telling it again.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryResult, QuerySelect, Set, Value};
use uuid::Uuid;
use wxgate_domain::delivery::{GIVE_UP, REMEMBERED};
use wxgate_domain::{AttemptError, Course, Delivery, DeliveryState, EventId, TenantId, Timestamp, WebhookId};

use super::deliveries;
use super::unsigned;
use crate::entity::{delivery, outbox, webhook};
use crate::error::StorageError;
use crate::scope::{of_tenant, update_of_tenant};
use crate::sql::{get, id, list, statement};
use crate::storage::{Core, Storage};
use crate::tx::Tx;

/// Events that are forgotten at once.
const PIECE: usize = 256;

/// How many deliveries are in a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// To be told.
    pub waiting: u64,
    /// Given up.
    pub failed: u64,
}

/// The receipts of one tenant's webhooks.
#[derive(Clone, Debug)]
pub struct TenantReceipts {
    storage: Storage,
    tenant: TenantId,
}

impl TenantReceipts {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// How the deliveries to a webhook go; `None` if the tenant has no such webhook.
    ///
    /// # Errors
    /// The database fails.
    pub async fn course(&self, webhook: WebhookId) -> Result<Option<Course>, StorageError> {
        let tenant = self.tenant;
        self.storage.core.read(|db| async move { deliveries::course(&db, tenant, webhook).await }).await
    }

    /// How many wait and how many failed.
    ///
    /// # Errors
    /// The database fails.
    pub async fn counts(&self, webhook: WebhookId) -> Result<DeliveryCounts, StorageError> {
        let text = "SELECT state, COUNT(*) FROM delivery WHERE tenant_id = ? AND webhook_id = ?
            AND state IN ('waiting', 'failed') GROUP BY state";
        let owner = vec![id(self.tenant.uuid()), id(webhook.uuid())];
        let rows = self.storage.core.read(|db| {
            let count = statement(db.get_database_backend(), text, owner.clone());
            async move { db.query_all_raw(count).await }
        });
        let mut counts = DeliveryCounts::default();
        for row in rows.await? {
            let count = u64::try_from(get::<i64>(&row, 1)?).unwrap_or(0);
            match DeliveryState::from_word(&get::<String>(&row, 0)?) {
                Some(DeliveryState::Waiting) => counts.waiting = count,
                Some(DeliveryState::Failed) => counts.failed = count,
                _ => {}
            }
        }
        Ok(counts)
    }

    /// The receipts of a webhook, those of one state or all, the newest event first: at most `limit` of them, of events
    /// before this one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn page(
        &self,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        before: Option<EventId>,
        limit: u64,
    ) -> Result<Vec<Delivery>, StorageError> {
        let mut values: Vec<Value> = vec![id(self.tenant.uuid()), id(webhook.uuid())];
        values.extend(state.map(|state| Value::from(state.as_str())));
        values.extend(before.map(|before| id(before.uuid())));
        let of_state = state.map_or("", |_| "AND d.state = ?");
        let earlier = before.map_or("", |_| "AND d.event_id < ?");
        let text = format!(
            "SELECT d.event_id, o.kind, o.at, d.state, d.attempts, d.last_at, d.last_status, d.last_error, d.due_at
            FROM delivery d JOIN outbox o ON o.tenant_id = d.tenant_id AND o.id = d.event_id
            WHERE d.tenant_id = ? AND d.webhook_id = ? {of_state} {earlier} ORDER BY d.event_id DESC LIMIT {limit}"
        );
        let rows = self.storage.core.read(|db| {
            let page = statement(db.get_database_backend(), &text, values.clone());
            async move { db.query_all_raw(page).await }
        });
        rows.await?.iter().map(of_row).collect()
    }
}

fn of_row(row: &QueryResult) -> Result<Delivery, StorageError> {
    let inconsistent = |column| StorageError::inconsistent("delivery", column);
    let status: Option<i32> = get(row, 6)?;
    let error: Option<String> = get(row, 7)?;
    Ok(Delivery {
        event: get::<Uuid>(row, 0)?.into(),
        kind: get::<String>(row, 1)?.parse().map_err(|_| StorageError::inconsistent("outbox", "kind"))?,
        at: Timestamp::from_millis(get(row, 2)?),
        state: DeliveryState::from_word(&get::<String>(row, 3)?).ok_or_else(|| inconsistent("state"))?,
        attempts: unsigned(get(row, 4)?, "delivery", "attempts")?,
        last_at: get::<Option<i64>>(row, 5)?.map(Timestamp::from_millis),
        last_status: status.map(|status| u16::try_from(status).map_err(|_| inconsistent("last_status"))).transpose()?,
        last_error: error.and_then(|word| AttemptError::from_word(&word)),
        due_at: get::<Option<i64>>(row, 8)?.map(Timestamp::from_millis),
    })
}

/// Has what one tenant's webhooks were told, or not, told again.
#[derive(Clone, Copy, Debug)]
pub struct TxReceipts<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxReceipts<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Has an event told again, whatever became of it; without one all that failed. They are tried for a day again, beginning
    /// at once. How many they are: none of those whose user was erased.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such webhook.
    pub async fn replay(&self, webhook: WebhookId, event: Option<EventId>) -> Result<u64, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let by_id = of_tenant::<webhook::Entity>(self.tenant).filter(webhook::Column::Id.eq(webhook.uuid()));
        by_id.lock_shared().one(tx).await?.ok_or(StorageError::NotFound)?;
        if let Some(event) = event {
            let known = of_tenant::<outbox::Entity>(self.tenant).filter(outbox::Column::Id.eq(event.uuid()));
            if known.filter(outbox::Column::Payload.is_not_null()).one(tx).await?.is_none() {
                return Ok(0);
            }
        }
        let now = core.clock.now().millis();
        let again = delivery::ActiveModel {
            state: Set(DeliveryState::Waiting.as_str().to_owned()),
            since: Set(now),
            due_at: Set(Some(now)),
            attempts: Set(0),
            ..Default::default()
        };
        let mut update = update_of_tenant::<delivery::Entity>(self.tenant)
            .filter(delivery::Column::WebhookId.eq(webhook.uuid()))
            .set(again);
        update = match event {
            Some(event) => update
                .filter(delivery::Column::EventId.eq(event.uuid()))
                .filter(delivery::Column::State.ne(DeliveryState::Erased.as_str())),
            None => update.filter(delivery::Column::State.eq(DeliveryState::Failed.as_str())),
        };
        let replayed = update.exec(tx).await?.rows_affected;
        self.tx.has_told();
        Ok(replayed)
    }
}

/// Gives up what has waited for a day, also at webhooks that are disabled, and forgets events of more than a week ago.
pub(crate) async fn sweep(core: &Core, now: Timestamp, limit: u64) -> Result<(), StorageError> {
    let given_up = delivery::ActiveModel {
        state: Set(DeliveryState::Failed.as_str().to_owned()),
        due_at: Set(None),
        ..Default::default()
    };
    #[expect(clippy::disallowed_methods, reason = "swept for all tenants")]
    let waiting = delivery::Entity::update_many().filter(delivery::Column::DueAt.is_not_null());
    let overdue = waiting.filter(delivery::Column::Since.lt(now.minus(GIVE_UP).millis()));
    overdue.set(given_up).exec(&core.writer).await?;
    while forget(core, now.minus(REMEMBERED), limit).await? as u64 == limit {}
    Ok(())
}

/// Forgets the oldest events from before `cutoff`, at most `limit` of them; how many. One that is told again stays.
async fn forget(core: &Core, cutoff: Timestamp, limit: u64) -> Result<usize, StorageError> {
    let text = format!(
        "SELECT id FROM outbox WHERE id < ? AND NOT EXISTS
        (SELECT 1 FROM delivery d WHERE d.tenant_id = outbox.tenant_id AND d.event_id = outbox.id AND d.due_at IS NOT NULL)
        ORDER BY id LIMIT {limit}"
    );
    let first = uuid::Builder::from_unix_timestamp_millis(u64::try_from(cutoff.millis()).unwrap_or(0), &[0; 10]);
    let first = first.into_uuid();
    let rows = core.read(|db| {
        let old = statement(db.get_database_backend(), &text, vec![id(first)]);
        async move { db.query_all_raw(old).await }
    });
    let ids = rows.await?.iter().map(|row| get::<Uuid>(row, 0)).collect::<Result<Vec<_>, _>>()?;
    let backend = core.writer.get_database_backend();
    for ids in ids.chunks(PIECE) {
        for (table, column) in [("delivery", "event_id"), ("outbox", "id")] {
            let delete = format!("DELETE FROM {table} WHERE {column} IN ({})", list("?", ids.len()));
            let values = ids.iter().copied().map(id).collect();
            core.writer.execute_raw(statement(backend, &delete, values)).await?;
        }
    }
    Ok(ids.len())
}
