//! Audiences, and who may name them.

use wxgate_domain::{Audience, ServiceClientPolicy, Tenant};
use wxgate_storage::{AppChange, NewApp, NewForwardAuthPolicy, Storage, StorageError};

use crate::support::{TestDatabase, app, audience, new_app, tenant};

fn name(text: &str) -> Audience {
    text.parse().unwrap()
}

async fn add(storage: &Storage, tenant: &Tenant, text: &str) -> Result<(), StorageError> {
    let tx = storage.begin().await.unwrap();
    tx.tenant(tenant.id).audiences().add(&name(text)).await?;
    tx.commit().await
}

async fn add_app(storage: &Storage, tenant: &Tenant, appid: &str) -> Result<(), StorageError> {
    let tx = storage.begin().await.unwrap();
    tx.tenant(tenant.id).apps().add(new_app(appid)).await?;
    tx.commit().await
}

fn is_taken(outcome: &Result<(), StorageError>) -> bool {
    matches!(outcome, Err(StorageError::NotUnique { .. }))
}

pub(crate) async fn an_audience_belongs_to_one_tenant(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    for text in ["orders", "Orders", "https://api.example.com/orders"] {
        audience(&storage, &acme, text).await;
    }
    for owner in [&acme, &umbrella] {
        assert!(is_taken(&add(&storage, owner, "orders").await));
    }
    let listed = storage.tenant(acme.id).audiences().list().await.unwrap();
    let names: Vec<_> = listed.iter().map(|audience| audience.name.as_str()).collect();
    assert_eq!(names, ["Orders", "https://api.example.com/orders", "orders"]);
    assert_eq!(listed[0].created_at, database.clock.now());
    assert!(storage.tenant(umbrella.id).audiences().list().await.unwrap().is_empty());
    storage.stop().await;
}

pub(crate) async fn no_audience_is_another_tenants_appid(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    app(&storage, &acme, "wx1").await;
    audience(&storage, &acme, "wx2").await;
    assert!(is_taken(&add(&storage, &umbrella, "wx1").await));
    assert!(is_taken(&add_app(&storage, &umbrella, "wx2").await));
    // In its own tenant a name may be both.
    add(&storage, &acme, "wx1").await.unwrap();
    add_app(&storage, &acme, "wx2").await.unwrap();
    assert!(storage.apps().find(&"wx2".parse().unwrap()).await.unwrap().unwrap().tenant.id == acme.id);
    storage.stop().await;
}

pub(crate) async fn of_two_tenants_that_want_one_name_at_once_one_gets_it(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    for round in 0..8 {
        let text = format!("wx{round}");
        let (mine, theirs) = tokio::join!(add(&storage, &acme, &text), add_app(&storage, &umbrella, &text));
        let app = storage.apps().find(&text.parse().unwrap()).await.unwrap();
        let listed = storage.tenant(acme.id).audiences().list().await.unwrap();
        let audience = listed.iter().any(|audience| audience.name.as_str() == text);
        assert_eq!((mine.is_ok(), theirs.is_ok()), (audience, app.is_some()), "{mine:?} {theirs:?}");
        assert!(audience != app.is_some(), "one of the two has {text}: {mine:?} {theirs:?}");
    }
    storage.stop().await;
}

pub(crate) async fn a_policy_names_only_what_its_tenant_owns(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    app(&storage, &acme, "wx1").await;
    audience(&storage, &acme, "orders").await;
    app(&storage, &umbrella, "wx9").await;
    audience(&storage, &umbrella, "theirs").await;

    let scope = storage.tenant(acme.id).audiences();
    assert_eq!(scope.first_not_owned(&["orders", "wx1"]).await.unwrap(), None);
    assert_eq!(scope.first_not_owned(&["orders", "theirs", "wx9"]).await.unwrap().as_deref(), Some("theirs"));
    for (text, owned) in [("orders", true), ("wx1", true), ("theirs", false), ("wx9", false), ("nobodys", false)] {
        let tx = storage.begin().await.unwrap();
        let scope = tx.tenant(acme.id);
        let known = ServiceClientPolicy { audiences: vec![name(text)], ..ServiceClientPolicy::default() };
        let target = ServiceClientPolicy { exchange_to: vec![name(text)], ..ServiceClientPolicy::default() };
        let policy = NewForwardAuthPolicy { name: "shop".parse().unwrap(), audience: name(text), scopes: vec![] };
        let mut new = new_app("wx3");
        new.policy.audiences = vec!["wx3".to_owned(), text.to_owned()];
        let shop = "wx1".parse().unwrap();
        let outcomes = [
            scope.service_clients().add("known", known).await.map(drop),
            scope.service_clients().add("target", target).await.map(drop),
            scope.forward_auth_policies().add(policy).await.map(drop),
            scope.apps().add(NewApp { ..new }).await.map(drop),
            scope
                .apps()
                .change(&shop, |app| {
                    let mut change = AppChange::from(app);
                    change.policy.audiences = vec![text.to_owned()];
                    Ok::<_, StorageError>(change)
                })
                .await
                .map(drop),
        ];
        for outcome in outcomes {
            assert_eq!(outcome, if owned { Ok(()) } else { Err(StorageError::NotFound) }, "{text}");
        }
        // Nothing of it is kept.
        drop(tx);
    }
    storage.stop().await;
}
