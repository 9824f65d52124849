//! What a tenant's services are told of: an event, its kind, and what it says on the wire.

use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::ids::{AppId, MalformedId, MergeId, OpenId, SessionId, UserId, WechatAppid, parsed};
use crate::merge::CandidateCause;
use crate::rotation::EndReason;
use crate::time::Timestamp;

/// Something that happened to a tenant's users, for its own services to act on.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody logged in for the first time.
    UserCreated {
        /// The new user.
        user: UserId,
        /// The mini-program that they logged in to.
        appid: WechatAppid,
    },
    /// Two users turned out to be one person.
    UserMerged {
        /// The `sub` that is gone; it is an alias from now on.
        user: UserId,
        /// The user that stays.
        into: UserId,
        /// By which a merge is undone.
        merge: MergeId,
    },
    /// A merge was undone.
    UserUnmerged {
        /// The user that is back.
        user: UserId,
        /// The user that they had been merged into.
        from: UserId,
        /// The merge.
        merge: MergeId,
    },
    /// Two users may be one person; nothing was joined.
    MergeCandidate {
        /// The user who logged in.
        user: UserId,
        /// Who they may be.
        other: UserId,
        /// What says so.
        cause: CandidateCause,
    },
    /// A user has a phone number, or another one.
    PhoneBound {
        /// The user.
        user: UserId,
    },
    /// Somebody else proved to have a user's phone number and asked for it: unless the user shows that they have it still, it
    /// leaves them.
    PhoneLeaving {
        /// The user.
        user: UserId,
        /// When.
        at: Timestamp,
    },
    /// A phone number left its user.
    PhoneMoved {
        /// Who had it.
        from: UserId,
        /// Who has it now, if anybody.
        to: Option<UserId>,
    },
    /// A user is gone, and all that was known of them. Whoever keeps data of theirs deletes it now.
    UserErased {
        /// The user.
        user: UserId,
        /// Who asked for it.
        cause: EraseCause,
    },
    /// WeChat says that a user's nickname and avatar are no longer to be used.
    ProfileCleared {
        /// The user.
        user: UserId,
    },
    /// A user took back what a mini-program was allowed to know.
    AuthorizationRevoked {
        /// The user.
        user: UserId,
        /// The mini-program.
        appid: WechatAppid,
        /// What was taken back, in WeChat's numbers.
        revoked: Vec<u32>,
    },
    /// A session is over: its refresh tokens are void. Of sessions that nobody uses any more nothing is told.
    SessionEnded {
        /// The session.
        session: SessionId,
        /// Whose it was.
        user: UserId,
        /// Why.
        reason: EndReason,
    },
    /// WeChat pushed a message that is the tenant's own affair.
    PushForwarded {
        /// The mini-program that it was pushed to.
        appid: WechatAppid,
        /// The user whom it is about, if they are known: with them goes the message.
        user: Option<UserId>,
        /// Our id of the mini-program, and what WeChat calls the person in it whom the message is about. With whoever has
        /// that name goes the message, though it came before them.
        from: Option<(AppId, OpenId)>,
        /// Whether WeChat wrote it: it came encrypted, under a signature. In clear anybody may have written it who saw one.
        is_proved: bool,
        /// The message as WeChat sent it, in JSON.
        message: Map<String, Value>,
    },
}

impl Event {
    /// Its kind.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::UserCreated { .. } => EventKind::UserCreated,
            Self::UserMerged { .. } => EventKind::UserMerged,
            Self::UserUnmerged { .. } => EventKind::UserUnmerged,
            Self::MergeCandidate { .. } => EventKind::MergeCandidate,
            Self::PhoneBound { .. } => EventKind::PhoneBound,
            Self::PhoneLeaving { .. } => EventKind::PhoneLeaving,
            Self::PhoneMoved { .. } => EventKind::PhoneMoved,
            Self::UserErased { .. } => EventKind::UserErased,
            Self::ProfileCleared { .. } => EventKind::ProfileCleared,
            Self::AuthorizationRevoked { .. } => EventKind::AuthorizationRevoked,
            Self::SessionEnded { .. } => EventKind::SessionEnded,
            Self::PushForwarded { .. } => EventKind::PushForwarded,
        }
    }

    /// The users whom it is about: once one of them is erased, what it says is forgotten. That somebody was erased says
    /// nothing of them but that, and is still to be told.
    pub fn about(&self) -> [Option<UserId>; 2] {
        match self {
            Self::UserErased { .. } => [None, None],
            Self::UserCreated { user, .. }
            | Self::PhoneBound { user }
            | Self::PhoneLeaving { user, .. }
            | Self::ProfileCleared { user }
            | Self::AuthorizationRevoked { user, .. }
            | Self::SessionEnded { user, .. } => [Some(*user), None],
            Self::UserMerged { user, into: other, .. }
            | Self::UserUnmerged { user, from: other, .. }
            | Self::MergeCandidate { user, other, .. } => [Some(*user), Some(*other)],
            Self::PhoneMoved { from, to } => [Some(*from), *to],
            Self::PushForwarded { user, .. } => [*user, None],
        }
    }

    /// The person whom it is about by WeChat's name, who may be no user: once they are erased, what it says is forgotten.
    pub fn subject(&self) -> Option<(AppId, &OpenId)> {
        match self {
            Self::PushForwarded { from, .. } => from.as_ref().map(|(app, openid)| (*app, openid)),
            _ => None,
        }
    }

    /// The body of the request that tells of it: `{"type", "timestamp", "data"}` (Standard Webhooks, "Payload structure").
    pub fn body(&self, at: Timestamp) -> String {
        json!({ "type": self.kind(), "timestamp": at.to_rfc3339(), "data": self.data() }).to_string()
    }

    fn data(&self) -> Value {
        match self {
            Self::UserCreated { user, appid } => json!({ "user_id": user, "appid": appid }),
            Self::UserMerged { user, into, merge } => {
                json!({ "user_id": user, "into_user_id": into, "merge_id": merge })
            }
            Self::UserUnmerged { user, from, merge } => {
                json!({ "user_id": user, "from_user_id": from, "merge_id": merge })
            }
            Self::MergeCandidate { user, other, cause } => {
                json!({ "user_id": user, "other_user_id": other, "cause": cause.as_str() })
            }
            Self::PhoneBound { user } | Self::ProfileCleared { user } => json!({ "user_id": user }),
            Self::PhoneLeaving { user, at } => json!({ "user_id": user, "leaves_at": at.to_rfc3339() }),
            Self::PhoneMoved { from, to } => json!({ "from_user_id": from, "to_user_id": to }),
            Self::UserErased { user, cause } => json!({ "user_id": user, "cause": cause.as_str() }),
            Self::AuthorizationRevoked { user, appid, revoked } => {
                json!({ "user_id": user, "appid": appid, "revoked": revoked })
            }
            Self::SessionEnded { session, user, reason } => {
                json!({ "session_id": session, "user_id": user, "reason": reason.as_str() })
            }
            Self::PushForwarded { appid, user, is_proved, message, .. } => {
                json!({ "appid": appid, "user_id": user, "proved": is_proved, "message": message })
            }
        }
    }
}

/// Who asked for somebody to be erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EraseCause {
    /// An operator.
    Operator,
    /// The user, in the mini-program.
    User,
    /// The user, in WeChat's settings; WeChat said so by message push.
    Withdrawal,
    /// The journal of erasures, after a backup was restored.
    Restore,
}

impl EraseCause {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::User => "user",
            Self::Withdrawal => "withdrawal",
            Self::Restore => "restore",
        }
    }
}

/// The kind of an event: what a webhook subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// [`Event::UserCreated`].
    UserCreated,
    /// [`Event::UserMerged`].
    UserMerged,
    /// [`Event::UserUnmerged`].
    UserUnmerged,
    /// [`Event::MergeCandidate`].
    MergeCandidate,
    /// [`Event::PhoneBound`].
    PhoneBound,
    /// [`Event::PhoneLeaving`].
    PhoneLeaving,
    /// [`Event::PhoneMoved`].
    PhoneMoved,
    /// [`Event::UserErased`].
    UserErased,
    /// [`Event::ProfileCleared`].
    ProfileCleared,
    /// [`Event::AuthorizationRevoked`].
    AuthorizationRevoked,
    /// [`Event::SessionEnded`].
    SessionEnded,
    /// [`Event::PushForwarded`].
    PushForwarded,
}

impl EventKind {
    /// All of them. A kind's place is its bit in [`EventKinds`], in memory only.
    pub const ALL: [Self; 12] = [
        Self::UserCreated,
        Self::UserMerged,
        Self::UserUnmerged,
        Self::MergeCandidate,
        Self::PhoneBound,
        Self::PhoneLeaving,
        Self::PhoneMoved,
        Self::UserErased,
        Self::ProfileCleared,
        Self::AuthorizationRevoked,
        Self::SessionEnded,
        Self::PushForwarded,
    ];

    /// The word on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserCreated => "user.created",
            Self::UserMerged => "user.merged",
            Self::UserUnmerged => "user.unmerged",
            Self::MergeCandidate => "user.merge_candidate",
            Self::PhoneBound => "user.phone_bound",
            Self::PhoneLeaving => "user.phone_leaving",
            Self::PhoneMoved => "user.phone_moved",
            Self::UserErased => "user.erased",
            Self::ProfileCleared => "user.profile_cleared",
            Self::AuthorizationRevoked => "user.authorization_revoked",
            Self::SessionEnded => "session.ended",
            Self::PushForwarded => "push.forwarded",
        }
    }

    fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or(MalformedId("a kind of event such as user.erased, or *"))
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// Kinds of events. In JSON a list of their words; `["*"]` is all kinds, those that are yet to be invented too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventKinds(u32);

impl EventKinds {
    /// Every kind.
    pub const EVERY: Self = Self(u32::MAX);

    const STAR: &str = "*";

    /// Every kind, where a function is asked for.
    pub fn every() -> Self {
        Self::EVERY
    }

    /// Whether it is among them.
    pub fn contain(self, kind: EventKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// These and those.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The words, as in JSON.
    pub fn words(self) -> Vec<&'static str> {
        if self == Self::EVERY {
            return vec![Self::STAR];
        }
        EventKind::ALL.into_iter().filter(|kind| self.contain(*kind)).map(EventKind::as_str).collect()
    }

    /// The kinds of these words.
    ///
    /// # Errors
    /// [`MalformedId`] if one is no kind of event.
    pub fn of_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, MalformedId> {
        words.into_iter().try_fold(Self::default(), |kinds, word| {
            let these = if word == Self::STAR { Self::EVERY } else { word.parse::<EventKind>()?.into() };
            Ok(kinds.or(these))
        })
    }
}

impl From<EventKind> for EventKinds {
    fn from(kind: EventKind) -> Self {
        Self(kind.bit())
    }
}

impl Serialize for EventKinds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words = self.words();
        let mut list = serializer.serialize_seq(Some(words.len()))?;
        for word in words {
            list.serialize_element(word)?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for EventKinds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        Self::of_words(words.iter().map(String::as_str)).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_back_and_a_star_is_every_kind() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            let alone = EventKinds::from(kind);
            let others = EventKind::ALL.into_iter().filter(|other| alone.contain(*other)).count();
            assert!(alone.contain(kind) && others == 1 && EventKinds::EVERY.contain(kind));
            assert_eq!(serde_json::from_str::<EventKinds>(&format!("[\"{kind}\"]")).unwrap(), alone);
        }
        assert_eq!(serde_json::to_string(&EventKinds::EVERY).unwrap(), r#"["*"]"#);
        assert_eq!(EventKinds::of_words(["user.erased", "*"]), Ok(EventKinds::EVERY));
        assert!(EventKinds::of_words(["user.eaten"]).is_err() && EventKinds::default().is_empty());
    }

    #[test]
    fn an_event_says_what_happened_when_and_to_whom() {
        let user = UserId::from(uuid::Uuid::from_u128(7));
        let erased = Event::UserErased { user, cause: EraseCause::User };
        let body: Value = serde_json::from_str(&erased.body(Timestamp::from_millis(1_795_305_600_123))).unwrap();
        let data = json!({ "user_id": "00000000-0000-0000-0000-000000000007", "cause": "user" });
        assert_eq!(body, json!({ "type": "user.erased", "timestamp": "2026-11-22T00:00:00Z", "data": data }));
        assert_eq!(erased.about(), [None, None]);
    }
}
