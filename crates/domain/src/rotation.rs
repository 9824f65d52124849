//! What becomes of a refresh token that is presented: one pure function over what its session's row says.
//!
//! A session counts its turns. The token of the present turn moves it on; the one before gets the same answer again for
//! a moment, because answers get lost and clients ask twice at once; anything else says that two parties hold tokens of
//! one session, or that the database is older than the token, and ends it (RFC 9700 section 4.14.2).

use std::time::Duration;

use crate::policy::TenantPolicy;
use crate::time::Timestamp;

/// Turns in a row that somebody else may repeat before the session ends.
const CONTESTED_TURNS: u32 = 3;

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Its user logged out, on this device or for this one from another.
    Logout,
    /// The token's holder revoked it (RFC 7009).
    Revoked,
    /// An old token came back: somebody else has it too.
    Reuse,
    /// The token before the present one came back too late: its answer never arrived.
    LostAnswer,
    /// A token of a turn that the database does not know yet: the database was restored.
    StateLost,
    /// Turn after turn was repeated from another network and device.
    Contested,
    /// Its identity opened more sessions than one may have.
    Crowded,
    /// Its user was blocked.
    Blocked,
    /// Its time was over.
    Expired,
    /// All sessions of its user, app or tenant, or of the whole database, were ended at once.
    Swept,
    /// Its user was erased, and it with them.
    Erased,
    /// It never began: its code only proved who somebody is, and its row keeps the key that came with the code.
    Proof,
}

impl EndReason {
    const ALL: [Self; 12] = [
        Self::Logout,
        Self::Revoked,
        Self::Reuse,
        Self::LostAnswer,
        Self::StateLost,
        Self::Contested,
        Self::Crowded,
        Self::Blocked,
        Self::Expired,
        Self::Swept,
        Self::Erased,
        Self::Proof,
    ];

    /// The word in storage, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Revoked => "revoked",
            Self::Reuse => "reuse",
            Self::LostAnswer => "lost_answer",
            Self::StateLost => "state_lost",
            Self::Contested => "contested",
            Self::Crowded => "crowded",
            Self::Blocked => "blocked",
            Self::Expired => "expired",
            Self::Swept => "swept",
            Self::Erased => "erased",
            Self::Proof => "proof",
        }
    }

    /// The reason of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// Who presents a token, as far as it can be told without asking: keyed digests of its network (/24, /64) and of its user
/// agent, eight bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presenter {
    network: [u8; 8],
    agent: [u8; 8],
}

impl Presenter {
    /// A presenter of these digests.
    pub fn new(network: [u8; 8], agent: [u8; 8]) -> Self {
        Self { network, agent }
    }

    /// The bytes to store: network, then user agent.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (network, agent) = bytes.split_at_mut(8);
        network.copy_from_slice(&self.network);
        agent.copy_from_slice(&self.agent);
        bytes
    }

    /// The presenter of stored bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (network, agent) = bytes.split_first_chunk::<8>()?;
        Some(Self { network: *network, agent: agent.try_into().ok()? })
    }

    /// Whether this is somebody else: network and user agent both differ. A phone that changes its network keeps its user
    /// agent, and an update keeps the network.
    pub fn is_foreign_to(self, other: Self) -> bool {
        self.network != other.network && self.agent != other.agent
    }
}

/// How those stand who decide whether the session may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All of them are well.
    Good,
    /// The user is blocked.
    UserBlocked,
    /// The app is disabled or the tenant suspended.
    AppDisabled,
    /// The sessions of the user, the app or the tenant were all ended since this one began.
    Swept,
}

/// A session's row, as far as a refresh depends on it; read under the row's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// The turn that the session is in.
    pub generation: u32,
    /// When it began.
    pub opened_at: Timestamp,
    /// When the present turn began; `None` in the first.
    pub refreshed_at: Option<Timestamp>,
    /// Why it ended, if it did.
    pub ended: Option<EndReason>,
    /// How user, app and tenant stand.
    pub standing: Standing,
    /// Who made the last turn.
    pub presenter: Option<Presenter>,
    /// Which turn was repeated by somebody else last.
    pub contested_generation: Option<u32>,
    /// How many turns in a row were, up to that one.
    pub contested: u32,
}

/// A token that is presented, its MAC checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The turn that it is for.
    pub generation: u32,
    /// Who presents it.
    pub presenter: Presenter,
    /// When, by the database's clock.
    pub now: Timestamp,
}

/// What becomes of a presented token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The session moves on to this turn, and its token is the answer.
    Rotate(u32),
    /// The token of this turn, the present one, is the answer again.
    Repeat(u32),
    /// Likewise, and it is written down that somebody else asked: this many turns in a row.
    RepeatToStranger(u32, u32),
    /// The session ends now.
    End(EndReason),
    /// Nothing changes, and there is no token.
    Refuse(Refusal),
}

/// Why there is no token although nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The session is over.
    Ended(EndReason),
    /// The user is blocked.
    UserBlocked,
    /// The app is disabled or the tenant suspended.
    AppDisabled,
}

/// What a token's turn is to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The present one.
    Present,
    /// The one before it.
    Predecessor,
    /// Any before that.
    Older,
    /// One that never was.
    Future,
}

impl SessionState {
    /// Decides about a presented token. Whatever the session's state forbids comes before what its turn allows.
    pub fn decide(&self, presented: &Presented, policy: &TenantPolicy) -> Decision {
        match self.obstacle(presented.now, policy) {
            Some(obstacle) => obstacle,
            None => self.turn(presented, policy.refresh_grace()),
        }
    }

    /// When the session ends if nobody refreshes it after `now`.
    pub fn expires_at(opened_at: Timestamp, now: Timestamp, policy: &TenantPolicy) -> Timestamp {
        now.plus(policy.refresh_idle()).min(opened_at.plus(policy.refresh_absolute()))
    }

    fn obstacle(&self, now: Timestamp, policy: &TenantPolicy) -> Option<Decision> {
        match self.standing {
            Standing::UserBlocked => return Some(Decision::Refuse(Refusal::UserBlocked)),
            Standing::AppDisabled => return Some(Decision::Refuse(Refusal::AppDisabled)),
            Standing::Good | Standing::Swept => {}
        }
        if let Some(reason) = self.ended {
            return Some(Decision::Refuse(Refusal::Ended(reason)));
        }
        if self.standing == Standing::Swept {
            return Some(Decision::End(EndReason::Swept));
        }
        let last = self.refreshed_at.unwrap_or(self.opened_at);
        let over = now >= Self::expires_at(self.opened_at, last, policy);
        over.then_some(Decision::Refuse(Refusal::Ended(EndReason::Expired)))
    }

    fn turn(&self, presented: &Presented, grace: Duration) -> Decision {
        match self.turn_of(presented.generation) {
            // The last turn there can be; a session that refreshes every second reaches it after 136 years.
            Turn::Present => match self.generation.checked_add(1) {
                Some(next) if next <= i32::MAX.unsigned_abs() => Decision::Rotate(next),
                _ => Decision::Refuse(Refusal::Ended(EndReason::Expired)),
            },
            Turn::Predecessor if self.within(grace, presented.now) => self.repeat(presented.presenter),
            // Had its successor been used, the session were a turn further: the answer never arrived.
            Turn::Predecessor => Decision::End(EndReason::LostAnswer),
            Turn::Older => Decision::End(EndReason::Reuse),
            Turn::Future => Decision::End(EndReason::StateLost),
        }
    }

    fn turn_of(&self, generation: u32) -> Turn {
        match self.generation.checked_sub(generation) {
            None => Turn::Future,
            Some(0) => Turn::Present,
            Some(1) => Turn::Predecessor,
            Some(_) => Turn::Older,
        }
    }

    /// A clock that went backwards in between does not close the window.
    fn within(&self, grace: Duration, now: Timestamp) -> bool {
        self.refreshed_at.is_some_and(|at| now.since(at) < grace)
    }

    fn repeat(&self, presenter: Presenter) -> Decision {
        let stranger = self.presenter.is_some_and(|last| presenter.is_foreign_to(last));
        // One turn counts once, however often it is repeated.
        if !stranger || self.contested_generation == Some(self.generation) {
            return Decision::Repeat(self.generation);
        }
        let before = self.contested_generation.is_some_and(|turn| turn.checked_add(1) == Some(self.generation));
        let in_a_row = if before { self.contested.saturating_add(1) } else { 1 };
        if in_a_row > CONTESTED_TURNS {
            return Decision::End(EndReason::Contested);
        }
        Decision::RepeatToStranger(self.generation, in_a_row)
    }
}

#[cfg(test)]
mod tests;
