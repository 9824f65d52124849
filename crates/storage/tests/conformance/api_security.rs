//! The keys of apps whose calls are signed and encrypted: sealed, one set in use and the one before.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::Query;
use wxgate_crypto::Secret;
use wxgate_domain::ApiSecuritySet;
use wxgate_storage::{Storage, StorageError};

use crate::support::{TestDatabase, app, tenant};

/// Keys that nobody could use, as long as real ones; nothing here uses them.
fn keys(name: &str) -> ApiSecuritySet {
    let serial = |of: &str| format!("{of}-{name}").parse().unwrap();
    let long = |of: &str| format!("canary {of} {name} {}", "k".repeat(3_500));
    ApiSecuritySet {
        symmetric: (serial("symmetric"), Secret::new(long("symmetric"))),
        private: (serial("private"), Secret::new(long("private"))),
        certificate: (serial("certificate"), long("certificate")),
    }
}

async fn serials(storage: &Storage, appid: &str) -> Vec<String> {
    let stored = storage.apps().find(&appid.parse().unwrap()).await.unwrap().unwrap();
    stored.api_security.iter().map(|set| set.private.0.to_string()).collect()
}

pub(crate) async fn keys_for_signed_calls_rotate_beside_those_before(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let shop = app(&storage, &acme, "wx1").await;
    assert!(shop.api_security.is_none() && serials(&storage, "wx1").await.is_empty());

    for name in ["first", "second", "third", "third"] {
        let tx = storage.begin().await.unwrap();
        let apps = tx.tenant(acme.id).apps();
        let changed = apps.change_api_security(&shop.appid, |_| Ok::<_, StorageError>(keys(name))).await.unwrap();
        assert_eq!(changed.api_security.unwrap().current.private.serial.as_str(), format!("private-{name}"));
        let theirs = tx.tenant(umbrella.id).apps();
        let stolen = theirs.change_api_security(&shop.appid, |_| Ok::<_, StorageError>(keys("stolen"))).await;
        assert_eq!(stolen.map(drop).unwrap_err(), StorageError::NotFound);
        assert_eq!(theirs.forget_api_security(&shop.appid, false).await.map(drop).unwrap_err(), StorageError::NotFound);
        tx.commit().await.unwrap();
    }
    assert_eq!(serials(&storage, "wx1").await, ["private-third", "private-second"]);
    let known = storage.tenant(acme.id).apps().find(&shop.appid).await.unwrap().unwrap().api_security.unwrap();
    let fingerprints = [&known.current, known.previous.as_ref().unwrap()].map(|set| &set.private.fingerprint);
    assert!(fingerprints[0].len() == 16 && fingerprints[0] != fingerprints[1]);

    let raw = database.raw().await;
    for column in ["api_security", "previous_api_security"] {
        let query = Query::select().column(column).from("app").to_owned();
        let row = raw.query_one(&query).await.unwrap().unwrap();
        let sealed: Vec<u8> = row.try_get("", column).unwrap();
        assert!(sealed.len() > 10_000 && !sealed.windows(6).any(|window| window == b"canary"), "{column}");
    }
    raw.close().await.unwrap();

    for (only_previous, left) in [(true, vec!["private-third"]), (false, vec![])] {
        let tx = storage.begin().await.unwrap();
        tx.tenant(acme.id).apps().forget_api_security(&shop.appid, only_previous).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(serials(&storage, "wx1").await, left);
    }
    storage.stop().await;
}
