//! Ids are bytes: engines whose collations ignore case or trailing spaces must not join what WeChat keeps apart.

use wxgate_storage::StorageError;

use crate::support::{TestDatabase, app, tenant};
use crate::support_rows as rows;

pub(crate) async fn ids_that_differ_by_case_stay_apart(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let (upper, lower) = (app(&storage, &acme, "wxA").await, app(&storage, &acme, "wxa").await);
    for expected in [&upper, &lower] {
        assert_eq!(storage.apps().find(&expected.appid).await.unwrap().unwrap().app.id, expected.id);
    }
    assert!(storage.apps().find(&"WXA".parse().unwrap()).await.unwrap().is_none());

    let raw = database.raw().await;
    let user = rows::user(&raw, acme.id, database.clock.now()).await;
    // The domain lets no space through; the column must not depend on that.
    for openid in ["oAbC", "oabc", "oAbC ", "OABC"] {
        rows::identity(&raw, acme.id, upper.id, user, openid).await.unwrap();
    }
    rows::identity(&raw, acme.id, lower.id, user, "oAbC").await.unwrap();
    let error = rows::identity(&raw, acme.id, upper.id, user, "oAbC").await.unwrap_err();
    match StorageError::from(error) {
        StorageError::NotUnique { constraint } => assert_eq!(constraint, "uq_identity_tenant_id_app_id_openid"),
        other => panic!("{other}"),
    }
    raw.close().await.unwrap();
    storage.stop().await;
}
