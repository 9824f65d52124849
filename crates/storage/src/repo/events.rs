//! The outbox: what a tenant's services are told of, written in the transaction in which it happens.
//!
//! Each event is written once, with one delivery for each webhook that wants its kind at that moment. Where no webhook
//! wants it nothing is written.

use std::sync::{Mutex, PoisonError};

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect, Set};
use uuid::Uuid;
use wxgate_crypto::{MacKey, Place, Random};
use wxgate_domain::{AppId, DeliveryState, Event, EventId, OpenId, TenantId, Timestamp, UserId};

use super::webhooks;
use crate::entity::{delivery, outbox};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::scope::{of_tenant, update_of_tenant};
use crate::sql::LARGEST;
use crate::storage::Core;
use crate::tx::Tx;

/// Tells one tenant's services.
#[derive(Clone, Copy, Debug)]
pub struct TxEvents<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxEvents<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Tells of an event, if the tenant has an enabled webhook that wants its kind. It is told once the transaction is
    /// committed, and not at all if it never is. After the rows that it is about, before the feed of what ended.
    ///
    /// # Errors
    /// The database fails.
    pub async fn tell(&self, event: &Event) -> Result<(), StorageError> {
        self.tell_all(std::slice::from_ref(event)).await
    }

    /// The same for several events, in their order.
    ///
    /// # Errors
    /// The database fails.
    pub async fn tell_all(&self, events: &[Event]) -> Result<(), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        if events.is_empty() || webhooks::listening(tx, self.tenant).await?.is_empty() {
            return Ok(());
        }
        let keys = TenantKeys::load(tx, &core.master_keys, self.tenant).await?;
        if tell(tx, core, &keys, self.tenant, events).await? {
            self.tx.has_told();
        }
        Ok(())
    }
}

impl TxEvents<'_> {
    /// Forgets what events say of a person of this name who is no user, and gives up telling of them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget(&self, app: AppId, openid: &OpenId) -> Result<(), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let keys = TenantKeys::load(tx, &core.master_keys, self.tenant).await?;
        forget_subjects(tx, &keys, self.tenant, &[(app, openid)]).await
    }
}

/// Writes what is to be told, for code that has no [`Tx`]; whether there was anybody to tell. Whoever commits then wakes
/// the deliveries: `core.told.notify_one()`.
pub(crate) async fn tell(
    tx: &DatabaseTransaction,
    core: &Core,
    keys: &TenantKeys,
    tenant: TenantId,
    events: &[Event],
) -> Result<bool, StorageError> {
    let listening = webhooks::listening(tx, tenant).await?;
    let now = core.clock.now();
    let mut rows = Vec::new();
    let mut deliveries = Vec::new();
    for event in events {
        let wanted_by: Vec<_> = listening.iter().filter(|(_, kinds)| kinds.contain(event.kind())).collect();
        if wanted_by.is_empty() {
            continue;
        }
        let id = core.event_ids.next(now, &core.random);
        rows.push(row(event, id, (tenant, keys), now, &core.random));
        deliveries.extend(wanted_by.into_iter().map(|(webhook, _)| delivery::ActiveModel {
            webhook_id: Set(webhook.uuid()),
            event_id: Set(id.uuid()),
            tenant_id: Set(tenant.uuid()),
            state: Set(DeliveryState::Waiting.as_str().to_owned()),
            since: Set(now.millis()),
            due_at: Set(Some(now.millis())),
            attempts: Set(0),
            last_at: Set(None),
            last_status: Set(None),
            last_error: Set(None),
        }));
    }
    let told = !rows.is_empty();
    for rows in pieces(rows) {
        outbox::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    for deliveries in pieces(deliveries) {
        delivery::Entity::insert_many(deliveries).exec_without_returning(tx).await?;
    }
    Ok(told)
}

fn row(
    event: &Event,
    id: EventId,
    (tenant, keys): (TenantId, &TenantKeys),
    now: Timestamp,
    random: &Random,
) -> outbox::ActiveModel {
    let uuid = id.uuid();
    let sealed = keys.seal.seal(&payload_place(tenant, uuid.as_bytes()), event.body(now).as_bytes(), random);
    let [user, other] = event.about().map(|user| user.map(UserId::uuid));
    let subject = event.subject().zip(keys.digests.first());
    outbox::ActiveModel {
        id: Set(uuid),
        tenant_id: Set(tenant.uuid()),
        kind: Set(event.kind().as_str().to_owned()),
        user_id: Set(user),
        other_user_id: Set(other),
        subject: Set(subject.map(|(named, (_, key))| subject_digest(key, named))),
        subject_key: Set(subject.map(|(_, (number, _))| number.cast_signed())),
        payload: Set(Some(sealed.into_bytes())),
        at: Set(now.millis()),
    }
}

/// By what a person of this name is found, without saying who it is.
fn subject_digest(key: &MacKey, (app, openid): (AppId, &OpenId)) -> Vec<u8> {
    key.digest("subject of an event", &[app.uuid().as_bytes(), openid.as_str().as_bytes()]).as_bytes().to_vec()
}

/// Where the payload of an event is sealed.
pub(crate) fn payload_place(tenant: TenantId, event: &[u8]) -> Place<'_> {
    Place { tenant: tenant.uuid(), table: "outbox", column: "payload", row: event }
}

/// At most so many rows at once: engines bound the values of one statement.
fn pieces<T>(rows: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rows = rows.into_iter().peekable();
    std::iter::from_fn(move || {
        rows.peek()?;
        Some(rows.by_ref().take(LARGEST).collect())
    })
}

/// Forgets what events say of a user who is erased, and gives up telling of them.
pub(crate) async fn forget_user(tx: &DatabaseTransaction, tenant: TenantId, user: UserId) -> Result<(), StorageError> {
    let about =
        Condition::any().add(outbox::Column::UserId.eq(user.uuid())).add(outbox::Column::OtherUserId.eq(user.uuid()));
    forget(tx, tenant, about).await
}

/// The same of people by the names that WeChat has for them, whichever key digested these.
pub(crate) async fn forget_subjects(
    tx: &DatabaseTransaction,
    keys: &TenantKeys,
    tenant: TenantId,
    named: &[(AppId, &OpenId)],
) -> Result<(), StorageError> {
    let digests: Vec<_> =
        keys.digests.iter().flat_map(|(_, key)| named.iter().map(|named| subject_digest(key, *named))).collect();
    for digests in digests.chunks(LARGEST) {
        let about = Condition::all().add(outbox::Column::Subject.is_in(digests.iter().cloned()));
        forget(tx, tenant, about).await?;
    }
    Ok(())
}

async fn forget(tx: &DatabaseTransaction, tenant: TenantId, about: Condition) -> Result<(), StorageError> {
    let ids = of_tenant::<outbox::Entity>(tenant).select_only().column(outbox::Column::Id).filter(about);
    let ids: Vec<Uuid> = ids.into_tuple().all(tx).await?;
    for ids in ids.chunks(LARGEST) {
        update_of_tenant::<delivery::Entity>(tenant)
            .filter(delivery::Column::EventId.is_in(ids.iter().copied()))
            .filter(delivery::Column::State.ne(DeliveryState::Delivered.as_str()))
            .col_expr(delivery::Column::State, Expr::value(DeliveryState::Erased.as_str()))
            .col_expr(delivery::Column::DueAt, Expr::value(Option::<i64>::None))
            .exec(tx)
            .await?;
        update_of_tenant::<outbox::Entity>(tenant)
            .filter(outbox::Column::Id.is_in(ids.iter().copied()))
            .col_expr(outbox::Column::Payload, Expr::value(Option::<Vec<u8>>::None))
            .exec(tx)
            .await?;
    }
    Ok(())
}

/// Ids of events that ascend in the order in which this process makes them, also within one millisecond.
#[derive(Default)]
pub(crate) struct EventIds(Mutex<Uuid>);

impl EventIds {
    fn next(&self, now: Timestamp, random: &Random) -> EventId {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let after_last = Uuid::from_u128(last.as_u128().saturating_add(1));
        *last = random.uuid_v7(now.millis()).max(after_last);
        (*last).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_millisecond_and_of_a_clock_that_runs_back_keep_their_order() {
        let (ids, random) = (EventIds::default(), Random::seeded(7));
        let made: Vec<_> = [5, 5, 5, 4, 5, 6].map(|at| ids.next(Timestamp::from_millis(at), &random)).into();
        assert!(made.is_sorted() && made.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
