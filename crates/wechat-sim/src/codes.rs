//! The bounded table of codes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

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
    /// A code of the phone button. WeChat takes it for no code at all where a login code is due, and the reverse.
    Phone(Phone),
}

/// What WeChat says once a phone code is exchanged.
#[derive(Clone)]
pub(crate) struct Phone {
    pub(crate) openid: Arc<str>,
    /// Without the country code.
    pub(crate) number: String,
    /// WeChat has sent texts and numbers.
    pub(crate) country_code: CountryCode,
}

/// A country code as a JSON text or number.
#[derive(Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum CountryCode {
    Text(String),
    Number(u32),
}

impl Default for CountryCode {
    fn default() -> Self {
        Self::Text("86".into())
    }
}

impl CountryCode {
    /// WeChat: numbers of the mainland stand alone, others carry their country code.
    pub(crate) fn in_front_of(&self, number: &str) -> String {
        match self {
            Self::Text(code) if code == "86" => number.to_owned(),
            Self::Number(86) => number.to_owned(),
            Self::Text(code) => format!("{code}{number}"),
            Self::Number(code) => format!("{code}{number}"),
        }
    }
}

/// Why a phone code is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhoneRejected {
    /// Never issued, a login code, expired, or used.
    Invalid,
    /// Issued to another app.
    OtherApp,
    /// Issued to another user than the one named.
    OtherUser,
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

    /// Exchanges a phone code. A used one is as unknown as an expired one.
    pub(crate) fn exchange_phone(
        &mut self,
        text: &str,
        appid: &str,
        openid: Option<&str>,
        now_ms: u64,
    ) -> Result<Phone, PhoneRejected> {
        let code = self.by_text.get_mut(text).ok_or(PhoneRejected::Invalid)?;
        let Meaning::Phone(phone) = &code.meaning else {
            return Err(PhoneRejected::Invalid);
        };
        if *code.appid != *appid {
            return Err(PhoneRejected::OtherApp);
        }
        if code.used || code.expired(now_ms) {
            return Err(PhoneRejected::Invalid);
        }
        if openid.is_some_and(|openid| *phone.openid != *openid) {
            return Err(PhoneRejected::OtherUser);
        }
        code.used = true;
        Ok(phone.clone())
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

    fn phone() -> Meaning {
        Meaning::Phone(Phone {
            openid: "o1".into(),
            number: "19900000000".into(),
            country_code: CountryCode::default(),
        })
    }

    fn phone_outcome(codes: &mut Codes, text: &str, appid: &str, openid: &str, now_ms: u64) -> Option<PhoneRejected> {
        codes.exchange_phone(text, appid, Some(openid), now_ms).err()
    }

    #[test]
    fn a_phone_code_is_of_one_app_and_user_and_works_once() {
        let mut codes = Codes::new(10);
        codes.issue("a", "wxA".into(), login(), 0);
        codes.issue("p", "wxA".into(), phone(), 0);
        codes.issue("q", "wxA".into(), phone(), 0);
        assert_eq!(phone_outcome(&mut codes, "a", "wxA", "o1", 0), Some(PhoneRejected::Invalid));
        assert_eq!(phone_outcome(&mut codes, "p", "wxB", "o1", 0), Some(PhoneRejected::OtherApp));
        assert_eq!(phone_outcome(&mut codes, "p", "wxA", "o2", 0), Some(PhoneRejected::OtherUser));
        assert_eq!(phone_outcome(&mut codes, "p", "wxA", "o1", LIFETIME_MS - 1), None);
        assert_eq!(phone_outcome(&mut codes, "p", "wxA", "o1", LIFETIME_MS - 1), Some(PhoneRejected::Invalid));
        assert_eq!(phone_outcome(&mut codes, "q", "wxA", "o1", LIFETIME_MS), Some(PhoneRejected::Invalid));
    }

    fn outcome(codes: &mut Codes, text: &str, appid: &str, now_ms: u64) -> Result<String, Rejected> {
        codes.exchange(text, appid, now_ms).map(|session| session.openid.to_string())
    }

    #[test]
    fn known_then_expired_then_used() {
        let mut codes = Codes::new(10);
        codes.issue("a", "wxA".into(), login(), 0);
        codes.issue("p", "wxA".into(), phone(), 0);
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
