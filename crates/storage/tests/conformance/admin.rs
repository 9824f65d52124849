//! What administrators write.

use crate::support::{TestDatabase, app, tenant};

pub async fn a_tenant_and_an_app_come_back_as_they_were_written(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    let stored = storage.apps().find(&shop.appid).await.unwrap().unwrap();
    assert_eq!(stored.app.id, shop.id);
    assert_eq!(stored.tenant.id, acme.id);
    storage.stop().await;
}
