//! What moves, what stays, and who stays two.

use wxgate_domain::{MergeCause, PhoneNumber, Profile, UserId, UserStatus};
use wxgate_storage::{Binding, NewMerge, NewPhone, NewUser, NotMerged, Storage, StorageError};

use crate::couple::{House, couple, house};
use crate::logins::{count, orphans};
use crate::support::TestDatabase;

pub(crate) async fn everything_moves_and_sessions_go_on(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    let merge = house.merge(&storage, one.user.id, other.user.id).await.unwrap();
    assert_eq!((merge.gone, merge.user), (one.user.id, other.user.id));
    for session in [&one, &other] {
        assert_eq!(house.acts_for(&storage, session).await, Some(other.user.id));
    }
    // Old accounts, and a new one that the unionid leads to.
    let again = house.shop.login(&storage, "oAda", Some("uAda")).await;
    let too = house.club.login(&storage, "oAdaToo", Some("uAda")).await;
    assert_eq!((again.user.id, too.user.id), (other.user.id, other.user.id));
    assert!(!again.is_new && !too.is_new);
    assert_eq!((count(&database, r#""user""#).await, orphans(&database).await), (1, 0));
    assert_eq!(
        house.merge(&storage, one.user.id, other.user.id).await,
        Err(NotMerged::Storage(StorageError::NotFound)),
        "whoever is gone cannot go again"
    );
    storage.stop().await;
}

pub(crate) async fn sessions_that_were_over_stay_over(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    // A block ends everything, and leaves the one with a higher epoch than the other.
    for status in [UserStatus::Blocked, UserStatus::Active] {
        house.set_status(&storage, one.user.id, status).await.unwrap();
    }
    let live = house.shop.login(&storage, "oAda", Some("uAda")).await;
    for (gone, into) in [(one.user.id, other.user.id), (other.user.id, one.user.id)] {
        let merge = house.merge(&storage, gone, into).await.unwrap();
        let fresh = house.alone.login(&storage, "oOther", None).await;
        assert_eq!(house.acts_for(&storage, &one).await, None, "it was over");
        assert_eq!(house.acts_for(&storage, &fresh).await, Some(into));
        house.undo(&storage, &merge, None).await.unwrap();
        assert_eq!(house.acts_for(&storage, &one).await, None, "it was over");
    }
    assert_eq!(house.acts_for(&storage, &live).await, None, "its user was back once, and their sessions ended");
    storage.stop().await;
}

/// Gives somebody who is there what another system calls them.
async fn call(storage: &Storage, house: &House, openid: &str, external_id: &str, nickname: &str) {
    let tx = storage.begin().await.unwrap();
    let row = NewUser {
        app: house.alone.app.id,
        union_group: None,
        openid: openid.parse().unwrap(),
        unionid: None,
        external_id: Some(external_id.parse().unwrap()),
        nickname: Some(nickname.to_owned()),
    };
    tx.tenant(house.alone.tenant.id).users().import(&[row]).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn what_the_survivor_has_stays_and_what_they_lack_is_filled_in(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    let scope = storage.tenant(house.shop.tenant.id);
    let avatar = Some("https://example.com/ada.png");
    scope.update_profile(one.user.id, &Profile::shown(Some("Ada"), None)).await.unwrap();
    scope.update_profile(other.user.id, &Profile::shown(Some("Countess"), avatar)).await.unwrap();
    call(&storage, &house, "oOther", "42", "not asked").await;
    let merge = house.merge(&storage, other.user.id, one.user.id).await.unwrap();
    let user = house.user(&storage, one.user.id).await.unwrap();
    assert_eq!(user.profile, Profile::shown(Some("Ada"), avatar));
    assert_eq!(user.external_id, Some("42".parse().unwrap()));

    scope.update_profile(one.user.id, &Profile::shown(Some("Ada King"), None)).await.unwrap();
    house.undo(&storage, &merge, None).await.unwrap();
    let [user, back] = [one.user.id, other.user.id].map(async |id| house.user(&storage, id).await.unwrap());
    let (user, back) = (user.await, back.await);
    assert_eq!((user.profile, user.external_id), (Profile::shown(Some("Ada King"), None), None));
    assert_eq!(back.profile, Profile::shown(Some("Countess"), avatar));
    assert_eq!((back.external_id, back.created_at), (Some("42".parse().unwrap()), other.user.created_at));
    storage.stop().await;
}

/// Gives a user a phone number that WeChat vouches for.
async fn bind(storage: &Storage, house: &House, user: UserId, national: &str) -> Binding {
    let number = PhoneNumber::new("86", national).unwrap();
    let tx = storage.begin().await.unwrap();
    let new = NewPhone { number: &number, is_verified: true, may_replace: false, leaves_after: None };
    let bound = tx.tenant(house.shop.tenant.id).phones().bind(user, &new).await.unwrap();
    tx.commit().await.unwrap();
    bound
}

pub(crate) async fn a_phone_number_goes_along_unless_the_survivor_has_one(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    let (one, other) = (one.user.id, other.user.id);
    let scope = storage.tenant(house.shop.tenant.id);
    let number = async |user| scope.phones().of(user).await.unwrap().map(|phone| phone.number.national().to_owned());
    bind(&storage, &house, one, "13800138000").await;
    let merge = house.merge(&storage, one, other).await.unwrap();
    assert_eq!(number(other).await.as_deref(), Some("13800138000"));
    house.undo(&storage, &merge, None).await.unwrap();
    assert_eq!((number(one).await.as_deref(), number(other).await), (Some("13800138000"), None));

    bind(&storage, &house, other, "13900139000").await;
    let third = house.alone.login(&storage, "oThird", None).await.user.id;
    for is_taken in [false, true] {
        let merge = house.merge(&storage, one, other).await.unwrap();
        assert_eq!(number(other).await.as_deref(), Some("13900139000"));
        if is_taken {
            assert_eq!(bind(&storage, &house, third, "13800138000").await, Binding::Bound { moved_from: None });
        }
        house.undo(&storage, &merge, None).await.unwrap();
        let back = number(one).await;
        assert_eq!(back.as_deref(), (!is_taken).then_some("13800138000"), "unless it is somebody else's by now");
        assert_eq!(number(other).await.as_deref(), Some("13900139000"));
    }
    storage.stop().await;
}

pub(crate) async fn who_is_known_as_two_stays_two(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let (one, other) = couple(&storage, &house).await;
    assert_eq!(house.merge(&storage, one.user.id, one.user.id).await, Err(NotMerged::OneUser));

    let third = house.alone.login(&storage, "oThird", None).await;
    call(&storage, &house, "oOther", "42", "Other").await;
    call(&storage, &house, "oThird", "43", "Third").await;
    assert_eq!(house.merge(&storage, third.user.id, other.user.id).await, Err(NotMerged::ExternalIds));
    let new =
        NewMerge { gone: third.user.id, into: other.user.id, cause: MergeCause::Operator, may_drop_external_id: true };
    let merge = house.merge_as(&storage, &new).await.unwrap();
    assert_eq!(house.user(&storage, other.user.id).await.unwrap().external_id, Some("42".parse().unwrap()));
    house.undo(&storage, &merge, None).await.unwrap();
    assert_eq!(house.user(&storage, third.user.id).await.unwrap().external_id, Some("43".parse().unwrap()));

    // WeChat says that these are two; whoever proves to be both may still be one.
    let eve = house.club.login(&storage, "oEve", Some("uEve")).await;
    let new =
        NewMerge { gone: eve.user.id, into: one.user.id, cause: MergeCause::Unionid, may_drop_external_id: false };
    assert_eq!(house.merge_as(&storage, &new).await, Err(NotMerged::OtherUnionid));
    assert!(house.merge_as(&storage, &NewMerge { cause: MergeCause::Proof, ..new }).await.is_ok());
    storage.stop().await;
}

pub(crate) async fn another_tenant_merges_and_undoes_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let (mine, theirs) = (house(&storage, "acme").await, house(&storage, "umbrella").await);
    let (one, other) = couple(&storage, &mine).await;
    let (foreign, _) = couple(&storage, &theirs).await;
    let refused = Err(NotMerged::Storage(StorageError::NotFound));
    assert_eq!(theirs.merge(&storage, one.user.id, other.user.id).await, refused);
    assert_eq!(theirs.merge(&storage, one.user.id, foreign.user.id).await, refused);
    assert_eq!(theirs.merge(&storage, foreign.user.id, one.user.id).await, refused);
    let merge = mine.merge(&storage, one.user.id, other.user.id).await.unwrap();
    let undone = theirs.undo(&storage, &merge, None).await;
    assert_eq!(undone, Err(wxgate_storage::NotUnmerged::Storage(StorageError::NotFound)));
    let scope = storage.tenant(theirs.shop.tenant.id);
    assert!(scope.merges().find(merge.id).await.unwrap().is_none());
    assert!(scope.merges().page(None, 10).await.unwrap().is_empty());
    assert!(scope.user(one.user.id).await.unwrap().is_none());
    assert_eq!(scope.merges().heir(one.user.id).await.unwrap(), None);
    assert_eq!(storage.tenant(mine.shop.tenant.id).merges().page(None, 10).await.unwrap(), [merge]);
    storage.stop().await;
}
