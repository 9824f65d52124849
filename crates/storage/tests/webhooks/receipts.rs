//! What is remembered of deliveries, for how long, and whose it is.

use std::time::Duration;

use wxgate_domain::{Attempt, DeliveryState, Event, UserId};
use wxgate_storage::{Storage, StorageError};

use crate::logins::count;
use crate::support::{TestDatabase, tenant};
use crate::support_webhooks::{PACE, drain, try_next, turn, wanting, webhook};

async fn tell(storage: &Storage, tenant: wxgate_domain::TenantId) {
    let tx = storage.begin().await.unwrap();
    let user = UserId::from(uuid::Uuid::from_u128(7));
    tx.tenant(tenant).events().tell(&Event::PhoneBound { user }).await.unwrap();
    tx.commit().await.unwrap();
}

async fn replay(storage: &Storage, hook: &wxgate_domain::Webhook, event: Option<wxgate_domain::EventId>) -> u64 {
    let tx = storage.begin().await.unwrap();
    let replayed = tx.tenant(hook.tenant).receipts().replay(hook.id, event).await.unwrap();
    tx.commit().await.unwrap();
    replayed
}

pub(crate) async fn what_failed_for_a_day_is_given_up_and_told_again_on_demand(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let hook = webhook(&storage, acme.id, "all", &["*"]).await;
    tell(&storage, acme.id).await;
    let mut held = turn(&storage, &hook).await.unwrap();
    try_next(&storage, &mut held, Attempt::Answered(503)).await.unwrap();
    storage.deliveries().give_back(&held).await.unwrap();
    let receipts = storage.tenant(acme.id).receipts();
    let page = receipts.page(hook.id, Some(DeliveryState::Waiting), None, 10).await.unwrap();
    assert_eq!((page[0].attempts, page[0].last_status, page[0].last_error), (1, Some(503), None));
    assert!(page[0].due_at > page[0].last_at);
    assert_eq!(replay(&storage, &hook, None).await, 0, "nothing has failed for good");

    database.clock.advance(Duration::from_hours(24) + Duration::from_secs(1));
    storage.sweep().await.unwrap();
    let page = receipts.page(hook.id, None, None, 10).await.unwrap();
    assert_eq!((page.len(), page[0].state, page[0].due_at), (1, DeliveryState::Failed, None));
    assert_eq!(receipts.counts(hook.id).await.unwrap().failed, 1);
    assert!(receipts.page(hook.id, None, Some(page[0].event), 10).await.unwrap().is_empty());
    assert!(drain(&storage, &hook).await.is_empty());

    assert_eq!(replay(&storage, &hook, None).await, 1);
    assert_eq!(drain(&storage, &hook).await.len(), 1);
    let taken = receipts.page(hook.id, Some(DeliveryState::Delivered), None, 10).await.unwrap();
    assert_eq!((taken[0].event, taken[0].attempts, taken[0].last_status), (page[0].event, 1, Some(204)));
    // Also what was taken, under the same id.
    assert_eq!(replay(&storage, &hook, Some(page[0].event)).await, 1);
    assert_eq!(drain(&storage, &hook).await.len(), 1);
    storage.stop().await;
}

pub(crate) async fn after_a_week_nothing_is_remembered(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let hook = webhook(&storage, acme.id, "all", &["*"]).await;
    tell(&storage, acme.id).await;
    drain(&storage, &hook).await;
    database.clock.advance(Duration::from_hours(6 * 24));
    tell(&storage, acme.id).await;
    storage.sweep().await.unwrap();
    assert_eq!(count(&database, "outbox").await, 2);
    database.clock.advance(Duration::from_hours(24) + Duration::from_secs(1));
    storage.sweep().await.unwrap();
    assert_eq!((count(&database, "outbox").await, count(&database, "delivery").await), (1, 1));
    storage.stop().await;
}

pub(crate) async fn another_tenant_sees_and_moves_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let hook = webhook(&storage, acme.id, "all", &["*"]).await;
    let theirs = webhook(&storage, umbrella.id, "all", &["*"]).await;
    tell(&storage, acme.id).await;
    tell(&storage, umbrella.id).await;
    let event = storage.tenant(acme.id).receipts().page(hook.id, None, None, 10).await.unwrap()[0].event;

    let other = storage.tenant(umbrella.id);
    assert!(other.receipts().course(hook.id).await.unwrap().is_none());
    assert!(other.receipts().page(hook.id, None, None, 10).await.unwrap().is_empty());
    assert_eq!(other.receipts().counts(hook.id).await.unwrap().waiting, 0);
    let deliveries = storage.deliveries();
    assert!(deliveries.take(umbrella.id, hook.id, PACE).await.unwrap().is_none());
    let tx = storage.begin().await.unwrap();
    let other = tx.tenant(umbrella.id);
    let refused = [
        other.receipts().replay(hook.id, None).await.map(drop).unwrap_err(),
        other.webhooks().rotate(hook.id, Duration::ZERO, None).await.map(drop).unwrap_err(),
        other
            .webhooks()
            .change(hook.id, |_| Ok::<_, StorageError>(wanting("mine", &["*"])))
            .await
            .map(drop)
            .unwrap_err(),
        other.webhooks().remove(hook.id).await.unwrap_err(),
    ];
    assert_eq!(other.receipts().replay(theirs.id, Some(event)).await, Ok(0), "an event of another tenant");
    tx.commit().await.unwrap();
    assert!(refused.iter().all(|error| *error == StorageError::NotFound), "{refused:?}");
    assert_eq!(storage.webhooks().find(hook.id).await.unwrap(), Some(hook.clone()));
    assert_eq!(storage.webhooks().page(Some(umbrella.id), None, 10).await.unwrap(), [theirs]);

    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).webhooks().remove(hook.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&database, "delivery").await, 1, "its own stay");
    storage.stop().await;
}
