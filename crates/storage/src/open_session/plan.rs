//! What a batch of logins changes, decided in memory: who is who, and which rows that takes.
//!
//! The logins are decided one after another against what the database said and what the logins before them changed, so
//! two first logins of one person in a batch come out as they would in two transactions.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;
use wxgate_crypto::Random;
use wxgate_domain::{
    AppId, CandidateCause, OpenId, OpenedSession, Profile, TenantId, Timestamp, UnionGroupId, UnionId, User, UserId,
    UserStatus,
};

use super::{OpenJob, UserBlocked};
use crate::repo::merge_candidates::Found;
use crate::repo::phones::SealedPhone;

/// A session that is opened, and the phone of its user, which is still sealed.
pub(crate) type Opened = (OpenedSession, Option<SealedPhone>);

/// What an identity is unique by.
pub(super) type IdentityKey = (TenantId, AppId, OpenId);

/// What a member of a union group is unique by.
pub(super) type UnionKey = (TenantId, UnionGroupId, UnionId);

/// An identity, as stored or as this batch makes it.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) id: Uuid,
    pub(super) user: UserId,
    pub(super) unionid: Option<UnionId>,
    /// Its sessions, those that are over and not deleted yet among them.
    pub(super) sessions: u32,
    pub(super) change: Change,
}

/// What a batch does to an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// It becomes known under a unionid, or another one.
    Unionid,
    /// It is new since then.
    New(Timestamp),
}

/// Whom a unionid belongs to inside a union group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) user: UserId,
    /// When it was added, if this batch adds it.
    pub(super) added: Option<Timestamp>,
}

/// What a batch knows and decides. First filled with what is stored, then [`Plan::decide`] works through the logins.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// By key, so that rows are written and locked in the order of their keys.
    pub(super) identities: BTreeMap<IdentityKey, Identity>,
    /// Likewise.
    pub(super) members: BTreeMap<UnionKey, Member>,
    /// The identities of people who were erased while they were blocked: new ones, and those that come with their unionid.
    pub(super) banned: BTreeSet<IdentityKey>,
    /// Every user that an identity or a member names.
    pub(super) users: HashMap<UserId, User>,
    /// The phones of those of them who have one.
    pub(super) phones: HashMap<UserId, SealedPhone>,
    /// The users that this batch makes.
    pub(super) new_users: Vec<(TenantId, UserId)>,
    /// The sessions that this batch opens: the job by its place in the batch, its identity and its user.
    pub(super) sessions: Vec<(usize, Uuid, UserId)>,
    /// Users who may be one person, as these logins show.
    pub(super) candidates: Vec<Found>,
    /// The identities that may have more live sessions now than they are allowed, and how many that is.
    pub(super) crowded: BTreeMap<(TenantId, Uuid), u32>,
}

impl Plan {
    /// The union member that decides about this login, if one can: the first login of an identity, or the first with this
    /// unionid.
    pub(super) fn member_in_question(&self, job: &OpenJob) -> Option<UnionKey> {
        if self.is_as_known(job) { None } else { job.union_key() }
    }

    /// Whether this is an identity under the unionid that it is known by.
    pub(super) fn is_as_known(&self, job: &OpenJob) -> bool {
        self.identities.get(&job.identity_key()).is_some_and(|identity| identity.unionid == job.unionid)
    }

    /// Decides all logins in their order.
    ///
    /// `None` in place of an answer: the database named an identity or member whose user it did not give.
    pub(super) fn decide(
        &mut self,
        jobs: &[impl Borrow<OpenJob>],
        random: &Random,
    ) -> Option<Vec<Result<Opened, UserBlocked>>> {
        jobs.iter().enumerate().map(|(index, job)| self.login(index, job.borrow(), random)).collect()
    }

    fn login(&mut self, index: usize, job: &OpenJob, random: &Random) -> Option<Result<Opened, UserBlocked>> {
        let key = job.identity_key();
        let known = self.identities.get(&key).map(|identity| identity.user);
        let joined = || job.union_key().and_then(|union| self.members.get(&union)).map(|member| member.user);
        // Whoever links an account has it, unless it is somebody's already.
        let linked = || job.link_to.filter(|user| self.users.contains_key(user));
        let found = known.or_else(joined).or_else(linked);
        if let Some(user) = found
            && self.users.get(&user)?.status == UserStatus::Blocked
        {
            // Nothing is written: a fresh identity of a blocked user must not be a way around the block.
            return Some(Err(UserBlocked));
        }
        let comes_anew = || known.is_none() || (job.unionid.is_some() && !self.is_as_known(job));
        if self.banned.contains(&key) && comes_anew() {
            return Some(Err(UserBlocked));
        }
        let user = found.unwrap_or_else(|| self.new_user(job, random));
        let (identity, candidate) = match known {
            Some(_) => self.returning(&key, job)?,
            None => (self.first_login(key, user, job, random), None),
        };
        self.sessions.push((index, identity.id, user));
        if identity.sessions > job.max_sessions {
            self.crowded.insert((job.tenant, identity.id), job.max_sessions);
        }
        let session = OpenedSession {
            id: job.session,
            app: job.app,
            user: self.users.get(&user)?.clone(),
            openid: job.openid.clone(),
            unionid: identity.unionid,
            phone: None,
            is_new: found.is_none(),
            candidate,
            mac_key: job.mac_key,
            session_key: None,
            opened_at: job.now,
        };
        Some(Ok((session, self.phones.get(&user).cloned())))
    }

    fn new_user(&mut self, job: &OpenJob, random: &Random) -> UserId {
        let id = UserId::new(job.now, random);
        let profile = Profile::default();
        let user =
            User { id, status: UserStatus::Active, profile, external_id: None, sessions_epoch: 0, created_at: job.now };
        self.users.insert(id, user);
        self.new_users.push((job.tenant, id));
        id
    }

    fn first_login(&mut self, key: IdentityKey, user: UserId, job: &OpenJob, random: &Random) -> Identity {
        let id = random.uuid_v7(job.now.millis());
        let identity = Identity { id, user, unionid: job.unionid.clone(), sessions: 1, change: Change::New(job.now) };
        self.identities.insert(key, identity.clone());
        if let Some(union) = job.union_key() {
            self.members.entry(union).or_insert(Member { user, added: Some(job.now) });
        }
        identity
    }

    /// A known identity keeps its user, whatever its unionid says. A unionid that appears for the first time makes the
    /// user a member if nobody is; one that changes is noted and joins nobody. If it is another user's, both may be one
    /// person: who that is, where the unionid appeared with this login.
    fn returning(&mut self, key: &IdentityKey, job: &OpenJob) -> Option<(Identity, Option<UserId>)> {
        let identity = self.identities.get_mut(key)?;
        identity.sessions = identity.sessions.saturating_add(1);
        if job.unionid.is_none() || identity.unionid == job.unionid {
            return Some((identity.clone(), None));
        }
        let appeared = identity.unionid.is_none();
        if appeared && let Some(union) = job.union_key() {
            self.members.entry(union).or_insert(Member { user: identity.user, added: Some(job.now) });
        }
        identity.unionid.clone_from(&job.unionid);
        if identity.change == Change::None {
            identity.change = Change::Unionid;
        }
        let holder = job.union_key().and_then(|union| self.members.get(&union)).map(|member| member.user);
        let other = holder.filter(|holder| *holder != identity.user);
        if let Some(other) = other {
            let cause = if appeared { CandidateCause::Unionid } else { CandidateCause::UnionidChanged };
            self.candidates.push(Found { tenant: job.tenant, user: identity.user, other, cause, at: job.now });
        }
        Some((identity.clone(), other.filter(|_| appeared)))
    }
}

#[cfg(test)]
mod tests;
