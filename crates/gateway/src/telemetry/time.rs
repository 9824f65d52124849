//! The time of a line: UTC, to the microsecond. The calendar is asked once a second, and not once a line.

use std::cell::RefCell;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use wxgate_domain::Timestamp;

thread_local! {
    /// The second in which the last line was written, and what it is called: `2026-12-01T13:20:03`.
    static LAST: RefCell<(u64, String)> = RefCell::new((0, called(0)));
}

/// Tells the time.
pub(super) struct Now;

impl FormatTime for Now {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        // Nobody's clock stands before 1970.
        #[expect(clippy::disallowed_methods, reason = "the log tells the machine's time, to the microsecond")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        LAST.with_borrow_mut(|(second, name)| {
            if *second != now.as_secs() {
                (*second, *name) = (now.as_secs(), called(now.as_secs()));
            }
            write!(writer, "{name}.{:06}Z", now.subsec_micros())
        })
    }
}

fn called(second: u64) -> String {
    let moment = Timestamp::from_millis(i64::try_from(second).unwrap_or(0).saturating_mul(1_000));
    moment.to_rfc3339().trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_called_as_tracing_subscriber_calls_it() {
        assert_eq!(called(0), "1970-01-01T00:00:00");
        let theirs = || {
            let mut text = String::new();
            tracing_subscriber::fmt::time::SystemTime.format_time(&mut Writer::new(&mut text)).unwrap();
            text
        };
        let (before, mut ours) = (theirs(), String::new());
        Now.format_time(&mut Writer::new(&mut ours)).unwrap();
        let after = theirs();
        assert_eq!(ours.len(), after.len());
        assert!(before <= ours && ours <= after, "{before} {ours} {after}");
    }
}
