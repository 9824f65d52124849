//! Jobs: the work that outlives its request, done in the background by nodes that serve, or in the foreground by a command.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use wxgate_domain::{Job, JobId, NodeId};
use wxgate_storage::{Outcome, Storage, StorageError, Worker};

/// Longest rest between two pieces.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Does jobs, as one node.
#[derive(Clone, Debug)]
pub(crate) struct Jobs {
    pub(crate) storage: Storage,
    pub(crate) node: NodeId,
}

impl Jobs {
    /// Does what is open and free, until nothing is or the process stops.
    pub(crate) async fn work(&self, stopping: &CancellationToken) -> Result<(), StorageError> {
        while !stopping.is_cancelled() {
            let Some(mut worker) = self.storage.jobs().take(self.node).await? else { return Ok(()) };
            if let Err(error) = self.do_pieces(&mut worker, stopping, |_| {}).await {
                let job = worker.job();
                tracing::warn!(job.id = %job.id, job.kind = job.task.kind(), error.source = %error, "a job does not get on");
            }
            if stopping.is_cancelled() {
                worker.put_down().await?;
            }
        }
        Ok(())
    }

    /// Does one job in the foreground; `tell` hears how far it is. The job as it then stands, which is open if it has to
    /// rest or somebody else does it.
    pub(crate) async fn finish(&self, id: JobId, tell: impl FnMut(&Job)) -> Result<Option<Job>, StorageError> {
        let jobs = self.storage.jobs();
        if let Some(mut worker) = jobs.take_job(id, self.node).await? {
            self.do_pieces(&mut worker, &CancellationToken::new(), tell).await?;
        }
        jobs.find(id).await
    }

    async fn do_pieces(
        &self,
        worker: &mut Worker,
        stopping: &CancellationToken,
        mut tell: impl FnMut(&Job),
    ) -> Result<(), StorageError> {
        while !stopping.is_cancelled() {
            let begun = Instant::now();
            let outcome = worker.piece().await?;
            tell(worker.job());
            if outcome != Outcome::More {
                return Ok(());
            }
            // Half of the time belongs to those who log in.
            tokio::time::sleep(begun.elapsed().min(LONGEST_REST)).await;
        }
        Ok(())
    }
}
