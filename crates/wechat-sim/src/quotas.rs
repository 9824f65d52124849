//! What each app has called today, interface by interface, whoever called in its name.

use std::collections::HashMap;

use time::{Month, UtcDateTime};

use crate::state::Refusal;

/// Calls of each interface in a day, as many as WeChat's page shows.
const DAILY: u64 = 1_000_000;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Days begin at midnight in Beijing.
const BEIJING_MS: u64 = 8 * 60 * 60 * 1000;

/// How often an app's quotas are cleared in a month: all at once, and single ones.
const CLEARED: [(Clearing, u32); 2] = [(Clearing::All, 10), (Clearing::One, 50)];

/// What is cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Clearing {
    /// All interfaces at once: `clear_quota`, by token or by AppSecret.
    All,
    /// One interface: `openapi/quota/clear`.
    One,
}

#[derive(Default)]
pub(crate) struct Quotas {
    /// By appid, and path of the interface.
    lines: HashMap<(String, &'static str), Line>,
    /// By appid, and what was cleared.
    cleared: HashMap<(String, Clearing), Cleared>,
}

/// In which month something was cleared, and how often.
#[derive(Default)]
struct Cleared {
    month: Option<(i32, Month)>,
    times: u32,
}

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

    /// Forgets what an app called of all interfaces today: 48006 if that was done ten times this month.
    pub(crate) fn clear_all(&mut self, appid: &str, now_ms: u64) -> Result<(), Refusal> {
        self.spend(Clearing::All, appid, now_ms)?;
        let of_app = self.lines.iter_mut().filter(|((owner, _), _)| owner == appid);
        of_app.for_each(|(_, line)| line.used = 0);
        Ok(())
    }

    /// The same of one interface, fifty times a month.
    pub(crate) fn clear(&mut self, appid: &str, path: &'static str, now_ms: u64) -> Result<(), Refusal> {
        self.spend(Clearing::One, appid, now_ms)?;
        self.line(appid, path, now_ms).used = 0;
        Ok(())
    }

    fn spend(&mut self, clearing: Clearing, appid: &str, now_ms: u64) -> Result<(), Refusal> {
        let most = CLEARED.iter().find(|(of, _)| *of == clearing).map_or(0, |(_, most)| *most);
        let month = month(now_ms);
        let cleared = self.cleared.entry((appid.to_owned(), clearing)).or_default();
        if cleared.month != month {
            *cleared = Cleared { month, times: 0 };
        }
        if cleared.times >= most {
            return Err(Refusal::new(48006));
        }
        cleared.times += 1;
        Ok(())
    }

    /// Lets an app call an interface so often in a day.
    pub(crate) fn limit(&mut self, appid: &str, path: &'static str, limit: u64, now_ms: u64) {
        self.line(appid, path, now_ms).limit = limit;
    }

    fn line(&mut self, appid: &str, path: &'static str, now_ms: u64) -> &mut Line {
        let day = (now_ms + BEIJING_MS) / DAY_MS;
        let line = self.lines.entry((appid.to_owned(), path)).or_insert(Line { day, used: 0, limit: DAILY });
        if line.day != day {
            (line.day, line.used) = (day, 0);
        }
        line
    }
}

/// The month in Beijing, with its year.
fn month(now_ms: u64) -> Option<(i32, Month)> {
    let seconds = i64::try_from((now_ms + BEIJING_MS) / 1_000).ok()?;
    let there = UtcDateTime::from_unix_timestamp(seconds).ok()?;
    Some((there.year(), there.month()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_cleared_so_often_in_a_month_of_beijing() {
        let mut quotas = Quotas::default();
        // 2026-11-30T15:59:59Z is one second before December there.
        let last = 1_796_054_399_000;
        quotas.limit("wxA", "/a", 1, last);
        quotas.count("wxA", "/a", last).unwrap();
        let errcode = |result: Result<(), Refusal>| result.map_or_else(|refusal| refusal.errcode, |()| 0);
        for _ in 0..10 {
            assert_eq!(errcode(quotas.clear_all("wxA", last)), 0);
        }
        assert_eq!(quotas.told("wxA", "/a", last), Told { limit: 1, used: 0 });
        quotas.count("wxA", "/a", last).unwrap();
        assert_eq!([errcode(quotas.clear_all("wxA", last)), errcode(quotas.clear_all("wxB", last))], [48006, 0]);
        assert_eq!(errcode(quotas.clear_all("wxA", last + 1_000)), 0);
        for times in 0..=50 {
            assert_eq!(errcode(quotas.clear("wxA", "/a", last)), if times < 50 { 0 } else { 48006 });
        }
        let days_of = |month_of: u64| (0..800).filter(|day| month(day * DAY_MS) == month(month_of)).count();
        assert_eq!([0, 40, 70, 770].map(|day| days_of(day * DAY_MS)), [31, 28, 31, 29]);
    }

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
