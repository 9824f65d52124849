//! Jobs: work that outlives its request. Whoever does one holds it for a while, so that no two nodes do it at once, and
//! it is taken over when that time ran out.

use std::time::Duration;

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use wxgate_domain::{Job, JobId, JobState, NodeId, Task, TenantId, Timestamp};

use crate::entity::job;
use crate::error::StorageError;
use crate::job::Worker;
use crate::sql;
use crate::storage::{Core, Storage};
use crate::tx::Tx;

/// How long a job is held without a word of its holder; pieces of work take less than a second.
const HELD: Duration = Duration::from_secs(30);
/// Open jobs that are looked at, at once.
const CANDIDATES: u64 = 32;

fn of_row(row: job::Model) -> Result<Job, StorageError> {
    let count = |number: i64, column| u64::try_from(number).map_err(|_| StorageError::inconsistent("job", column));
    Ok(Job {
        id: row.id.into(),
        tenant: row.tenant_id.map(TenantId::from),
        task: serde_json::from_str(&row.parameters).map_err(|_| StorageError::inconsistent("job", "parameters"))?,
        state: JobState::from_word(&row.state).ok_or_else(|| StorageError::inconsistent("job", "state"))?,
        done: count(row.done, "done")?,
        total: count(row.total, "total")?,
        error: row.error,
        rests_until: row.lease_until.filter(|_| row.owner.is_none()).map(Timestamp::from_millis),
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
    })
}

/// The jobs of operators and of all tenants.
#[derive(Clone, Debug)]
pub struct Jobs(Storage);

impl Jobs {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// The job of this id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, id: JobId) -> Result<Option<Job>, StorageError> {
        find(&self.0.core, id).await?.map(of_row).transpose()
    }

    /// The jobs of one tenant, or all of them, newest first: those older than `before`, at most `limit`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(
        &self,
        tenant: Option<TenantId>,
        before: Option<JobId>,
        limit: u64,
    ) -> Result<Vec<Job>, StorageError> {
        let query = || {
            let mut wanted = Condition::all();
            if let Some(tenant) = tenant {
                wanted = wanted.add(job::Column::TenantId.eq(tenant.uuid()));
            }
            if let Some(before) = before {
                wanted = wanted.add(job::Column::Id.lt(before.uuid()));
            }
            #[expect(clippy::disallowed_methods, reason = "operators see all jobs; the filter is a tenant's")]
            job::Entity::find().filter(wanted).order_by_desc(job::Column::Id).limit(limit)
        };
        let rows = self.0.core.read(|db| async move { query().all(&db).await }).await?;
        rows.into_iter().map(of_row).collect()
    }

    /// Takes an open job that nobody holds, the oldest first, to be worked on.
    ///
    /// # Errors
    /// The database fails.
    pub async fn take(&self, node: NodeId) -> Result<Option<Worker>, StorageError> {
        let core = &self.0.core;
        #[expect(clippy::disallowed_methods, reason = "whoever works works for all tenants")]
        let open = || job::Entity::find().filter(job::Column::State.eq(JobState::Open.as_str()));
        let oldest = || open().order_by_asc(job::Column::Id).limit(CANDIDATES);
        for row in core.read(|db| async move { oldest().all(&db).await }).await? {
            // What a newer version wants done is left to it.
            if serde_json::from_str::<Task>(&row.parameters).is_err() {
                continue;
            }
            if let Some(worker) = self.take_job(row.id.into(), node).await? {
                return Ok(Some(worker));
            }
        }
        Ok(None)
    }

    /// Takes this job, if it is open and nobody holds it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn take_job(&self, id: JobId, node: NodeId) -> Result<Option<Worker>, StorageError> {
        let core = &self.0.core;
        let now = sql::now(&core.writer, &core.clock).await?;
        let free =
            Condition::any().add(job::Column::LeaseUntil.is_null()).add(job::Column::LeaseUntil.lte(now.millis()));
        let hold = job::ActiveModel {
            owner: Set(Some(node.uuid())),
            lease_until: Set(Some(now.plus(HELD).millis())),
            ..Default::default()
        };
        if update(core, id, free, hold).await? == 0 {
            return Ok(None);
        }
        let Some(row) = find(core, id).await? else { return Ok(None) };
        Ok(Some(Worker::new(core.clone(), node, of_row(row)?)))
    }
}

async fn find(core: &Core, id: JobId) -> Result<Option<job::Model>, StorageError> {
    #[expect(clippy::disallowed_methods, reason = "the job itself says whose it is")]
    let query = || job::Entity::find_by_id(id.uuid());
    core.read(|db| async move { query().one(&db).await }).await
}

/// Updates an open job on a condition; whether there was one.
async fn update(core: &Core, id: JobId, only: Condition, change: job::ActiveModel) -> Result<u64, StorageError> {
    #[expect(clippy::disallowed_methods, reason = "the job itself says whose it is")]
    let update = job::Entity::update_many()
        .filter(job::Column::Id.eq(id.uuid()))
        .filter(job::Column::State.eq(JobState::Open.as_str()))
        .filter(only);
    Ok(update.set(change).exec(&core.writer).await?.rows_affected)
}

/// What a holder writes of a job.
pub(crate) enum Report {
    /// It gets on, and is held further.
    Working,
    /// It rests until then, and then anybody may take it.
    Resting(Timestamp),
    /// It did not get on; it is tried again after a while.
    Failed(String),
    /// Nothing is left to do.
    Done,
}

/// Writes how a job stands; false if somebody else holds it by now.
pub(crate) async fn report(core: &Core, node: NodeId, job: &mut Job, report: Report) -> Result<bool, StorageError> {
    let now = sql::now(&core.writer, &core.clock).await?;
    let mut mine = Condition::all().add(job::Column::Owner.eq(node.uuid()));
    if matches!(report, Report::Done) {
        // Somebody who asked for the same in the meantime has moved this: then it is not over.
        mine = mine.add(job::Column::UpdatedAt.eq(job.updated_at.millis()));
    }
    job.updated_at = now;
    job.error = None;
    job.rests_until = None;
    match report {
        Report::Working => {}
        Report::Resting(until) => job.rests_until = Some(until),
        // Nobody tries again at once.
        Report::Failed(error) => (job.rests_until, job.error) = (Some(now.plus(HELD)), Some(error)),
        Report::Done => job.state = JobState::Done,
    }
    let held = job.state == JobState::Open && job.rests_until.is_none();
    let until = if held { Some(now.plus(HELD)) } else { job.rests_until };
    let change = job::ActiveModel {
        state: Set(job.state.as_str().to_owned()),
        done: Set(job.done.cast_signed()),
        total: Set(job.total.cast_signed()),
        error: Set(job.error.clone()),
        owner: Set(held.then_some(node.uuid())),
        lease_until: Set(until.map(Timestamp::millis)),
        updated_at: Set(now.millis()),
        ..Default::default()
    };
    Ok(update(core, job.id, mine, change).await? > 0)
}

/// Deletes jobs that were done before `cutoff`.
pub(crate) async fn purge(core: &Core, cutoff: Timestamp) -> Result<(), StorageError> {
    #[expect(clippy::disallowed_methods, reason = "of all tenants at once")]
    let old = job::Entity::delete_many()
        .filter(job::Column::State.eq(JobState::Done.as_str()))
        .filter(job::Column::UpdatedAt.lt(cutoff.millis()));
    old.exec(&core.writer).await?;
    Ok(())
}

/// Asks for jobs.
#[derive(Clone, Copy, Debug)]
pub struct TxJobs<'a>(&'a Tx);

impl<'a> TxJobs<'a> {
    pub(crate) fn new(tx: &'a Tx) -> Self {
        Self(tx)
    }

    /// Adds a job, which begins after the commit; if one with the same task is open already, that one counts.
    ///
    /// # Errors
    /// The database fails.
    pub async fn add(&self, tenant: Option<TenantId>, task: Task) -> Result<Job, StorageError> {
        let Tx { core, tx, .. } = self.0;
        let parameters = serde_json::to_string(&task).map_err(|_| StorageError::inconsistent("job", "parameters"))?;
        let owned = match tenant {
            Some(tenant) => job::Column::TenantId.eq(tenant.uuid()),
            None => job::Column::TenantId.is_null(),
        };
        #[expect(clippy::disallowed_methods, reason = "the filter is a tenant's, or the operators'")]
        let same = job::Entity::find()
            .filter(owned)
            .filter(job::Column::State.eq(JobState::Open.as_str()))
            .filter(job::Column::Kind.eq(task.kind()));
        let now = core.clock.now();
        for open in same.lock_exclusive().all(tx).await? {
            if open.parameters == parameters {
                let moved = open.updated_at.max(now.millis()) + 1;
                let touch = job::ActiveModel { updated_at: Set(moved), ..Default::default() };
                #[expect(clippy::disallowed_methods, reason = "the job was found as the asker's")]
                let this = job::Entity::update_many().filter(job::Column::Id.eq(open.id));
                this.set(touch).exec(tx).await?;
                return of_row(job::Model { updated_at: moved, ..open });
            }
        }
        let row = job::Model {
            id: JobId::new(now, &core.random).uuid(),
            tenant_id: tenant.map(TenantId::uuid),
            kind: task.kind().to_owned(),
            state: JobState::Open.as_str().to_owned(),
            parameters,
            done: 0,
            total: 0,
            error: None,
            owner: None,
            lease_until: None,
            created_at: now.millis(),
            updated_at: now.millis(),
        };
        job::Entity::insert(job::ActiveModel::from(row.clone())).exec_without_returning(tx).await?;
        of_row(row)
    }
}
