//! Every method of a tenant's scope, asked as another tenant.

use std::time::Duration;

use wxgate_crypto::user_data::SessionKey;
use wxgate_domain::{AppStatus, NewSession, Profile, ServiceClientPolicy, UserStatus, WechatIdentity};
use wxgate_storage::{NewApp, NewForwardAuthPolicy, OpenSessionError, RefreshKeys, StorageError};

use crate::support::{TestDatabase, app, app_in_group, audience, new_app, service_client, tenant, union_group};
use crate::support_rows as rows;

pub(crate) async fn another_tenant_sees_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let group = union_group(&storage, &acme, "open").await;
    let shop = app_in_group(&storage, &acme, "wx1", Some(group.id)).await;
    let raw = database.raw().await;
    let ada = rows::user(&raw, acme.id, database.clock.now()).await;

    let (owner, other) = (storage.tenant(acme.id), storage.tenant(umbrella.id));
    assert!(owner.apps().find(&shop.appid).await.unwrap().is_some());
    assert!(other.apps().find(&shop.appid).await.unwrap().is_none());
    assert!(other.apps().list().await.unwrap().is_empty());
    assert!(owner.union_groups().find("open").await.unwrap().is_some());
    assert!(other.union_groups().find("open").await.unwrap().is_none());
    assert!(other.union_groups().list().await.unwrap().is_empty());
    assert!(owner.user(ada).await.unwrap().is_some());
    assert!(other.user(ada).await.unwrap().is_none());
    let kids = async |scope: &wxgate_storage::TenantScope| {
        let keys = scope.signing_keys().await.unwrap();
        keys.into_iter().map(|key| key.kid).collect::<Vec<_>>()
    };
    let (mine, theirs) = (kids(&owner).await, kids(&other).await);
    assert_eq!((mine.len(), theirs.len()), (2, 2));
    assert!(mine.iter().all(|kid| !theirs.contains(kid)));
    // Both tenants number their keys from 1, and share none.
    let number = 3;
    let (mine, theirs) = (owner.refresh_keys(number).await.unwrap(), other.refresh_keys(number).await.unwrap());
    let digest = |keys: &RefreshKeys| keys.key(number).unwrap().digest("same", &[]);
    assert_ne!(digest(&mine), digest(&theirs));
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn another_tenant_changes_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let group = union_group(&storage, &acme, "open").await;
    let shop = app(&storage, &acme, "wx1").await;
    let raw = database.raw().await;
    let ada = rows::user(&raw, acme.id, database.clock.now()).await;

    let tx = storage.begin().await.unwrap();
    let other = tx.tenant(umbrella.id);
    let stolen = NewApp { union_group: Some(group.id), ..new_app("wx2") };
    let refused = [
        other.apps().set_status(&shop.appid, AppStatus::Disabled).await.map(drop).unwrap_err(),
        other.apps().rotate_secret(&shop.appid, &"mine-now".parse().unwrap(), true).await.map(drop).unwrap_err(),
        other.apps().drop_previous_secret(&shop.appid).await.map(drop).unwrap_err(),
        other.apps().add(stolen).await.map(drop).unwrap_err(),
        other.users().set_status(ada, UserStatus::Blocked).await.unwrap_err(),
    ];
    tx.commit().await.unwrap();
    assert!(refused.iter().all(|error| *error == StorageError::NotFound), "{refused:?}");
    let profile = Profile::shown(Some("Mallory"), None);
    let refused = storage.tenant(umbrella.id).update_profile(ada, &profile).await.unwrap_err();
    assert_eq!(refused, StorageError::NotFound);

    let stored = storage.apps().find(&shop.appid).await.unwrap().unwrap();
    assert_eq!(stored.app.status, AppStatus::Enabled);
    let user = storage.tenant(acme.id).user(ada).await.unwrap().unwrap();
    assert_eq!((user.status, user.profile), (UserStatus::Active, Profile::default()));
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn another_tenant_has_no_say_in_who_is_trusted(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let shop = app(&storage, &acme, "wx1").await;
    audience(&storage, &acme, "orders").await;
    let (client, secret) = service_client(&storage, &acme, "Orders").await;
    let tx = storage.begin().await.unwrap();
    let policy = |name: &str| NewForwardAuthPolicy {
        name: name.parse().unwrap(),
        audience: "orders".parse().unwrap(),
        scopes: vec![],
    };
    tx.tenant(acme.id).forward_auth_policies().add(policy("shop")).await.unwrap();
    tx.commit().await.unwrap();

    let other = storage.tenant(umbrella.id);
    assert!(other.audiences().list().await.unwrap().is_empty());
    assert_eq!(other.audiences().first_not_owned(&["orders"]).await.unwrap().as_deref(), Some("orders"));
    assert!(other.service_clients().list().await.unwrap().is_empty());
    assert!(other.service_clients().with_secrets().await.unwrap().is_empty());
    assert!(other.forward_auth_policies().list().await.unwrap().is_empty());

    let tx = storage.begin().await.unwrap();
    let other = tx.tenant(umbrella.id);
    let known = ServiceClientPolicy { audiences: vec!["orders".parse().unwrap()], ..ServiceClientPolicy::default() };
    let refused = [
        other.service_clients().rotate(&client.id, Duration::ZERO).await.map(drop).unwrap_err(),
        other.service_clients().remove(&client.id).await.unwrap_err(),
        other.service_clients().add("Theirs", known).await.map(drop).unwrap_err(),
        other.forward_auth_policies().add(policy("theirs")).await.map(drop).unwrap_err(),
        other.apps().change(&shop.appid, |app| Ok::<_, StorageError>(app.into())).await.map(drop).unwrap_err(),
    ];
    let taken = other.audiences().add(&"orders".parse().unwrap()).await.unwrap_err();
    tx.commit().await.unwrap();
    assert!(refused.iter().all(|error| *error == StorageError::NotFound), "{refused:?}");
    assert!(matches!(taken, StorageError::NotUnique { .. }), "{taken}");

    let found = storage.tenant(acme.id).service_clients().with_secrets().await.unwrap();
    assert_eq!(found[0].0, client);
    assert!(found[0].1.accept(&secret.digest(), database.clock.now()));
    assert_eq!(storage.apps().find(&shop.appid).await.unwrap().unwrap().app.policy, shop.policy);
    storage.stop().await;
}

pub(crate) async fn another_tenant_moves_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let group = union_group(&storage, &acme, "open").await;
    let shop = app_in_group(&storage, &acme, "wx1", Some(group.id)).await;
    audience(&storage, &acme, "orders").await;
    let (client, _) = service_client(&storage, &acme, "Orders").await;
    let policy =
        NewForwardAuthPolicy { name: "shop".parse().unwrap(), audience: "orders".parse().unwrap(), scopes: vec![] };
    let tx = storage.begin().await.unwrap();
    let policy = tx.tenant(acme.id).forward_auth_policies().add(policy).await.unwrap();
    tx.commit().await.unwrap();

    let tx = storage.begin().await.unwrap();
    let other = tx.tenant(umbrella.id);
    let renamed = |_: &wxgate_storage::UnionGroup| Ok::<_, StorageError>("mine".to_owned());
    let refused = [
        other.apps().retire(&shop.appid).await.map(drop).unwrap_err(),
        other.apps().remove_identities(&shop.appid).await.map(drop).unwrap_err(),
        other.apps().remove(&shop.appid).await.map(drop).unwrap_err(),
        other
            .apps()
            .note_secret(&shop.appid, &shop.credential.secret().unwrap().fingerprint, false)
            .await
            .map(drop)
            .unwrap_err(),
        other.union_groups().rename(group.id, renamed).await.map(drop).unwrap_err(),
        other.union_groups().remove(group.id).await.map(drop).unwrap_err(),
        other.audiences().remove(&"orders".parse().unwrap()).await.map(drop).unwrap_err(),
        other.service_clients().change(&client.id, |c| Ok((c.name, c.policy))).await.map(drop).unwrap_err(),
        other.forward_auth_policies().change(&policy.name, |p| Ok((p.audience, p.scopes))).await.map(drop).unwrap_err(),
        other.forward_auth_policies().remove(&policy.name).await.unwrap_err(),
    ];
    tx.commit().await.unwrap();
    assert!(refused.iter().all(|error| *error == StorageError::NotFound), "{refused:?}");
    let stored = storage.apps().find(&shop.appid).await.unwrap().unwrap();
    assert_eq!((stored.app.status, stored.app.credential), (AppStatus::Enabled, shop.credential));
    assert_eq!(storage.union_groups().of_id(group.id).await.unwrap(), Some(group));
    assert_eq!(storage.tenant(acme.id).service_clients().list().await.unwrap(), [client]);
    assert_eq!(storage.tenant(acme.id).forward_auth_policies().list().await.unwrap(), [policy]);
    storage.stop().await;
}

pub(crate) async fn references_cannot_leave_their_tenant(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let (mine, theirs) = (app(&storage, &acme, "wx1").await, app(&storage, &umbrella, "wx2").await);
    let raw = database.raw().await;
    let now = database.clock.now();
    let (ada, eve) = (rows::user(&raw, acme.id, now).await, rows::user(&raw, umbrella.id, now).await);
    let identity = rows::identity(&raw, acme.id, mine.id, ada, "oAda").await.unwrap();
    for refused in [
        rows::identity(&raw, acme.id, mine.id, eve, "o1").await.map(|_| ()),
        rows::identity(&raw, acme.id, theirs.id, ada, "o2").await.map(|_| ()),
        rows::identity(&raw, umbrella.id, mine.id, eve, "o3").await.map(|_| ()),
        rows::session(&raw, (umbrella.id, theirs.id), identity, now).await.map(|_| ()),
    ] {
        assert_eq!(StorageError::from(refused.unwrap_err()), StorageError::Dangling);
    }
    rows::session(&raw, (acme.id, mine.id), identity, now).await.unwrap();
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn another_tenant_opens_and_replays_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let shop = app(&storage, &acme, "wx1").await;
    let now = database.clock.now();
    let identity = WechatIdentity {
        openid: "oAda".parse().unwrap(),
        unionid: None,
        session_key: SessionKey::from_bytes(database.random.bytes()),
    };
    let new = NewSession::of(&shop, &acme, identity.clone(), now);
    let (owner, other) = (storage.tenant(acme.id), storage.tenant(umbrella.id));

    let refused = other.open_session(new.clone()).await.unwrap_err();
    assert!(matches!(refused, OpenSessionError::Storage(_)), "{refused:?}");
    let opened = owner.open_session(new).await.unwrap();
    assert!(opened.is_new);
    assert_eq!(owner.replay_session(opened.id).await.unwrap().map(|session| session.id), Some(opened.id));
    assert!(other.replay_session(opened.id).await.unwrap().is_none());
    assert!(owner.key_ring(shop.id, &identity.openid, now).await.unwrap() == [identity.session_key]);
    assert!(other.key_ring(shop.id, &identity.openid, now).await.unwrap().is_empty());
    assert!(other.user(opened.user.id).await.unwrap().is_none());
    storage.stop().await;
}
