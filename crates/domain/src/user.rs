//! A user: a person inside a tenant.

use crate::ids::{ExternalId, UserId};
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
    /// What another system calls the user, if an import said so.
    pub external_id: Option<ExternalId>,
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

    /// The profile that a user fills in: what is a placeholder of WeChat's is left out, what is implausible refused.
    ///
    /// # Errors
    /// A nickname or address that no profile can have.
    pub fn asserted(nickname: Option<&str>, avatar_url: Option<&str>) -> Result<Self, Implausible> {
        let shown = Self::shown(nickname, avatar_url);
        let nickname_fits = nickname.is_none_or(|n| shown.nickname.is_some() || n.trim() == PLACEHOLDER_NICKNAME);
        let avatar_fits = avatar_url.is_none_or(|url| shown.avatar_url.is_some() || is_placeholder(url.trim()));
        if nickname_fits && avatar_fits { Ok(shown) } else { Err(Implausible) }
    }

    /// This profile with what `newer` knows laid over it; `None` if that changes nothing.
    pub fn merged(&self, newer: &Self) -> Option<Self> {
        let merged = Self {
            nickname: newer.nickname.clone().or_else(|| self.nickname.clone()),
            avatar_url: newer.avatar_url.clone().or_else(|| self.avatar_url.clone()),
        };
        (merged != *self).then_some(merged)
    }

    /// This profile without some of its parts; `None` if that changes nothing.
    pub fn without(&self, parts: ProfileParts) -> Option<Self> {
        let left = Self {
            nickname: self.nickname.clone().filter(|_| !parts.nickname),
            avatar_url: self.avatar_url.clone().filter(|_| !parts.avatar),
        };
        (left != *self).then_some(left)
    }
}

/// Parts of a profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileParts {
    /// The nickname.
    pub nickname: bool,
    /// The avatar's address.
    pub avatar: bool,
}

impl ProfileParts {
    /// All of it.
    pub const ALL: Self = Self { nickname: true, avatar: true };
}

fn is_avatar(url: &str) -> bool {
    let plausible = url.len() <= 1_024 && url.bytes().all(|byte| byte.is_ascii_graphic());
    plausible && address(url).is_some_and(|rest| !rest.is_empty()) && !is_placeholder(url)
}

fn is_placeholder(url: &str) -> bool {
    address(url).is_some_and(|rest| rest.starts_with(PLACEHOLDER_AVATAR) || rest.starts_with(ANONYMOUS_AVATAR))
}

/// What follows http:// or https://.
fn address(url: &str) -> Option<&str> {
    url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))
}

/// A nickname or an avatar's address that no profile can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a nickname has 1 to 64 characters, an avatar an http or https address of at most 1,024")]
pub struct Implausible;

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
    fn what_a_user_fills_in_is_plausible_or_refused_and_placeholders_change_nothing() {
        let grey = format!("https://{PLACEHOLDER_AVATAR}132");
        assert_eq!(Profile::asserted(Some("微信用户"), Some(&grey)), Ok(Profile::default()));
        assert_eq!(Profile::asserted(None, None), Ok(Profile::default()));
        assert_eq!(Profile::asserted(Some(" Ada "), None).unwrap().nickname.as_deref(), Some("Ada"));
        for nickname in ["", "a\u{0}b", &"x".repeat(65)] {
            assert_eq!(Profile::asserted(Some(nickname), None), Err(Implausible), "{nickname:?}");
        }
        assert_eq!(Profile::asserted(Some("Ada"), Some("javascript:alert(1)")), Err(Implausible));
    }

    #[test]
    fn a_profile_loses_the_parts_that_are_named() {
        let stored = Profile::shown(Some("Ada"), Some("https://example.com/ada.png"));
        let named = stored.without(ProfileParts { nickname: false, avatar: true }).unwrap();
        assert_eq!(named, Profile::shown(Some("Ada"), None));
        assert_eq!(stored.without(ProfileParts::ALL), Some(Profile::default()));
        assert_eq!(stored.without(ProfileParts::default()), None);
        assert_eq!(named.without(ProfileParts { nickname: false, avatar: true }), None);
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
