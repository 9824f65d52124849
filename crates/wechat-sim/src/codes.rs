//! The bounded table of codes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A code lives five minutes (WeChat: `wx.login`, and the same for the phone button).
pub(crate) const LIFETIME_MS: u64 = 5 * 60 * 1000;
/// Codes kept. When a load test fills the table within five minutes, the oldest codes are as good as expired.
pub(crate) const MAX_CODES: usize = 262_144;

/// What WeChat says once a login code is exchanged.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) openid: Arc<str>,
    pub(crate) unionid: Option<Arc<str>>,
    /// Base64 text.
    pub(crate) key: Arc<str>,
}

/// What a code stands for.
pub(crate) enum Meaning {
    /// A code of `wx.login`, and the session it will open.
    Login(Session),
    /// A code of the phone button. WeChat takes it for no code at all where a login code is due.
    Phone,
}

/// Why a code is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// Never issued, issued to another app, of the wrong kind, or expired.
    Invalid,
    /// Exchanged before.
    Used,
}

struct Code {
    appid: Arc<str>,
    meaning: Meaning,
    issued_ms: u64,
    used: bool,
}

/// Codes by their text, and their texts by age.
pub(crate) struct Codes {
    limit: usize,
    by_text: HashMap<Arc<str>, Code>,
    oldest_first: VecDeque<Arc<str>>,
}

impl Codes {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, by_text: HashMap::new(), oldest_first: VecDeque::new() }
    }

    /// Keeps a code, and drops those that have expired, or the oldest if the table is full.
    pub(crate) fn issue(&mut self, text: &str, appid: Arc<str>, meaning: Meaning, now_ms: u64) {
        while let Some(oldest) = self.oldest_first.front() {
            let expired = self.by_text.get(oldest).is_none_or(|code| code.expired(now_ms));
            if !expired && self.by_text.len() < self.limit {
                break;
            }
            self.by_text.remove(oldest);
            self.oldest_first.pop_front();
        }
        let text: Arc<str> = text.into();
        self.oldest_first.push_back(Arc::clone(&text));
        self.by_text.insert(text, Code { appid, meaning, issued_ms: now_ms, used: false });
    }

    /// Exchanges a login code. In WeChat's order: known and of this app, not expired, not used.
    pub(crate) fn exchange(&mut self, text: &str, appid: &str, now_ms: u64) -> Result<Session, Rejected> {
        let code = self.by_text.get_mut(text).ok_or(Rejected::Invalid)?;
        let Meaning::Login(session) = &code.meaning else {
            return Err(Rejected::Invalid);
        };
        if *code.appid != *appid || code.expired(now_ms) {
            return Err(Rejected::Invalid);
        }
        if code.used {
            return Err(Rejected::Used);
        }
        code.used = true;
        Ok(session.clone())
    }
}

impl Code {
    fn expired(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.issued_ms) >= LIFETIME_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Meaning {
        Meaning::Login(Session { openid: "o1".into(), unionid: None, key: "key".into() })
    }

    fn outcome(codes: &mut Codes, text: &str, appid: &str, now_ms: u64) -> Result<String, Rejected> {
        codes.exchange(text, appid, now_ms).map(|session| session.openid.to_string())
    }

    #[test]
    fn known_then_expired_then_used() {
        let mut codes = Codes::new(10);
        codes.issue("a", "wxA".into(), login(), 0);
        codes.issue("p", "wxA".into(), Meaning::Phone, 0);
        assert_eq!(outcome(&mut codes, "b", "wxA", 0), Err(Rejected::Invalid));
        assert_eq!(outcome(&mut codes, "p", "wxA", 0), Err(Rejected::Invalid));
        assert_eq!(outcome(&mut codes, "a", "wxB", 0), Err(Rejected::Invalid));
        assert_eq!(outcome(&mut codes, "a", "wxA", LIFETIME_MS - 1), Ok("o1".into()));
        assert_eq!(outcome(&mut codes, "a", "wxA", LIFETIME_MS - 1), Err(Rejected::Used));
        assert_eq!(outcome(&mut codes, "a", "wxB", LIFETIME_MS - 1), Err(Rejected::Invalid));
        assert_eq!(outcome(&mut codes, "a", "wxA", LIFETIME_MS), Err(Rejected::Invalid));
    }

    #[test]
    fn expired_codes_make_room() {
        let mut codes = Codes::new(10);
        codes.issue("a", "wxA".into(), login(), 0);
        codes.issue("b", "wxA".into(), login(), LIFETIME_MS - 1);
        codes.issue("c", "wxA".into(), login(), LIFETIME_MS);
        assert_eq!(codes.by_text.len(), 2);
        assert_eq!(codes.oldest_first.len(), 2);
    }

    #[test]
    fn a_full_table_drops_the_oldest() {
        let mut codes = Codes::new(3);
        for text in ["a", "b", "c", "d"] {
            codes.issue(text, "wxA".into(), login(), 0);
        }
        assert_eq!((codes.by_text.len(), codes.oldest_first.len()), (3, 3));
        assert_eq!(outcome(&mut codes, "a", "wxA", 0), Err(Rejected::Invalid));
        assert_eq!(outcome(&mut codes, "d", "wxA", 0), Ok("o1".into()));
    }
}
