//! What becomes of phone codes.

use std::time::Duration;

use wxgate_domain::{AppId, OpenId, PhoneNumber};
use wxgate_storage::{
    PhoneCall, PhoneCodeClaim, PhoneCodeResult, PhoneCodeTicket, SentPhoneCode, Storage, StorageError,
};

use crate::logins::{Place, count};
use crate::support::TestDatabase;
use crate::{number, place};

fn sent<'a>(app: AppId, openid: &'a OpenId, code: &'a str) -> SentPhoneCode<'a> {
    SentPhoneCode { app, openid, code, most_of_user: 3, most_of_app: 5 }
}

/// Sends a code, as often as it takes.
async fn send(storage: &Storage, place: &Place, openid: &str, code: &str) -> Result<PhoneCodeClaim, StorageError> {
    let openid = openid.parse().unwrap();
    loop {
        let tx = storage.begin().await?;
        match tx.tenant(place.tenant.id).phone_codes().claim(&sent(place.app.id, &openid, code)).await {
            Err(StorageError::Busy) => {}
            Err(error) => return Err(error),
            Ok(claim) => match tx.commit().await {
                Err(StorageError::Busy) => {}
                committed => return committed.map(|()| claim),
            },
        }
    }
}

async fn claim(storage: &Storage, place: &Place, openid: &str, code: &str) -> PhoneCodeTicket {
    match send(storage, place, openid, code).await.unwrap() {
        PhoneCodeClaim::Exchange(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

async fn settle(storage: &Storage, place: &Place, ticket: &PhoneCodeTicket, result: PhoneCodeResult<'_>) {
    let tx = storage.begin().await.unwrap();
    tx.tenant(place.tenant.id).phone_codes().settle(ticket, result).await.unwrap();
    tx.commit().await.unwrap();
}

/// A code that was exchanged.
pub(crate) async fn exchange(storage: &Storage, place: &Place, openid: &str, code: &str, number: &PhoneNumber) {
    let ticket = claim(storage, place, openid, code).await;
    settle(storage, place, &ticket, PhoneCodeResult::Exchanged(number)).await;
}

pub(crate) async fn a_code_is_exchanged_once_and_for_one_openid(database: TestDatabase) {
    let storage = database.started().await;
    let (shop, rival) = (place(&storage, "acme").await, place(&storage, "umbrella").await);
    let mobile = number("13800138000");
    exchange(&storage, &shop, "oAda", "code", &mobile).await;

    let again = send(&storage, &shop, "oAda", "code").await.unwrap();
    assert!(matches!(&again, PhoneCodeClaim::Exchanged(known) if *known == mobile), "{again:?}");
    let theirs = send(&storage, &shop, "oEve", "code").await.unwrap();
    assert!(matches!(theirs, PhoneCodeClaim::OfAnother), "{theirs:?}");
    // Codes are an app's, and so are openids.
    claim(&storage, &rival, "oEve", "code").await;

    // Whoever writes rows makes the number nobody else's.
    let raw = crate::logins::raw(&database).await;
    sea_orm::ConnectionTrait::execute_unprepared(&raw, "UPDATE phone_code SET openid = 'oEve'").await.unwrap();
    raw.close().await.unwrap();
    let forged = send(&storage, &shop, "oEve", "code").await.unwrap_err();
    assert_eq!(forged, StorageError::Inconsistent { table: "phone_code", column: "openid" });

    database.clock.advance(Duration::from_mins(5));
    claim(&storage, &place(&storage, "third").await, "oAda", "code").await;
    storage.stop().await;
}

pub(crate) async fn a_code_that_came_to_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    let began = database.clock.now();

    // The answer was lost: the code is spent.
    claim(&storage, &shop, "oAda", "lost").await;
    database.clock.advance(Duration::from_mins(1));
    let lost = send(&storage, &shop, "oAda", "lost").await.unwrap();
    assert!(matches!(lost, PhoneCodeClaim::Pending { since } if since == began), "{lost:?}");
    // WeChat refused it: it is not sent again, and counts for the user only.
    let ticket = claim(&storage, &shop, "oAda", "refused").await;
    settle(&storage, &shop, &ticket, PhoneCodeResult::Refused).await;
    let refused = send(&storage, &shop, "oAda", "refused").await.unwrap();
    assert!(matches!(refused, PhoneCodeClaim::Refused), "{refused:?}");
    // It was never sent: it is as good as before, and counts for nobody.
    for _ in 0..10 {
        let ticket = claim(&storage, &shop, "oAda", "unused").await;
        settle(&storage, &shop, &ticket, PhoneCodeResult::Unused).await;
    }
    assert_eq!(count(&database, "phone_budget WHERE used = 2").await, 1, "lost and refused, of the user");
    assert_eq!(count(&database, "phone_budget WHERE used = 1").await, 1, "lost, of the app");
    storage.stop().await;
}

pub(crate) async fn budgets_are_of_a_day_in_beijing(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    let exhausted = async |openid: &str, code: &str| {
        matches!(send(&storage, &shop, openid, code).await.unwrap(), PhoneCodeClaim::Exhausted)
    };
    for code in ["a1", "a2", "a3"] {
        claim(&storage, &shop, "oAda", code).await;
    }
    assert!(exhausted("oAda", "a4").await);
    for code in ["e1", "e2"] {
        claim(&storage, &shop, "oEve", code).await;
    }
    assert!(exhausted("oEve", "e3").await && exhausted("oBob", "b1").await);
    // START is eight in the morning in Beijing.
    database.clock.advance(Duration::from_hours(16) - Duration::from_millis(1));
    assert!(exhausted("oBob", "b2").await);
    database.clock.advance(Duration::from_millis(1));
    claim(&storage, &shop, "oBob", "b3").await;
    claim(&storage, &shop, "oAda", "a5").await;
    storage.stop().await;
}

pub(crate) async fn phone_data_has_budgets_of_its_own(database: TestDatabase) {
    let storage = database.started().await;
    let (shop, rival) = (place(&storage, "acme").await, place(&storage, "rival").await);
    let spend = async |place: &Place, openid: &str| {
        let tx = storage.begin().await.unwrap();
        let of = (place.app.id, &openid.parse().unwrap());
        let day = tx.tenant(place.tenant.id).phone_budgets().spend(PhoneCall::Confirmation, of, [2, 3]).await.unwrap();
        tx.commit().await.unwrap();
        day
    };
    claim(&storage, &shop, "oAda", "a1").await;
    let first = spend(&shop, "oAda").await.unwrap();
    assert!(spend(&shop, "oAda").await.is_some() && spend(&shop, "oAda").await.is_none());
    // One that WeChat was not asked for is given back, by whoever took it.
    for (place, is_free) in [(&rival, false), (&shop, true)] {
        let tx = storage.begin().await.unwrap();
        let budgets = tx.tenant(place.tenant.id).phone_budgets();
        budgets.give_back(PhoneCall::Confirmation, &first).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(spend(&shop, "oAda").await.is_some(), is_free);
    }
    assert!(spend(&shop, "oEve").await.is_some() && spend(&shop, "oBob").await.is_none(), "the app's");
    assert!(spend(&rival, "oAda").await.is_some());
    claim(&storage, &shop, "oAda", "a2").await;
    database.clock.advance(Duration::from_hours(24));
    assert!(spend(&shop, "oAda").await.is_some());
    storage.stop().await;
}

pub(crate) async fn one_code_sent_twice_at_once_is_claimed_once(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    let sending = (0..6).map(|_| {
        let (storage, shop) = (storage.clone(), shop.clone());
        tokio::spawn(async move { send(&storage, &shop, "oAda", "code").await })
    });
    let mut claimed = 0;
    for outcome in sending.collect::<Vec<_>>() {
        match outcome.await.unwrap().unwrap() {
            PhoneCodeClaim::Exchange(_) => claimed += 1,
            PhoneCodeClaim::Pending { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(claimed, 1);
    assert_eq!(count(&database, "phone_budget WHERE used = 1").await, 2);
    storage.stop().await;
}

pub(crate) async fn what_is_over_is_forgotten(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    exchange(&storage, &shop, "oAda", "code", &number("13800138000")).await;
    database.clock.advance(Duration::from_secs(299));
    storage.sweep().await.unwrap();
    assert_eq!(count(&database, "phone_code").await, 1);
    database.clock.advance(Duration::from_secs(1));
    storage.sweep().await.unwrap();
    assert_eq!((count(&database, "phone_code").await, count(&database, "phone_budget").await), (0, 2));
    database.clock.advance(Duration::from_hours(24));
    storage.sweep().await.unwrap();
    assert_eq!(count(&database, "phone_budget").await, 0);
    storage.stop().await;
}
