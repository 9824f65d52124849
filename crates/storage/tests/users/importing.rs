//! Users of another system: who they become, and what the same rows do again.

use wxgate_domain::{EraseCause, UserId, UserStatus};
use wxgate_storage::{Imported, NewUser, NotImported, Storage, StorageError};

use crate::logins::{Place, count, orphans};
use crate::support::{TestDatabase, app, app_in_group, tenant, union_group};

use Imported::{Changed, Created, Unchanged};

fn row(place: &Place, openid: &str, unionid: Option<&str>, external_id: Option<&str>) -> NewUser {
    NewUser {
        app: place.app.id,
        union_group: place.app.union_group,
        openid: openid.parse().unwrap(),
        unionid: unionid.map(|unionid| unionid.parse().unwrap()),
        external_id: external_id.map(|name| name.parse().unwrap()),
        nickname: None,
    }
}

/// Imports; a login in the way only delays it.
async fn import(storage: &Storage, place: &Place, rows: &[NewUser]) -> Vec<Result<Imported, NotImported>> {
    loop {
        let tx = storage.begin().await.unwrap();
        let imported = match tx.tenant(place.tenant.id).users().import(rows).await {
            Ok(imported) => tx.commit().await.map(|()| imported),
            refused => refused,
        };
        match imported {
            Ok(imported) => return imported.rows,
            Err(StorageError::Busy | StorageError::NotUnique { .. } | StorageError::Dangling) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A tenant with two apps in one union group.
async fn two_apps(storage: &Storage, slug: &str) -> [Place; 2] {
    let tenant = tenant(storage, slug).await;
    let group = union_group(storage, &tenant, "open").await;
    let first = app_in_group(storage, &tenant, &format!("wx-{slug}-1"), Some(group.id)).await;
    let second = app_in_group(storage, &tenant, &format!("wx-{slug}-2"), Some(group.id)).await;
    [Place { tenant: tenant.clone(), app: first }, Place { tenant, app: second }]
}

async fn named(storage: &Storage, place: &Place, name: &str) -> Option<UserId> {
    let users = storage.tenant(place.tenant.id).users();
    users.of_external_id(&name.parse().unwrap()).await.unwrap().map(|user| user.id)
}

pub(crate) async fn the_same_rows_again_change_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let [shop, club] = two_apps(&storage, "acme").await;
    let rows: Vec<_> = (0..700)
        .map(|n| {
            let place = if n % 2 == 0 { &shop } else { &club };
            let unionid = (n % 3 > 0).then(|| format!("u{}", n / 2));
            NewUser { nickname: Some(format!("用户{n}")), ..row(place, &format!("o{n}"), unionid.as_deref(), None) }
        })
        .collect();
    let first = import(&storage, &shop, &rows).await;
    assert!(first.iter().all(Result::is_ok));
    let created = first.iter().filter(|row| **row == Ok(Created)).count();
    assert_eq!(count(&database, r#""user""#).await, i64::try_from(created).unwrap());
    assert_eq!((count(&database, "identity").await, orphans(&database).await), (700, 0));
    assert!(import(&storage, &shop, &rows).await.iter().all(|row| *row == Ok(Unchanged)));
    // A login finds who was imported.
    let login = shop.login(&storage, "o2", Some("u1")).await;
    assert!(!login.is_new);
    assert_eq!(login.user.profile.nickname.as_deref(), Some("用户2"));
    storage.stop().await;
}

pub(crate) async fn what_is_missing_is_filled_in_and_what_is_there_stays(database: TestDatabase) {
    let storage = database.started().await;
    let [shop, club] = two_apps(&storage, "acme").await;
    let ada = shop.login(&storage, "oAda", None).await.user.id;
    let with_all = NewUser { nickname: Some("Ada".to_owned()), ..row(&shop, "oAda", Some("uAda"), Some("42")) };
    assert_eq!(import(&storage, &shop, std::slice::from_ref(&with_all)).await, [Ok(Changed)]);
    assert_eq!(import(&storage, &shop, std::slice::from_ref(&with_all)).await, [Ok(Unchanged)]);
    let renamed = NewUser { nickname: Some("Eve".to_owned()), ..with_all };
    assert_eq!(import(&storage, &shop, &[renamed]).await, [Ok(Unchanged)]);
    let session = shop.login(&storage, "oAda", None).await;
    assert_eq!((session.user.id, session.user.profile.nickname.as_deref()), (ada, Some("Ada")));
    assert_eq!(session.user.external_id, Some("42".parse().unwrap()));

    // By unionid or by external id it is the same person elsewhere; first in one batch, then in another.
    let elsewhere = [row(&club, "oA1", Some("uAda"), None), row(&club, "oA2", None, Some("42"))];
    assert_eq!(import(&storage, &shop, &elsewhere).await, [Ok(Changed), Ok(Changed)]);
    for openid in ["oA1", "oA2"] {
        assert_eq!(club.login(&storage, openid, None).await.user.id, ada, "{openid}");
    }
    let fresh =
        [row(&shop, "oN", None, Some("7")), row(&club, "oN", None, Some("7")), row(&shop, "oN", Some("uN"), None)];
    assert_eq!(import(&storage, &shop, &fresh).await, [Ok(Created), Ok(Changed), Ok(Changed)]);
    assert_eq!(club.login(&storage, "oN2", Some("uN")).await.user.id, named(&storage, &shop, "7").await.unwrap());
    storage.stop().await;
}

pub(crate) async fn a_conflict_is_told_and_stops_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let [shop, club] = two_apps(&storage, "acme").await;
    let rows = [
        row(&shop, "oAda", Some("uAda"), Some("1")),
        row(&shop, "oEve", Some("uEve"), Some("2")),
        row(&shop, "oBob", None, None),
    ];
    assert_eq!(import(&storage, &shop, &rows).await, [Ok(Created); 3]);
    let gone = club.login(&storage, "oGone", Some("uGone")).await.user.id;
    let tx = storage.begin().await.unwrap();
    tx.tenant(shop.tenant.id).users().erase(gone, EraseCause::Operator).await.unwrap();
    tx.commit().await.unwrap();
    let conflicts = [
        (row(&shop, "oAda", Some("uOther"), None), NotImported::OtherUnionid),
        (row(&shop, "oBob", Some("uAda"), None), NotImported::UnionidTaken),
        (row(&shop, "oAda", None, Some("9")), NotImported::OtherExternalId),
        (row(&shop, "oBob", None, Some("1")), NotImported::ExternalIdTaken),
        (row(&club, "oNew", Some("uAda"), Some("2")), NotImported::ExternalIdTaken),
        (row(&club, "oGone", None, None), NotImported::Erased),
        (row(&shop, "oGone1", Some("uGone"), None), NotImported::Erased),
        (row(&club, "oGone2", Some("uGone"), None), NotImported::Erased),
    ];
    let mut rows: Vec<_> = conflicts.iter().map(|(row, _)| row.clone()).collect();
    rows.push(row(&club, "oLast", None, Some("10")));
    let told = import(&storage, &shop, &rows).await;
    let wanted: Vec<_> = conflicts.iter().map(|(_, why)| Err(*why)).chain([Ok(Created)]).collect();
    assert_eq!(told, wanted);
    assert_eq!((count(&database, r#""user""#).await, orphans(&database).await), (4, 0));
    storage.stop().await;
}

pub(crate) async fn an_import_beside_logins_makes_one_user_of_each(database: TestDatabase) {
    let storage = database.started().await;
    let [shop, club] = two_apps(&storage, "acme").await;
    let logins = [(shop.clone(), "s"), (club.clone(), "c")].map(|(place, name)| {
        let storage = storage.clone();
        tokio::spawn(async move {
            for n in 0..60 {
                place.login(&storage, &format!("{name}{n}"), Some(&format!("u{n}"))).await;
            }
        })
    });
    for piece in 0..6 {
        let rows: Vec<_> = (piece * 10..piece * 10 + 10)
            .map(|n| row(&shop, &format!("i{n}"), Some(&format!("u{n}")), Some(&n.to_string())))
            .collect();
        assert!(import(&storage, &shop, &rows).await.iter().all(Result::is_ok));
    }
    for login in logins {
        login.await.unwrap();
    }
    assert_eq!(count(&database, r#""user""#).await, 60);
    assert_eq!((count(&database, "identity").await, orphans(&database).await), (180, 0));
    storage.stop().await;
}

pub(crate) async fn another_tenants_users_are_out_of_reach(database: TestDatabase) {
    let storage = database.started().await;
    let [shop, _] = two_apps(&storage, "acme").await;
    let theirs = tenant(&storage, "umbrella").await;
    let theirs = Place { app: app(&storage, &theirs, "wx-umbrella").await, tenant: theirs };
    assert_eq!(import(&storage, &shop, &[row(&shop, "oAda", Some("uAda"), Some("1"))]).await, [Ok(Created)]);
    let ada = named(&storage, &shop, "1").await.unwrap();
    assert_eq!(named(&storage, &theirs, "1").await, None);
    // The same names are somebody else there, and no row of theirs reaches an app of ours.
    assert_eq!(import(&storage, &theirs, &[row(&theirs, "oAda", None, Some("1"))]).await, [Ok(Created)]);
    assert_ne!(named(&storage, &theirs, "1").await, Some(ada));
    let tx = storage.begin().await.unwrap();
    let stolen = tx.tenant(theirs.tenant.id).users().import(&[row(&shop, "oNew", Some("uAda"), None)]).await;
    assert_eq!(stolen, Err(StorageError::Dangling));
    drop(tx);
    let user = storage.tenant(shop.tenant.id).user(ada).await.unwrap().unwrap();
    assert_eq!((user.status, user.external_id), (UserStatus::Active, Some("1".parse().unwrap())));
    storage.stop().await;
}
