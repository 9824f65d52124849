//! Who tells what, when, and in which order.

use std::time::Duration;

use wxgate_domain::{Attempt, AttemptError, DeliveryState, Event, UserId, WebhookStatus};
use wxgate_storage::{NewWebhook, Storage, StorageError};

use crate::support::{TestDatabase, tenant};
use crate::support_webhooks::{drain, try_next, turn, wanting, webhook};

const DOWN: Attempt = Attempt::Unanswered(AttemptError::Unreachable);
const TAKEN: Attempt = Attempt::Answered(200);

/// Tells of the phone numbers of users by number, a second apart.
async fn tell(
    database: &TestDatabase,
    storage: &Storage,
    tenant: wxgate_domain::TenantId,
    users: std::ops::Range<u128>,
) {
    for user in users {
        let tx = storage.begin().await.unwrap();
        let user = UserId::from(uuid::Uuid::from_u128(user));
        tx.tenant(tenant).events().tell(&Event::PhoneBound { user }).await.unwrap();
        tx.commit().await.unwrap();
        database.clock.advance(Duration::from_secs(1));
    }
}

fn number(event: &serde_json::Value) -> u128 {
    event["data"]["user_id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap().as_u128()
}

pub(crate) async fn one_node_at_a_time_has_the_turn_and_a_dead_one_loses_it(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let hook = webhook(&storage, acme.id, "all", &["*"]).await;
    assert!(storage.deliveries().due(10).await.unwrap().is_empty());
    tell(&database, &storage, acme.id, 1..3).await;
    assert_eq!(storage.deliveries().due(10).await.unwrap(), [(acme.id, hook.id)]);

    let mut first = turn(&storage, &hook).await.unwrap();
    assert!(turn(&storage, &hook).await.is_none());
    assert!(storage.deliveries().due(10).await.unwrap().is_empty());
    database.clock.advance(Duration::from_secs(31));
    let mut second = turn(&storage, &hook).await.unwrap();
    // The first was not dead but slow: what the receiver took counts, and it goes no further.
    let waiting = storage.deliveries().next(&first, 1).await.unwrap();
    assert!(storage.deliveries().settle(&mut first, &waiting[0], TAKEN).await.unwrap().is_none());
    assert_eq!(number(&try_next(&storage, &mut second, TAKEN).await.unwrap()), 2);
    storage.deliveries().give_back(&first).await.unwrap();
    assert!(turn(&storage, &hook).await.is_none(), "nobody gives back the turn of another");
    storage.deliveries().give_back(&second).await.unwrap();
    assert!(turn(&storage, &hook).await.is_some());
    storage.stop().await;
}

pub(crate) async fn a_receiver_that_fails_for_an_hour_gets_everything_in_order(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let hook = webhook(&storage, acme.id, "all", &["*"]).await;
    tell(&database, &storage, acme.id, 1..31).await;
    let start = database.clock.now();
    let mut attempts = 0;
    while database.clock.now().since(start) < Duration::from_hours(1) {
        if let Some(mut turn) = turn(&storage, &hook).await {
            assert!(try_next(&storage, &mut turn, DOWN).await.is_some());
            storage.deliveries().give_back(&turn).await.unwrap();
            attempts += 1;
        }
        database.clock.advance(Duration::from_secs(5));
    }
    assert!((50..100).contains(&attempts), "about once a minute: {attempts}");
    tell(&database, &storage, acme.id, 31..41).await;

    let mut told = Vec::new();
    for _ in 0..30 {
        told.extend(drain(&storage, &hook).await.iter().map(number));
        database.clock.advance(Duration::from_secs(5));
    }
    // The one by which it was seen that the receiver is back may have come first.
    let [first, rest @ ..] = &told[..] else { panic!("{told:?}") };
    assert!(rest.is_sorted() || told.is_sorted(), "{told:?}");
    let mut all = told.clone();
    all.sort_unstable();
    assert_eq!(all, (1..41).collect::<Vec<_>>(), "each once; {first} came first");
    let course = storage.tenant(acme.id).receipts().course(hook.id).await.unwrap().unwrap();
    assert_eq!((course.failures, course.failing_since), (0, None));

    // An operator has the oldest told once more, under the id that it had.
    let receipts = storage.tenant(acme.id).receipts().page(hook.id, None, None, 100).await.unwrap();
    let oldest = receipts.last().unwrap().event;
    assert!(receipts.len() == 40 && receipts.iter().all(|receipt| receipt.state == DeliveryState::Delivered));
    let tx = storage.begin().await.unwrap();
    assert_eq!(tx.tenant(acme.id).receipts().replay(hook.id, Some(oldest)).await.unwrap(), 1);
    tx.commit().await.unwrap();
    let again = turn(&storage, &hook).await.unwrap();
    let waiting = storage.deliveries().next(&again, 10).await.unwrap();
    assert_eq!(waiting.iter().map(|waiting| waiting.event).collect::<Vec<_>>(), [oldest]);
    storage.stop().await;
}

pub(crate) async fn an_event_that_is_refused_holds_up_no_other(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let hook = webhook(&storage, acme.id, "all", &["*"]).await;
    tell(&database, &storage, acme.id, 1..6).await;
    // The receiver fails whenever it is told of the first two.
    let mut told = Vec::new();
    for _ in 0..20 {
        if let Some(mut turn) = turn(&storage, &hook).await {
            let next = storage.deliveries().next(&turn, 1).await.unwrap();
            if let Some(waiting) = next.first() {
                let event = number(&serde_json::from_slice(waiting.body.expose()).unwrap());
                let answer = if event <= 2 { Attempt::Answered(500) } else { TAKEN };
                storage.deliveries().settle(&mut turn, waiting, answer).await.unwrap();
                told.extend((answer == TAKEN).then_some(event));
            }
            storage.deliveries().give_back(&turn).await.unwrap();
        }
        database.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(told, [3, 4, 5]);
    let counts = storage.tenant(acme.id).receipts().counts(hook.id).await.unwrap();
    assert_eq!((counts.waiting, counts.failed), (2, 0));
    storage.stop().await;
}

pub(crate) async fn while_secrets_rotate_there_are_two(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let tx = storage.begin().await.unwrap();
    let (hook, first) = tx.tenant(acme.id).webhooks().add(wanting("all", &["*"]), None).await.unwrap();
    tx.commit().await.unwrap();
    let tx = storage.begin().await.unwrap();
    let (_, second) = tx.tenant(acme.id).webhooks().rotate(hook.id, Duration::from_hours(1), None).await.unwrap();
    tx.commit().await.unwrap();

    let texts = |turn: &wxgate_storage::Turn| -> Vec<String> {
        turn.secrets.iter().map(|secret| secret.to_text().expose().clone()).collect()
    };
    let during = turn(&storage, &hook).await.unwrap();
    assert_eq!(texts(&during), [second.to_text().expose().clone(), first.to_text().expose().clone()]);
    storage.deliveries().give_back(&during).await.unwrap();
    database.clock.advance(Duration::from_hours(1));
    let after = turn(&storage, &hook).await.unwrap();
    assert_eq!(texts(&after), [second.to_text().expose().clone()]);
    storage.stop().await;
}

pub(crate) async fn whoever_is_gone_is_told_nothing_until_enabled_again(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let hook = webhook(&storage, acme.id, "all", &["*"]).await;
    tell(&database, &storage, acme.id, 1..2).await;
    let mut held = turn(&storage, &hook).await.unwrap();
    try_next(&storage, &mut held, Attempt::Answered(410)).await.unwrap();
    storage.deliveries().is_gone(&held).await.unwrap();
    storage.deliveries().give_back(&held).await.unwrap();
    assert_eq!(storage.webhooks().find(hook.id).await.unwrap().unwrap().status, WebhookStatus::Gone);
    assert!(storage.deliveries().due(10).await.unwrap().is_empty());
    assert!(turn(&storage, &hook).await.is_none());
    tell(&database, &storage, acme.id, 2..3).await;

    let tx = storage.begin().await.unwrap();
    let enabled = |known: wxgate_domain::Webhook| {
        let wxgate_domain::Webhook { name, url, events, .. } = known;
        Ok::<_, StorageError>(NewWebhook { name, url, events, status: WebhookStatus::Enabled })
    };
    tx.tenant(acme.id).webhooks().change(hook.id, enabled).await.unwrap();
    tx.commit().await.unwrap();
    let told: Vec<_> = drain(&storage, &hook).await.iter().map(number).collect();
    assert_eq!(told, [1], "what happened meanwhile it never hears of");
    storage.stop().await;
}
