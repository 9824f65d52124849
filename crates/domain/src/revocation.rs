//! What ended before its tokens did, and the bounded set by which whoever verifies refuses them.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::ids::{MalformedId, SessionId, Slug, UserId, WechatAppid};
use crate::signing_key::Kid;
use crate::time::Timestamp;

/// How much longer than it says an ended session or key is remembered: verifiers accept a token for some seconds after
/// its end, because clocks differ.
const KEPT_LONGER: Duration = Duration::from_mins(1);

/// One entry of a tenant's revocation feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its place in the tenant's feed, from 1; a later one has a larger number.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Whose tokens it is about.
    pub subject: RevokedSubject,
    /// What it does to them.
    pub effect: RevocationEffect,
    /// When the last token that it is about has ended, so that it may be forgotten; `None` for never.
    pub expires: Option<Timestamp>,
}

/// Whose tokens are refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RevokedSubject {
    /// One login on one device.
    Session(SessionId),
    /// A person in all apps of the tenant.
    User(UserId),
    /// Everybody in one mini-program.
    App(WechatAppid),
    /// Everybody.
    Tenant(Slug),
    /// Whatever one key has signed.
    Key(Kid),
}

impl RevokedSubject {
    /// The subject of a kind's word and an id's text, as the feed and storage write them.
    ///
    /// # Errors
    /// No such kind, or no id of this kind.
    pub fn parse(kind: &str, id: &str) -> Result<Self, MalformedId> {
        match kind {
            "session" => id.parse().map(Self::Session),
            "user" => id.parse().map(Self::User),
            "app" => id.parse().map(Self::App),
            "tenant" => id.parse().map(Self::Tenant),
            "key" => id.parse().map(Self::Key),
            _ => Err(MalformedId("session, user, app, tenant or key")),
        }
    }

    /// The word for its kind on the wire and in storage.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Session(_) => "session",
            Self::User(_) => "user",
            Self::App(_) => "app",
            Self::Tenant(_) => "tenant",
            Self::Key(_) => "key",
        }
    }

    /// The id's text.
    pub fn id(&self) -> String {
        match self {
            Self::Session(id) => id.to_string(),
            Self::User(id) => id.to_string(),
            Self::App(id) => id.to_string(),
            Self::Tenant(id) => id.to_string(),
            Self::Key(id) => id.to_string(),
        }
    }
}

/// What becomes of the subject's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationEffect {
    /// Refused until the last of them has ended. For sessions and keys, and for what is gone for good.
    Ended,
    /// Refused whenever they were issued, until lifted. For users, apps and tenants.
    Blocked,
    /// No longer refused. For users, apps and tenants.
    Lifted,
}

impl RevocationEffect {
    /// The word on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Blocked => "blocked",
            Self::Lifted => "lifted",
        }
    }

    /// The effect of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Ended, Self::Blocked, Self::Lifted].into_iter().find(|effect| effect.as_str() == word)
    }
}

/// Whose tokens are refused now: the entries of a feed, folded in their order.
///
/// It is bounded, and it fails closed. Nothing is ever left out to make room, because a forgotten entry would let
/// somebody in again: once one had no room, the set is full for good and [refuses](Self::refuses) every token, so that
/// nobody who ignores the error lets anybody in. The way out is a new set from a new snapshot, which no longer has what
/// has expired; or, for whoever has the database, to ask the rows as long as [`RevokedSet::is_full`] says so.
#[derive(Clone, Debug)]
pub struct RevokedSet {
    capacity: usize,
    full: bool,
    // One map for each kind, so that a look-up borrows what the token says and an empty kind costs nothing.
    sessions: HashMap<SessionId, Until>,
    users: HashMap<UserId, Until>,
    apps: HashMap<WechatAppid, Until>,
    tenants: HashMap<Slug, Until>,
    keys: HashMap<Kid, Until>,
}

/// When an entry may be forgotten. `Forever` is the later of any two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Until {
    Then(Timestamp),
    Forever,
}

impl RevokedSet {
    /// A set that holds at most `capacity` entries and refuses nobody yet.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            full: false,
            sessions: HashMap::new(),
            users: HashMap::new(),
            apps: HashMap::new(),
            tenants: HashMap::new(),
            keys: HashMap::new(),
        }
    }

    /// Takes in the next entry of the feed. The order counts for what is blocked and lifted; the same entry twice
    /// changes nothing.
    ///
    /// What stands there for longer stays for longer. Sessions and keys are never lifted: they do not come back.
    ///
    /// # Errors
    /// The entry had no room; from now on the set refuses everything, see [`RevokedSet`].
    pub fn apply(&mut self, revocation: &Revocation) -> Result<(), RevokedSetFull> {
        let until = match revocation.effect {
            RevocationEffect::Lifted => {
                self.lift(&revocation.subject);
                return Ok(());
            }
            RevocationEffect::Blocked => Until::Forever,
            RevocationEffect::Ended => revocation.expires.map_or(Until::Forever, Until::Then),
        };
        let room = self.len() < self.capacity;
        let held = match &revocation.subject {
            RevokedSubject::Session(id) => hold(&mut self.sessions, id, until, room),
            RevokedSubject::User(id) => hold(&mut self.users, id, until, room),
            RevokedSubject::App(id) => hold(&mut self.apps, id, until, room),
            RevokedSubject::Tenant(id) => hold(&mut self.tenants, id, until, room),
            RevokedSubject::Key(id) => hold(&mut self.keys, id, until, room),
        };
        if !held {
            self.full = true;
        }
        if self.full { Err(RevokedSetFull { capacity: self.capacity }) } else { Ok(()) }
    }

    fn lift(&mut self, subject: &RevokedSubject) {
        match subject {
            RevokedSubject::User(id) => drop(self.users.remove(id)),
            RevokedSubject::App(id) => drop(self.apps.remove(id)),
            RevokedSubject::Tenant(id) => drop(self.tenants.remove(id)),
            RevokedSubject::Session(_) | RevokedSubject::Key(_) => {}
        }
    }

    /// Whether a token of this session, user, app and tenant, signed by this key, is refused: of those that are named. A full
    /// set refuses all.
    pub fn refuses(
        &self,
        session: Option<SessionId>,
        user: Option<UserId>,
        app: Option<&WechatAppid>,
        tenant: Option<&Slug>,
        key: &Kid,
    ) -> bool {
        self.full
            || session.is_some_and(|session| self.sessions.contains_key(&session))
            || user.is_some_and(|user| self.users.contains_key(&user))
            || app.is_some_and(|app| self.apps.contains_key(app))
            || tenant.is_some_and(|tenant| self.tenants.contains_key(tenant))
            || self.refuses_key(key)
    }

    /// Whether everything that this key signed is refused.
    pub fn refuses_key(&self, key: &Kid) -> bool {
        self.full || self.keys.contains_key(key)
    }

    /// Forgets what has expired, a minute later than it says: verifiers' clocks differ. It never empties a full set.
    pub fn forget_expired(&mut self, now: Timestamp) {
        let past = Until::Then(now.minus(KEPT_LONGER));
        self.sessions.retain(|_, until| *until > past);
        self.users.retain(|_, until| *until > past);
        self.apps.retain(|_, until| *until > past);
        self.tenants.retain(|_, until| *until > past);
        self.keys.retain(|_, until| *until > past);
    }

    /// Whether an entry had no room, so that everything is refused.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.sessions.len() + self.users.len() + self.apps.len() + self.tenants.len() + self.keys.len()
    }

    /// Whether it holds no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Holds an entry, or what was held already for longer; `false` if it is new and there is no room.
fn hold<K: Clone + Eq + Hash>(map: &mut HashMap<K, Until>, key: &K, until: Until, room: bool) -> bool {
    match map.get_mut(key) {
        Some(held) => *held = until.max(*held),
        None if room => drop(map.insert(key.clone(), until)),
        None => return false,
    }
    true
}

/// An entry had no room in a [`RevokedSet`]: it refuses everything until it is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {capacity} revocations at once, so everything is refused")]
pub struct RevokedSetFull {
    /// How many entries the set may hold.
    pub capacity: usize,
}

#[cfg(test)]
mod tests;
