//! The way back.

use std::time::Duration;

use wxgate_domain::{PhoneNumber, Profile, ProfileParts, UserStatus, merge};
use wxgate_storage::{NewPhone, NotUnmerged, OpenSessionError, StorageError, Unmerged};

use crate::couple::{House, couple, house};
use crate::logins::{count, orphans};
use crate::support::TestDatabase;

pub(crate) async fn what_moved_goes_back_and_what_came_since_stays(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    let merge = house.merge(&storage, one.user.id, other.user.id).await.unwrap();
    let since = house.club.login(&storage, "oSince", Some("uAda")).await;
    assert_eq!(since.user.id, other.user.id);

    let parted = Unmerged { user: one.user.id, from: other.user.id };
    assert_eq!(house.undo(&storage, &merge, None).await, Ok(parted));
    let gone = Err(NotUnmerged::Storage(StorageError::NotFound));
    assert_eq!(house.undo(&storage, &merge, None).await, gone);
    // Tokens of the user who is back say that they are the survivor, so these sessions are over.
    assert_eq!(house.acts_for(&storage, &one).await, None);
    assert_eq!(house.acts_for(&storage, &other).await, Some(other.user.id));
    for (place, openid, unionid, user) in [
        (&house.shop, "oAda", Some("uAda"), one.user.id),
        (&house.alone, "oOther", None, other.user.id),
        (&house.club, "oSince", Some("uAda"), other.user.id),
        // The unionid went back.
        (&house.club, "oNew", Some("uAda"), one.user.id),
    ] {
        assert_eq!(place.login(&storage, openid, unionid).await.user.id, user, "{openid}");
    }
    assert_eq!((count(&database, "merge").await, orphans(&database).await), (0, 0));
    // They may become one again.
    assert!(house.merge(&storage, other.user.id, one.user.id).await.is_ok());
    storage.stop().await;
}

pub(crate) async fn chains_come_apart_in_any_order(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    for first_first in [true, false] {
        let openids = ["oA", "oB", "oC"].map(|openid| format!("{openid}{first_first}"));
        let mut users = Vec::new();
        for openid in &openids {
            users.push(house.alone.login(&storage, openid, None).await.user.id);
        }
        let first = house.merge(&storage, users[0], users[1]).await.unwrap();
        let second = house.merge(&storage, users[1], users[2]).await.unwrap();
        for user in &users {
            assert_eq!(house.user(&storage, *user).await.unwrap().id, users[2], "all ids lead to the last");
        }
        let order = if first_first { [&first, &second] } else { [&second, &first] };
        house.undo(&storage, order[0], None).await.unwrap();
        let now = [users[0], if first_first { users[2] } else { users[1] }, users[2]];
        let now = if first_first { now } else { [users[1], users[1], users[2]] };
        for (openid, user) in openids.iter().zip(now) {
            assert_eq!(house.alone.login(&storage, openid, None).await.user.id, user, "{openid} {first_first}");
        }
        house.undo(&storage, order[1], None).await.unwrap();
        for (openid, user) in openids.iter().zip(&users) {
            assert_eq!(house.alone.login(&storage, openid, None).await.user.id, *user, "{openid} {first_first}");
        }
    }
    storage.stop().await;
}

pub(crate) async fn both_sides_must_be_there(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    house.alone.login(&storage, "oEve", None).await;
    house.club.login(&storage, "oAdaToo", Some("uAda")).await;
    let merge = house.merge(&storage, one.user.id, other.user.id).await.unwrap();
    let (went, too) = (House::side(&house.shop, "oAda"), House::side(&house.club, "oAdaToo"));
    let (stayed, eve) = (House::side(&house.alone, "oOther"), House::side(&house.alone, "oEve"));
    for sides in [
        [went.clone(), went.clone()],
        [went.clone(), too.clone()],
        [stayed.clone(), stayed.clone()],
        [went.clone(), eve.clone()],
        [stayed.clone(), eve],
    ] {
        assert_eq!(house.undo(&storage, &merge, Some(&sides)).await, Err(NotUnmerged::NotBothSides), "{sides:?}");
    }
    assert!(house.undo(&storage, &merge, Some(&[stayed, too])).await.is_ok());
    storage.stop().await;
}

pub(crate) async fn after_seven_days_it_is_too_late(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    let merge = house.merge(&storage, one.user.id, other.user.id).await.unwrap();
    database.clock.advance(merge::UNDO.saturating_sub(Duration::from_millis(1)));
    storage.sweep().await.unwrap();
    assert_eq!(count(&database, "merge WHERE moved IS NOT NULL").await, 1);
    database.clock.advance(Duration::from_millis(1));
    assert_eq!(house.undo(&storage, &merge, None).await, Err(NotUnmerged::TooLate));
    storage.sweep().await.unwrap();
    assert_eq!(count(&database, "merge WHERE moved IS NOT NULL").await, 0, "what moved is forgotten");
    assert_eq!(house.user(&storage, one.user.id).await.unwrap().id, other.user.id, "whom it leads to is not");
    storage.stop().await;
}

pub(crate) async fn a_block_of_the_survivor_holds_for_both(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    let merge = house.merge(&storage, one.user.id, other.user.id).await.unwrap();
    house.set_status(&storage, other.user.id, UserStatus::Blocked).await.unwrap();
    house.undo(&storage, &merge, None).await.unwrap();
    for (place, openid) in [(&house.shop, "oAda"), (&house.alone, "oOther")] {
        assert_eq!(place.try_login(&storage, openid, None).await, Err(OpenSessionError::UserBlocked), "{openid}");
    }
    house.set_status(&storage, one.user.id, UserStatus::Active).await.unwrap();
    assert_eq!(house.shop.login(&storage, "oAda", None).await.user.id, one.user.id);
    assert_eq!(house.alone.try_login(&storage, "oOther", None).await, Err(OpenSessionError::UserBlocked));
    storage.stop().await;
}

pub(crate) async fn what_was_taken_back_does_not_come_back(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    let scope = storage.tenant(house.shop.tenant.id);
    let shown = Profile::shown(Some("Ada"), Some("https://example.com/ada.png"));
    scope.update_profile(one.user.id, &shown).await.unwrap();
    let number = PhoneNumber::new("86", "13800138000").unwrap();
    let new = NewPhone { number: &number, is_verified: true, may_replace: false, leaves_after: None };
    let tx = storage.begin().await.unwrap();
    tx.tenant(house.shop.tenant.id).phones().bind(one.user.id, &new).await.unwrap();
    tx.commit().await.unwrap();
    let merge = house.merge(&storage, one.user.id, other.user.id).await.unwrap();

    let tx = storage.begin().await.unwrap();
    let within = tx.tenant(house.shop.tenant.id);
    let nickname = ProfileParts { nickname: true, avatar: false };
    assert!(within.users().clear_profile(other.user.id, nickname).await.unwrap());
    assert!(within.phones().release(other.user.id).await.unwrap());
    tx.commit().await.unwrap();
    house.undo(&storage, &merge, None).await.unwrap();
    let back = house.user(&storage, one.user.id).await.unwrap();
    assert_eq!((back.profile.nickname, back.profile.avatar_url), (None, shown.avatar_url));
    for user in [one.user.id, other.user.id] {
        assert!(scope.phones().of(user).await.unwrap().is_none());
    }
    storage.stop().await;
}
