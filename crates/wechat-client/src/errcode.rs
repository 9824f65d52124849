//! WeChat's error codes: what they mean in our words, and their class where a login code is exchanged.

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

/// Source: WeChat's global table of return codes and the pages of the interfaces that are called here.
const TABLE: &[(i64, RejectedClass, &str)] = &[
    (-1, RejectedClass::Busy, "WeChat is busy"),
    (40001, RejectedClass::Misconfigured, "the AppSecret is wrong"),
    (40002, RejectedClass::Misconfigured, "the grant_type is wrong"),
    (40003, RejectedClass::Misconfigured, "the openid is none of this app's"),
    (40013, RejectedClass::Misconfigured, "the appid is unknown to WeChat; upper and lower case matter"),
    (40014, RejectedClass::Misconfigured, "the access_token is malformed"),
    (40029, RejectedClass::CodeInvalid, "the code is unknown, expired, or of another app"),
    (40033, RejectedClass::Misconfigured, "characters were sent as \\u escapes"),
    (40091, RejectedClass::Misconfigured, "the ticket of the third-party platform is wrong"),
    (40094, RejectedClass::Misconfigured, "the credential of the third-party platform is wrong"),
    (40097, RejectedClass::Misconfigured, "an argument is wrong"),
    (40125, RejectedClass::Misconfigured, "the AppSecret is wrong or was reset"),
    (40163, RejectedClass::CodeUsed, "the code was exchanged before"),
    (40164, RejectedClass::Misconfigured, "our address is not in the app's IP whitelist"),
    (40226, RejectedClass::UserBlocked, "WeChat blocks this user as a high risk"),
    (40230, RejectedClass::Misconfigured, "a signed call without the serial of its key"),
    (40231, RejectedClass::Misconfigured, "a signed call without its time"),
    (40232, RejectedClass::Misconfigured, "a signed call without its signature"),
    (40233, RejectedClass::Misconfigured, "a signed call without its appid"),
    (40234, RejectedClass::Misconfigured, "the signature of the call is wrong"),
    (40235, RejectedClass::Misconfigured, "WeChat cannot decrypt the call"),
    (40236, RejectedClass::Misconfigured, "the appid of the signed call is wrong"),
    (40237, RejectedClass::Misconfigured, "the appid of the signed call is not that of its token"),
    (40238, RejectedClass::Misconfigured, "the app has no symmetric key at WeChat"),
    (40239, RejectedClass::Misconfigured, "the app has no public key at WeChat"),
    (40240, RejectedClass::Misconfigured, "the signed call is too old for WeChat; is our clock right?"),
    (40243, RejectedClass::Misconfigured, "the AppSecret is frozen"),
    (41001, RejectedClass::Misconfigured, "the access_token is missing"),
    (41002, RejectedClass::Misconfigured, "the appid is missing"),
    (41004, RejectedClass::Misconfigured, "the AppSecret is missing"),
    (41008, RejectedClass::CodeInvalid, "the code is missing"),
    (41018, RejectedClass::Misconfigured, "the third-party platform's appid is missing"),
    (41021, RejectedClass::Misconfigured, "the third-party platform's token is missing"),
    (42001, RejectedClass::Misconfigured, "the access_token has expired"),
    (42006, RejectedClass::Misconfigured, "the third-party platform's token has expired"),
    (
        42007,
        RejectedClass::Misconfigured,
        "the account's owner changed the password; the platform must be authorised again",
    ),
    (43001, RejectedClass::Misconfigured, "WeChat wants GET"),
    (43002, RejectedClass::Misconfigured, "WeChat wants POST"),
    (43003, RejectedClass::Misconfigured, "WeChat wants HTTPS"),
    (44002, RejectedClass::Misconfigured, "the body is empty"),
    (45009, RejectedClass::QuotaExhausted, "the day's calls are used up"),
    (45011, RejectedClass::RateLimited, "too many calls in this minute"),
    (45035, RejectedClass::Misconfigured, "our address is not registered with the app"),
    (47001, RejectedClass::Misconfigured, "the body is malformed"),
    (47002, RejectedClass::Misconfigured, "characters were sent as \\u escapes"),
    (48001, RejectedClass::Misconfigured, "the app may not use this interface"),
    (48004, RejectedClass::Misconfigured, "WeChat has barred the app from this interface for irregularities"),
    (50002, RejectedClass::UserBlocked, "the account is frozen or cancelled"),
    (50003, RejectedClass::Misconfigured, "the app is not in WeChat's white list"),
    (50004, RejectedClass::Misconfigured, "the app may not fetch tokens"),
    (50007, RejectedClass::Misconfigured, "the app's account is frozen"),
    (61003, RejectedClass::NotAuthorized, "the app did not authorise this third-party platform"),
    (61004, RejectedClass::Misconfigured, "our address is not registered with the third-party platform"),
    (61005, RejectedClass::Misconfigured, "the ticket of the third-party platform has expired"),
    (61006, RejectedClass::Misconfigured, "the ticket of the third-party platform is wrong"),
    (61007, RejectedClass::Misconfigured, "the third-party platform may not use this interface for the app"),
    (61009, RejectedClass::Misconfigured, "the authorisation code is unknown"),
    (61010, RejectedClass::Misconfigured, "the authorisation code has expired"),
    (61011, RejectedClass::Misconfigured, "the third-party platform is unknown to WeChat"),
    (61014, RejectedClass::Misconfigured, "WeChat wants the third-party platform's token"),
    (61023, RejectedClass::Misconfigured, "the app's refresh token for the third-party platform is wrong"),
    (61024, RejectedClass::Misconfigured, "the app's token comes from its third-party platform only"),
    (76003, RejectedClass::Misconfigured, "the question about a quota is malformed"),
    (76021, RejectedClass::Misconfigured, "WeChat knows no interface of this path"),
    (76022, RejectedClass::Misconfigured, "WeChat does not tell the quota of this interface"),
    (87007, RejectedClass::Misconfigured, "the session_key does not exist or has expired"),
    (87008, RejectedClass::Misconfigured, "the signature method is unknown"),
    (87009, RejectedClass::Misconfigured, "the session_key is not, or no longer, WeChat's"),
    (89501, RejectedClass::Misconfigured, "our address waits for the confirmation of the app's administrator"),
    (89503, RejectedClass::Misconfigured, "our address needs the confirmation of the app's administrator"),
    (89506, RejectedClass::Misconfigured, "the administrator refused our address twice; it is barred for 24 hours"),
    (89507, RejectedClass::Misconfigured, "the administrator refused our address; it is barred for an hour"),
];

fn find(errcode: i64) -> Option<&'static (i64, RejectedClass, &'static str)> {
    TABLE.iter().find(|(known, _, _)| *known == errcode)
}

/// The number for an app that did not authorise the third-party platform.
pub(crate) const NOT_AUTHORIZED: i64 = 61003;

/// The number for a refresh token that WeChat does not know.
pub(crate) const UNKNOWN_REFRESH_TOKEN: i64 = 61023;

/// Whether it says of a token that was sent that it is unknown, superseded or expired.
pub(crate) fn is_of_dead_token(errcode: i64) -> bool {
    matches!(errcode, 40001 | 40014 | 42001 | 42006)
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
