//! Whether a session may act, as a token's holder and a service that asks must both believe.

use wxgate_crypto::user_data::SessionKey;
use wxgate_domain::{AppStatus, EndReason, NewSession, TenantStatus, UserStatus, WechatIdentity};

use crate::support::{TestDatabase, app, tenant};

pub(crate) async fn a_session_acts_while_all_of_user_app_and_tenant_may(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let shop = app(&storage, &acme, "wx1").await;
    let identity = WechatIdentity {
        openid: "oAda".parse().unwrap(),
        unionid: None,
        session_key: SessionKey::from_bytes(database.random.bytes()),
    };
    let open = async || {
        let new = NewSession::of(&shop, &acme, identity.clone(), database.clock.now());
        storage.tenant(acme.id).open_session(new).await.unwrap()
    };
    let opened = open().await;
    let acting = async || storage.tenant(acme.id).acting_session(opened.id).await.unwrap();
    let own = acting().await.unwrap();
    assert_eq!((own.user, own.appid), (opened.user.id, shop.appid.clone()));
    assert!(storage.tenant(umbrella.id).acting_session(opened.id).await.unwrap().is_none());

    for (app_status, tenant_status, may) in [
        (AppStatus::Disabled, TenantStatus::Active, false),
        (AppStatus::Enabled, TenantStatus::Suspended, false),
        (AppStatus::Enabled, TenantStatus::Active, true),
    ] {
        let tx = storage.begin().await.unwrap();
        tx.tenant(acme.id).apps().set_status(&shop.appid, app_status).await.unwrap();
        tx.tenants().set_status(acme.id, tenant_status).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(acting().await.is_some(), may, "{app_status:?} {tenant_status:?}");
    }

    let other = open().await;
    storage.tenant(acme.id).end_sessions(&[other.id], None, EndReason::Revoked).await.unwrap();
    assert!(storage.tenant(acme.id).acting_session(other.id).await.unwrap().is_none());
    // A block is for good.
    for status in [UserStatus::Blocked, UserStatus::Active] {
        let tx = storage.begin().await.unwrap();
        tx.tenant(acme.id).users().set_status(opened.user.id, status).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(acting().await, None);
    }
    storage.stop().await;
}
