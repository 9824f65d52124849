//! The virtual clock: the machine's clock plus what tests added to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How far the clock may be moved in all: ten years, in milliseconds. Far beyond any lifetime that WeChat knows, and far
/// from any overflow.
const MAX_ADVANCE_MS: u64 = 10 * 365 * 24 * 60 * 60 * 1000;

/// Milliseconds since 1970, moved forward on demand.
#[derive(Default)]
pub(crate) struct Clock {
    advanced_ms: AtomicU64,
}

impl Clock {
    /// The virtual time.
    pub(crate) fn now_ms(&self) -> u64 {
        wall_clock_ms() + self.advanced_ms.load(Ordering::Relaxed)
    }

    /// Moves the clock forward and returns the new time, or nothing if the sum of all moves would pass ten years.
    pub(crate) fn advance(&self, by_ms: u64) -> Option<u64> {
        self.advanced_ms
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |advanced| {
                advanced.checked_add(by_ms).filter(|sum| *sum <= MAX_ADVANCE_MS)
            })
            .ok()?;
        Some(self.now_ms())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the simulator, which has no other clock, reads the machine's"
)]
fn wall_clock_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_forward_and_stops_at_ten_years() {
        let clock = Clock::default();
        let before = clock.now_ms();
        assert!(clock.advance(300_000).unwrap() >= before + 300_000);
        assert_eq!(clock.advance(MAX_ADVANCE_MS), None);
        assert_eq!(clock.advance(u64::MAX), None);
        assert!(clock.now_ms() < before + 600_000, "a refused move changes nothing");
    }
}
