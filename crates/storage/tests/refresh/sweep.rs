//! What the sweep makes of sessions.

use std::time::Duration;

use wxgate_domain::EndReason;

use crate::device::{Device, logged_in};
use crate::logins::count;
use crate::support::TestDatabase;

pub(crate) async fn sessions_that_are_over_are_deleted_a_day_later(database: TestDatabase) {
    let (storage, phone) = logged_in(&database).await;
    let scope = storage.tenant(phone.place.tenant.id);
    let tablet = Device::login(&storage, &database, &phone.place, "oAda").await;
    scope.end_sessions(&[phone.session.id], None, EndReason::Logout).await.unwrap();
    database.clock.advance(Duration::from_hours(23));
    storage.sweep().await.unwrap();
    assert_eq!(count(&database, "session").await, 2);
    database.clock.advance(Duration::from_hours(2));
    storage.sweep().await.unwrap();
    assert_eq!(count(&database, "session").await, 1);
    assert!(tablet.refresh(&storage, 0).await.is_ok());
    // One that nobody refreshes goes when its time is over.
    database.clock.advance(phone.policy.refresh_idle() + Duration::from_hours(25));
    storage.sweep().await.unwrap();
    assert_eq!(count(&database, "session").await, 0);
    storage.stop().await;
}
