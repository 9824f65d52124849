//! Ids as types. Ours are UUIDv7; WeChat's are text of a checked shape.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;
use wxgate_crypto::{Random, Secret, encoding};

use crate::time::Timestamp;

macro_rules! uuid_id {
    ($(#[doc = $doc:literal] $name:ident),* $(,)?) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id (UUIDv7, RFC 9562 section 5.7), sortable by the time it was made.
            pub fn new(now: Timestamp, random: &Random) -> Self {
                Self(random.uuid_v7(now.millis()))
            }

            /// The UUID, for storage and for the places of sealed values.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            /// Reads lower-case hyphenated text only, so that an id has one spelling.
            fn from_str(text: &str) -> Result<Self, MalformedId> {
                let malformed = MalformedId("a lower-case UUID with hyphens");
                let uuid = Uuid::parse_str(text).map_err(|_| malformed)?;
                (uuid.to_string() == text).then_some(Self(uuid)).ok_or(malformed)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                parsed(deserializer)
            }
        }
    )*};
}

uuid_id! {
    /// A tenant.
    TenantId,
    /// An app: one mini-program as we know it. Not WeChat's appid, see [`WechatAppid`].
    AppId,
    /// A union group: the WeChat Open Platform account that apps are bound to.
    UnionGroupId,
    /// A user; `sub` of the access token.
    UserId,
    /// A session; `sid` of the access token.
    SessionId,
    /// A key to the admin API.
    AdminKeyId,
    /// Work in the background.
    JobId,
    /// A process that serves, from its start to its end.
    NodeId,
    /// A third-party platform as we know it. Not WeChat's appid of it.
    PlatformId,
    /// The merge of two users, by which it is undone.
    MergeId,
    /// That two users may be one person.
    MergeCandidateId,
    /// Something that a tenant's services are told of.
    EventId,
    /// Where a tenant's services are told of what happens.
    WebhookId,
}

/// Text that is no id of the asked kind. It says what one looks like, and nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct MalformedId(pub(crate) &'static str);

/// Text that is read back by the same rules by which it was taken.
pub(crate) fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

pub(crate) fn is_token(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

macro_rules! wechat_id {
    ($(#[doc = $doc:literal] $name:ident),* $(,)?) => {$(
        #[doc = $doc]
        ///
        /// 1 to 64 characters of `[A-Za-z0-9_-]`; case and every character count.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, MalformedId> {
                is_token(text, 64).then(|| Self(text.to_owned())).ok_or(MalformedId("1 to 64 letters, digits, _ or -"))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                parsed(deserializer)
            }
        }
    )*};
}

wechat_id! {
    /// WeChat's id of a mini-program, such as `wx4f4bc4dec97d474b`.
    WechatAppid,
    /// WeChat's id of a user inside one mini-program.
    OpenId,
    /// WeChat's id of a user inside one Open Platform account.
    UnionId,
}

/// What another system calls a user, such as the key of a users table of before: unique in a tenant.
///
/// 1 to 255 characters, none of them a control character, and no white space at either end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ExternalId(String);

impl ExternalId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ExternalId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let fits =
            (1..=255).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned()))
            .ok_or(MalformedId("1 to 255 characters without control characters and without white space at the ends"))
    }
}

impl<'de> Deserialize<'de> for ExternalId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// A tenant's name in addresses (`/t/{slug}`): immutable, never reused.
///
/// `[a-z0-9][a-z0-9-]{0,61}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Slug(String);

impl Slug {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Slug {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        is_name(text, 62)
            .then(|| Self(text.to_owned()))
            .ok_or(MalformedId("1 to 62 of a-z, 0-9 and hyphens, and not begin with a hyphen"))
    }
}

impl<'de> Deserialize<'de> for Slug {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// `[a-z0-9][a-z0-9-]*`, at most so long.
pub(crate) fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A service client: a downstream service that asks wxgate something; `client_id` of its tokens.
///
/// `svc_` and 22 characters of base64url, 16 random bytes. No appid of WeChat's begins so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ServiceClientId(String);

impl ServiceClientId {
    /// What every one of them begins with. It never changes.
    pub const PREFIX: &str = "svc_";

    /// A new id.
    pub fn new(random: &Random) -> Self {
        Self(format!("{}{}", Self::PREFIX, encoding::to_base64url(random.bytes::<16>())))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServiceClientId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let bytes = text.strip_prefix(Self::PREFIX).and_then(encoding::base64url);
        let fits = bytes.is_some_and(|bytes| bytes.len() == 16);
        fits.then(|| Self(text.to_owned())).ok_or(MalformedId("svc_ and 22 characters of base64url"))
    }
}

impl<'de> Deserialize<'de> for ServiceClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// The code that `wx.login` gives: works once, for five minutes. A bearer secret, so it cannot be printed.
///
/// 1 to 128 characters of `[A-Za-z0-9_-]`; anything else never reaches WeChat.
#[derive(Clone, Debug)]
pub struct LoginCode(Secret<String>);

impl LoginCode {
    /// The code as WeChat made it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl FromStr for LoginCode {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        is_token(text, 128)
            .then(|| Self(Secret::new(text.to_owned())))
            .ok_or(MalformedId("1 to 128 letters, digits, _ or -"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_have_one_spelling() {
        for good in ["a", "acme", "acme-shop", "9lives", &"a".repeat(62)] {
            assert!(good.parse::<Slug>().is_ok(), "{good}");
        }
        for wrong in ["", "-a", "Acme", "a_b", "a.b", "a/b", "é", &"a".repeat(63)] {
            assert!(wrong.parse::<Slug>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn wechat_ids_and_codes_refuse_what_could_be_injected() {
        for wrong in ["", "a b", "a&appid=x", "a%00", "a\0", "a\n", "ö", &"a".repeat(65)] {
            assert!(wrong.parse::<OpenId>().is_err(), "{wrong:?}");
        }
        assert!("a".repeat(128).parse::<LoginCode>().is_ok());
        assert!("a".repeat(129).parse::<LoginCode>().is_err());
        assert!(!format!("{:?}", "0a1b2c".parse::<LoginCode>().unwrap()).contains("0a1b2c"));
    }

    #[test]
    fn service_clients_have_one_spelling_that_no_other_id_shares() {
        let random = Random::seeded(1);
        let (one, other) = (ServiceClientId::new(&random), ServiceClientId::new(&random));
        assert_ne!(one, other);
        assert_eq!((one.as_str().len(), one.as_str().parse::<ServiceClientId>()), (26, Ok(one.clone())));
        let bare = one.as_str().trim_start_matches("svc_");
        // 16 bytes leave four unused bits in the last character: only one of sixteen spellings counts.
        let unused = format!("svc_{}B", "A".repeat(21));
        for wrong in [bare, "", "svc_", &format!("SVC_{bare}"), &format!("svc_{bare}="), &unused, "wx4f4bc4dec97d474b"]
        {
            assert!(wrong.parse::<ServiceClientId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn our_ids_have_one_spelling() {
        let id = UserId::new(Timestamp::from_millis(1), &Random::seeded(1));
        assert_eq!(id.to_string().parse::<UserId>().unwrap(), id);
        assert!(id.to_string().to_uppercase().parse::<UserId>().is_err());
        assert!(id.uuid().simple().to_string().parse::<UserId>().is_err());
    }
}
