//! What tenants and apps tune, and whether they may act, changed while they serve.

use wxgate_domain::{App, AppPolicy, AppStatus, RevocationEffect, RevokedSubject, Tenant, TenantPolicy, TenantStatus};
use wxgate_storage::{AppChange, Storage, StorageError};

use crate::support::{TestDatabase, app, tenant};

/// What a use case fails with, storage's own errors among it.
#[derive(Debug, PartialEq)]
enum Refused {
    ByCaller,
    Storage(StorageError),
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

pub(crate) async fn a_policy_is_changed_as_a_whole_or_not_at_all(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await.appid;

    let tx = storage.begin().await.unwrap();
    let (tenants, apps) = (tx.tenants(), tx.tenant(acme.id).apps());
    let shorter = |before: Tenant| {
        Ok::<_, StorageError>(("Acme & Sons".to_owned(), TenantPolicy { access_token_seconds: 60, ..before.policy }))
    };
    let changed = tenants.change(acme.id, shorter).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.policy.access_token_seconds), ("Acme & Sons", 60));
    let told = |app: App| {
        let policy = AppPolicy { openid_claim: true, ..app.policy.clone() };
        Ok::<_, StorageError>(AppChange { policy, ..app.into() })
    };
    assert!(apps.change(&shop, told).await.unwrap().policy.openid_claim);
    tx.commit().await.unwrap();

    let tx = storage.begin().await.unwrap();
    let too_long = |before: Tenant| {
        Ok::<_, StorageError>((before.name, TenantPolicy { refresh_grace_seconds: 61, ..before.policy }))
    };
    let refused = tx.tenants().change(acme.id, too_long).await.unwrap_err();
    assert_eq!(refused, StorageError::Inconsistent { table: "tenant", column: "policy" });
    let none = |app: App| {
        let policy = AppPolicy { request_burst: 0, ..app.policy.clone() };
        Ok::<_, StorageError>(AppChange { policy, ..app.into() })
    };
    let refused = tx.tenant(acme.id).apps().change(&shop, none).await.unwrap_err();
    assert_eq!(refused, StorageError::Inconsistent { table: "app", column: "policy" });
    let refused = tx.tenants().change(acme.id, |_| Err(Refused::ByCaller)).await.unwrap_err();
    assert_eq!(refused, Refused::ByCaller);
    let refused = tx.tenant(acme.id).apps().change(&shop, |_| Err(Refused::ByCaller)).await.unwrap_err();
    assert_eq!(refused, Refused::ByCaller);
    let nobodys = "wx9".parse().unwrap();
    let refused = tx.tenant(acme.id).apps().change(&nobodys, |app| Ok::<_, Refused>(app.into())).await.unwrap_err();
    assert_eq!(refused, Refused::Storage(StorageError::NotFound));
    tx.commit().await.unwrap();

    let stored = storage.apps().find(&shop).await.unwrap().unwrap();
    assert_eq!(stored.tenant.name, "Acme & Sons");
    assert_eq!(stored.tenant.policy, TenantPolicy { access_token_seconds: 60, ..TenantPolicy::default() });
    assert_eq!(stored.app.policy, AppPolicy { openid_claim: true, ..AppPolicy::default() });
    storage.stop().await;
}

pub(crate) async fn two_changes_of_one_policy_are_both_kept(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let change = async |storage: &Storage, change: fn(TenantPolicy) -> TenantPolicy| {
        let tx = storage.begin().await.unwrap();
        tx.tenants()
            .change(acme.id, |before| Ok::<_, StorageError>((before.name, change(before.policy))))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    tokio::join!(
        change(&storage, |policy| TenantPolicy { max_sessions: 3, ..policy }),
        change(&storage, |policy| TenantPolicy { access_token_seconds: 61, ..policy }),
        change(&storage, |policy| TenantPolicy { refresh_grace_seconds: 7, ..policy }),
    );
    let policy = storage.tenants().get(acme.id).await.unwrap().policy;
    assert_eq!((policy.max_sessions, policy.access_token_seconds, policy.refresh_grace_seconds), (3, 61, 7));
    storage.stop().await;
}

pub(crate) async fn the_feed_hears_once_of_what_may_not_act(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await.appid;
    let (app, tenant) = (RevokedSubject::App(shop.clone()), RevokedSubject::Tenant(acme.slug));
    let mut cursor = None;
    for (app_status, tenant_status, effect) in [
        (AppStatus::Disabled, TenantStatus::Suspended, RevocationEffect::Blocked),
        (AppStatus::Enabled, TenantStatus::Active, RevocationEffect::Lifted),
    ] {
        // The second time changes nothing.
        for _ in 0..2 {
            let tx = storage.begin().await.unwrap();
            tx.tenant(acme.id).apps().set_status(&shop, app_status).await.unwrap();
            tx.tenants().set_status(acme.id, tenant_status).await.unwrap();
            tx.commit().await.unwrap();
        }
        let page = storage.tenant(acme.id).revocations().page(cursor.as_deref(), 10).await.unwrap();
        let told: Vec<_> = page.entries.into_iter().map(|entry| (entry.subject, entry.effect)).collect();
        assert_eq!(told, [(app.clone(), effect), (tenant.clone(), effect)]);
        cursor = Some(page.cursor);
    }
    storage.stop().await;
}
