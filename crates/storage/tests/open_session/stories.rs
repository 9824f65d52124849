//! Who is who.

use std::collections::HashSet;

use wxgate_domain::{UnionGroupId, UserStatus};
use wxgate_storage::{OpenSessionError, Storage};

use crate::logins::{Place, count, orphans};
use crate::support::{self, TestDatabase};

async fn place(storage: &Storage) -> Place {
    let tenant = support::tenant(storage, "acme").await;
    let app = support::app(storage, &tenant, "wxaaaaaaaaaaaaaaaa").await;
    Place { tenant, app }
}

/// Two apps of one tenant, bound to one group unless they are given their own.
async fn two_places(storage: &Storage, second_group: Option<&str>) -> (Place, Place) {
    let tenant = support::tenant(storage, "acme").await;
    let group: UnionGroupId = support::union_group(storage, &tenant, "One").await.id;
    let other = match second_group {
        Some(name) => support::union_group(storage, &tenant, name).await.id,
        None => group,
    };
    let first = support::app_in_group(storage, &tenant, "wxaaaaaaaaaaaaaaaa", Some(group)).await;
    let second = support::app_in_group(storage, &tenant, "wxbbbbbbbbbbbbbbbb", Some(other)).await;
    (Place { tenant: tenant.clone(), app: first }, Place { tenant, app: second })
}

pub(crate) async fn a_returning_login_keeps_its_user(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage).await;
    let first = shop.login(&storage, "ada", None).await;
    let again = shop.login(&storage, "ada", None).await;
    assert!(first.is_new && !again.is_new);
    assert_ne!(first.id, again.id);
    assert_eq!(first.user, again.user);
    assert_eq!(first.user, storage.tenant(shop.tenant.id).user(first.user.id).await.unwrap().unwrap());
    assert_eq!(count(&database, "session").await, 2);
    storage.stop().await;
}

pub(crate) async fn similar_openids_are_different_users(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage).await;
    let mut users = HashSet::new();
    for openid in ["oABC", "oabc", "oAbc", "oABC-", "oABC_", "0ABC"] {
        let opened = shop.login(&storage, openid, None).await;
        assert!(opened.is_new && users.insert(opened.user.id), "{openid}");
    }
    storage.stop().await;
}

pub(crate) async fn an_openid_means_something_in_its_app_only(database: TestDatabase) {
    let storage = database.started().await;
    let (shop, club) = two_places(&storage, None).await;
    let here = shop.login(&storage, "ada", None).await;
    let there = club.login(&storage, "ada", None).await;
    assert_ne!(here.user.id, there.user.id);
    storage.stop().await;
}

/// Logs one person in at all these places at once, and says how many users and how many newcomers that made.
async fn all_at_once(logins: Vec<(Storage, Place)>, openid: &str, unionid: Option<&str>) -> (usize, usize) {
    let sessions = logins.len();
    let tasks = logins.into_iter().map(|(storage, place)| {
        let (openid, unionid) = (openid.to_owned(), unionid.map(str::to_owned));
        tokio::spawn(async move { place.login(&storage, &openid, unionid.as_deref()).await })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut users = HashSet::new();
    let mut ids = HashSet::new();
    let mut newcomers = 0;
    for task in tasks {
        let session = task.await.unwrap();
        users.insert(session.user.id);
        ids.insert(session.id);
        newcomers += usize::from(session.is_new);
    }
    assert_eq!(ids.len(), sessions, "every login has its own session");
    (users.len(), newcomers)
}

pub(crate) async fn concurrent_first_logins_make_one_user(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage).await;
    let logins = vec![(storage.clone(), shop); 50];
    assert_eq!(all_at_once(logins, "ada", None).await, (1, 1));
    assert_eq!((count(&database, "session").await, orphans(&database).await), (50, 0));
    storage.stop().await;
}

pub(crate) async fn two_processes_make_one_user_of_one_openid(database: TestDatabase) {
    let (one, two) = (database.started().await, database.started().await);
    let shop = place(&one).await;
    for round in 0..10 {
        let logins = (0..8).map(|n| (if n % 2 == 0 { one.clone() } else { two.clone() }, shop.clone())).collect();
        assert_eq!(all_at_once(logins, &format!("ada{round}"), None).await, (1, 1));
    }
    assert_eq!((count(&database, r#""user""#).await, orphans(&database).await), (10, 0));
    one.stop().await;
    two.stop().await;
}

pub(crate) async fn two_processes_make_one_user_of_one_unionid(database: TestDatabase) {
    let (one, two) = (database.started().await, database.started().await);
    let (shop, club) = two_places(&one, None).await;
    for round in 0..10 {
        let logins = (0..8).map(|n| if n % 2 == 0 { (one.clone(), shop.clone()) } else { (two.clone(), club.clone()) });
        let (openid, unionid) = (format!("ada{round}"), format!("union{round}"));
        assert_eq!(all_at_once(logins.collect(), &openid, Some(&unionid)).await, (1, 1));
    }
    assert_eq!((count(&database, r#""user""#).await, orphans(&database).await), (10, 0));
    assert_eq!((count(&database, "identity").await, count(&database, "union_member").await), (20, 10));
    one.stop().await;
    two.stop().await;
}

pub(crate) async fn a_unionid_means_something_in_its_group_only(database: TestDatabase) {
    let storage = database.started().await;
    let (shop, club) = two_places(&storage, Some("Another")).await;
    let alone = support::app(&storage, &shop.tenant, "wxcccccccccccccccc").await;
    let alone = Place { tenant: shop.tenant.clone(), app: alone };
    let mut users = HashSet::new();
    for place in [&shop, &club, &alone] {
        let opened = place.login(&storage, "ada", Some("union")).await;
        assert_eq!(opened.unionid.as_ref().map(ToString::to_string).as_deref(), Some("union"));
        users.insert(opened.user.id);
    }
    assert_eq!(users.len(), 3);
    assert_eq!(count(&database, "union_member").await, 2);
    storage.stop().await;
}

pub(crate) async fn a_late_unionid_joins_later_identities(database: TestDatabase) {
    let storage = database.started().await;
    let (shop, club) = two_places(&storage, None).await;
    let before = shop.login(&storage, "ada", None).await;
    let late = shop.login(&storage, "ada", Some("union")).await;
    assert_eq!(before.user, late.user);
    assert!(before.unionid.is_none() && late.unionid.is_some());
    let elsewhere = club.login(&storage, "ada-at-the-club", Some("union")).await;
    assert_eq!((elsewhere.user.id, elsewhere.is_new), (before.user.id, false));
    // WeChat leaves the unionid out at times; what is known stays known.
    assert_eq!(shop.login(&storage, "ada", None).await.unionid, late.unionid);
    storage.stop().await;
}

pub(crate) async fn a_late_unionid_of_another_user_joins_nobody(database: TestDatabase) {
    let storage = database.started().await;
    let (shop, club) = two_places(&storage, None).await;
    let ada = shop.login(&storage, "ada", None).await;
    let other = club.login(&storage, "ada-at-the-club", Some("union")).await;
    let late = shop.login(&storage, "ada", Some("union")).await;
    assert_eq!((late.user.id, late.unionid), (ada.user.id, other.unionid.clone()));
    // The member is still the one who was first.
    let again = club.login(&storage, "a-third-openid", Some("union")).await;
    assert_eq!(again.user.id, other.user.id);
    assert_eq!((count(&database, "union_member").await, orphans(&database).await), (1, 0));
    storage.stop().await;
}

pub(crate) async fn a_changed_unionid_joins_nobody(database: TestDatabase) {
    let storage = database.started().await;
    let (shop, club) = two_places(&storage, None).await;
    let ada = shop.login(&storage, "ada", Some("union1")).await;
    let bob = club.login(&storage, "bob", Some("union2")).await;
    for changed in ["union2", "union3"] {
        let opened = shop.login(&storage, "ada", Some(changed)).await;
        assert_eq!(opened.user.id, ada.user.id);
        assert_eq!(opened.unionid.unwrap().as_str(), changed);
    }
    assert_eq!(club.login(&storage, "bob", Some("union2")).await.user.id, bob.user.id);
    // Not even the new unionid leads to the one whose unionid changed.
    assert!(club.login(&storage, "carol", Some("union3")).await.is_new);
    assert_eq!(club.login(&storage, "dora", Some("union1")).await.user.id, ada.user.id);
    storage.stop().await;
}

pub(crate) async fn a_blocked_user_is_refused_everywhere(database: TestDatabase) {
    let storage = database.started().await;
    let (shop, club) = two_places(&storage, None).await;
    let ada = shop.login(&storage, "ada", Some("union")).await;
    let set = async |status| {
        let tx = storage.begin().await.unwrap();
        tx.tenant(shop.tenant.id).users().set_status(ada.user.id, status).await.unwrap();
        tx.commit().await.unwrap();
    };
    set(UserStatus::Blocked).await;
    let refused = Err(OpenSessionError::UserBlocked);
    assert_eq!(shop.try_login(&storage, "ada", Some("union")).await, refused);
    assert_eq!(shop.try_login(&storage, "ada", Some("changed")).await, refused);
    assert_eq!(club.try_login(&storage, "ada-at-the-club", Some("union")).await, refused);
    assert_eq!((count(&database, "identity").await, count(&database, "session").await), (1, 1));
    assert_eq!(count(&database, "identity WHERE unionid IS NOT NULL").await, 1);
    set(UserStatus::Active).await;
    let back = club.login(&storage, "ada-at-the-club", Some("union")).await;
    assert_eq!((back.user.id, back.user.sessions_epoch), (ada.user.id, 1));
    storage.stop().await;
}
