//! Who may be whom.

use wxgate_domain::{CandidateCause, CandidateState, OpenedSession, UserId};
use wxgate_storage::{MergeCandidate, Storage, StorageError};

use crate::couple::{House, house};
use crate::logins::count;
use crate::support::TestDatabase;

async fn open(storage: &Storage, house: &House) -> Vec<MergeCandidate> {
    let scope = storage.tenant(house.shop.tenant.id);
    scope.merge_candidates().page(CandidateState::Open, None, 10).await.unwrap()
}

/// In the order of their ids.
fn pair(one: &OpenedSession, other: &OpenedSession) -> [UserId; 2] {
    let (one, other) = (one.user.id, other.user.id);
    [one.min(other), one.max(other)]
}

pub(crate) async fn a_late_unionid_of_somebody_elses_is_noted_once_and_joins_nobody(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let early = house.shop.login(&storage, "oAda", None).await;
    let holder = house.club.login(&storage, "oAdaToo", Some("uAda")).await;
    assert!(open(&storage, &house).await.is_empty());
    let late = house.shop.login(&storage, "oAda", Some("uAda")).await;
    assert_eq!((late.user.id, late.candidate), (early.user.id, Some(holder.user.id)));
    // Known by now: nothing more is noted.
    let again = house.shop.login(&storage, "oAda", Some("uAda")).await;
    assert_eq!((again.user.id, again.candidate), (early.user.id, None));
    let noted = open(&storage, &house).await;
    assert_eq!(noted.len(), 1);
    assert_eq!((noted[0].users, noted[0].cause), (pair(&early, &holder), CandidateCause::Unionid));
    // The unionid still leads to whoever had it first.
    assert_eq!(house.club.login(&storage, "oNew", Some("uAda")).await.user.id, holder.user.id);

    let merge = house.merge(&storage, holder.user.id, early.user.id).await.unwrap();
    assert!(open(&storage, &house).await.is_empty(), "they are one");
    house.undo(&storage, &merge, None).await.unwrap();
    assert!(open(&storage, &house).await.is_empty(), "and were told apart");
    storage.stop().await;
}

pub(crate) async fn a_changed_unionid_joins_nobody_and_says_so(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let ada = house.shop.login(&storage, "oAda", Some("uAda")).await;
    let eve = house.club.login(&storage, "oEve", Some("uEve")).await;
    let changed = house.shop.login(&storage, "oAda", Some("uEve")).await;
    assert_eq!((changed.user.id, changed.candidate), (ada.user.id, None));
    let noted = open(&storage, &house).await;
    assert_eq!(noted[0].cause, CandidateCause::UnionidChanged);
    assert_eq!(noted[0].users, pair(&ada, &eve));
    // To one that is nobody's: nothing to note.
    house.shop.login(&storage, "oAda", Some("uNobody")).await;
    assert_eq!(open(&storage, &house).await.len(), 1);
    storage.stop().await;
}

pub(crate) async fn a_unionid_says_who_the_user_is_for_as_long_as_it_does(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let scope = storage.tenant(house.shop.tenant.id);
    let said = async |user| scope.merge_candidates().by_unionid(user).await.unwrap();
    let early = house.shop.login(&storage, "oAda", None).await.user.id;
    let holder = house.club.login(&storage, "oAdaToo", Some("uAda")).await.user.id;
    house.shop.login(&storage, "oAda", Some("uAda")).await;
    assert_eq!((said(early).await, said(holder).await), (vec![holder], vec![early]));
    let other = crate::support::tenant(&storage, "umbrella").await;
    assert!(storage.tenant(other.id).merge_candidates().by_unionid(early).await.unwrap().is_empty());

    // Another unionid than before, whoever has that: the word of the first one is over.
    house.club.login(&storage, "oEve", Some("uEve")).await;
    house.shop.login(&storage, "oAda", Some("uEve")).await;
    assert_eq!(open(&storage, &house).await.len(), 2);
    assert!(said(early).await.is_empty() && said(holder).await.is_empty());
    storage.stop().await;
}

pub(crate) async fn whoever_was_told_apart_is_not_asked_about_again(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    house.shop.login(&storage, "oAda", None).await;
    house.club.login(&storage, "oAdaToo", Some("uAda")).await;
    house.shop.login(&storage, "oAda", Some("uAda")).await;
    let noted = open(&storage, &house).await;
    let tx = storage.begin().await.unwrap();
    tx.tenant(house.shop.tenant.id).merge_candidates().dismiss(noted[0].id).await.unwrap();
    tx.commit().await.unwrap();
    assert!(open(&storage, &house).await.is_empty());
    // By another way to the same two.
    house.shop.login(&storage, "oAda", Some("uOther")).await;
    house.shop.login(&storage, "oAda", Some("uAda")).await;
    assert!(open(&storage, &house).await.is_empty());
    assert_eq!(count(&database, "merge_candidate").await, 1);
    let erased = house.erase(&storage, noted[0].users[1]).await.unwrap();
    assert_eq!(erased.identities, 1);
    assert_eq!(count(&database, "merge_candidate").await, 0);
    storage.stop().await;
}

pub(crate) async fn another_tenant_sees_and_decides_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let (mine, theirs) = (house(&storage, "acme").await, house(&storage, "umbrella").await);
    mine.shop.login(&storage, "oAda", None).await;
    mine.club.login(&storage, "oAdaToo", Some("uAda")).await;
    // The same unionid elsewhere is somebody else's.
    let foreign = theirs.shop.login(&storage, "oAda", Some("uAda")).await;
    assert_eq!(foreign.candidate, None);
    mine.shop.login(&storage, "oAda", Some("uAda")).await;
    let noted = open(&storage, &mine).await;
    assert!(open(&storage, &theirs).await.is_empty());
    let scope = storage.tenant(theirs.shop.tenant.id);
    assert!(scope.merge_candidates().find(noted[0].id).await.unwrap().is_none());
    let tx = storage.begin().await.unwrap();
    let dismissed = tx.tenant(theirs.shop.tenant.id).merge_candidates().dismiss(noted[0].id).await;
    assert_eq!(dismissed, Err(StorageError::NotFound));
    drop(tx);
    assert_eq!(open(&storage, &mine).await, noted);
    storage.stop().await;
}
