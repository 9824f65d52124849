//! How a tenant's signing keys change: by steps, under lock, for everybody.

use std::time::Duration;

use wxgate_domain::{RingKey, SigningKeyState, TenantId, key_rotation};
use wxgate_storage::{ChangeKind, Storage, StorageError, TenantRing};

use crate::support::{TestDatabase, signing_key, tenant};

const DAY: Duration = Duration::from_hours(24);

async fn ring(storage: &Storage, tenant: TenantId) -> TenantRing {
    let tx = storage.begin().await.unwrap();
    tx.tenant(tenant).signing_keys().ring().await.unwrap()
}

fn of(keys: &[RingKey], state: SigningKeyState) -> Vec<RingKey> {
    keys.iter().filter(|key| key.state == state).cloned().collect()
}

/// One node's part of a rotation: decides under the lock, and does what is due. Returns how many steps it took.
async fn keep(database: &TestDatabase, storage: &Storage, tenant: TenantId) -> usize {
    use wxgate_domain::KeyStep::{Forget, Promote, Publish};
    let tx = storage.begin().await.unwrap();
    let keys = tx.tenant(tenant).signing_keys();
    let ring = keys.ring().await.unwrap();
    let steps = key_rotation::due(&ring.keys, &ring.policy, database.clock.now());
    for step in &steps {
        match step {
            Publish(_) => keys.publish(signing_key(&database.random)).await.unwrap(),
            Promote(kid) => keys.promote(kid).await.unwrap(),
            Forget(kid) => keys.forget(kid).await.unwrap(),
        }
    }
    tx.commit().await.unwrap();
    steps.len()
}

pub(crate) async fn a_key_goes_through_its_states(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let before = ring(&storage, acme.id).await;
    let (first, second) = (&of(&before.keys, SigningKeyState::Active)[0], &of(&before.keys, SigningKeyState::Next)[0]);
    let made = signing_key(&database.random);

    database.clock.advance(90 * DAY);
    let promoted_at = database.clock.now();
    let mut changes = storage.changes();
    let tx = storage.begin().await.unwrap();
    let keys = tx.tenant(acme.id).signing_keys();
    keys.promote(&second.kid).await.unwrap();
    keys.publish(made.clone()).await.unwrap();
    tx.commit().await.unwrap();
    let heard = async { while changes.recv().await.unwrap().kind != ChangeKind::SigningKey {} };
    tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap();

    let keys = ring(&storage, acme.id).await.keys;
    let signs = RingKey { state: SigningKeyState::Active, activated_at: Some(promoted_at), ..second.clone() };
    let retires = RingKey { state: SigningKeyState::Retiring, retired_at: Some(promoted_at), ..first.clone() };
    assert_eq!(of(&keys, SigningKeyState::Active), [signs]);
    assert_eq!(of(&keys, SigningKeyState::Retiring), [retires]);
    let next = &of(&keys, SigningKeyState::Next)[0];
    assert_eq!((&next.kid, next.published_at), (&made.kid, promoted_at), "published when it was written");
    let stored = storage.tenant(acme.id).signing_keys().await.unwrap();
    let stored = stored.iter().find(|key| key.kid == made.kid).unwrap();
    assert_eq!(stored.private.expose(), made.private.expose());

    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).signing_keys().forget(&first.kid).await.unwrap();
    tx.commit().await.unwrap();
    let keys = ring(&storage, acme.id).await.keys;
    assert!(keys.len() == 2 && keys.iter().all(|key| key.kid != first.kid), "{keys:?}");
    storage.stop().await;
}

pub(crate) async fn nodes_that_keep_a_ring_at_once_do_it_once(database: TestDatabase) {
    let nodes = [database.started().await, database.started().await];
    let acme = tenant(&nodes[0], "acme").await;
    let tenants = [acme.id, tenant(&nodes[0], "umbrella").await.id];
    for days in [90, 2, 88] {
        database.clock.advance(days * DAY);
        let work = (0..8).map(|turn| keep(&database, &nodes[turn % 2], tenants[turn / 4]));
        let steps: usize = futures_util::future::join_all(work).await.into_iter().sum();
        // Promote and publish, or forget; for each tenant once, whoever came first.
        assert_eq!(steps, if days == 2 { 2 } else { 4 }, "after {days} days");
        for id in tenants {
            let keys = ring(&nodes[1], id).await.keys;
            assert_eq!(of(&keys, SigningKeyState::Active).len(), 1, "{keys:?}");
            assert_eq!(of(&keys, SigningKeyState::Next).len(), 1, "{keys:?}");
            assert_eq!(of(&keys, SigningKeyState::Retiring).len(), usize::from(days != 2), "{keys:?}");
        }
    }
    for node in nodes {
        node.stop().await;
    }
}

pub(crate) async fn a_step_that_does_not_fit_changes_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let before = ring(&storage, acme.id).await.keys;
    let active = &of(&before, SigningKeyState::Active)[0].kid;
    let next = &of(&before, SigningKeyState::Next)[0].kid;
    let stranger = signing_key(&database.random).kid;

    let tx = storage.begin().await.unwrap();
    assert_eq!(tx.tenant(acme.id).signing_keys().promote(active).await.unwrap_err(), StorageError::NotFound);
    drop(tx);
    // Another tenant's keys are nobody's.
    for kid in [next, &stranger] {
        let tx = storage.begin().await.unwrap();
        let keys = tx.tenant(umbrella.id).signing_keys();
        assert_eq!(keys.promote(kid).await.unwrap_err(), StorageError::NotFound);
        assert_eq!(keys.forget(kid).await.unwrap_err(), StorageError::NotFound);
        drop(tx);
    }
    let tx = storage.begin().await.unwrap();
    let nobody = TenantId::new(database.clock.now(), &database.random);
    assert_eq!(tx.tenant(nobody).signing_keys().ring().await.unwrap_err(), StorageError::NotFound);
    drop(tx);
    assert_eq!(ring(&storage, acme.id).await.keys, before);
    storage.stop().await;
}

pub(crate) async fn all_rings_are_read_in_pages(database: TestDatabase) {
    let storage = database.started().await;
    assert!(storage.signing_keys().rings(None).await.unwrap().rings.is_empty());
    let mut expected = Vec::new();
    for slug in ["acme", "umbrella", "initech"] {
        expected.push(tenant(&storage, slug).await.id);
    }
    expected.sort_by_key(|id| id.uuid());
    let kid = ring(&storage, expected[1]).await.keys[0].kid.clone();
    let tx = storage.begin().await.unwrap();
    for key in ring_in(&tx, expected[1]).await {
        tx.tenant(expected[1]).signing_keys().forget(&key.kid).await.unwrap();
    }
    tx.commit().await.unwrap();

    let rings = storage.signing_keys().rings(None).await.unwrap().rings;
    assert_eq!(rings.iter().map(|ring| ring.tenant).collect::<Vec<_>>(), expected);
    assert_eq!(rings.iter().map(|ring| ring.keys.len()).collect::<Vec<_>>(), [2, 0, 2]);
    assert!(rings.iter().flat_map(|ring| &ring.keys).all(|key| key.kid != kid));
    assert_eq!(rings[0].keys, ring(&storage, expected[0]).await.keys);
    let rest = storage.signing_keys().rings(Some(expected[0])).await.unwrap().rings;
    assert_eq!(rest.iter().map(|ring| ring.tenant).collect::<Vec<_>>(), expected[1..]);
    assert!(storage.signing_keys().rings(Some(expected[2])).await.unwrap().last.is_none());
    storage.stop().await;
}

pub(crate) async fn a_policy_that_makes_no_sense_stops_no_other_tenant(database: TestDatabase) {
    let storage = database.started().await;
    let mut tenants = Vec::new();
    for slug in ["acme", "umbrella", "initech"] {
        tenants.push(tenant(&storage, slug).await.id);
    }
    tenants.sort_by_key(|id| id.uuid());
    let raw = database.raw().await;
    let spoil = sea_orm::sea_query::Query::update()
        .table("tenant")
        .value("policy", r#"{"version":99}"#)
        .and_where(sea_orm::sea_query::ExprTrait::eq(sea_orm::sea_query::Expr::col("id"), tenants[1].uuid()))
        .to_owned();
    sea_orm::ConnectionTrait::execute(&raw, &spoil).await.unwrap();
    raw.close().await.unwrap();
    let page = storage.signing_keys().rings(None).await.unwrap();
    assert_eq!(page.rings.iter().map(|ring| ring.tenant).collect::<Vec<_>>(), [tenants[0], tenants[2]]);
    assert!(page.rings.iter().all(|ring| ring.keys.len() == 2));
    assert_eq!((page.unreadable, page.last), (vec![tenants[1]], Some(tenants[2])));
    storage.stop().await;
}

async fn ring_in(tx: &wxgate_storage::Tx, tenant: TenantId) -> Vec<RingKey> {
    tx.tenant(tenant).signing_keys().ring().await.unwrap().keys
}
