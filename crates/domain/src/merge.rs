//! Merging: two users of a tenant turn out to be one person.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wxgate_crypto::{Digest, Random, Secret, encoding};

use crate::ids::{MalformedId, SessionId, UserId};

/// How long a merge can be undone.
pub const UNDO: Duration = Duration::from_hours(24 * 7);

/// How long a merge token counts.
pub const TOKEN_LIFE: Duration = Duration::from_mins(5);

const PREFIX: &str = "wxm_";

/// That two users may be merged by whoever proves to be both of them, to the session that found it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeGrant {
    /// Whose session it is.
    pub user: UserId,
    /// The other one.
    pub other: UserId,
    /// The session that the token is for, and no other.
    pub session: SessionId,
    /// The keyed digest of the phone number that both claim, if it is about one.
    pub phone: Option<Digest>,
}

/// What the client holds of a [`MergeGrant`]: 256 random bits. It counts once; of it only a digest is kept.
#[derive(Clone, Debug)]
pub struct MergeToken(Secret<String>);

impl MergeToken {
    /// A new one.
    pub fn generate(random: &Random) -> Self {
        Self(Secret::new(format!("{PREFIX}{}", encoding::to_base64url(random.bytes::<32>()))))
    }

    /// The text, to be told once.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is kept of it.
    pub fn digest(&self) -> Digest {
        Digest::sha256(self.0.expose().as_bytes())
    }
}

impl FromStr for MergeToken {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let random = text.strip_prefix(PREFIX).and_then(encoding::base64url);
        let fits = random.is_some_and(|random| random.len() == 32);
        fits.then(|| Self(Secret::new(text.to_owned()))).ok_or(MalformedId("a merge token"))
    }
}

macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $what:literal])* $variant:ident = $word:literal,)* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[doc = $what])* $variant,)*
        }

        impl $name {
            /// The word in storage and on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The one of a stored word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What a tenant does when a unionid appears that belongs to another user than the one who logs in.
    MergePolicy {
        /// Both stay; an operator decides, or the user proves to be both.
        Manual = "manual",
        /// The younger user goes into the older one at once.
        Oldest = "oldest",
    }
}

words! {
    /// Why two users became one.
    MergeCause {
        /// WeChat gave both the same unionid, and the tenant's policy is [`MergePolicy::Oldest`].
        Unionid = "unionid",
        /// Somebody proved to be both.
        Proof = "proof",
        /// An operator said so.
        Operator = "operator",
    }
}

words! {
    /// What makes two users look like one person.
    CandidateCause {
        /// A unionid appeared for an account that had none, and is another user's.
        Unionid = "unionid",
        /// The unionid of an account changed, and the new one is another user's. It never joins by itself.
        UnionidChanged = "unionid_changed",
        /// An app was bound to a union group in which a unionid of its users is another user's.
        UnionGroup = "union_group",
    }
}

words! {
    /// What became of a candidate.
    CandidateState {
        /// Nobody has decided.
        Open = "open",
        /// They are two people, or want to stay two users. Nobody is asked again.
        Dismissed = "dismissed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_nothing_else_is_one() {
        let token = MergeToken::generate(&Random::system().unwrap());
        let read: MergeToken = token.expose().parse().unwrap();
        assert_eq!(read.digest(), token.digest());
        for wrong in ["", "wxm_", "wxm_AAAA", &token.expose().replace("wxm_", "wxr_"), &format!("{}A", token.expose())]
        {
            assert!(wrong.parse::<MergeToken>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_are_the_same_in_storage_and_on_the_wire() {
        for cause in [CandidateCause::Unionid, CandidateCause::UnionidChanged, CandidateCause::UnionGroup] {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
            assert_eq!(CandidateCause::from_word(cause.as_str()), Some(cause));
        }
        assert_eq!(MergePolicy::from_word("oldest"), Some(MergePolicy::Oldest));
        assert_eq!(MergeCause::from_word("manual"), None);
    }
}
