//! What an import changes, decided in memory, row after row, each against what the rows before it changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;
use wxgate_crypto::Random;
use wxgate_domain::{AppId, ExternalId, OpenId, Profile, Timestamp, UnionGroupId, UnionId, User, UserId, UserStatus};

use super::{Imported, NewUser, NotImported};
use crate::error::StorageError;

/// An identity, as stored or as this import makes it.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) id: Uuid,
    pub(super) user: UserId,
    pub(super) unionid: Option<UnionId>,
    /// This import makes it.
    pub(super) added: bool,
    /// This import gives it its unionid.
    pub(super) named: bool,
}

/// What an import knows and decides.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) identities: BTreeMap<(AppId, OpenId), Identity>,
    /// The user of each unionid, and whether this import makes it so.
    pub(super) members: BTreeMap<(UnionGroupId, UnionId), (UserId, bool)>,
    users: HashMap<UserId, User>,
    /// The user of each external id.
    pub(super) named: HashMap<ExternalId, UserId>,
    /// New identities of people who were erased.
    pub(super) erased: BTreeSet<(AppId, OpenId)>,
    made: BTreeSet<UserId>,
    /// The users that this import makes.
    pub(super) new_users: Vec<User>,
    /// External ids of users who were there and had none.
    pub(super) new_names: BTreeMap<UserId, ExternalId>,
    /// Nicknames of users who were there and had none.
    pub(super) new_nicknames: BTreeMap<UserId, String>,
}

impl Plan {
    /// Takes note of a user who is there.
    pub(super) fn know(&mut self, user: User) {
        self.named.extend(user.external_id.clone().map(|name| (name, user.id)));
        self.users.insert(user.id, user);
    }

    /// The union member that decides about this row, if one can.
    pub(super) fn member_in_question(&self, row: &NewUser) -> Option<(UnionGroupId, UnionId)> {
        let known = self.identities.get(&row.key()).is_some_and(|identity| identity.unionid.is_some());
        if known { None } else { row.union_key() }
    }

    /// Decides about one row. The outer error: the database named a user that it did not give.
    pub(super) fn decide(
        &mut self,
        row: &NewUser,
        now: Timestamp,
        random: &Random,
    ) -> Result<Result<Imported, NotImported>, StorageError> {
        let found = match self.user_of(row) {
            Ok(found) => found,
            Err(conflict) => return Ok(Err(conflict)),
        };
        if let Some(user) = found {
            let stored = self.users.get(&user).ok_or_else(|| StorageError::inconsistent("identity", "user_id"))?;
            let other = |name: &ExternalId| stored.external_id.as_ref().is_some_and(|own| own != name);
            if row.external_id.as_ref().is_some_and(other) {
                return Ok(Err(NotImported::OtherExternalId));
            }
        }
        let user = found.unwrap_or_else(|| self.make_user(row, now, random));
        let mut changed = self.identify(row, user, now, random);
        changed |= self.fill_in(row, user);
        Ok(Ok(match (found, changed) {
            (None, _) => Imported::Created,
            (Some(_), true) => Imported::Changed,
            (Some(_), false) => Imported::Unchanged,
        }))
    }

    /// Whose row it is; `None` if nobody's yet.
    fn user_of(&self, row: &NewUser) -> Result<Option<UserId>, NotImported> {
        let member = row.union_key().and_then(|union| self.members.get(&union)).map(|(user, _)| *user);
        let named = row.external_id.as_ref().and_then(|name| self.named.get(name)).copied();
        let user = match self.identities.get(&row.key()) {
            Some(known) => {
                match (&known.unionid, &row.unionid) {
                    (Some(own), Some(other)) if own != other => return Err(NotImported::OtherUnionid),
                    (None, Some(_)) if member.is_some_and(|user| user != known.user) => {
                        return Err(NotImported::UnionidTaken);
                    }
                    _ => {}
                }
                Some(known.user)
            }
            None if self.erased.contains(&row.key()) => return Err(NotImported::Erased),
            None => member.or(named),
        };
        if named.is_some() && named != user {
            return Err(NotImported::ExternalIdTaken);
        }
        Ok(user)
    }

    fn make_user(&mut self, row: &NewUser, now: Timestamp, random: &Random) -> UserId {
        let user = User {
            id: UserId::new(now, random),
            status: UserStatus::Active,
            profile: Profile { nickname: row.nickname.clone(), avatar_url: None },
            external_id: row.external_id.clone(),
            sessions_epoch: 0,
            created_at: now,
        };
        self.made.insert(user.id);
        self.know(user.clone());
        self.new_users.push(user.clone());
        user.id
    }

    /// Makes the identity or names it; whether it did.
    fn identify(&mut self, row: &NewUser, user: UserId, now: Timestamp, random: &Random) -> bool {
        let fresh = !self.identities.contains_key(&row.key());
        let known = self.identities.entry(row.key()).or_insert_with(|| Identity {
            id: random.uuid_v7(now.millis()),
            user,
            unionid: None,
            added: true,
            named: false,
        });
        let name = known.unionid.is_none() && row.unionid.is_some();
        if name {
            known.unionid.clone_from(&row.unionid);
            known.named = !known.added;
        }
        if name && let Some(union) = row.union_key() {
            self.members.entry(union).or_insert((user, true));
        }
        fresh || name
    }

    /// Adds what the user lacked; whether it was anything. Users of this import carry it in their own row.
    fn fill_in(&mut self, row: &NewUser, user: UserId) -> bool {
        let Some(stored) = self.users.get_mut(&user) else { return false };
        let name = row.external_id.clone().filter(|_| stored.external_id.is_none());
        let nickname = row.nickname.clone().filter(|_| stored.profile.nickname.is_none());
        let changed = name.is_some() || nickname.is_some();
        if let Some(name) = name {
            stored.external_id = Some(name.clone());
            self.named.insert(name.clone(), user);
            self.new_names.insert(user, name);
        }
        if let Some(nickname) = nickname {
            stored.profile.nickname = Some(nickname.clone());
            self.new_nicknames.insert(user, nickname);
        }
        if changed && self.made.contains(&user) {
            // One row is written for a user who is new.
            let (names, nicknames) = (self.new_names.remove(&user), self.new_nicknames.remove(&user));
            if let Some(new) = self.new_users.iter_mut().rev().find(|new| new.id == user) {
                new.external_id = names.or_else(|| new.external_id.take());
                new.profile.nickname = nicknames.or_else(|| new.profile.nickname.take());
            }
        }
        changed
    }
}

impl NewUser {
    fn key(&self) -> (AppId, OpenId) {
        (self.app, self.openid.clone())
    }

    /// `None` where the unionid means nothing: outside a union group.
    fn union_key(&self) -> Option<(UnionGroupId, UnionId)> {
        Some((self.union_group?, self.unionid.clone()?))
    }
}
