//! WeChat's error codes, as far as a call under `/sns/` can meet them.

/// What a refusal means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectedClass {
    /// WeChat is busy. The code may be used up: ask for a new one.
    Busy,
    /// The code is unknown, expired, or of another app. A new one helps.
    CodeInvalid,
    /// The code has been exchanged before. A new one helps.
    CodeUsed,
    /// WeChat blocks this user. Nothing helps.
    UserBlocked,
    /// Too many calls in this minute. Waiting a minute helps.
    RateLimited,
    /// The day's calls are used up. They are back at midnight in Beijing.
    QuotaExhausted,
    /// The app did not authorise the third-party platform that acts for it.
    NotAuthorized,
    /// The app's configuration is wrong, here or at WeChat: an operator must act. Also every unknown errcode.
    Misconfigured,
}

impl RejectedClass {
    /// The class as a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::CodeInvalid => "code_invalid",
            Self::CodeUsed => "code_used",
            Self::UserBlocked => "user_blocked",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::NotAuthorized => "not_authorized",
            Self::Misconfigured => "misconfigured",
        }
    }
}

/// The AppSecret is not the app's. WeChat checks it before it looks at the code.
pub(crate) const WRONG_SECRET: i64 = 40125;
/// Our address is not in the app's list; the errmsg names it.
pub(crate) const NOT_LISTED: i64 = 40164;

/// Source: WeChat's global table of return codes and the page of code2Session.
const TABLE: &[(i64, RejectedClass, &str)] = &[
    (-1, RejectedClass::Busy, "WeChat is busy"),
    (40001, RejectedClass::Misconfigured, "the AppSecret is wrong"),
    (40002, RejectedClass::Misconfigured, "the grant_type is wrong"),
    (40013, RejectedClass::Misconfigured, "the appid is unknown to WeChat; upper and lower case matter"),
    (40029, RejectedClass::CodeInvalid, "the code is unknown, expired, or of another app"),
    (40125, RejectedClass::Misconfigured, "the AppSecret is wrong or was reset"),
    (40163, RejectedClass::CodeUsed, "the code was exchanged before"),
    (40164, RejectedClass::Misconfigured, "our address is not in the app's IP whitelist"),
    (40226, RejectedClass::UserBlocked, "WeChat blocks this user as a high risk"),
    (40243, RejectedClass::Misconfigured, "the AppSecret is frozen"),
    (41002, RejectedClass::Misconfigured, "the appid is missing"),
    (41004, RejectedClass::Misconfigured, "the AppSecret is missing"),
    (41008, RejectedClass::CodeInvalid, "the code is missing"),
    (43001, RejectedClass::Misconfigured, "WeChat wants GET"),
    (43002, RejectedClass::Misconfigured, "WeChat wants POST"),
    (43003, RejectedClass::Misconfigured, "WeChat wants HTTPS"),
    (45009, RejectedClass::QuotaExhausted, "the day's calls are used up"),
    (45011, RejectedClass::RateLimited, "too many calls in this minute"),
    (45035, RejectedClass::Misconfigured, "our address is not registered with the app"),
    (48001, RejectedClass::Misconfigured, "the app may not use this interface"),
    (48004, RejectedClass::Misconfigured, "WeChat has barred the app from this interface for irregularities"),
    (50002, RejectedClass::UserBlocked, "the account is frozen or cancelled"),
    (50003, RejectedClass::Misconfigured, "the app is not in WeChat's white list"),
    (50004, RejectedClass::Misconfigured, "WeChat has barred the app from access_tokens"),
    (50007, RejectedClass::Misconfigured, "the app's account is frozen"),
    (61003, RejectedClass::NotAuthorized, "the app did not authorise this third-party platform"),
    (61004, RejectedClass::Misconfigured, "our address is not registered with the third-party platform"),
    (61007, RejectedClass::Misconfigured, "the third-party platform may not use this interface for the app"),
    (89501, RejectedClass::Misconfigured, "our address waits for the confirmation of the app's administrator"),
    (89503, RejectedClass::Misconfigured, "our address needs the confirmation of the app's administrator"),
    (89506, RejectedClass::Misconfigured, "the administrator refused our address twice; it is barred for 24 hours"),
    (89507, RejectedClass::Misconfigured, "the administrator refused our address; it is barred for an hour"),
];

fn find(errcode: i64) -> Option<&'static (i64, RejectedClass, &'static str)> {
    TABLE.iter().find(|(known, _, _)| *known == errcode)
}

/// The class of an errcode other than 0. An unknown one calls for an operator, not for another try.
pub(crate) fn class(errcode: i64) -> RejectedClass {
    find(errcode).map_or(RejectedClass::Misconfigured, |(_, class, _)| *class)
}

/// What an errcode means, in our words.
pub(crate) fn meaning(errcode: i64) -> &'static str {
    find(errcode).map_or("unknown to this version of wxgate", |(_, _, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_doubles() {
        assert!(TABLE.is_sorted_by(|left, right| left.0 < right.0));
    }

    #[test]
    fn unknown_codes_call_for_an_operator() {
        for unknown in [1, -2, 40000, 99_999, i64::MIN, i64::MAX] {
            assert_eq!(class(unknown), RejectedClass::Misconfigured);
            assert!(meaning(unknown).starts_with("unknown"));
        }
        assert_eq!(class(WRONG_SECRET), RejectedClass::Misconfigured);
    }
}
