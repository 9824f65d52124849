//! Jobs as they are done: a piece at a time, each small enough that no login waits for it. A piece that was done twice
//! changes nothing the second time, so a job goes on after a crash by beginning again.

mod app_removal;
mod deletion;
mod redigest;
mod reseal;
mod rewrap;
mod union_join;

use std::sync::Arc;

use wxgate_domain::{Job, NodeId, Task, TenantId, Timestamp};

use crate::error::StorageError;
use crate::repo::jobs::{Report, report};
use crate::storage::Core;

use app_removal::AppRemoval;
use deletion::Deletion;
use redigest::Redigest;
use reseal::Reseal;
use rewrap::Rewrap;
use union_join::UnionJoin;

/// Rows that a piece looks at or deletes.
const PIECE: u64 = 200;

/// What a piece of work came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is more to do.
    More,
    /// There is more to do, but not before then.
    Later(Timestamp),
    /// Nothing is left to do.
    Done,
    /// Somebody else has the job.
    Lost,
}

/// A job in the hands of whoever does it.
pub struct Worker {
    core: Arc<Core>,
    node: NodeId,
    job: Job,
    work: Option<Work>,
}

/// The work of each kind of job, and how far it is.
enum Work {
    Deletion(Deletion),
    AppRemoval(AppRemoval),
    Rewrap(Rewrap),
    Reseal(Reseal),
    Redigest(Redigest),
    UnionJoin(UnionJoin),
}

/// What one piece did.
pub(crate) struct Piece {
    /// So much that was to do is done.
    pub(crate) done: u64,
    pub(crate) outcome: Outcome,
}

impl Piece {
    /// There is more to do.
    pub(crate) fn more(done: u64) -> Self {
        Self { done, outcome: Outcome::More }
    }
}

impl Worker {
    pub(crate) fn new(core: Arc<Core>, node: NodeId, job: Job) -> Self {
        Self { core, node, job, work: None }
    }

    /// The job as it stands.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Does the next piece, and writes down how far the job is.
    ///
    /// # Errors
    /// The database fails, or a key is missing. The job says so, and is tried again in half a minute.
    pub async fn piece(&mut self) -> Result<Outcome, StorageError> {
        match self.next().await {
            Ok(outcome) => self.tell(outcome).await,
            Err(error) => {
                // If this cannot be written either, the job is free again when its time ran out.
                let _ = report(&self.core, self.node, &mut self.job, Report::Failed(error.to_string())).await;
                Err(error)
            }
        }
    }

    /// Gives the job back as it is, to be gone on with at once.
    ///
    /// # Errors
    /// The database fails; the job is free again in ten seconds.
    pub async fn put_down(mut self) -> Result<(), StorageError> {
        let now = self.core.clock.now();
        report(&self.core, self.node, &mut self.job, Report::Resting(now)).await.map(drop)
    }

    async fn next(&mut self) -> Result<Outcome, StorageError> {
        let Some(work) = &mut self.work else {
            let work = Work::of(&self.job)?;
            let left = work.left(&self.core).await?;
            self.job.total = self.job.total.max(left);
            self.job.done = self.job.total - left;
            self.work = Some(work);
            return Ok(Outcome::More);
        };
        let piece = work.piece(&self.core).await?;
        self.job.done = (self.job.done + piece.done).min(self.job.total);
        Ok(piece.outcome)
    }

    async fn tell(&mut self, outcome: Outcome) -> Result<Outcome, StorageError> {
        let news = match outcome {
            Outcome::More => Report::Working,
            Outcome::Later(until) => Report::Resting(until),
            Outcome::Done => {
                self.job.done = self.job.total;
                Report::Done
            }
            Outcome::Lost => return Ok(outcome),
        };
        let mine = report(&self.core, self.node, &mut self.job, news).await?;
        Ok(if mine { outcome } else { Outcome::Lost })
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Worker").field(&self.job).finish()
    }
}

impl Work {
    fn of(job: &Job) -> Result<Self, StorageError> {
        match &job.task {
            Task::TenantDeletion { tenant, .. } => Ok(Self::Deletion(Deletion::of(*tenant))),
            Task::AppRemoval { app, appid } => {
                Ok(Self::AppRemoval(AppRemoval::of(tenant_of(job)?, *app, appid.clone())))
            }
            Task::Rewrap {} => Ok(Self::Rewrap(Rewrap::default())),
            Task::Reseal {} => Ok(Self::Reseal(Reseal::of(tenant_of(job)?))),
            Task::Redigest {} => Ok(Self::Redigest(Redigest::of(tenant_of(job)?))),
            Task::UnionJoin { app, group } => Ok(Self::UnionJoin(UnionJoin::of(tenant_of(job)?, *app, *group))),
        }
    }

    /// How much there is to do.
    async fn left(&self, core: &Core) -> Result<u64, StorageError> {
        match self {
            Self::Deletion(work) => work.left(core).await,
            Self::AppRemoval(work) => work.left(core).await,
            Self::Rewrap(work) => work.left(core).await,
            Self::Reseal(work) => work.left(core).await,
            Self::Redigest(work) => work.left(core).await,
            Self::UnionJoin(work) => work.left(core).await,
        }
    }

    async fn piece(&mut self, core: &Arc<Core>) -> Result<Piece, StorageError> {
        match self {
            Self::Deletion(work) => work.piece(core).await,
            Self::AppRemoval(work) => work.piece(core).await,
            Self::Rewrap(work) => work.piece(core).await,
            Self::Reseal(work) => work.piece(core).await,
            Self::Redigest(work) => work.piece(core).await,
            Self::UnionJoin(work) => work.piece(core).await,
        }
    }
}

fn tenant_of(job: &Job) -> Result<TenantId, StorageError> {
    job.tenant.ok_or_else(|| StorageError::inconsistent("job", "tenant_id"))
}
