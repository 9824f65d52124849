//! Merges beside each other, and beside what else happens to users.

use wxgate_domain::UserStatus;
use wxgate_storage::{NotMerged, OpenSessionError, StorageError};

use crate::couple::{couple, house};
use crate::logins::{count, orphans};
use crate::support::TestDatabase;

const ROUNDS: usize = 8;

pub(crate) async fn two_merges_that_cross_make_one_user(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let elsewhere = database.started().await;
    for round in 0..ROUNDS {
        let one = house.alone.login(&storage, &format!("oOne{round}"), None).await.user.id;
        let other = house.alone.login(&storage, &format!("oOther{round}"), None).await.user.id;
        let (there, back) = tokio::join!(house.merge(&storage, one, other), house.merge(&elsewhere, other, one));
        let results = [there.map(|merge| merge.user), back.map(|merge| merge.user)];
        let lost = results.iter().filter(|result| **result == Err(NotMerged::Storage(StorageError::NotFound))).count();
        let won: Vec<_> = results.iter().flatten().collect();
        assert_eq!((won.len(), lost), (1, 1), "{results:?}");
        for id in [one, other] {
            assert_eq!(house.user(&storage, id).await.unwrap().id, *won[0]);
        }
    }
    assert_eq!(count(&database, r#""user""#).await, i64::try_from(ROUNDS).unwrap());
    elsewhere.stop().await;
    storage.stop().await;
}

pub(crate) async fn logins_during_a_merge_lose_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let elsewhere = database.started().await;
    for round in 0..ROUNDS {
        let (ada, unionid) = (format!("oAda{round}"), format!("uAda{round}"));
        let one = house.shop.login(&storage, &ada, Some(&unionid)).await.user.id;
        let other = house.alone.login(&storage, &format!("oOther{round}"), None).await.user.id;
        // A known account, and one that comes by its unionid for the first time.
        let new = format!("oNew{round}");
        let (merged, again, first) = tokio::join!(
            house.merge(&storage, one, other),
            house.shop.try_login(&elsewhere, &ada, Some(&unionid)),
            house.club.try_login(&elsewhere, &new, Some(&unionid)),
        );
        merged.unwrap();
        for session in [again.unwrap(), first.unwrap()] {
            assert!([one, other].contains(&session.user.id));
            assert_eq!(house.acts_for(&storage, &session).await, Some(other), "the session goes on");
        }
        for (place, openid) in [(&house.shop, &ada), (&house.club, &new)] {
            assert_eq!(place.login(&storage, openid, Some(&unionid)).await.user.id, other);
        }
    }
    assert_eq!(orphans(&database).await, 0);
    assert_eq!(count(&database, r#""user""#).await, i64::try_from(ROUNDS).unwrap());
    elsewhere.stop().await;
    storage.stop().await;
}

pub(crate) async fn a_block_during_a_merge_holds(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let elsewhere = database.started().await;
    for round in 0..ROUNDS {
        let (openids, mut users) = ([format!("oOne{round}"), format!("oOther{round}")], Vec::new());
        for openid in &openids {
            users.push(house.alone.login(&storage, openid, None).await.user.id);
        }
        let (merged, blocked) = tokio::join!(
            house.merge(&storage, users[0], users[1]),
            house.set_status(&elsewhere, users[0], UserStatus::Blocked),
        );
        blocked.unwrap();
        assert!(matches!(merged, Ok(_) | Err(NotMerged::Blocked)), "{merged:?}");
        let login = house.alone.try_login(&storage, &openids[0], None).await;
        assert_eq!(login, Err(OpenSessionError::UserBlocked));
        let other = house.alone.try_login(&storage, &openids[1], None).await;
        assert_eq!(other.is_err(), merged.is_ok(), "whoever was merged first is blocked whole");
    }
    elsewhere.stop().await;
    storage.stop().await;
}

pub(crate) async fn an_erasure_during_a_merge_leaves_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let elsewhere = database.started().await;
    for round in 0..ROUNDS {
        let (one, other) = couple(&storage, &house).await;
        let (gone, into) = if round % 2 == 0 { (one, other) } else { (other, one) };
        let (merged, erased) =
            tokio::join!(house.merge(&storage, gone.user.id, into.user.id), house.erase(&elsewhere, gone.user.id),);
        erased.unwrap();
        assert!(matches!(merged, Ok(_) | Err(NotMerged::Storage(StorageError::NotFound))), "{merged:?}");
        assert!(house.user(&storage, gone.user.id).await.is_none());
        assert_eq!(house.user(&storage, into.user.id).await.is_none(), merged.is_ok());
        assert_eq!(count(&database, "merge").await, 0);
        if merged.is_err() {
            house.erase(&storage, into.user.id).await.unwrap();
        }
        assert_eq!(count(&database, r#""user""#).await, 0);
    }
    elsewhere.stop().await;
    storage.stop().await;
}
