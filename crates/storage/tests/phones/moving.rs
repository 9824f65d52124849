//! Numbers that change hands.

use std::time::Duration;

use wxgate_storage::{Binding, NewPhone, Storage};

use crate::logins::Place;
use crate::support::TestDatabase;
use crate::{bind, number, place, verified};

const WEEK: Duration = Duration::from_hours(7 * 24);

async fn hand_over(storage: &Storage, place: &Place, from: wxgate_domain::UserId, to: wxgate_domain::UserId) -> bool {
    let tx = storage.begin().await.unwrap();
    let given = tx.tenant(place.tenant.id).phones().hand_over(from, to).await.unwrap();
    tx.commit().await.unwrap();
    given
}

pub(crate) async fn a_number_moves_after_its_waiting_period(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    let ada = shop.login(&storage, "oAda", None).await.user.id;
    let eve = shop.login(&storage, "oEve", None).await.user.id;
    let mobile = number("13800138000");
    bind(&storage, &shop, ada, &verified(&mobile)).await.unwrap();
    let moving = NewPhone { leaves_after: Some(WEEK), ..verified(&mobile) };
    let at = database.clock.now().plus(WEEK);
    let leaving = Ok(Binding::Leaving { from: ada, at });
    assert_eq!(bind(&storage, &shop, eve, &moving).await, leaving);
    let phones = storage.tenant(shop.tenant.id).phones();
    assert_eq!(phones.of(ada).await.unwrap().unwrap().leaves_at, Some(at));

    // Asking again changes nothing, whoever asks; the number is not theirs before.
    database.clock.advance(WEEK.saturating_sub(Duration::from_millis(1)));
    assert_eq!(bind(&storage, &shop, eve, &moving).await, leaving);
    storage.sweep().await.unwrap();
    assert_eq!(phones.owner(&mobile.e164()).await, Ok(Some(ada)));
    assert_eq!(bind(&storage, &shop, eve, &verified(&mobile)).await, Ok(Binding::Taken { by: ada }));
    database.clock.advance(Duration::from_millis(1));
    assert_eq!(bind(&storage, &shop, eve, &verified(&mobile)).await, Ok(Binding::Bound { moved_from: Some(ada) }));
    assert_eq!((phones.of(ada).await, phones.owner(&mobile.e164()).await), (Ok(None), Ok(Some(eve))));

    // Or it leaves by itself, and is free.
    bind(&storage, &shop, ada, &moving).await.unwrap();
    database.clock.advance(WEEK);
    storage.sweep().await.unwrap();
    assert_eq!(phones.owner(&mobile.e164()).await, Ok(None));
    storage.stop().await;
}

pub(crate) async fn whoever_has_a_number_still_keeps_it(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    let ada = shop.login(&storage, "oAda", None).await.user.id;
    let eve = shop.login(&storage, "oEve", None).await.user.id;
    let mobile = number("13800138000");
    bind(&storage, &shop, ada, &verified(&mobile)).await.unwrap();
    bind(&storage, &shop, eve, &NewPhone { leaves_after: Some(WEEK), ..verified(&mobile) }).await.unwrap();
    // A number that WeChat does not vouch for proves nothing.
    let unverified = NewPhone { is_verified: false, ..verified(&mobile) };
    assert_eq!(bind(&storage, &shop, ada, &unverified).await, Ok(Binding::AlreadyYours));
    let phones = storage.tenant(shop.tenant.id).phones();
    assert!(phones.of(ada).await.unwrap().unwrap().leaves_at.is_some());
    assert_eq!(bind(&storage, &shop, ada, &verified(&mobile)).await, Ok(Binding::AlreadyYours));
    assert!(phones.of(ada).await.unwrap().unwrap().leaves_at.is_none());
    database.clock.advance(WEEK);
    storage.sweep().await.unwrap();
    assert_eq!(phones.owner(&mobile.e164()).await, Ok(Some(ada)));
    storage.stop().await;
}

pub(crate) async fn a_number_is_handed_over_in_a_merge(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    let ada = shop.login(&storage, "oAda", None).await.user.id;
    let eve = shop.login(&storage, "oEve", None).await.user.id;
    let mobile = number("13800138000");
    bind(&storage, &shop, ada, &verified(&mobile)).await.unwrap();
    assert!(!hand_over(&storage, &shop, eve, ada).await);
    assert!(hand_over(&storage, &shop, ada, eve).await);
    let phones = storage.tenant(shop.tenant.id).phones();
    assert_eq!(phones.owner(&mobile.e164()).await, Ok(Some(eve)));
    assert_eq!(phones.of(eve).await.unwrap().unwrap().number, mobile, "it opens where it is");
    let second = number("13900139000");
    bind(&storage, &shop, ada, &verified(&second)).await.unwrap();
    assert!(!hand_over(&storage, &shop, eve, ada).await, "nobody has two");
    // Whoever is about to lose a number does not keep it by a merge with another account of theirs.
    let bob = shop.login(&storage, "oBob", None).await.user.id;
    let too = shop.login(&storage, "oAdaToo", None).await.user.id;
    bind(&storage, &shop, bob, &NewPhone { leaves_after: Some(WEEK), ..verified(&second) }).await.unwrap();
    assert!(hand_over(&storage, &shop, ada, too).await);
    database.clock.advance(WEEK);
    storage.sweep().await.unwrap();
    assert_eq!(phones.owner(&second.e164()).await, Ok(None));
    storage.stop().await;
}
