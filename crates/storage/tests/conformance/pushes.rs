//! How apps take WeChat's pushes, and how a push is known again.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::Query;
use wxgate_crypto::Digest;
use wxgate_crypto::push::{Answer, PushToken, Stamp};
use wxgate_domain::{App, Profile, ProfileParts, PushMode, Tenant};
use wxgate_storage::{Arrival, Arrived, PushChange, PushRenewal, Receiver, Renewal, Storage, StorageError};

use crate::support::{TestDatabase, app, tenant};
use crate::support_rows as rows;

/// Sets up the pushes of an app as the change says.
async fn set(storage: &Storage, tenant: &Tenant, app: &App, change: PushChange) {
    let tx = storage.begin().await.unwrap();
    tx.tenant(tenant.id).push_settings().set(&app.appid, change).await.unwrap();
    tx.commit().await.unwrap();
}

async fn arrive(storage: &Storage, tenant: &Tenant, arrival: &Arrival) -> Result<Arrived, StorageError> {
    let tx = storage.begin().await.unwrap();
    let arrived = tx.tenant(tenant.id).push_marks().arrive(arrival).await?;
    tx.commit().await.map(|()| arrived)
}

fn arrival(app: &App, stamp: &str, body: &str, message: Option<&str>) -> Arrival {
    let digest = |text: &str| Digest::sha256(text.as_bytes());
    Arrival { receiver: Receiver::App(app.id), stamp: digest(stamp), body: digest(body), message: message.map(digest) }
}

pub(crate) async fn settings_are_made_once_changed_and_removed(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    assert!(storage.push_settings().of(&shop.appid).await.unwrap().is_empty());
    assert!(storage.tenant(acme.id).push_settings().find(shop.id).await.unwrap().is_none());

    let tx = storage.begin().await.unwrap();
    let made = tx.tenant(acme.id).push_settings().set(&shop.appid, PushChange::default()).await.unwrap();
    tx.commit().await.unwrap();
    let (status, keys, is_new) = made;
    assert!(is_new && keys.previous.is_none());
    assert_eq!((status.mode, status.changed_at), (PushMode::Safe, database.clock.now()));
    let found = storage.push_settings().of(&shop.appid).await.unwrap().remove(0);
    assert_eq!((found.app, found.tenant, &found.appid, found.mode), (shop.id, acme.id, &shop.appid, PushMode::Safe));
    assert_eq!(found.keys.token.expose(), keys.token.expose());
    assert_eq!(found.keys.current, keys.current);
    assert_eq!(storage.tenant(acme.id).push_settings().find(shop.id).await.unwrap().unwrap(), status);

    // What is left out stays; another token has another fingerprint.
    let token = PushToken::parse("0123456789abcdef0123456789abcdef");
    set(&storage, &acme, &shop, PushChange { mode: Some(PushMode::Plain), token, key: None }).await;
    let changed = storage.tenant(acme.id).push_settings().find(shop.id).await.unwrap().unwrap();
    assert_eq!((changed.mode, &changed.key), (PushMode::Plain, &status.key));
    assert_ne!(changed.token, status.token);

    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).push_settings().remove(&shop.appid).await.unwrap();
    let again = tx.tenant(acme.id).push_settings().remove(&shop.appid).await.unwrap_err();
    let no_app = tx.tenant(acme.id).push_settings().set(&"wx9".parse().unwrap(), PushChange::default()).await;
    tx.commit().await.unwrap();
    assert_eq!((again, no_app.map(drop).unwrap_err()), (StorageError::NotFound, StorageError::NotFound));
    assert!(storage.push_settings().of(&shop.appid).await.unwrap().is_empty());
    storage.stop().await;
}

pub(crate) async fn token_and_key_before_count_until_they_are_forgotten(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    set(&storage, &acme, &shop, PushChange::default()).await;
    let old = storage.push_settings().of(&shop.appid).await.unwrap().remove(0).keys;
    let stamp = Stamp { timestamp: "1700000000", nonce: "n" };
    let answer = Answer { message: b"{}", appid: "wx1", timestamp: 1_700_000_000, nonce: "n" };
    let push = old.reply(&old.current, &answer, [7; 16]);
    let opens = async || {
        let found = storage.push_settings().of(&shop.appid).await.unwrap().remove(0);
        found.keys.open(&stamp, &push.msg_signature, &push.encrypt, "wx1").is_ok()
    };

    let tx = storage.begin().await.unwrap();
    let settings = tx.tenant(acme.id).push_settings();
    let (renewed, keys) =
        settings.renew(&shop.appid, PushRenewal { key: Renewal::Made, ..PushRenewal::default() }).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((&keys.token, keys.previous.as_ref()), (&old.token, Some(&old.current)));
    assert!(renewed.previous_key.is_some() && renewed.previous_token.is_none() && opens().await);
    let tx = storage.begin().await.unwrap();
    let settings = tx.tenant(acme.id).push_settings();
    let (renewed, keys) =
        settings.renew(&shop.appid, PushRenewal { token: Renewal::Made, ..PushRenewal::default() }).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((keys.previous_token.as_ref(), keys.previous.as_ref()), (Some(&old.token), Some(&old.current)));
    assert!(renewed.previous_token.is_some() && renewed.token != renewed.previous_token.unwrap() && opens().await);
    // The same twice is no change.
    let tx = storage.begin().await.unwrap();
    let settings = tx.tenant(acme.id).push_settings();
    let same = PushRenewal { token: Renewal::Given(keys.token.clone()), key: Renewal::Given(keys.current.clone()) };
    let (_, again) = settings.renew(&shop.appid, same).await.unwrap();
    assert_eq!((again.previous_token.as_ref(), again.previous.as_ref()), (Some(&old.token), Some(&old.current)));
    let finished = settings.forget_previous(&shop.appid).await.unwrap();
    tx.commit().await.unwrap();
    assert!(finished.previous_token.is_none() && finished.previous_key.is_none() && !opens().await);
    storage.stop().await;
}

pub(crate) async fn a_push_is_known_again_and_nothing_else_uses_its_stamp(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let (shop, other) = (app(&storage, &acme, "wx1").await, app(&storage, &acme, "wx2").await);
    let first = arrival(&shop, "stamp", "body", Some("message"));
    for (arrival, expected) in [
        (first, Arrived::New),
        (first, Arrived::Again),
        // WeChat signs it anew when it repeats it.
        (arrival(&shop, "later", "other body", Some("message")), Arrived::Again),
        (arrival(&shop, "later", "other body", Some("message")), Arrived::Again),
        // A time and nonce that were seen, with something else.
        (arrival(&shop, "stamp", "forged", Some("forged")), Arrived::Replayed),
        (arrival(&shop, "later", "forged", None), Arrived::Replayed),
        (arrival(&shop, "third", "body", None), Arrived::New),
        // Another app is another story.
        (Arrival { receiver: Receiver::App(other.id), ..first }, Arrived::New),
        (Arrival { receiver: Receiver::Platform(acme.id.uuid().into()), ..first }, Arrived::New),
    ] {
        assert_eq!(arrive(&storage, &acme, &arrival).await.unwrap(), expected, "{arrival:?}");
    }
    // What was not committed was not there.
    let fourth = arrival(&shop, "fourth", "body", Some("fourth"));
    let tx = storage.begin().await.unwrap();
    assert_eq!(tx.tenant(acme.id).push_marks().arrive(&fourth).await.unwrap(), Arrived::New);
    drop(tx);
    assert_eq!(arrive(&storage, &acme, &fourth).await.unwrap(), Arrived::New);
    storage.stop().await;
}

pub(crate) async fn of_two_nodes_with_one_push_one_does_it(database: TestDatabase) {
    let (here, there) = (database.started().await, database.started().await);
    let acme = tenant(&here, "acme").await;
    let shop = app(&here, &acme, "wx1").await;
    for round in 0..5 {
        let push = arrival(&shop, &format!("stamp {round}"), "body", Some(&format!("message {round}")));
        let (mine, theirs) = tokio::join!(arrive(&here, &acme, &push), arrive(&there, &acme, &push));
        let new = |arrived: &Result<Arrived, StorageError>| matches!(arrived, Ok(Arrived::New));
        assert_eq!([&mine, &theirs].into_iter().filter(|arrived| new(arrived)).count(), 1, "{mine:?} {theirs:?}");
        for arrived in [mine, theirs].into_iter().filter(|arrived| !new(arrived)) {
            let beaten =
                matches!(arrived, Ok(Arrived::Again) | Err(StorageError::NotUnique { .. } | StorageError::Busy));
            assert!(beaten, "{arrived:?}");
        }
        assert_eq!(arrive(&there, &acme, &push).await.unwrap(), Arrived::Again);
    }
    here.stop().await;
    there.stop().await;
}

pub(crate) async fn pushes_of_long_ago_are_forgotten(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    let push = arrival(&shop, "stamp", "body", Some("message"));
    arrive(&storage, &acme, &push).await.unwrap();
    database.clock.advance(Duration::from_mins(59));
    storage.sweep().await.unwrap();
    assert_eq!(arrive(&storage, &acme, &push).await.unwrap(), Arrived::Again);
    database.clock.advance(Duration::from_mins(2));
    storage.sweep().await.unwrap();
    let raw = database.raw().await;
    let left = Query::select().column("mark").from("push_mark").to_owned();
    assert!(raw.query_all(&left).await.unwrap().is_empty());
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn a_user_loses_the_parts_of_a_profile_that_are_named(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    let raw = database.raw().await;
    let ada = rows::user(&raw, acme.id, database.clock.now()).await;
    rows::identity(&raw, acme.id, shop.id, ada, "oAda").await.unwrap();
    raw.close().await.unwrap();
    let scope = storage.tenant(acme.id);
    let filled = Profile::shown(Some("Ada"), Some("https://example.com/ada.png"));
    scope.update_profile(ada, &filled).await.unwrap();

    let tx = storage.begin().await.unwrap();
    let users = tx.tenant(acme.id).users();
    assert_eq!(users.of_openid(shop.id, &"oAda".parse().unwrap()).await.unwrap(), Some(ada));
    assert_eq!(users.of_openid(shop.id, &"oada".parse().unwrap()).await.unwrap(), None);
    let avatar = ProfileParts { nickname: false, avatar: true };
    assert!(users.clear_profile(ada, avatar).await.unwrap());
    assert!(!users.clear_profile(ada, avatar).await.unwrap(), "nothing is left of it");
    tx.commit().await.unwrap();
    assert_eq!(scope.user(ada).await.unwrap().unwrap().profile, Profile::shown(Some("Ada"), None));
    let tx = storage.begin().await.unwrap();
    assert!(tx.tenant(acme.id).users().clear_profile(ada, ProfileParts::ALL).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(scope.user(ada).await.unwrap().unwrap().profile, Profile::default());
    storage.stop().await;
}

pub(crate) async fn another_tenants_pushes_are_out_of_reach(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let shop = app(&storage, &acme, "wx1").await;
    set(&storage, &acme, &shop, PushChange::default()).await;
    let before = storage.tenant(acme.id).push_settings().find(shop.id).await.unwrap().unwrap();
    let raw = database.raw().await;
    let ada = rows::user(&raw, acme.id, database.clock.now()).await;
    rows::identity(&raw, acme.id, shop.id, ada, "oAda").await.unwrap();
    raw.close().await.unwrap();

    assert!(storage.tenant(umbrella.id).push_settings().find(shop.id).await.unwrap().is_none());
    let tx = storage.begin().await.unwrap();
    let other = tx.tenant(umbrella.id);
    let refused = [
        other.push_settings().set(&shop.appid, PushChange::default()).await.map(drop).unwrap_err(),
        other.push_settings().renew(&shop.appid, PushRenewal::default()).await.map(drop).unwrap_err(),
        other.push_settings().forget_previous(&shop.appid).await.map(drop).unwrap_err(),
        other.push_settings().remove(&shop.appid).await.unwrap_err(),
        other.users().clear_profile(ada, ProfileParts::ALL).await.map(drop).unwrap_err(),
    ];
    assert_eq!(other.users().of_openid(shop.id, &"oAda".parse().unwrap()).await.unwrap(), None);
    // What one tenant saw is no news of another.
    let push = arrival(&shop, "stamp", "body", Some("message"));
    assert_eq!(other.push_marks().arrive(&push).await.unwrap(), Arrived::New);
    tx.commit().await.unwrap();
    assert!(refused.iter().all(|error| *error == StorageError::NotFound), "{refused:?}");
    assert_eq!(storage.tenant(acme.id).push_settings().find(shop.id).await.unwrap().unwrap(), before);
    assert_eq!(arrive(&storage, &acme, &push).await.unwrap(), Arrived::New);
    storage.stop().await;
}
