//! What can go wrong with a call other than the exchange of a login code, without data of users and without secrets.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::errcode::{self, RejectedClass};
use crate::error::{BadResponse, Rid};
use crate::lanes::Outcome;
use crate::transport::Lost;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The time was up, or the connection was lost after the request was sent: WeChat may have carried it out.
    #[error("WeChat did not answer in time")]
    Timeout,
    /// No connection, after one more try, or the app's breaker is open: nothing was sent.
    #[error("WeChat cannot be reached")]
    Unavailable,
    /// An answer that WeChat's documents do not know: WeChat may have carried the call out.
    #[error("WeChat gave an unusable answer: {0}")]
    BadResponse(#[from] BadResponse),
    /// WeChat said no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Too many calls of this app are in flight. Nothing was sent.
    #[error("too many calls of this app are in flight")]
    Overloaded,
}

impl CallError {
    /// The class of the outcome as a metric's label: one of a dozen fixed words. A success is `ok`.
    pub fn errcode_class(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::BadResponse(_) => "bad_response",
            Self::Refused(refused) => refused.class.label(),
            Self::Overloaded => "overloaded",
        }
    }

    /// Whether WeChat refused the access_token and nothing else. Then the call was not carried out: fetch a token,
    /// unless there is a newer one already, and call once more.
    pub fn token_is_dead(&self) -> bool {
        matches!(self, Self::Refused(Refused { class: RefusedClass::TokenDead, .. }))
    }
}

impl From<Lost> for CallError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Timeout => Self::Timeout,
            Lost::Unavailable => Self::Unavailable,
            Lost::Overloaded => Self::Overloaded,
            Lost::BadResponse(bad) => Self::BadResponse(bad),
        }
    }
}

impl From<&CallError> for Outcome {
    fn from(error: &CallError) -> Self {
        match error {
            CallError::Refused(_) => Self::Answered,
            CallError::Timeout | CallError::Unavailable | CallError::BadResponse(_) => Self::Failed,
            CallError::Overloaded => Self::Abandoned,
        }
    }
}

/// WeChat's refusal of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("WeChat refused with errcode {errcode}")]
pub struct Refused {
    /// What it means for the caller.
    pub class: RefusedClass,
    /// WeChat's number, never 0.
    pub errcode: i64,
    /// WeChat's id of the call, for the log.
    pub rid: Option<Rid>,
    /// Our own address as WeChat saw it, if it is the reason: the one to enter in the app's IP whitelist.
    pub our_address: Option<IpAddr>,
}

impl Refused {
    /// Reads a refusal. 40001 is a dead token where a token was sent, and a wrong secret where a secret was.
    pub(crate) fn read(errcode: i64, answer: &Map<String, Value>, proof: Proof) -> Self {
        let errmsg = answer.get("errmsg").and_then(Value::as_str).unwrap_or_default();
        let class = RefusedClass::of(errcode, proof);
        let our_address = if class == RefusedClass::AddressRefused { address_in(errmsg) } else { None };
        Self { class, errcode, rid: Rid::find(errmsg), our_address }
    }

    /// The refusal that an app gets which did not authorise the third-party platform, for whoever knows without asking.
    pub fn not_authorized() -> Self {
        let (class, errcode) = (RefusedClass::NotAuthorized, errcode::NOT_AUTHORIZED);
        Self { class, errcode, rid: None, our_address: None }
    }

    /// Whether WeChat does not know the refresh token that a platform has for an app: there may be a newer one.
    pub fn is_of_refresh_token(&self) -> bool {
        self.errcode == errcode::UNKNOWN_REFRESH_TOKEN
    }

    /// What the errcode means, for the operator. Never for the client: it tells about the app's configuration.
    pub fn meaning(&self) -> &'static str {
        match (self.errcode, self.class) {
            (40001, RefusedClass::TokenDead) => "the access_token is not, or no longer, valid",
            _ => errcode::meaning(self.errcode),
        }
    }

    /// How long nothing helps but an administrator, or time: do not call before. `None` where waiting is no remedy.
    ///
    /// A day's quota ([`RefusedClass::QuotaExhausted`]) is back at midnight in Beijing.
    pub fn back_off(&self) -> Option<Duration> {
        const MINUTE: u64 = 60;
        let seconds = match (self.errcode, self.class) {
            (89_506, _) => 24 * 60 * MINUTE,
            (89_507, _) => 60 * MINUTE,
            (_, RefusedClass::AddressRefused) => 10 * MINUTE,
            (_, RefusedClass::RateLimited) => MINUTE,
            _ => return None,
        };
        Some(Duration::from_secs(seconds))
    }
}

/// What a call proves itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Secret,
    Token,
}

/// What a refusal means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedClass {
    /// The access_token is unknown, superseded or expired (40001, 40014, 42001, 42006). A fresh one helps.
    TokenDead,
    /// WeChat is busy.
    Busy,
    /// The code is unknown, expired, used, or of another app. A new one helps.
    CodeInvalid,
    /// The code was refused, and it looks like one of another kind: a login code where a phone code is due.
    CodeOfOtherKind,
    /// The session_key is no longer WeChat's. A new login helps.
    SessionKeyStale,
    /// WeChat blocks this user.
    UserBlocked,
    /// Too many calls in this minute.
    RateLimited,
    /// The day's calls are used up.
    QuotaExhausted,
    /// Our address is not in the whitelist, or an administrator has yet to confirm it, or refused it.
    AddressRefused,
    /// The app did not authorise the third-party platform that acts for it, or no longer does.
    NotAuthorized,
    /// The ticket of the third-party platform is wrong or has expired. The next one helps.
    TicketInvalid,
    /// The configuration is wrong, here or at WeChat: an operator must act. Also every unknown errcode.
    Misconfigured,
}

impl RefusedClass {
    fn of(errcode: i64, proof: Proof) -> Self {
        match errcode {
            _ if proof == Proof::Token && errcode::is_of_dead_token(errcode) => Self::TokenDead,
            87007 | 87009 => Self::SessionKeyStale,
            40164 | 45035 | 61004 | 89501 | 89503 | 89506 | 89507 => Self::AddressRefused,
            42007 | 61007 | 61023 => Self::NotAuthorized,
            40091 | 61005 | 61006 => Self::TicketInvalid,
            61009 | 61010 => Self::CodeInvalid,
            _ => match errcode::class(errcode) {
                RejectedClass::Busy => Self::Busy,
                RejectedClass::CodeInvalid | RejectedClass::CodeUsed => Self::CodeInvalid,
                RejectedClass::UserBlocked => Self::UserBlocked,
                RejectedClass::RateLimited => Self::RateLimited,
                RejectedClass::QuotaExhausted => Self::QuotaExhausted,
                RejectedClass::NotAuthorized => Self::NotAuthorized,
                RejectedClass::Misconfigured => Self::Misconfigured,
            },
        }
    }

    /// The class as a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::TokenDead => "token_dead",
            Self::Busy => "busy",
            Self::CodeInvalid => "code_invalid",
            Self::CodeOfOtherKind => "code_of_other_kind",
            Self::SessionKeyStale => "session_key_stale",
            Self::UserBlocked => "user_blocked",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::AddressRefused => "address_refused",
            Self::NotAuthorized => "not_authorized",
            Self::TicketInvalid => "ticket_invalid",
            Self::Misconfigured => "misconfigured",
        }
    }
}

/// The first address in `invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist`.
fn address_in(errmsg: &str) -> Option<IpAddr> {
    let mut words = errmsg.split(|c: char| c.is_whitespace() || c == ',');
    words.find_map(|word| word.parse::<IpAddr>().ok()).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(errcode: i64, errmsg: &str, proof: Proof) -> Refused {
        Refused::read(errcode, json!({ "errmsg": errmsg }).as_object().unwrap(), proof)
    }

    #[test]
    fn a_dead_token_is_told_from_a_wrong_secret() {
        for errcode in [40001, 40014, 42001, 42006] {
            let error = CallError::from(refused(errcode, "", Proof::Token));
            assert!(error.token_is_dead());
            assert_eq!(error.errcode_class(), "token_dead");
            assert_eq!(refused(errcode, "", Proof::Secret).class, RefusedClass::Misconfigured);
        }
        assert_ne!(refused(40001, "", Proof::Token).meaning(), refused(40001, "", Proof::Secret).meaning());
        for errcode in [41001, 42007, 61024, 40125, -1, 0] {
            assert!(!CallError::from(refused(errcode, "", Proof::Token)).token_is_dead(), "{errcode}");
        }
    }

    #[test]
    fn the_address_that_wechat_saw_is_named() {
        let text = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 652d44d0-1d0af18b-5b069232";
        let refusal = refused(40164, text, Proof::Secret);
        assert_eq!(refusal.our_address, Some("203.0.113.7".parse().unwrap()));
        assert_eq!(refusal.rid.unwrap().as_str(), "652d44d0-1d0af18b-5b069232");
        assert_eq!(refused(40164, "ipv6 ::ffff:203.0.113.7", Proof::Secret).our_address, refusal.our_address);
        assert_eq!(refused(40164, "somewhere else", Proof::Secret).our_address, None);
        assert_eq!(refused(40029, text, Proof::Secret).our_address, None);
    }

    #[test]
    fn who_must_wait_is_told_how_long() {
        let minutes = |errcode| refused(errcode, "", Proof::Secret).back_off().map(|pause| pause.as_secs() / 60);
        assert_eq!([40164, 89_501, 89_503].map(minutes), [Some(10); 3]);
        assert_eq!([89_507, 89_506, 45_011].map(minutes), [Some(60), Some(24 * 60), Some(1)]);
        assert_eq!([40125, 45_009, -1].map(minutes), [None; 3]);
    }
}
