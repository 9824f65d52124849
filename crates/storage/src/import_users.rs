//! Bringing users in from elsewhere, many in one transaction: read, decide, write, as logins do (`open_session.rs`), and
//! with the same rules of who is who. The same rows again read only.

mod plan;
mod statements;

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;
use wxgate_domain::{AppId, ExternalId, OpenId, UnionGroupId, UnionId, User, UserId};

use self::plan::{Identity, Plan};
use self::statements::Statements;
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::open_session::read::user_of;
use crate::open_session::statements::AFTER_USER;
use crate::repo::ascii;
use crate::repo::tombstones::Called;
use crate::repo::users::TxUsers;
use crate::sql::{bytes, chunks, get, id, number, time};
use crate::tx::Tx;

/// A user as another system knows them, in one mini-program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// The mini-program.
    pub app: AppId,
    /// The Open Platform account that it is bound to.
    pub union_group: Option<UnionGroupId>,
    /// The user inside the mini-program.
    pub openid: OpenId,
    /// The user inside the Open Platform account, if known.
    pub unionid: Option<UnionId>,
    /// What the other system calls the user.
    pub external_id: Option<ExternalId>,
    /// As the user called themself there.
    pub nickname: Option<String>,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// A user who was not there.
    Created,
    /// A user who was there is known by more now.
    Changed,
    /// All of it was there.
    Unchanged,
}

/// Why a row was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotImported {
    /// WeChat's or an earlier import's word counts.
    #[error("the openid is known under another unionid")]
    OtherUnionid,
    /// One unionid, one user.
    #[error("the unionid belongs to another user than the openid")]
    UnionidTaken,
    /// One user, one external id.
    #[error("the user has another external id")]
    OtherExternalId,
    /// One external id, one user.
    #[error("the external id belongs to another user")]
    ExternalIdTaken,
    /// An old table must not bring back whoever asked to be forgotten.
    #[error("the user was erased")]
    Erased,
}

/// What became of the rows of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// In the order of the rows.
    pub rows: Vec<Result<Imported, NotImported>>,
    /// Whether anything was written.
    pub wrote: bool,
}

impl TxUsers<'_> {
    /// Brings users in. What is there already stays; what is missing is filled in; whoever has the unionid of a user in the
    /// app's union group, or their external id, is that user.
    ///
    /// # Errors
    /// [`StorageError::Busy`], [`StorageError::NotUnique`] or [`StorageError::Dangling`] if a login was in the way: the
    /// transaction may be tried again.
    pub async fn import(&self, rows: &[NewUser]) -> Result<Import, StorageError> {
        let statements = Statements::new(self.tx.tx.get_database_backend());
        let mut plan = Plan::default();
        self.read_identities(&statements, rows, &mut plan).await?;
        self.read_members(&statements, rows, &mut plan).await?;
        self.read_external_ids(&statements, rows, &mut plan).await?;
        self.read_tombstones(&statements, rows, &mut plan).await?;
        let Tx { core, .. } = self.tx;
        let now = core.clock.now();
        let decided = rows.iter().map(|row| plan.decide(row, now, &core.random)).collect::<Result<Vec<_>, _>>()?;
        let wrote = decided.iter().any(|row| matches!(row, Ok(Imported::Created | Imported::Changed)));
        if wrote {
            self.write(&statements, &plan).await?;
        }
        Ok(Import { rows: decided, wrote })
    }

    async fn read_identities(&self, with: &Statements, rows: &[NewUser], plan: &mut Plan) -> Result<(), StorageError> {
        let keys: BTreeSet<_> = rows.iter().map(|row| (row.app, &row.openid)).collect();
        let tenant = self.tenant.uuid();
        let keys = keys.into_iter().map(|(app, openid)| [id(tenant), id(app.uuid()), text_bytes(openid.as_str())]);
        for row in with.read_identities.read(&self.tx.tx, keys).await? {
            let user = user_of(&row)?;
            let app: AppId = get::<Uuid>(&row, AFTER_USER)?.into();
            let openid = ascii(get(&row, AFTER_USER + 1)?, "identity", "openid")?;
            let unionid: Option<Vec<u8>> = get(&row, AFTER_USER + 3)?;
            let unionid = unionid.map(|unionid| ascii(unionid, "identity", "unionid")).transpose()?;
            let known = Identity { id: get(&row, AFTER_USER + 2)?, user: user.id, unionid, added: false, named: false };
            plan.identities.insert((app, openid), known);
            plan.know(user);
        }
        Ok(())
    }

    /// Locked, so that a login under the same unionid comes before or after.
    async fn read_members(&self, with: &Statements, rows: &[NewUser], plan: &mut Plan) -> Result<(), StorageError> {
        let keys: BTreeSet<_> = rows.iter().filter_map(|row| plan.member_in_question(row)).collect();
        let tenant = self.tenant.uuid();
        let keys = keys.iter().map(|(group, unionid)| [id(tenant), id(group.uuid()), text_bytes(unionid.as_str())]);
        let mut users = BTreeSet::new();
        for row in with.lock_members.read(&self.tx.tx, keys).await? {
            let unionid = ascii(get(&row, 1)?, "union_member", "unionid")?;
            let user = UserId::from(get::<Uuid>(&row, 2)?);
            plan.members.insert((get::<Uuid>(&row, 0)?.into(), unionid), (user, false));
            users.insert(user);
        }
        let users = users.into_iter().map(|user| [id(user.uuid())]);
        for row in with.read_users.read(&self.tx.tx, users).await? {
            plan.know(user_of(&row)?);
        }
        Ok(())
    }

    async fn read_external_ids(
        &self,
        with: &Statements,
        rows: &[NewUser],
        plan: &mut Plan,
    ) -> Result<(), StorageError> {
        let unknown =
            rows.iter().filter_map(|row| row.external_id.as_ref()).filter(|name| !plan.named.contains_key(*name));
        let unknown: BTreeSet<_> = unknown.cloned().collect();
        let keys = unknown.iter().map(|name| [id(self.tenant.uuid()), Value::from(name.as_str())]);
        for row in with.read_named.read(&self.tx.tx, keys).await? {
            plan.know(user_of(&row)?);
        }
        Ok(())
    }

    async fn read_tombstones(&self, with: &Statements, rows: &[NewUser], plan: &mut Plan) -> Result<(), StorageError> {
        let new: Vec<_> =
            rows.iter().filter(|row| !plan.identities.contains_key(&(row.app, row.openid.clone()))).collect();
        if new.is_empty() {
            return Ok(());
        }
        let Tx { core, tx, .. } = self.tx;
        let keys = &TenantKeys::load(tx, &core.master_keys, self.tenant).await?;
        let digests = new.into_iter().flat_map(|row| {
            let union = row.union_group.zip(row.unionid.as_ref());
            let called = std::iter::once(Called::InApp(row.app, &row.openid))
                .chain(union.map(|(group, unionid)| Called::InUnionGroup(group, unionid)));
            let digest = move |called: Called<'_>| {
                keys.digests.iter().map(move |(_, key)| called.digest(key).as_bytes().to_vec()).collect::<Vec<_>>()
            };
            called.flat_map(digest).map(move |digest| (digest, row))
        });
        // One person's rows of several apps have one unionid, and so one digest.
        let mut rows_of: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (digest, row) in digests {
            rows_of.entry(digest).or_default().push(row);
        }
        let keys = rows_of.keys().map(|digest| [id(self.tenant.uuid()), bytes(digest)]);
        for row in with.read_tombstones.read(tx, keys).await? {
            let rows = rows_of.get(&get::<Vec<u8>>(&row, 0)?).into_iter().flatten();
            plan.erased.extend(rows.map(|row| (row.app, row.openid.clone())));
        }
        Ok(())
    }

    async fn write(&self, with: &Statements, plan: &Plan) -> Result<(), StorageError> {
        let (tx, tenant) = (&self.tx.tx, self.tenant.uuid());
        let users = plan.new_users.iter().map(|user: &User| {
            let (status, epoch) = (user.status.as_str().into(), number(user.sessions_epoch));
            let name = Value::String(user.external_id.as_ref().map(|name| name.as_str().to_owned()));
            let nickname = Value::String(user.profile.nickname.clone());
            [id(user.id.uuid()), id(tenant), status, nickname, name, epoch, time(user.created_at)]
        });
        with.insert_users.insert(tx, users).await?;
        let now = self.tx.core.clock.now();
        let members = plan.members.iter().filter(|(_, (_, added))| *added).map(|((group, unionid), (user, _))| {
            [id(tenant), id(group.uuid()), text_bytes(unionid.as_str()), id(user.uuid()), time(now)]
        });
        with.insert_members.insert(tx, members).await?;
        self.fill_in(with, plan).await?;
        let added = plan.identities.iter().filter(|(_, known)| known.added).map(|((app, openid), known)| {
            let unionid = Value::Bytes(known.unionid.as_ref().map(|unionid| unionid.as_str().into()));
            let openid = text_bytes(openid.as_str());
            [id(known.id), id(tenant), id(app.uuid()), openid, unionid, id(known.user.uuid()), time(now)]
        });
        with.insert_identities.insert(tx, added).await?;
        let named = plan.identities.values().filter(|known| known.named);
        let named = named.filter_map(|known| Some([id(known.id), text_bytes(known.unionid.as_ref()?.as_str())]));
        for (rows, values) in chunks(named) {
            tx.execute_raw(with.name_identities.with(rows, with_ids_again(values))).await?;
        }
        Ok(())
    }

    /// What users who were there lacked. Whoever got an external id of somebody else's since it was read comes first.
    async fn fill_in(&self, with: &Statements, plan: &Plan) -> Result<(), StorageError> {
        let tx = &self.tx.tx;
        let names = plan.new_names.iter().map(|(user, name)| [id(user.uuid()), Value::from(name.as_str())]);
        for (rows, values) in chunks(names) {
            let given = tx.execute_raw(with.name_users.with(rows, with_ids_again(values))).await?.rows_affected();
            if given != rows as u64 {
                return Err(StorageError::Busy);
            }
        }
        let nicknames = plan.new_nicknames.iter().map(|(user, name)| [id(user.uuid()), Value::from(name.as_str())]);
        for (rows, values) in chunks(nicknames) {
            tx.execute_raw(with.nickname_users.with(rows, with_ids_again(values))).await?;
        }
        Ok(())
    }
}

/// Pairs of id and value, then all ids once more.
fn with_ids_again(mut pairs: Vec<Value>) -> Vec<Value> {
    let ids: Vec<_> = pairs.iter().step_by(2).cloned().collect();
    pairs.extend(ids);
    pairs
}

fn text_bytes(text: &str) -> Value {
    bytes(text.as_bytes())
}
