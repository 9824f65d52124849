//! Writes a batch of logins in one transaction: read, decide, write, commit.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use tokio::time::timeout;
use uuid::Uuid;
use wxgate_domain::{OpenedSession, Timestamp, UserId};

use super::plan::{Change, Identity, Member, Plan};
use super::read::{get, user_of};
use super::sql::{LARGEST, Sized, Statements, statement};
use super::{OpenJob, UserBlocked};
use crate::error::StorageError;
use crate::group_commit::{BatchWriter, Failure};
use crate::repo::ascii;
use crate::storage::Core;
use crate::tx;

/// Longest time for the rows of a transaction and again for its commit, before the connection is given up. A lock is
/// waited for less long.
const LONGEST_STEP: Duration = Duration::from_secs(10);

type Answer = Result<OpenedSession, UserBlocked>;

/// The one writer of sessions.
pub(crate) struct SessionWriter {
    core: Arc<Core>,
    statements: Statements,
}

impl SessionWriter {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let statements = Statements::new(core.writer.get_database_backend());
        Self { core, statements }
    }
}

impl BatchWriter for SessionWriter {
    type Job = OpenJob;
    type Answer = Answer;

    async fn write(&self, jobs: &[OpenJob]) -> Result<Vec<Answer>, Failure<Answer>> {
        // An error drops the transaction, which rolls it back.
        let tx = in_time(tx::begin(&self.core)).await.map_err(before_commit)?;
        let answers = in_time(self.write_rows(&tx, jobs)).await.map_err(before_commit)?;
        match in_time(async { Ok(tx.commit().await?) }).await {
            Ok(()) => Ok(answers),
            Err(error @ StorageError::Unavailable { .. }) => Err(Failure::InDoubt(answers, error)),
            Err(error) => Err(before_commit(error)),
        }
    }

    async fn is_written(&self, answers: &[Answer]) -> Result<bool, StorageError> {
        // A transaction is all or nothing, so one of its rows speaks for all.
        let Some(opened) = answers.iter().find_map(|answer| answer.as_ref().ok()) else { return Ok(true) };
        let id: Value = opened.id.uuid().into();
        let found = self.core.read(|db| {
            let statement =
                statement(db.get_database_backend(), "SELECT 1 FROM session WHERE id = ?", vec![id.clone()]);
            async move { db.query_one_raw(statement).await }
        });
        Ok(found.await?.is_some())
    }
}

/// Bounds a step, so that a server which went silent cannot hold a lane for ever.
async fn in_time<T>(step: impl Future<Output = Result<T, StorageError>>) -> Result<T, StorageError> {
    let late = |_| StorageError::Unavailable { code: "no answer in time".to_owned() };
    timeout(LONGEST_STEP, step).await.map_err(late)?
}

/// The failure of a transaction that certainly is not committed.
fn before_commit<A>(error: StorageError) -> Failure<A> {
    match error {
        StorageError::Busy => Failure::Collision(error),
        // All ids are ours and fresh, so only an identity or a union member of another process can be in the way.
        StorageError::NotUnique { .. } => Failure::Overtaken(error),
        StorageError::Unavailable { .. } => Failure::Disconnected(error),
        _ => Failure::Refused(error),
    }
}

impl SessionWriter {
    /// Everything between BEGIN and COMMIT. Locks and rows follow the one order of all writers: union member, user,
    /// identity, session, each by key. (A new user is inserted before its membership, which refers to it; nobody else
    /// can know or lock it yet.)
    async fn write_rows(&self, tx: &DatabaseTransaction, jobs: &[OpenJob]) -> Result<Vec<Answer>, StorageError> {
        let mut plan = Plan::default();
        self.read_identities(tx, jobs, &mut plan).await?;
        self.read_members(tx, jobs, &mut plan).await?;
        let dangling = || StorageError::inconsistent("identity", "user_id");
        let answers = plan.decide(jobs, &self.core.random).ok_or_else(dangling)?;
        self.write_users(tx, &plan).await?;
        self.write_identities(tx, &plan).await?;
        self.write_sessions(tx, jobs, &plan).await.map_err(|missing| missing.unwrap_or_else(dangling))?;
        Ok(answers)
    }

    async fn read_identities(
        &self,
        tx: &DatabaseTransaction,
        jobs: &[OpenJob],
        plan: &mut Plan,
    ) -> Result<(), StorageError> {
        let keys: BTreeSet<_> = jobs.iter().map(|job| (job.tenant, job.app, &job.openid)).collect();
        let keys =
            keys.into_iter().map(|(tenant, app, openid)| [id(tenant.uuid()), id(app.uuid()), bytes(openid.as_str())]);
        for row in self.read(tx, &self.statements.read_identities, keys).await? {
            let user = user_of(&row)?;
            let (tenant, app): (Uuid, Uuid) = (get(&row, 6)?, get(&row, 7)?);
            let openid = ascii(get(&row, 8)?, "identity", "openid")?;
            let unionid: Option<Vec<u8>> = get(&row, 10)?;
            let unionid = unionid.map(|unionid| ascii(unionid, "identity", "unionid")).transpose()?;
            let identity = Identity { id: get(&row, 9)?, user: user.id, unionid, change: Change::None };
            plan.identities.insert((tenant.into(), app.into(), openid), identity);
            plan.users.insert(user.id, user);
        }
        Ok(())
    }

    async fn read_members(
        &self,
        tx: &DatabaseTransaction,
        jobs: &[OpenJob],
        plan: &mut Plan,
    ) -> Result<(), StorageError> {
        let keys: BTreeSet<_> = jobs.iter().filter_map(|job| plan.member_in_question(job)).collect();
        let keys =
            keys.iter().map(|(tenant, group, unionid)| [id(tenant.uuid()), id(group.uuid()), bytes(unionid.as_str())]);
        let mut users = BTreeSet::new();
        for row in self.read(tx, &self.statements.lock_members, keys).await? {
            let (tenant, group): (Uuid, Uuid) = (get(&row, 0)?, get(&row, 1)?);
            let unionid = ascii(get(&row, 2)?, "union_member", "unionid")?;
            let user = UserId::from(get::<Uuid>(&row, 3)?);
            plan.members.insert((tenant.into(), group.into(), unionid), Member { user, added: None });
            users.insert(user);
        }
        let users = users.into_iter().map(|user| [id(user.uuid())]);
        for row in self.read(tx, &self.statements.read_users, users).await? {
            let user = user_of(&row)?;
            plan.users.insert(user.id, user);
        }
        Ok(())
    }

    async fn write_users(&self, tx: &DatabaseTransaction, plan: &Plan) -> Result<(), StorageError> {
        let users = plan.new_users.iter().filter_map(|(tenant, user)| Some((tenant, plan.users.get(user)?)));
        let users = users.map(|(tenant, user)| {
            let status = user.status.as_str().into();
            [id(user.id.uuid()), id(tenant.uuid()), status, number(user.sessions_epoch), time(user.created_at)]
        });
        self.insert(tx, &self.statements.insert_users, users).await?;
        let added = plan.members.iter().filter_map(|(key, member)| Some((key, member.user, member.added?)));
        let added = added.map(|((tenant, group, unionid), user, at)| {
            [id(tenant.uuid()), id(group.uuid()), bytes(unionid.as_str()), id(user.uuid()), time(at)]
        });
        self.insert(tx, &self.statements.insert_members, added).await
    }

    async fn write_identities(&self, tx: &DatabaseTransaction, plan: &Plan) -> Result<(), StorageError> {
        let mut new = Vec::new();
        let mut changed = Vec::new();
        for ((tenant, app, openid), identity) in &plan.identities {
            let unionid = Value::Bytes(identity.unionid.as_ref().map(|unionid| unionid.as_str().into()));
            match identity.change {
                Change::None => {}
                Change::Unionid => changed.push([id(identity.id), unionid]),
                Change::New(at) => new.push([
                    id(identity.id),
                    id(tenant.uuid()),
                    id(app.uuid()),
                    bytes(openid.as_str()),
                    unionid,
                    id(identity.user.uuid()),
                    time(at),
                ]),
            }
        }
        self.insert(tx, &self.statements.insert_identities, new.into_iter()).await?;
        for (rows, mut values) in chunks(changed.into_iter()) {
            let ids: Vec<_> = values.iter().step_by(2).cloned().collect();
            values.extend(ids);
            tx.execute_raw(self.statements.update_unionids.with(rows, values)).await?;
        }
        Ok(())
    }

    /// The error is `None` if the plan names a job or user that it does not know.
    async fn write_sessions(
        &self,
        tx: &DatabaseTransaction,
        jobs: &[OpenJob],
        plan: &Plan,
    ) -> Result<(), Option<StorageError>> {
        let mut rows = Vec::with_capacity(plan.sessions.len());
        for (job, identity, user) in &plan.sessions {
            let job = jobs.get(*job).ok_or(None)?;
            let user = plan.users.get(user).ok_or(None)?;
            rows.push([
                id(job.session.uuid()),
                id(job.tenant.uuid()),
                id(*identity),
                id(job.app.uuid()),
                id(user.id.uuid()),
                Value::Bytes(Some(job.session_key.as_bytes().to_vec())),
                number(job.mac_key),
                number(job.tenant_epoch),
                number(job.app_epoch),
                number(user.sessions_epoch),
                time(job.now),
            ]);
        }
        self.insert(tx, &self.statements.insert_sessions, rows.into_iter()).await.map_err(Some)
    }

    async fn read<const N: usize>(
        &self,
        tx: &DatabaseTransaction,
        statement: &Sized,
        keys: impl Iterator<Item = [Value; N]> + Send,
    ) -> Result<Vec<QueryResult>, StorageError> {
        let mut found = Vec::new();
        for keys in keys.collect::<Vec<_>>().chunks(LARGEST) {
            let size = keys.len().next_power_of_two();
            let mut values: Vec<Value> = keys.iter().flatten().cloned().collect();
            // One statement, filled up with keys that no row has.
            while values.len() < size * N {
                let nothing: Vec<_> = values.iter().take(N).map(Value::as_null).collect();
                values.extend(nothing);
            }
            found.extend(tx.query_all_raw(statement.with(size, values)).await?);
        }
        Ok(found)
    }

    async fn insert<const N: usize>(
        &self,
        tx: &DatabaseTransaction,
        statement: &Sized,
        rows: impl Iterator<Item = [Value; N]> + Send,
    ) -> Result<(), StorageError> {
        for (rows, values) in chunks(rows) {
            tx.execute_raw(statement.with(rows, values)).await?;
        }
        Ok(())
    }
}

/// The rows in chunks of 256, 128 ... 1, so that a connection prepares few statements: the number of rows of each chunk,
/// and their values in one list.
fn chunks<const N: usize>(rows: impl Iterator<Item = [Value; N]>) -> Vec<(usize, Vec<Value>)> {
    let mut values: Vec<Value> = rows.flatten().collect();
    let mut chunks = Vec::new();
    while !values.is_empty() {
        let rows = (values.len() / N).min(LARGEST);
        let size = 1 << rows.ilog2();
        let rest = values.split_off(size * N);
        chunks.push((size, std::mem::replace(&mut values, rest)));
    }
    chunks
}

pub(super) fn id(id: Uuid) -> Value {
    id.into()
}

pub(super) fn bytes(text: &str) -> Value {
    Value::Bytes(Some(text.as_bytes().to_vec()))
}

fn time(at: Timestamp) -> Value {
    at.millis().into()
}

/// Epochs and key numbers count single events, so they stay far below 2^31.
fn number(number: u32) -> Value {
    i32::try_from(number).unwrap_or(i32::MAX).into()
}
