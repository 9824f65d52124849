//! The tokens that WeChat has issued: whose they are, and when each ends.
//!
//! WeChat: getStableAccessToken, getAccessToken, "Third-party platform". Two lines of tokens of one app, stable and legacy,
//! do not disturb each other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::chance::Chance;

/// Every token lives two hours.
const LIFE_MS: u64 = 2 * 60 * 60 * 1000;
/// How long a superseded token goes on working, and how long before its end a stable token is replaced.
const OVERLAP_MS: u64 = 5 * 60 * 1000;
/// A forced refresh sooner than this after the last one does nothing.
const FORCE_PAUSE_MS: u64 = 30 * 1000;
/// Forced refreshes in a day.
const MAX_FORCED: usize = 20;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Tokens remembered, so that an old one is told from an unknown one.
const MAX_TOKENS: usize = 65_536;

/// Which interface a token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// `cgi-bin/stable_token`.
    Stable,
    /// `cgi-bin/token`.
    Legacy,
    /// `api_component_token`: a third-party platform's own.
    Component,
    /// `api_query_auth` and `api_authorizer_token`: for an app, given to a third-party platform.
    Authorizer,
}

struct Token {
    owner: Arc<str>,
    kind: Kind,
    expires_ms: u64,
    /// When it stops being one of the latest two of its line.
    superseded_ms: u64,
}

/// The tokens of one owner and kind that still work.
#[derive(Default)]
struct Line {
    newest: Option<Arc<str>>,
    before: Option<Arc<str>>,
    /// When a new token was forced, within the last day.
    forced_ms: VecDeque<u64>,
}

/// A token and the seconds that are left to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    pub(crate) text: Arc<str>,
    pub(crate) expires_in: u64,
}

/// A refresh was forced 20 times today.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// Tokens by their text, their texts by age, and the lines that they form.
#[derive(Default)]
pub(crate) struct Tokens {
    by_text: HashMap<Arc<str>, Token>,
    oldest_first: VecDeque<Arc<str>>,
    lines: HashMap<(Arc<str>, Kind), Line>,
}

impl Tokens {
    /// A stable token: the present one, or a new one in its last five minutes or when it is forced.
    pub(crate) fn stable(
        &mut self,
        owner: &str,
        force: bool,
        now_ms: u64,
        chance: &mut Chance,
    ) -> Result<Issued, Exhausted> {
        let line = self.lines.entry((owner.into(), Kind::Stable)).or_default();
        while line.forced_ms.front().is_some_and(|at| now_ms.saturating_sub(*at) >= DAY_MS) {
            line.forced_ms.pop_front();
        }
        let paused = line.forced_ms.back().is_some_and(|at| now_ms.saturating_sub(*at) < FORCE_PAUSE_MS);
        if force && !paused {
            if line.forced_ms.len() == MAX_FORCED {
                return Err(Exhausted);
            }
            line.forced_ms.push_back(now_ms);
            return Ok(self.renew(owner, Kind::Stable, now_ms, chance));
        }
        let newest = line.newest.clone();
        let left = newest.as_ref().map_or(0, |text| self.left_ms(text, now_ms));
        match newest {
            Some(text) if left > OVERLAP_MS => Ok(Issued { text, expires_in: left / 1000 }),
            _ => Ok(self.renew(owner, Kind::Stable, now_ms, chance)),
        }
    }

    /// A new token. The one before works for five minutes more, the one before that no longer.
    pub(crate) fn renew(&mut self, owner: &str, kind: Kind, now_ms: u64, chance: &mut Chance) -> Issued {
        let owner: Arc<str> = owner.into();
        let text: Arc<str> = chance.access_token().into();
        let line = self.lines.entry((Arc::clone(&owner), kind)).or_default();
        let last = line.newest.replace(Arc::clone(&text));
        let dead = std::mem::replace(&mut line.before, last.clone());
        self.supersede(dead.as_ref(), now_ms);
        self.supersede(last.as_ref(), now_ms + OVERLAP_MS);
        if self.by_text.len() >= MAX_TOKENS
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.by_text.remove(&oldest);
        }
        self.oldest_first.push_back(Arc::clone(&text));
        let token = Token { owner, kind, expires_ms: now_ms + LIFE_MS, superseded_ms: u64::MAX };
        self.by_text.insert(Arc::clone(&text), token);
        Issued { text, expires_in: LIFE_MS / 1000 }
    }

    /// Ends all tokens of an owner at once, and returns how many that were.
    pub(crate) fn end_all(&mut self, owner: &str, now_ms: u64) -> usize {
        self.lines.retain(|(of, _), _| **of != *owner);
        let theirs =
            |token: &&mut Token| *token.owner == *owner && token.superseded_ms > now_ms && token.expires_ms > now_ms;
        self.by_text.values_mut().filter(theirs).map(|token| token.superseded_ms = now_ms).count()
    }

    /// Whose a token is, if it works; else the errcode, in WeChat's order: malformed, unknown or superseded, expired.
    pub(crate) fn check(&self, text: &str, now_ms: u64) -> Result<(Arc<str>, Kind), i64> {
        let plausible = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if text.len() < 20 || !text.bytes().all(plausible) {
            return Err(40014);
        }
        let token = self.by_text.get(text).ok_or(40001)?;
        if now_ms >= token.superseded_ms {
            return Err(40001);
        }
        if now_ms >= token.expires_ms {
            return Err(42001);
        }
        Ok((Arc::clone(&token.owner), token.kind))
    }

    /// Whose a token is or was.
    pub(crate) fn owner(&self, text: &str) -> Option<Arc<str>> {
        self.by_text.get(text).map(|token| Arc::clone(&token.owner))
    }

    fn left_ms(&self, text: &str, now_ms: u64) -> u64 {
        self.by_text.get(text).map_or(0, |token| token.expires_ms.saturating_sub(now_ms))
    }

    fn supersede(&mut self, text: Option<&Arc<str>>, at_ms: u64) {
        if let Some(token) = text.and_then(|text| self.by_text.get_mut(text)) {
            token.superseded_ms = token.superseded_ms.min(at_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench(Tokens, Chance);

    impl Bench {
        fn new() -> Self {
            Self(Tokens::default(), Chance::from_system().unwrap())
        }

        fn stable(&mut self, force: bool, now_ms: u64) -> (Arc<str>, u64) {
            let issued = self.0.stable("wxA", force, now_ms, &mut self.1).unwrap();
            (issued.text, issued.expires_in)
        }

        fn legacy(&mut self, now_ms: u64) -> Arc<str> {
            self.0.renew("wxA", Kind::Legacy, now_ms, &mut self.1).text
        }

        fn errcode(&self, text: &str, now_ms: u64) -> i64 {
            self.0.check(text, now_ms).err().unwrap_or_default()
        }
    }

    #[test]
    fn a_stable_token_stays_until_its_last_five_minutes() {
        let mut bench = Bench::new();
        let (first, life) = bench.stable(false, 0);
        assert_eq!(life, 7200);
        assert_eq!(bench.stable(false, 60_000), (Arc::clone(&first), 7140));
        let late = LIFE_MS - OVERLAP_MS;
        assert_eq!(bench.stable(false, late - 1).0, first);
        let (second, life) = bench.stable(false, late);
        assert_ne!(second, first);
        assert_eq!(life, 7200);
        assert_eq!([bench.errcode(&first, LIFE_MS - 1), bench.errcode(&second, LIFE_MS - 1)], [0, 0]);
        assert_eq!([bench.errcode(&first, LIFE_MS), bench.errcode(&second, LIFE_MS)], [40001, 0]);
    }

    #[test]
    fn a_forced_refresh_leaves_five_minutes_and_two_leave_none() {
        let mut bench = Bench::new();
        let (first, _) = bench.stable(false, 0);
        let (second, _) = bench.stable(true, 1_000);
        assert_ne!(second, first);
        assert_eq!(bench.stable(true, 30_999).0, second, "within 30 seconds nothing happens");
        assert_eq!(bench.errcode(&first, 1_000 + OVERLAP_MS - 1), 0);
        assert_eq!(bench.errcode(&first, 1_000 + OVERLAP_MS), 40001);
        let (third, _) = bench.stable(true, 31_000);
        assert_eq!([&first, &second, &third].map(|text| bench.errcode(text, 31_000)), [40001, 0, 0]);
    }

    #[test]
    fn twenty_refreshes_are_forced_in_a_day() {
        let mut bench = Bench::new();
        for call in 0..20 {
            bench.stable(true, call * FORCE_PAUSE_MS);
        }
        let now_ms = 20 * FORCE_PAUSE_MS;
        assert_eq!(bench.0.stable("wxA", true, now_ms, &mut bench.1), Err(Exhausted));
        assert!(bench.0.stable("wxA", false, now_ms, &mut bench.1).is_ok());
        assert!(bench.0.stable("wxA", true, DAY_MS, &mut bench.1).is_ok());
    }

    #[test]
    fn the_two_lines_of_an_app_leave_each_other_alone() {
        let mut bench = Bench::new();
        let (stable, _) = bench.stable(false, 0);
        let [first, second] = [bench.legacy(0), bench.legacy(1)];
        assert_eq!([&stable, &first, &second].map(|text| bench.errcode(text, 1)), [0, 0, 0]);
        let third = bench.legacy(2);
        assert_eq!([&stable, &first, &second, &third].map(|text| bench.errcode(text, 2)), [0, 40001, 0, 0]);
        assert_eq!(bench.0.end_all("wxA", 3), 3);
        assert_eq!([&stable, &third].map(|text| bench.errcode(text, 3)), [40001, 40001]);
        assert_ne!(bench.stable(false, 4).0, stable);
    }

    #[test]
    fn what_is_no_token_is_told_apart() {
        let mut bench = Bench::new();
        let legacy = bench.legacy(0);
        assert_eq!(bench.errcode("89_short", 0), 40014);
        assert_eq!(bench.errcode(&format!("{legacy}!"), 0), 40014);
        assert_eq!(bench.errcode(&format!("{legacy}a"), 0), 40001);
        assert_eq!(bench.errcode(&legacy, LIFE_MS), 42001);
    }

    #[test]
    fn tokens_that_are_remembered_are_bounded() {
        let mut bench = Bench::new();
        for now_ms in 0..=MAX_TOKENS as u64 {
            bench.legacy(now_ms);
        }
        assert_eq!((bench.0.by_text.len(), bench.0.oldest_first.len()), (MAX_TOKENS, MAX_TOKENS));
    }
}
