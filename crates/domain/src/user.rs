//! A user: a person inside a tenant.

use crate::ids::UserId;
use crate::time::Timestamp;

/// A person inside a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Our id; `sub` of the access token. It never changes when a unionid appears.
    pub id: UserId,
    /// Whether the user may log in.
    pub status: UserStatus,
    /// What the user says about themself.
    pub profile: Profile,
    /// Raised to end every session of the user at once; sessions carry the value they began with.
    pub sessions_epoch: u32,
    /// When the user first logged in.
    pub created_at: Timestamp,
}

/// Whether a user may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    /// May log in.
    Active,
    /// Refused on every path until unblocked.
    Blocked,
}

impl UserStatus {
    /// The word in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Blocked => "blocked",
        }
    }

    /// The status of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Blocked].into_iter().find(|s| s.as_str() == word)
    }
}

/// Nickname and avatar as the client gave them: self-asserted, never used for identity, never fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// At most 64 characters, no control characters.
    pub nickname: Option<String>,
    /// An http or https address of at most 1,024 characters.
    pub avatar_url: Option<String>,
}

/// What WeChat shows for everyone since 2022-11-08.
const PLACEHOLDER_NICKNAME: &str = "微信用户";

/// The grey avatar of WeChat's documentation; it is served under several sizes, so the last segment does not count.
const PLACEHOLDER_AVATAR: &str =
    "mmbiz.qpic.cn/mmbiz/icTdbqWNOwNRna42FI242Lcia07jQodd2FJGIYQfG0LAJGFxM4FbnQP6yfMxBgJ0F3YRqJCJ1aPAK2dQagdusBZg/";

/// The grey avatar that anonymised user data carries.
const ANONYMOUS_AVATAR: &str = "thirdwx.qlogo.cn/mmopen/vi_32/POgEwh4mIHO4nibH0KlMECNjjGxQUq24ZEaGT4poC6icRiccVGKSyXwibcPq4BWmiaIGuG1icwxaQX6grC9VemZoJ8rg/";

impl Profile {
    /// The profile that a client shows, with placeholders and implausible values left out.
    ///
    /// A nickname "微信用户" and the grey avatar are WeChat's stand-ins, not what the user chose.
    pub fn shown(nickname: Option<&str>, avatar_url: Option<&str>) -> Self {
        let nickname = nickname
            .map(str::trim)
            .filter(|n| !n.is_empty() && *n != PLACEHOLDER_NICKNAME)
            .filter(|n| n.chars().count() <= 64 && !n.chars().any(char::is_control));
        let avatar_url = avatar_url.map(str::trim).filter(|url| is_avatar(url));
        Self { nickname: nickname.map(str::to_owned), avatar_url: avatar_url.map(str::to_owned) }
    }

    /// This profile with what `newer` knows laid over it; `None` if that changes nothing.
    pub fn merged(&self, newer: &Self) -> Option<Self> {
        let merged = Self {
            nickname: newer.nickname.clone().or_else(|| self.nickname.clone()),
            avatar_url: newer.avatar_url.clone().or_else(|| self.avatar_url.clone()),
        };
        (merged != *self).then_some(merged)
    }
}

fn is_avatar(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && url.len() <= 1_024
            && url.bytes().all(|byte| byte.is_ascii_graphic())
            && !rest.starts_with(PLACEHOLDER_AVATAR)
            && !rest.starts_with(ANONYMOUS_AVATAR)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_never_overwrites_what_is_stored() {
        let stored = Profile::shown(Some("Ada"), Some("https://example.com/ada.png"));
        let grey = format!("https://{PLACEHOLDER_AVATAR}0");
        assert_eq!(stored.merged(&Profile::shown(Some("微信用户"), Some(&grey))), None);
        assert_eq!(stored.merged(&stored.clone()), None);
        let renamed = stored.merged(&Profile::shown(Some("Grace"), None)).unwrap();
        assert_eq!(renamed.nickname.as_deref(), Some("Grace"));
        assert_eq!(renamed.avatar_url, stored.avatar_url);
    }

    #[test]
    fn implausible_values_are_left_out() {
        for avatar in ["javascript:alert(1)", "ftp://a/b", "https://", "https://a/b c", "http://tmp\n/x"] {
            assert_eq!(Profile::shown(None, Some(avatar)).avatar_url, None, "{avatar:?}");
        }
        for nickname in ["", "  ", "a\u{0}b", "a\r\nb", &"x".repeat(65)] {
            assert_eq!(Profile::shown(Some(nickname), None).nickname, None, "{nickname:?}");
        }
    }
}
