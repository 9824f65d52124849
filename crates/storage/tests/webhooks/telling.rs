//! What is written down to be told, and when.

use std::time::Duration;

use wxgate_domain::{EndReason, EraseCause, Event, OpenId, UserStatus};
use wxgate_storage::Storage;

use crate::logins::{Place, count};
use crate::support::{START, TestDatabase, app, tenant};
use crate::support_webhooks::{drain, kinds, webhook};

pub(crate) async fn place(storage: &Storage) -> Place {
    let tenant = tenant(storage, "acme").await;
    let app = app(storage, &tenant, "wx1").await;
    Place { tenant, app }
}

pub(crate) async fn where_nobody_listens_nothing_is_written(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage).await;
    webhook(&storage, shop.tenant.id, "erasures", &["user.erased"]).await;
    let ada = shop.login(&storage, "oAda", None).await;
    let scope = storage.tenant(shop.tenant.id);
    scope.end_sessions(&[ada.id], None, EndReason::Logout).await.unwrap();
    for table in ["outbox", "delivery"] {
        assert_eq!(count(&database, table).await, 0, "{table}");
    }
    storage.stop().await;
}

pub(crate) async fn who_logs_in_first_and_which_session_ends_is_told(database: TestDatabase) {
    let storage = database.started().await;
    let mut shop = place(&storage).await;
    shop.tenant.policy.max_sessions = 1;
    let hook = webhook(&storage, shop.tenant.id, "all", &["*"]).await;
    // A second apart: which session is the oldest is told by its id, which begins with the time.
    let log_in = async |second| {
        let now = START.plus(Duration::from_secs(second));
        let session = shop.session_at("oAda", None, 7, now);
        storage.tenant(shop.tenant.id).open_session(session).await.unwrap()
    };
    let ada = log_in(0).await;
    let [user, first] = [ada.user.id.to_string(), ada.id.to_string()];
    let told = drain(&storage, &hook).await;
    assert_eq!(kinds(&told), ["user.created"]);
    assert_eq!(told[0]["data"], serde_json::json!({ "user_id": user, "appid": "wx1" }));

    // The oldest session gives way; then a logout, then a block.
    let second = log_in(1).await;
    let third = log_in(2).await;
    let scope = storage.tenant(shop.tenant.id);
    scope.end_sessions(&[third.id], None, EndReason::Logout).await.unwrap();
    log_in(3).await;
    let tx = storage.begin().await.unwrap();
    tx.tenant(shop.tenant.id).users().set_status(ada.user.id, UserStatus::Blocked).await.unwrap();
    tx.commit().await.unwrap();

    let told = drain(&storage, &hook).await;
    let ended: Vec<_> = told.iter().map(|event| event["data"]["reason"].as_str().unwrap()).collect();
    assert_eq!(ended, ["crowded", "crowded", "logout", "blocked"]);
    assert!(told.iter().all(|event| event["type"] == "session.ended" && event["data"]["user_id"] == user.as_str()));
    assert_eq!(told[0]["data"]["session_id"], first.as_str());
    assert_eq!(told[1]["data"]["session_id"], second.id.to_string().as_str());
    storage.stop().await;
}

pub(crate) async fn a_webhook_is_told_of_what_it_wants_from_then_on(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage).await;
    shop.login(&storage, "oBefore", None).await;
    let users = webhook(&storage, shop.tenant.id, "users", &["user.created"]).await;
    let all = webhook(&storage, shop.tenant.id, "all", &["*"]).await;
    let ada = shop.login(&storage, "oAda", None).await;
    let tx = storage.begin().await.unwrap();
    tx.tenant(shop.tenant.id).users().end_session(ada.id).await.unwrap();
    tx.tenant(shop.tenant.id).events().tell(&Event::PhoneBound { user: ada.user.id }).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(kinds(&drain(&storage, &users).await), ["user.created"]);
    let told = drain(&storage, &all).await;
    assert_eq!(kinds(&told), ["user.created", "session.ended", "user.phone_bound"]);
    assert_eq!(drain(&storage, &all).await.len(), 0, "what was taken is told once");
    // Nobody reads in the database what it said.
    let in_clear = format!("outbox WHERE payload LIKE '%{}%'", ada.user.id);
    if database.engine == wxgate_storage::Engine::Sqlite {
        assert_eq!(count(&database, &in_clear).await, 0);
    }
    storage.stop().await;
}

pub(crate) async fn what_is_rolled_back_is_never_told(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage).await;
    let hook = webhook(&storage, shop.tenant.id, "all", &["*"]).await;
    let ada = shop.login(&storage, "oAda", None).await;
    assert_eq!(drain(&storage, &hook).await.len(), 1);
    let tx = storage.begin().await.unwrap();
    tx.tenant(shop.tenant.id).users().erase(ada.user.id, EraseCause::Operator).await.unwrap();
    drop(tx);
    assert!(drain(&storage, &hook).await.is_empty());
    storage.stop().await;
}

pub(crate) async fn what_was_still_to_be_told_of_a_user_goes_with_them(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage).await;
    let hook = webhook(&storage, shop.tenant.id, "all", &["*"]).await;
    let ada = shop.login(&storage, "oAda", None).await;
    let eve = shop.login(&storage, "oEve", None).await;
    let tx = storage.begin().await.unwrap();
    let users = tx.tenant(shop.tenant.id).users();
    users.erase(ada.user.id, EraseCause::User).await.unwrap();
    tx.commit().await.unwrap();

    // Her creation was not told yet, and never is: nobody knows any more what it said.
    assert_eq!(count(&database, "outbox WHERE payload IS NULL").await, 1);
    assert_eq!(count(&database, "delivery WHERE state = 'erased'").await, 1);
    let told = drain(&storage, &hook).await;
    assert_eq!(kinds(&told), ["user.created", "session.ended", "user.erased"]);
    assert_eq!(told[0]["data"]["user_id"], eve.user.id.to_string().as_str());
    assert_eq!(told[1]["data"]["reason"], "erased");
    let data = serde_json::json!({ "user_id": ada.user.id.to_string(), "cause": "user" });
    assert_eq!(told[2]["data"], data);

    // What was told already is forgotten too, and cannot be told again.
    let tx = storage.begin().await.unwrap();
    tx.tenant(shop.tenant.id).users().erase(eve.user.id, EraseCause::User).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&database, "outbox WHERE payload IS NULL").await, 2);
    storage.stop().await;
}

/// A message about somebody who is no user: what WeChat calls them is all that is known.
async fn forward(storage: &Storage, shop: &Place, openid: &str, says: &str) {
    let message = serde_json::json!({ "Content": says }).as_object().unwrap().clone();
    let from: OpenId = openid.parse().unwrap();
    let (appid, from) = (shop.app.appid.clone(), Some((shop.app.id, from)));
    let forwarded = Event::PushForwarded { appid, user: None, from, is_proved: true, message };
    let tx = storage.begin().await.unwrap();
    tx.tenant(shop.tenant.id).events().tell(&forwarded).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn what_came_of_somebody_before_they_were_a_user_goes_with_them(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage).await;
    let hook = webhook(&storage, shop.tenant.id, "pushes", &["push.forwarded"]).await;
    for openid in ["oAda", "oEve", "oada"] {
        forward(&storage, &shop, openid, openid).await;
    }
    let ada = shop.login(&storage, "oAda", None).await;
    // The key that digests turns in between: she is found by the one before it all the same.
    let tx = storage.begin().await.unwrap();
    tx.tenant(shop.tenant.id).data_keys().rotate(wxgate_domain::DataKeyPurpose::Digest).await.unwrap();
    tx.commit().await.unwrap();
    forward(&storage, &shop, "oAda", "again").await;
    let tx = storage.begin().await.unwrap();
    tx.tenant(shop.tenant.id).users().erase(ada.user.id, EraseCause::User).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&database, "outbox WHERE payload IS NULL").await, 2);

    // Who never was a user is forgotten when WeChat says that they are gone.
    let tx = storage.begin().await.unwrap();
    tx.tenant(shop.tenant.id).events().forget(shop.app.id, &"oEve".parse().unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    let told = drain(&storage, &hook).await;
    let said: Vec<_> = told.iter().map(|event| event["data"]["message"]["Content"].as_str().unwrap()).collect();
    assert_eq!(said, ["oada"]);
    storage.stop().await;
}
