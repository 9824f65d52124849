//! Time as an argument.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::Date;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A moment from its milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down: the unit of JWT (RFC 7519 `NumericDate`) and of WeChat.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The day in Beijing.
    pub fn beijing_day(self) -> BeijingDay {
        const HOUR: i64 = 3_600;
        BeijingDay(i32::try_from((self.seconds() + 8 * HOUR).div_euclid(24 * HOUR)).unwrap_or(i32::MAX))
    }

    /// The moment in UTC, in whole seconds, such as `2026-11-22T00:00:00Z` (RFC 3339), for people.
    pub fn to_rfc3339(self) -> String {
        const DAY: i64 = 86_400;
        let (days, of_day) = (self.seconds().div_euclid(DAY), self.seconds().rem_euclid(DAY));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// The moment `duration` later; stops at the end of time rather than wrapping.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// The moment `duration` earlier; stops at the beginning of time rather than wrapping.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Seconds until the next midnight in Beijing, when WeChat's daily quotas begin anew: 1 to 86,400.
    pub fn until_midnight_in_beijing(self) -> u32 {
        const DAY: i64 = 86_400;
        const BEIJING: i64 = 8 * 3_600;
        u32::try_from(DAY - (self.seconds() + BEIJING).rem_euclid(DAY)).unwrap_or(0)
    }

    /// The time from `earlier` to this moment; zero if `earlier` is in fact later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// A day in Beijing: WeChat's days, by which its quotas begin anew. Written as `2026-11-22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BeijingDay(i32);

impl BeijingDay {
    /// The day of this number.
    pub const fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// Days since 1970-01-01.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The day so many days earlier.
    pub fn minus(self, days: u16) -> Self {
        Self(self.0.saturating_sub(days.into()))
    }
}

impl fmt::Display for BeijingDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.into());
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar; nothing beyond the year 9999.
fn civil(days: i64) -> (i32, u8, u8) {
    const JULIAN_DAY_OF_1970: i64 = 2_440_588;
    let last = if days < 0 { Date::MIN } else { Date::MAX };
    let date = i32::try_from(days + JULIAN_DAY_OF_1970).ok().and_then(|day| Date::from_julian_day(day).ok());
    let date = date.unwrap_or(last);
    (date.year(), date.month().into(), date.day())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Where the time comes from: the system, or a test.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's wall clock.
    System,
    /// A clock that stands still until it is set.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock for tests that stands at `start`.
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.millis())))
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                #[expect(clippy::disallowed_methods, reason = "the one door to the wall clock")]
                let now = std::time::SystemTime::now();
                let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                Timestamp(millis(since))
            }
            Self::Manual(now) => Timestamp(now.load(Ordering::Relaxed)),
        }
    }

    /// The moment that a database server told, for what several processes must agree on; a manual clock overrules it.
    pub fn or_told(&self, told: Timestamp) -> Timestamp {
        match self {
            Self::System => told,
            Self::Manual(_) => self.now(),
        }
    }

    /// Moves a manual clock forward; the system's clock takes no orders.
    pub fn advance(&self, duration: Duration) {
        if let Self::Manual(now) = self {
            now.fetch_add(millis(duration), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_runs_backwards_gives_zero() {
        let clock = Clock::manual(Timestamp::from_millis(5_000));
        let before = clock.now();
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now().since(before), Duration::from_secs(2));
        assert_eq!(before.since(clock.now()), Duration::ZERO);
        assert_eq!(Timestamp::from_millis(-1).seconds(), -1);
        assert_eq!(Timestamp::from_millis(i64::MAX).plus(Duration::MAX).millis(), i64::MAX);
    }

    #[test]
    fn days_begin_at_midnight_in_beijing() {
        // 2026-11-22T15:59:59Z is one second before midnight there.
        let before = Timestamp::from_millis(1_795_363_199_999);
        let (last, first) = (before.beijing_day(), before.plus(Duration::from_millis(1)).beijing_day());
        assert_eq!((last.to_string(), first.to_string()), ("2026-11-22".to_owned(), "2026-11-23".to_owned()));
        assert_eq!((first.minus(1), first.minus(20_780)), (last, BeijingDay::from_number(0)));
        assert_eq!(Timestamp::from_millis(0).beijing_day().number(), 0);
    }

    #[test]
    fn quotas_begin_anew_at_midnight_in_beijing() {
        // 2026-11-22T15:59:59Z is one second before midnight there.
        assert_eq!(Timestamp::from_millis(1_795_363_199_000).until_midnight_in_beijing(), 1);
        assert_eq!(Timestamp::from_millis(1_795_363_200_000).until_midnight_in_beijing(), 86_400);
    }

    #[test]
    fn moments_are_written_as_people_write_them() {
        for (seconds, written) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_583_020_799, "2020-02-29T23:59:59Z"),
            (1_583_020_800, "2020-03-01T00:00:00Z"),
            (1_795_305_600, "2026-11-22T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::from_millis(seconds * 1_000).to_rfc3339(), written);
        }
    }
}
