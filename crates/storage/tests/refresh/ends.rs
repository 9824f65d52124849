//! Who may end a session, and what no longer works afterwards.

use wxgate_domain::{AppStatus, EndReason, TenantStatus, UserStatus};
use wxgate_storage::{NotRefreshed, Storage};

use crate::device::{Device, logged_in, place, set_user_status};
use crate::support::TestDatabase;

pub(crate) async fn blocked_users_are_refused_and_unblocking_revives_nothing(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let bystander = Device::login(&storage, &database, &phone.place, "oBob").await;
    phone.refresh(&storage, 0).await.unwrap();
    set_user_status(&storage, &phone, UserStatus::Blocked).await;
    for generation in 0..3 {
        assert_eq!(phone.refresh(&storage, generation).await.unwrap_err(), NotRefreshed::UserBlocked);
    }
    set_user_status(&storage, &phone, UserStatus::Active).await;
    assert_eq!(phone.refresh(&storage, 1).await.unwrap_err(), NotRefreshed::Ended(EndReason::Blocked));
    assert!(Device::login(&storage, &database, &phone.place, "oAda").await.refresh(&storage, 0).await.is_ok());
    assert!(bystander.refresh(&storage, 0).await.is_ok());
    storage.stop().await;
}

pub(crate) async fn a_disabled_app_and_a_suspended_tenant_are_refused_until_they_are_back(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let tenant = phone.place.tenant.id;
    let appid = &phone.place.app.appid;
    for (status, expected) in [(AppStatus::Disabled, Err(NotRefreshed::AppDisabled)), (AppStatus::Enabled, Ok(1))] {
        let tx = storage.begin().await.unwrap();
        tx.tenant(tenant).apps().set_status(appid, status).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(phone.refresh(&storage, 0).await.map(|session| session.generation), expected);
    }
    let statuses = [(TenantStatus::Suspended, Err(NotRefreshed::AppDisabled)), (TenantStatus::Active, Ok(2))];
    for (status, expected) in statuses {
        let tx = storage.begin().await.unwrap();
        tx.tenants().set_status(tenant, status).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(phone.refresh(&storage, 1).await.map(|session| session.generation), expected);
    }
    storage.stop().await;
}

pub(crate) async fn sessions_end_once_and_only_their_users(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let tablet = Device::login(&storage, &database, &phone.place, "oAda").await;
    let bystander = Device::login(&storage, &database, &phone.place, "oBob").await;
    let umbrella = place(&storage, "umbrella", "wxbbbbbbbbbbbbbbbb").await;
    let all = [phone.session.id, tablet.session.id, bystander.session.id];
    let end = async |tenant, user| storage.tenant(tenant).end_sessions(&all, user, EndReason::Logout).await.unwrap();
    assert_eq!(end(umbrella.tenant.id, None).await, 0, "another tenant's");
    assert_eq!(end(phone.place.tenant.id, Some(phone.session.user.id)).await, 2);
    assert_eq!(end(phone.place.tenant.id, Some(phone.session.user.id)).await, 0, "they are over");
    for ended in [&phone, &tablet] {
        assert_eq!(ended.refresh(&storage, 0).await.unwrap_err(), NotRefreshed::Ended(EndReason::Logout));
        let scope = storage.tenant(phone.place.tenant.id);
        assert!(scope.live_session(ended.session.id).await.unwrap().is_none());
    }
    assert!(bystander.refresh(&storage, 0).await.is_ok());
    storage.stop().await;
}

pub(crate) async fn a_restore_of_what_never_served_is_no_error(database: TestDatabase) {
    let storage = Storage::connect(database.config()).await.unwrap();
    storage.migrate().await.unwrap();
    assert_eq!(storage.restored().await.unwrap(), 0);
    storage.stop().await;
}

pub(crate) async fn a_restore_ends_every_session_and_voids_every_token(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let old = phone.text(&storage, 0).await;
    assert!(phone.present(&storage, &old).await.unwrap().is_ok());
    assert_ne!(storage.restored().await.unwrap(), 0);
    assert!(phone.present(&storage, &old).await.is_none(), "its MAC is of another epoch");
    assert!(storage.tenant(phone.place.tenant.id).live_session(phone.session.id).await.unwrap().is_none());
    let swept = NotRefreshed::EndedNow(EndReason::Swept, phone.session.id);
    assert_eq!(phone.refresh(&storage, 1).await.unwrap_err(), swept);
    storage.stop().await;
}
