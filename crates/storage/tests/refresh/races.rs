//! Refreshes that race with whatever forbids them: the order of the commits decides, and nothing slips between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wxgate_domain::{EndReason, TenantStatus, UserStatus};
use wxgate_storage::{NotRefreshed, Storage};

use crate::device::{Device, logged_in, set_user_status};
use crate::support::TestDatabase;

/// Refreshes one turn after the other until it is refused, and tells whether a turn began after `forbidden` was set.
async fn refresh_until_refused(storage: Storage, device: Device, forbidden: Arc<AtomicBool>) -> (NotRefreshed, bool) {
    let mut late = false;
    for turn in 0.. {
        let was_forbidden = forbidden.load(Ordering::SeqCst);
        match device.refresh(&storage, turn).await {
            Ok(_) => late |= was_forbidden,
            Err(refused) => return (refused, late),
        }
    }
    unreachable!("turns do not run out")
}

pub(crate) async fn a_block_that_commits_first_always_wins(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let other = database.started().await;
    let forbidden = Arc::new(AtomicBool::new(false));
    let refreshing = tokio::spawn(refresh_until_refused(other.clone(), phone.clone(), forbidden.clone()));
    tokio::task::yield_now().await;
    set_user_status(&storage, &phone, UserStatus::Blocked).await;
    forbidden.store(true, Ordering::SeqCst);
    assert_eq!(refreshing.await.unwrap(), (NotRefreshed::UserBlocked, false));
    storage.stop().await;
    other.stop().await;
}

pub(crate) async fn a_suspension_that_commits_first_always_wins(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let other = database.started().await;
    let forbidden = Arc::new(AtomicBool::new(false));
    let refreshing = tokio::spawn(refresh_until_refused(other.clone(), phone.clone(), forbidden.clone()));
    tokio::task::yield_now().await;
    let tx = storage.begin().await.unwrap();
    tx.tenants().set_status(phone.place.tenant.id, TenantStatus::Suspended).await.unwrap();
    tx.commit().await.unwrap();
    forbidden.store(true, Ordering::SeqCst);
    assert_eq!(refreshing.await.unwrap(), (NotRefreshed::AppDisabled, false));
    storage.stop().await;
    other.stop().await;
}

pub(crate) async fn a_race_with_the_end_leaves_no_live_child(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let other = database.started().await;
    for _ in 0..20 {
        let device = Device::login(&storage, &database, &phone.place, "oAda").await;
        let sessions = [device.session.id];
        let scope = storage.tenant(phone.place.tenant.id);
        let (refreshed, ended) =
            tokio::join!(device.refresh(&other, 0), scope.end_sessions(&sessions, None, EndReason::Logout));
        assert_eq!(ended.unwrap(), 1);
        // Whoever won: the token that came of it is dead.
        let child = refreshed.map_or(0, |session| session.generation);
        let refused = device.refresh(&other, child).await.unwrap_err();
        assert_eq!(refused, NotRefreshed::Ended(EndReason::Logout));
    }
    storage.stop().await;
    other.stop().await;
}
