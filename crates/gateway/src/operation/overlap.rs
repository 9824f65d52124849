//! How long an old secret counts beside the new one, in hours.

use std::time::Duration;

use crate::service::admin::AdminError;

/// The longest, a week.
pub(super) const MAX: u16 = 168;

/// What it is if nobody says.
pub(super) fn a_day() -> u16 {
    24
}

/// So many hours, if that is not too long.
pub(super) fn of_hours(hours: u16) -> Result<Duration, AdminError> {
    if hours > MAX { Err(AdminError::Overlap(MAX)) } else { Ok(Duration::from_hours(hours.into())) }
}
