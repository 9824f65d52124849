//! Whose a number is.

use wxgate_domain::{EraseCause, Phone, UserId};
use wxgate_storage::{Binding, NewPhone, RefreshRequest, StorageError};

use crate::logins::count;
use crate::support::TestDatabase;
use crate::{bind, number, place, verified};

const BOUND: Binding = Binding::Bound { moved_from: None };

pub(crate) async fn a_number_belongs_to_one_user_of_a_tenant(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    let ada = shop.login(&storage, "oAda", None).await.user.id;
    let eve = shop.login(&storage, "oEve", None).await.user.id;
    let (first, second) = (number("13800138000"), number("13900139000"));

    assert_eq!(bind(&storage, &shop, ada, &verified(&first)).await, Ok(BOUND));
    assert_eq!(bind(&storage, &shop, ada, &verified(&first)).await, Ok(Binding::AlreadyYours));
    assert_eq!(bind(&storage, &shop, eve, &verified(&first)).await, Ok(Binding::Taken { by: ada }));
    let phones = storage.tenant(shop.tenant.id).phones();
    assert_eq!(phones.owner(&first.e164()).await, Ok(Some(ada)));
    assert_eq!(phones.of(eve).await, Ok(None));

    // Another number takes its place only if the user has proved to be the user; the old one is free then.
    assert_eq!(bind(&storage, &shop, ada, &verified(&second)).await, Ok(Binding::HasAnother));
    let replaces = NewPhone { may_replace: true, ..verified(&second) };
    assert_eq!(bind(&storage, &shop, ada, &replaces).await, Ok(BOUND));
    assert_eq!(phones.owner(&first.e164()).await, Ok(None));
    assert_eq!(bind(&storage, &shop, eve, &verified(&first)).await, Ok(BOUND));
    let both = phones.of_users(&[ada, eve]).await.unwrap();
    assert_eq!((&both[&ada].number, &both[&eve].number), (&second, &first));

    let tx = storage.begin().await.unwrap();
    let phones_of = tx.tenant(shop.tenant.id).phones();
    assert_eq!((phones_of.release(eve).await, phones_of.release(eve).await), (Ok(true), Ok(false)));
    tx.commit().await.unwrap();
    assert_eq!(phones.owner(&first.e164()).await, Ok(None));
    let nobody = UserId::new(database.clock.now(), &database.random);
    assert_eq!(bind(&storage, &shop, nobody, &verified(&first)).await, Err(StorageError::NotFound));
    storage.stop().await;
}

pub(crate) async fn a_session_tells_its_users_number(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    let first = shop.login(&storage, "oAda", None).await;
    assert_eq!(first.phone, None);
    let mobile = number("13800138000");
    bind(&storage, &shop, first.user.id, &verified(&mobile)).await.unwrap();

    let bound_at = database.clock.now();
    let phone = Some(Phone { number: mobile, is_verified: true, bound_at, leaves_at: None });
    let again = shop.login(&storage, "oAda", None).await;
    assert_eq!(again.phone, phone);
    let scope = storage.tenant(shop.tenant.id);
    assert_eq!(scope.replay_session(again.id).await.unwrap().unwrap().phone, phone);
    assert_eq!(scope.live_session(first.id).await.unwrap().unwrap().phone, phone);
    let token = wxgate_domain::RefreshToken {
        mac_key: again.mac_key,
        tenant: shop.tenant.id,
        session: again.id,
        generation: 0,
    };
    let policy = &shop.tenant.policy;
    let keys = &scope.refresh_keys(again.mac_key).await.unwrap();
    let request = RefreshRequest { token, keys, app: None, network: b"network", agent: b"agent", policy };
    assert_eq!(scope.refresh_session(&request).await.unwrap().phone, phone);
    assert_eq!(shop.login(&storage, "oEve", None).await.phone, None);
    storage.stop().await;
}

pub(crate) async fn nothing_is_found_by_a_number_that_is_not_verified(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    let ada = shop.login(&storage, "oAda", None).await.user.id;
    let eve = shop.login(&storage, "oEve", None).await.user.id;
    let (mobile, other) = (number("13800138000"), number("13900139000"));
    let unverified = |number| NewPhone { is_verified: false, ..verified(number) };
    let phones = storage.tenant(shop.tenant.id).phones();

    // Everybody may claim it, and it is in nobody's way.
    assert_eq!(bind(&storage, &shop, eve, &unverified(&mobile)).await, Ok(BOUND));
    assert_eq!(phones.owner(&mobile.e164()).await, Ok(None));
    assert_eq!(count(&database, "phone WHERE digest IS NULL AND digest_key IS NULL").await, 1);
    assert_eq!(bind(&storage, &shop, ada, &unverified(&mobile)).await, Ok(BOUND));
    assert_eq!(bind(&storage, &shop, ada, &verified(&mobile)).await, Ok(BOUND));
    assert_eq!(phones.owner(&mobile.e164()).await, Ok(Some(ada)));
    assert!(phones.of(ada).await.unwrap().unwrap().is_verified);
    assert_eq!(bind(&storage, &shop, eve, &verified(&mobile)).await, Ok(Binding::Taken { by: ada }));
    assert!(!phones.of(eve).await.unwrap().unwrap().is_verified);

    // It takes nothing away from a number that is.
    assert_eq!(bind(&storage, &shop, ada, &unverified(&mobile)).await, Ok(Binding::AlreadyYours));
    let replaces = NewPhone { may_replace: true, ..unverified(&other) };
    assert_eq!(bind(&storage, &shop, ada, &replaces).await, Ok(Binding::WouldWeaken));
    assert!(phones.of(ada).await.unwrap().unwrap().is_verified);
    storage.stop().await;
}

pub(crate) async fn a_number_that_two_want_at_once_goes_to_one(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    let mut users = Vec::new();
    for number in 0..6 {
        users.push(shop.login(&storage, &format!("o{number}"), None).await.user.id);
    }
    let wanting = users.iter().map(|user| {
        let (storage, shop, user) = (storage.clone(), shop.clone(), *user);
        tokio::spawn(async move { bind(&storage, &shop, user, &verified(&number("13800138000"))).await })
    });
    let mut bound = 0;
    for outcome in wanting.collect::<Vec<_>>() {
        match outcome.await.unwrap().unwrap() {
            BOUND => bound += 1,
            Binding::Taken { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bound, 1);
    assert_eq!(count(&database, "phone").await, 1);
    storage.stop().await;
}

pub(crate) async fn an_erased_user_takes_the_number_along(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    let ada = shop.login(&storage, "oAda", None).await.user.id;
    let mobile = number("13800138000");
    bind(&storage, &shop, ada, &verified(&mobile)).await.unwrap();
    crate::codes::exchange(&storage, &shop, "oAda", "code", &mobile).await;
    crate::codes::exchange(&storage, &shop, "oEve", "another", &number("13900139000")).await;
    let tx = storage.begin().await.unwrap();
    tx.tenant(shop.tenant.id).users().erase(ada, EraseCause::Operator).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(storage.tenant(shop.tenant.id).phones().owner(&mobile.e164()).await, Ok(None));
    assert_eq!(count(&database, "phone").await, 0);
    assert_eq!(count(&database, "phone_code").await, 1, "that of somebody else");
    assert_eq!(count(&database, "phone_budget").await, 2, "that of somebody else, and the app's");
    let eve = shop.login(&storage, "oEve", None).await.user.id;
    assert_eq!(bind(&storage, &shop, eve, &verified(&mobile)).await, Ok(BOUND));
    storage.stop().await;
}

pub(crate) async fn another_tenant_neither_finds_nor_takes_a_number(database: TestDatabase) {
    let storage = database.started().await;
    let (shop, rival) = (place(&storage, "acme").await, place(&storage, "umbrella").await);
    let ada = shop.login(&storage, "oAda", None).await.user.id;
    let eve = rival.login(&storage, "oEve", None).await.user.id;
    let mobile = number("13800138000");
    bind(&storage, &shop, ada, &verified(&mobile)).await.unwrap();

    let theirs = storage.tenant(rival.tenant.id).phones();
    assert_eq!(theirs.owner(&mobile.e164()).await, Ok(None));
    assert_eq!(theirs.of(ada).await, Ok(None));
    assert_eq!(bind(&storage, &rival, ada, &verified(&mobile)).await, Err(StorageError::NotFound));
    let tx = storage.begin().await.unwrap();
    let phones = tx.tenant(rival.tenant.id).phones();
    assert_eq!((phones.release(ada).await, phones.hand_over(ada, eve).await), (Ok(false), Ok(false)));
    tx.commit().await.unwrap();
    // The same number may be somebody's in each tenant.
    assert_eq!(bind(&storage, &rival, eve, &verified(&mobile)).await, Ok(BOUND));
    assert_eq!(storage.tenant(shop.tenant.id).phones().owner(&mobile.e164()).await, Ok(Some(ada)));
    storage.stop().await;
}
