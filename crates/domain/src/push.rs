//! Message push: in which of its modes an app takes it, what is known of its secrets, and what WeChat says is withdrawn.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wxgate_crypto::push::{PushKeys, PushToken};

use crate::app::SecretFingerprint;
use crate::ids::{AppId, TenantId, WechatAppid};
use crate::time::Timestamp;
use crate::user::ProfileParts;

/// How much of a push is encrypted, as WeChat's console calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PushMode {
    /// Nothing: nobody can tell who wrote the message. What is encrypted all the same is read.
    Plain,
    /// The message comes twice, in clear and encrypted; only what is encrypted is read.
    Compatible,
    /// All of it.
    Safe,
}

impl PushMode {
    const ALL: [Self; 3] = [Self::Plain, Self::Compatible, Self::Safe];

    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Compatible => "compatible",
            Self::Safe => "safe",
        }
    }

    /// Whether a message that is not encrypted is read at all.
    pub fn reads_plaintext(self) -> bool {
        self == Self::Plain
    }
}

impl fmt::Display for PushMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No mode of WeChat's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mode is plain, compatible or safe")]
pub struct UnknownPushMode;

impl FromStr for PushMode {
    type Err = UnknownPushMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or(UnknownPushMode)
    }
}

/// What it takes to read the pushes of an app.
#[derive(Clone, Debug)]
pub struct PushSettings {
    /// Whose they are.
    pub app: AppId,
    /// WeChat's id of the app.
    pub appid: WechatAppid,
    /// What every frame ends with: the same, or WeChat's id of the third-party platform that acts for the app.
    pub addressee: WechatAppid,
    /// The app's tenant.
    pub tenant: TenantId,
    /// In which mode the app takes them.
    pub mode: PushMode,
    /// Token and keys.
    pub keys: PushKeys,
}

/// What may be known of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushStatus {
    /// In which mode the app takes pushes.
    pub mode: PushMode,
    /// Tells the token from others.
    pub token: SecretFingerprint,
    /// The same of the token before, while it is being changed.
    pub previous_token: Option<SecretFingerprint>,
    /// Tells the EncodingAESKey from others.
    pub key: SecretFingerprint,
    /// The same of the key before, while it is being changed.
    pub previous_key: Option<SecretFingerprint>,
    /// When something was last changed.
    pub changed_at: Timestamp,
}

/// A token that WeChat's console does not take, or that could be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a push token is at most 32 letters and digits that hold 128 bits of chance: 32 hexadecimal digits, or 22 letters of both cases and digits"
)]
pub struct WeakPushToken;

/// Longest token that WeChat's console takes.
const LONGEST_TOKEN: usize = 32;
/// Different characters that chance does not fall short of.
const FEWEST_CHARACTERS: usize = 8;

/// A token that is to be used from now on. Whoever knows it writes plaintext pushes, so it must hold 128 bits of chance, as
/// far as its length and its alphabet can show that.
///
/// # Errors
/// [`WeakPushToken`].
pub fn strong_push_token(text: &str) -> Result<PushToken, WeakPushToken> {
    let has = |class: fn(&u8) -> bool| text.bytes().any(|byte| class(&byte));
    let (digits, lower, upper) = (has(u8::is_ascii_digit), has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase));
    let hexadecimal = !(lower && upper) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // So many characters of such an alphabet have 128 bits.
    let shortest = match (digits, lower, upper) {
        _ if hexadecimal => 32,
        (true, true, true) => 22,
        (false, true, true) => 23,
        (true, true, false) | (true, false, true) => 25,
        (false, true, false) | (false, false, true) => 28,
        _ => return Err(WeakPushToken),
    };
    let mut different: Vec<u8> = text.bytes().collect();
    different.sort_unstable();
    different.dedup();
    let fits = (shortest..=LONGEST_TOKEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().any(|byte| !byte.is_ascii_digit())
        && different.len() >= FEWEST_CHARACTERS;
    PushToken::parse(text).filter(|_| fits).ok_or(WeakPushToken)
}

/// What a user withdrew of what is kept here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Withdrawn {
    /// Of the profile.
    pub profile: ProfileParts,
    /// The phone number.
    pub phone: bool,
}

impl Withdrawn {
    /// What WeChat's numbers name (`RevokeInfo`). Most of them name what is never kept here: an address, an invoice, the
    /// microphone.
    pub fn of(numbers: &[u32]) -> Self {
        let names = |known: &[u32]| numbers.iter().any(|number| known.contains(number));
        Self {
            profile: ProfileParts { nickname: names(&[6, 19, 205, 301]), avatar: names(&[6, 20, 205, 301]) },
            phone: names(&[8, 301]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_that_nobody_guesses_are_taken() {
        for good in ["0123456789abcdef0123456789abcdef", "W1v9mq2gx12X6ZE4W1v9mq", "q7w8e9r0t1y2u3i4o5p6a7s8d"] {
            assert!(strong_push_token(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "AAAAA",
            "W1v9mq2gx12X6ZE4",
            "W1v9mq2gx12X6ZE4W1v9m",
            "0123456789abcdef0123456789abcde",
            "01234567890123456789012345678901",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789abcdef0123456789abcdef0",
            "W1v9mq2gx12X6ZE4W1v9m-",
            "W1v9mq2gx12X6ZE4W1v9m\u{e9}",
        ] {
            assert_eq!(strong_push_token(wrong).map(drop), Err(WeakPushToken), "{wrong}");
        }
    }

    #[test]
    fn numbers_name_exactly_what_is_withdrawn() {
        let parts = |nickname, avatar, phone| Withdrawn { profile: ProfileParts { nickname, avatar }, phone };
        assert_eq!(Withdrawn::of(&[6]), parts(true, true, false));
        assert_eq!(Withdrawn::of(&[8]), parts(false, false, true));
        assert_eq!(Withdrawn::of(&[19]), parts(true, false, false));
        assert_eq!(Withdrawn::of(&[20, 8]), parts(false, true, true));
        assert_eq!(Withdrawn::of(&[205]), parts(true, true, false));
        assert_eq!(Withdrawn::of(&[301]), parts(true, true, true));
        assert_eq!(Withdrawn::of(&[1, 2, 12, 16, 999]), Withdrawn::default());
    }
}
