//! Service clients, forward-auth policies, and what is stored of a secret.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use wxgate_domain::{ClientSecret, SecretDigests, ServiceClient, ServiceClientPolicy};
use wxgate_storage::{NewForwardAuthPolicy, Storage, StorageError};

use crate::support::{TestDatabase, audience, service_client, tenant};

/// What stands in the database of the tenant's only client.
async fn only(storage: &Storage, client: &ServiceClient) -> (ServiceClient, SecretDigests) {
    let mut found = storage.tenant(client.tenant).service_clients().with_secrets().await.unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

pub(crate) async fn a_client_reads_back_with_its_digest_and_without_its_secret(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    audience(&storage, &acme, "orders").await;
    audience(&storage, &acme, "billing").await;
    let policy = ServiceClientPolicy {
        audiences: vec!["orders".parse().unwrap()],
        exchange_to: vec!["billing".parse().unwrap()],
        scopes: vec!["orders:read".parse().unwrap()],
        addresses: vec!["10.0.0.0/8".parse().unwrap()],
        introspect: true,
        feed: true,
        ..ServiceClientPolicy::default()
    };
    let tx = storage.begin().await.unwrap();
    let (orders, secret) = tx.tenant(acme.id).service_clients().add("Orders", policy.clone()).await.unwrap();
    let shop = NewForwardAuthPolicy {
        name: "shop".parse().unwrap(),
        audience: "orders".parse().unwrap(),
        scopes: vec!["user".parse().unwrap()],
    };
    let shop = tx.tenant(acme.id).forward_auth_policies().add(shop).await.unwrap();
    tx.commit().await.unwrap();

    let (read, digests) = only(&storage, &orders).await;
    assert_eq!((&read, &read.policy), (&orders, &policy));
    assert_eq!(storage.tenant(acme.id).service_clients().list().await.unwrap(), std::slice::from_ref(&orders));
    assert_eq!(storage.service_clients().find(&orders.id).await.unwrap(), Some(orders.clone()));
    assert!(digests.accept(&secret.digest(), database.clock.now()));
    assert!(!digests.accept(&ClientSecret::digest_of(orders.id.as_str()), database.clock.now()));
    let found = storage.forward_auth_policies().find(&shop.name).await.unwrap().unwrap();
    assert_eq!((&found.policy, &found.tenant.slug), (&shop, &acme.slug));
    let all = storage.forward_auth_policies().list(10).await.unwrap();
    assert_eq!(all.iter().map(|one| (&one.policy, &one.tenant.slug)).collect::<Vec<_>>(), [(&shop, &acme.slug)]);
    assert!(storage.forward_auth_policies().list(0).await.unwrap().is_empty());
    assert_eq!(storage.tenant(acme.id).forward_auth_policies().list().await.unwrap(), std::slice::from_ref(&shop));

    // A name of a client is the tenant's, that of a policy everybody's.
    let umbrella = tenant(&storage, "umbrella").await;
    audience(&storage, &umbrella, "theirs").await;
    service_client(&storage, &umbrella, "Orders").await;
    let tx = storage.begin().await.unwrap();
    let again = tx.tenant(acme.id).service_clients().add("Orders", ServiceClientPolicy::default()).await.unwrap_err();
    let constraint = "uq_service_client_tenant_id_name".to_owned();
    assert_eq!(again, StorageError::NotUnique { constraint });
    drop(tx);
    let tx = storage.begin().await.unwrap();
    let theirs = NewForwardAuthPolicy { name: shop.name, audience: "theirs".parse().unwrap(), scopes: vec![] };
    let again = tx.tenant(umbrella.id).forward_auth_policies().add(theirs).await.unwrap_err();
    assert!(matches!(again, StorageError::NotUnique { .. }), "{again}");
    drop(tx);
    storage.stop().await;
}

pub(crate) async fn a_secret_that_was_rotated_counts_for_a_day(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let (client, first) = service_client(&storage, &acme, "Orders").await;
    let rotate = async |overlap: Duration| {
        let tx = storage.begin().await.unwrap();
        let rotated = tx.tenant(acme.id).service_clients().rotate(&client.id, overlap).await.unwrap();
        tx.commit().await.unwrap();
        rotated
    };
    let day = Duration::from_hours(24);
    let (told, second) = rotate(day).await;
    assert_eq!(told.previous_until, Some(database.clock.now().plus(day)));
    let (read, digests) = only(&storage, &client).await;
    assert_eq!(read, told);
    let accepted =
        |digests: &SecretDigests, secret: &ClientSecret| digests.accept(&secret.digest(), database.clock.now());
    assert!(accepted(&digests, &first) && accepted(&digests, &second));
    database.clock.advance(day);
    assert!(!accepted(&digests, &first) && accepted(&digests, &second));

    // The one before the one before is lost, and no overlap lasts longer than a week.
    let (told, third) = rotate(Duration::from_hours(24 * 365)).await;
    assert_eq!(told.previous_until, Some(database.clock.now().plus(day * 7)));
    let (_, digests) = only(&storage, &client).await;
    assert!(!accepted(&digests, &first) && accepted(&digests, &second) && accepted(&digests, &third));
    // Without an overlap a stolen secret ends at once.
    rotate(Duration::ZERO).await;
    assert!(!accepted(&only(&storage, &client).await.1, &third));

    let raw = database.raw().await;
    let query = sea_orm::sea_query::Query::select().column("secret_digest").from("service_client").to_owned();
    let rows = raw.query_all(&query);
    let digest: Vec<u8> = rows.await.unwrap()[0].try_get("", "secret_digest").unwrap();
    assert_eq!(digest.len(), 32);
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn a_client_that_was_removed_is_gone(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let (client, _) = service_client(&storage, &acme, "Orders").await;
    let mut changes = storage.changes();
    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).service_clients().remove(&client.id).await.unwrap();
    tx.commit().await.unwrap();
    let change = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let change = changes.recv().await.unwrap();
            if change.kind == wxgate_storage::ChangeKind::ServiceClient && change.seq == 3 {
                return change;
            }
        }
    });
    assert_eq!(change.await.unwrap().tenant, Some(acme.id));
    assert!(storage.tenant(acme.id).service_clients().list().await.unwrap().is_empty());
    assert_eq!(storage.service_clients().find(&client.id).await.unwrap(), None);
    let tx = storage.begin().await.unwrap();
    let gone = tx.tenant(acme.id).service_clients();
    assert_eq!(gone.remove(&client.id).await.unwrap_err(), StorageError::NotFound);
    assert_eq!(gone.rotate(&client.id, Duration::ZERO).await.unwrap_err(), StorageError::NotFound);
    // Its name is free again.
    gone.add("Orders", ServiceClientPolicy::default()).await.unwrap();
    tx.commit().await.unwrap();
    storage.stop().await;
}
