//! What each app has called today, interface by interface, whoever called in its name.

use std::collections::HashMap;

use crate::state::Refusal;

/// Calls of each interface in a day, as many as WeChat's page shows.
const DAILY: u64 = 1_000_000;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Days begin at midnight in Beijing.
const BEIJING_MS: u64 = 8 * 60 * 60 * 1000;

/// By appid, and path of the interface.
#[derive(Default)]
pub(crate) struct Quotas(HashMap<(String, &'static str), Line>);

struct Line {
    day: u64,
    used: u64,
    limit: u64,
}

/// What is told of a quota.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) limit: u64,
    pub(crate) used: u64,
}

impl Quotas {
    /// Counts a call: 45009 if the day's calls are used up.
    pub(crate) fn count(&mut self, appid: &str, path: &'static str, now_ms: u64) -> Result<(), Refusal> {
        let line = self.line(appid, path, now_ms);
        if line.used >= line.limit {
            return Err(Refusal::new(45009));
        }
        line.used += 1;
        Ok(())
    }

    /// What an app has called of an interface today.
    pub(crate) fn told(&mut self, appid: &str, path: &'static str, now_ms: u64) -> Told {
        let line = self.line(appid, path, now_ms);
        Told { limit: line.limit, used: line.used }
    }

    /// Lets an app call an interface so often in a day.
    pub(crate) fn limit(&mut self, appid: &str, path: &'static str, limit: u64, now_ms: u64) {
        self.line(appid, path, now_ms).limit = limit;
    }

    fn line(&mut self, appid: &str, path: &'static str, now_ms: u64) -> &mut Line {
        let day = (now_ms + BEIJING_MS) / DAY_MS;
        let line = self.0.entry((appid.to_owned(), path)).or_insert(Line { day, used: 0, limit: DAILY });
        if line.day != day {
            (line.day, line.used) = (day, 0);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_until_midnight_in_beijing() {
        let mut quotas = Quotas::default();
        quotas.limit("wxA", "/a", 2, 0);
        let mut count = |appid, path, now_ms| quotas.count(appid, path, now_ms).map_or_else(|no| no.errcode, |()| 0);
        assert_eq!([count("wxA", "/a", 0), count("wxA", "/a", 1), count("wxA", "/a", 2)], [0, 0, 45009]);
        assert_eq!([count("wxA", "/b", 2), count("wxB", "/a", 2)], [0, 0]);
        let midnight = 16 * 60 * 60 * 1000;
        assert_eq!([count("wxA", "/a", midnight - 1), count("wxA", "/a", midnight)], [45009, 0]);
        assert_eq!(quotas.told("wxA", "/a", midnight), Told { limit: 2, used: 1 });
        assert_eq!(quotas.told("wxB", "/b", midnight), Told { limit: DAILY, used: 0 });
    }
}
