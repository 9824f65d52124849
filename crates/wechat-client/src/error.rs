//! What can go wrong, in words that hold no data of users and no secrets.

use std::fmt;

use wxgate_crypto::api_security::ApiSecurityFailure;

use crate::errcode::{self, RejectedClass};
use crate::lanes::Outcome;
use crate::transport::Lost;

/// Why a client could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The base address is none, or has a user name, a query or a fragment.
    #[error("the base address is not an http(s) address without user name, query and fragment")]
    BaseUrl,
    /// The base address is not WeChat's and other hosts were not allowed.
    #[error("the base address is not https://*.weixin.qq.com, and other hosts are not allowed")]
    OtherHost,
    /// A connect that takes its full time must still leave time for the request.
    #[error("the connect timeout must be above zero and below the total timeout")]
    Timeouts,
    /// The number of exchanges in flight or the breaker's threshold is zero.
    #[error("the exchanges in flight per app and the breaker's threshold must be above zero")]
    Limits,
    /// No TLS client could be made.
    #[error("no TLS client could be made; are the system's root certificates installed?")]
    Tls,
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness")]
    NoRandomness,
}

/// Why a code was not exchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// The time was up, or the connection was lost after the request was sent: WeChat may have used up the code.
    #[error("WeChat did not answer in time")]
    Timeout,
    /// No connection, after one more try, or the app's breaker is open: nothing was sent, the code is as good as before.
    #[error("WeChat cannot be reached")]
    Unavailable,
    /// An answer that WeChat's documents do not know: WeChat may have used up the code.
    #[error("WeChat gave an unusable answer: {0}")]
    BadResponse(#[from] BadResponse),
    /// WeChat said no.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Too many exchanges of this app are in flight. Nothing was sent.
    #[error("too many exchanges of this app are in flight")]
    Overloaded,
}

impl ExchangeError {
    /// The class of the outcome as a metric's label: one of a dozen fixed words. Success is
    /// [`Exchanged::errcode_class`](crate::Exchanged::errcode_class).
    pub fn errcode_class(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::BadResponse(_) => "bad_response",
            Self::Rejected(rejected) => rejected.class.label(),
            Self::Overloaded => "overloaded",
        }
    }
}

impl From<Lost> for ExchangeError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Timeout => Self::Timeout,
            Lost::Unavailable => Self::Unavailable,
            Lost::Overloaded => Self::Overloaded,
            Lost::BadResponse(bad) => Self::BadResponse(bad),
        }
    }
}

impl From<&ExchangeError> for Outcome {
    fn from(error: &ExchangeError) -> Self {
        match error {
            ExchangeError::Rejected(_) => Self::Answered,
            ExchangeError::Timeout | ExchangeError::Unavailable | ExchangeError::BadResponse(_) => Self::Failed,
            ExchangeError::Overloaded => Self::Abandoned,
        }
    }
}

/// WeChat's refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("WeChat refused with errcode {errcode}")]
pub struct Rejected {
    /// What it means for the caller.
    pub class: RejectedClass,
    /// WeChat's number, never 0.
    pub errcode: i64,
    /// WeChat's id of the call, for the log.
    pub rid: Option<Rid>,
    /// Whether the code came from the developer tools without a real appid ("the code is a mock one"): worth a line in
    /// the log, since the developer looks for the mistake elsewhere. The class stays [`RejectedClass::CodeInvalid`].
    pub is_mock_code: bool,
}

impl Rejected {
    /// What the errcode means, for the operator. Never for the client: it tells about the app's configuration.
    pub fn meaning(&self) -> &'static str {
        errcode::meaning(self.errcode)
    }
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadResponse {
    /// HTTP status 5xx.
    #[error("HTTP status {0}")]
    Status(u16),
    /// Bytes that are no HTTP: another protocol, a broken chunk, a head beyond all bounds.
    #[error("no HTTP")]
    NotHttp,
    /// A Content-Encoding, though none was asked for.
    #[error("an encoded body")]
    Encoded,
    /// More than 64 KiB.
    #[error("a body of more than 64 KiB")]
    TooLarge,
    /// No body.
    #[error("an empty body")]
    Empty,
    /// A web page, as gateways and captive portals give.
    #[error("HTML instead of JSON")]
    Html,
    /// Not JSON, cut off, nested too deep, or with a duplicate key.
    #[error("not JSON, or with a duplicate key")]
    NotJson,
    /// JSON, but not an object.
    #[error("not an object")]
    NotObject,
    /// `errcode` is neither a whole number nor the text of one.
    #[error("errcode is not a number")]
    Errcode,
    /// A success without an `openid`, or with a malformed one.
    #[error("no well-formed openid")]
    OpenId,
    /// A success without a `session_key`, or with one that is not 16 bytes of base64.
    #[error("no well-formed session_key")]
    SessionKey,
    /// A `unionid` that is neither absent, null, empty nor well-formed.
    #[error("a malformed unionid")]
    UnionId,
    /// A success without a field that it must have, or with a malformed one. Of calls other than code2Session.
    #[error("no well-formed {0}")]
    Field(&'static str),
    /// A success in clear of a call that was signed and encrypted.
    #[error("a success in clear where a protected one is due")]
    Unprotected,
    /// An answer whose protection does not hold.
    #[error("a protected answer: {0}")]
    Protection(ApiSecurityFailure),
    /// A protected answer that came before.
    #[error("a protected answer that came before")]
    Replayed,
    /// A success for another app than the one that asked.
    #[error("an answer for another app")]
    OtherApp,
}

impl BadResponse {
    /// The variant's stable name, for metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::NotHttp => "not_http",
            Self::Encoded => "encoded",
            Self::TooLarge => "too_large",
            Self::Empty => "empty",
            Self::Html => "html",
            Self::NotJson => "not_json",
            Self::NotObject => "not_object",
            Self::Errcode => "errcode",
            Self::OpenId => "openid",
            Self::SessionKey => "session_key",
            Self::UnionId => "unionid",
            Self::Field(name) => name,
            Self::Unprotected => "unprotected",
            Self::Protection(failure) => failure.stage(),
            Self::Replayed => "replayed",
            Self::OtherApp => "other_app",
        }
    }
}

/// WeChat's id of one call: three groups of eight hexadecimal digits, the first is the Unix time.
///
/// WeChat's support asks for it. Nothing else of `errmsg` is kept, as it is free text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rid(String);

impl Rid {
    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Finds `rid: 652d44d0-1d0af18b-5b069232` in an `errmsg`.
    pub(crate) fn find(errmsg: &str) -> Option<Self> {
        const LENGTH: usize = 26;
        errmsg.match_indices("rid: ").find_map(|(start, mark)| {
            let rest = errmsg.get(start + mark.len()..)?;
            let rid = rest.get(..LENGTH)?;
            let ends =
                rest.get(LENGTH..)?.bytes().next().is_none_or(|byte| !byte.is_ascii_alphanumeric() && byte != b'-');
            (ends && Self::is_rid(rid)).then(|| Self(rid.to_owned()))
        })
    }

    fn is_rid(text: &str) -> bool {
        let mut groups = 0;
        text.split('-').all(|group| {
            groups += 1;
            group.len() == 8 && group.bytes().all(|byte| byte.is_ascii_hexdigit())
        }) && groups == 3
    }
}

impl fmt::Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RID: &str = "652d44d0-1d0af18b-5b069232";

    #[test]
    fn a_rid_is_found_in_all_three_generations_of_errmsg() {
        for errmsg in [
            "invalid code rid: 652d44d0-1d0af18b-5b069232",
            "invalid code, rid: 652d44d0-1d0af18b-5b069232",
            "invalid code, hints: [ req_id: 7L8aBa05974105 ] rid: 652d44d0-1d0af18b-5b069232 ",
        ] {
            assert_eq!(Rid::find(errmsg).unwrap().as_str(), RID, "{errmsg}");
        }
    }

    #[test]
    fn anything_else_is_no_rid() {
        for errmsg in [
            "",
            "invalid code",
            "rid: ",
            "rid: 652d44d0-1d0af18b-5b06923",
            "rid: 652d44d0-1d0af18b-5b0692321",
            "rid: 652d44d0-1d0af18b-5b069232-00000000",
            "rid: 652d44d0-1d0af18b-5b06923z",
            "rid: 652d44d0x1d0af18bx5b069232",
            "rid: 652d44d0-1d0af18b5b0692-32",
            "rid: ééééééééééééé",
            "hint: [mGhbWV0sf-LxnVma]",
        ] {
            assert_eq!(Rid::find(errmsg), None, "{errmsg}");
        }
    }
}
