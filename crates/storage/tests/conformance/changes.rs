//! The log of changes.

use std::time::Duration;

use wxgate_domain::TenantStatus;
use wxgate_storage::{Change, ChangeKind};

use crate::support::{TestDatabase, app, tenant};

async fn next(receiver: &mut tokio::sync::broadcast::Receiver<Change>) -> Change {
    tokio::time::timeout(Duration::from_secs(10), receiver.recv()).await.unwrap().unwrap()
}

pub(crate) async fn a_change_reaches_another_process(database: TestDatabase) {
    let (writer, reader) = (database.started().await, database.started().await);
    let (mut here, mut there) = (writer.changes(), reader.changes());
    let acme = tenant(&writer, "acme").await;
    let shop = app(&writer, &acme, "wx1").await;
    for receiver in [&mut here, &mut there] {
        let (first, second) = (next(receiver).await, next(receiver).await);
        assert_eq!((first.kind, first.tenant, first.row), (ChangeKind::Tenant, Some(acme.id), Some(acme.id.uuid())));
        assert_eq!((second.kind, second.tenant, second.row), (ChangeKind::App, Some(acme.id), Some(shop.id.uuid())));
        assert_eq!(second.seq, first.seq + 1);
    }
    // Who starts later hears only of what comes then.
    let late = database.started().await;
    let mut hears = late.changes();
    let tx = writer.begin().await.unwrap();
    tx.tenants().set_status(acme.id, TenantStatus::Suspended).await.unwrap();
    tx.commit().await.unwrap();
    for (kind, seq) in [(ChangeKind::Revocation, 3), (ChangeKind::Tenant, 4)] {
        let change = next(&mut hears).await;
        assert_eq!((change.kind, change.seq), (kind, seq));
    }
    for storage in [writer, reader, late] {
        storage.stop().await;
    }
}

pub(crate) async fn numbers_have_no_gaps_under_concurrent_writers(database: TestDatabase) {
    let storage = database.started().await;
    let mut hears = storage.changes();
    let writers: Vec<_> = (0..8)
        .map(|n| {
            let storage = storage.clone();
            tokio::spawn(async move { tenant(&storage, &format!("tenant-{n}")).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    for seq in 1..=8 {
        assert_eq!(next(&mut hears).await.seq, seq);
    }
    storage.stop().await;
}

pub(crate) async fn a_log_that_cannot_be_read_grows_old(database: TestDatabase) {
    async fn until(so: impl Fn() -> bool) {
        let wait = async {
            while !so() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
    }
    let storage = database.started().await;
    let mut receiver = storage.changes();
    let acme = tenant(&storage, "acme").await;
    assert_eq!(next(&mut receiver).await.tenant, Some(acme.id));
    until(|| storage.changes_age() < Duration::from_secs(1)).await;
    storage.stop().await;
    let before = storage.changes_age();
    until(|| storage.changes_age() > before).await;
}
