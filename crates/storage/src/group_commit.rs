//! Group commit: many small writes, one transaction.
//!
//! A durable commit costs a sync to disk, whether it holds one row or a thousand. So hot writes are not committed one
//! by one: each is a *job* in a queue, and a *lane* takes what is queued, writes it in one transaction, commits, and
//! only then answers each caller. While a lane is busy the next batch collects by itself; no timer is involved, so an
//! idle gateway answers at once and a busy one commits large batches.
//!
//! What holds, whatever happens:
//! - Nothing is acknowledged before the commit that holds it, and a job that was taken is written even if its caller
//!   has gone.
//! - The queue is bounded. A full queue, a tenant beyond its share and a job that waited too long are refused, never
//!   kept in memory. Tenants take turns, so a busy one cannot starve the others.
//! - A batch that collides with another transaction is written again; a batch that fails for another reason is halved
//!   until the bad job fails alone.
//! - If the answer to COMMIT is lost, the database is asked whether the batch is there before anyone is told.
//!
//! This file knows no SQL: a [`BatchWriter`] does one transaction.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wxgate_domain::TenantId;

use crate::error::StorageError;
use crate::storage::{BatchObserver, BatchOutcome, BatchReport};

/// Most jobs in the queue, all lanes together. What is being written is no longer in the queue.
const CAPACITY: usize = 4_096;

/// The part of the queue that logins leave free, so that revocations get through while logins flood.
const RESERVED: usize = 256;

/// Most jobs of one tenant while no other tenant is queued: a newcomer still finds room.
const ALONE: usize = CAPACITY - RESERVED - 256;

/// Most jobs of one tenant while others are queued too.
const SHARE: usize = CAPACITY / 2;

/// Longest wait in the queue. An older job is refused: whoever waits for it has given up or is about to.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Most jobs in one transaction. Larger batches hardly cost less per job, and they hold locks for longer.
pub(crate) const LARGEST_BATCH: usize = 256;

/// How often one batch is written again because another transaction was in the way.
const COLLISIONS: u32 = 3;

/// How often one batch is written again because another process wrote one of its rows first. More than collisions,
/// because each time that row is settled; as many as processes with several lanes can take turns in.
const RACES: u32 = 16;

/// How often one batch is written again because the connection broke.
const RECONNECTS: u32 = 1;

/// How often one batch may be halved. A single bad job among 256 takes eight; a database that refuses everything must
/// not be asked 511 times.
const HALVINGS: u32 = 64;

/// Writes one batch in one transaction.
pub(crate) trait BatchWriter: Send + Sync + 'static {
    /// What is to be written. It carries its own ids, so that writing it twice cannot make two of it.
    type Job: Send + Sync + 'static;
    /// What its caller is told once it is committed.
    type Answer: Send + 'static;

    /// Writes and commits the jobs. The answers are in the order of the jobs.
    fn write(
        &self,
        jobs: &[Self::Job],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, Failure<Self::Answer>>> + Send;

    /// Whether a batch whose commit is in doubt is in the database: all of it or nothing of it is.
    fn is_written(&self, answers: &[Self::Answer]) -> impl Future<Output = Result<bool, StorageError>> + Send;
}

/// Why a transaction did not end in a certain commit.
#[derive(Debug)]
pub(crate) enum Failure<A> {
    /// Another transaction was in the way (deadlock, serialisation failure, busy); nothing is written.
    Collision(StorageError),
    /// Another transaction wrote one of the rows first, and it is there to be read now; nothing is written.
    Overtaken(StorageError),
    /// The connection broke before COMMIT was sent; nothing is written.
    Disconnected(StorageError),
    /// COMMIT was sent and its answer was lost. These are the answers if it was carried out.
    InDoubt(Vec<A>, StorageError),
    /// The database refused something in the batch; nothing is written.
    Refused(StorageError),
}

/// Why a job was not written.
#[derive(Debug)]
pub(crate) enum NotWritten {
    /// The queue is full, the tenant's share is used up, the job waited too long, or the batcher is stopping.
    Overloaded,
    /// The database failed.
    Storage(StorageError),
}

type Outcome<A> = Result<A, NotWritten>;

/// Which part of the queue a job may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Urgency {
    Ordinary,
    /// What is reserved too, whatever the tenant's share.
    Reserved,
}

struct Queued<W: BatchWriter> {
    job: W::Job,
    caller: oneshot::Sender<Outcome<W::Answer>>,
    since: Instant,
}

/// Collects jobs, writes them in batches and answers their callers.
pub(crate) struct Batcher<W: BatchWriter> {
    shared: Arc<Shared<W>>,
    lanes: tokio::sync::Mutex<Vec<JoinHandle<()>>>,
}

struct Shared<W: BatchWriter> {
    writer: W,
    observer: BatchObserver,
    queue: Mutex<Queue<W>>,
    wakers: Vec<Notify>,
    hasher: RandomState,
}

impl<W: BatchWriter> Batcher<W> {
    /// Starts this many lanes; each writes one batch at a time.
    pub(crate) fn start(writer: W, lanes: usize, observer: BatchObserver) -> Self {
        let lanes = lanes.max(1);
        let shared = Arc::new(Shared {
            writer,
            observer,
            queue: Mutex::new(Queue::new(lanes)),
            wakers: (0..lanes).map(|_| Notify::new()).collect(),
            hasher: RandomState::new(),
        });
        let lanes = (0..lanes).map(|lane| tokio::spawn(run_lane(Arc::clone(&shared), lane))).collect();
        Self { shared, lanes: tokio::sync::Mutex::new(lanes) }
    }

    /// Queues a job and waits for its commit. Jobs of equal `key` use the same lane, so they meet in one batch or
    /// follow each other instead of colliding. A caller that stops waiting cancels nothing.
    pub(crate) async fn submit(&self, tenant: TenantId, key: impl Hash, job: W::Job) -> Outcome<W::Answer> {
        self.queue(tenant, self.lane_of(key), job, Urgency::Ordinary).await
    }

    /// The same for what must get through while logins flood: the end of sessions. It uses the reserved part of the queue.
    pub(crate) async fn submit_urgent(&self, tenant: TenantId, key: impl Hash, job: W::Job) -> Outcome<W::Answer> {
        self.queue(tenant, self.lane_of(key), job, Urgency::Reserved).await
    }

    async fn queue(&self, tenant: TenantId, lane: usize, job: W::Job, urgency: Urgency) -> Outcome<W::Answer> {
        let (caller, answer) = oneshot::channel();
        let queued = Queued { job, caller, since: Instant::now() };
        if !self.shared.queue().push(lane, tenant, queued, urgency) {
            return Err(NotWritten::Overloaded);
        }
        self.shared.wake(lane);
        // Only a lane that panicked drops the sender without an answer; its transaction was rolled back.
        answer.await.unwrap_or(Err(NotWritten::Storage(StorageError::Busy)))
    }

    /// Refuses new jobs, writes and answers those that are queued, and ends the lanes.
    pub(crate) async fn stop(&self) {
        self.begin_to_stop();
        // The lock is held to the end, so that a second call waits as well.
        for lane in self.lanes.lock().await.drain(..) {
            // A lane ends by itself; if it was aborted with its runtime there is nothing left to wait for.
            let _ = lane.await;
        }
    }

    fn begin_to_stop(&self) {
        self.shared.queue().stopping = true;
        for waker in &self.shared.wakers {
            waker.notify_one();
        }
    }

    fn lane_of(&self, key: impl Hash) -> usize {
        let lanes = self.shared.wakers.len() as u64;
        usize::try_from(self.shared.hasher.hash_one(key) % lanes).unwrap_or(0)
    }
}

impl<W: BatchWriter> Drop for Batcher<W> {
    /// The lanes write what is queued and end; nobody waits for them.
    fn drop(&mut self) {
        self.begin_to_stop();
    }
}

/// A lane: takes what is queued, writes it, and again, until the batcher stops and nothing is left.
async fn run_lane<W: BatchWriter>(shared: Arc<Shared<W>>, lane: usize) {
    loop {
        // Whoever was just answered and queues the next job at once makes the next batch larger.
        tokio::task::yield_now().await;
        let Some(batch) = shared.next_batch(lane).await else { return };
        // In a task of its own, so that a panic costs this batch its answers and not the lane its life.
        let written = tokio::spawn(Batch::new(batch).write_all(Arc::clone(&shared)));
        if let Err(stopped) = written.await {
            tracing::error!(panicked = stopped.is_panic(), "a batch of writes was lost");
        }
    }
}

impl<W: BatchWriter> Shared<W> {
    fn queue(&self) -> MutexGuard<'_, Queue<W>> {
        // The queue is valid between any two instructions that could panic, so a poisoned lock is harmless.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, lane: usize) {
        if let Some(waker) = self.wakers.get(lane) {
            waker.notify_one();
        }
    }

    /// Waits for jobs; `None` once the batcher is stopping and the lane's queue is empty.
    async fn next_batch(&self, lane: usize) -> Option<Vec<Queued<W>>> {
        loop {
            let (taken, stopping) = {
                let mut queue = self.queue();
                (queue.take(lane), queue.stopping)
            };
            let now = Instant::now();
            let in_time = |queued: &Queued<W>| now.duration_since(queued.since) <= LONGEST_WAIT;
            let (jobs, overdue): (Vec<_>, Vec<_>) = taken.into_iter().partition(in_time);
            let nothing = jobs.is_empty() && overdue.is_empty();
            refuse(overdue);
            if !jobs.is_empty() {
                return Some(jobs);
            }
            if nothing && stopping {
                return None;
            }
            if nothing {
                self.wakers.get(lane)?.notified().await;
            }
        }
    }
}

fn refuse<W: BatchWriter>(overdue: Vec<Queued<W>>) {
    for queued in overdue {
        // A caller that has gone needs no answer.
        let _ = queued.caller.send(Err(NotWritten::Overloaded));
    }
}

/// What waits, by lane and tenant.
struct Queue<W: BatchWriter> {
    lanes: Vec<Turns<W>>,
    per_tenant: HashMap<TenantId, usize>,
    total: usize,
    stopping: bool,
}

/// One lane's jobs: each tenant's in their order, the tenants taking turns.
struct Turns<W: BatchWriter> {
    next: VecDeque<TenantId>,
    jobs: HashMap<TenantId, VecDeque<Queued<W>>>,
}

impl<W: BatchWriter> Queue<W> {
    fn new(lanes: usize) -> Self {
        let lanes = (0..lanes).map(|_| Turns { next: VecDeque::new(), jobs: HashMap::new() }).collect();
        Self { lanes, per_tenant: HashMap::new(), total: 0, stopping: false }
    }

    /// Whether there was room.
    fn push(&mut self, lane: usize, tenant: TenantId, queued: Queued<W>, urgency: Urgency) -> bool {
        let Some(turns) = self.lanes.get_mut(lane) else { return false };
        let own = self.per_tenant.get(&tenant).copied().unwrap_or(0);
        let limit = if own == self.total { ALONE } else { SHARE };
        let room = match urgency {
            Urgency::Ordinary => self.total < CAPACITY - RESERVED && own < limit,
            Urgency::Reserved => self.total < CAPACITY,
        };
        if self.stopping || !room {
            return false;
        }
        self.total += 1;
        self.per_tenant.insert(tenant, own + 1);
        let jobs = turns.jobs.entry(tenant).or_default();
        if jobs.is_empty() {
            turns.next.push_back(tenant);
        }
        jobs.push_back(queued);
        true
    }

    /// Up to a batch of the lane's jobs, one of each tenant in turn.
    fn take(&mut self, lane: usize) -> Vec<Queued<W>> {
        let Some(turns) = self.lanes.get_mut(lane) else { return Vec::new() };
        let mut taken = Vec::new();
        while taken.len() < LARGEST_BATCH
            && let Some(tenant) = turns.next.pop_front()
        {
            let Some(jobs) = turns.jobs.get_mut(&tenant) else { continue };
            if let Some(queued) = jobs.pop_front() {
                taken.push(queued);
                self.total -= 1;
                if let Some(own) = self.per_tenant.get_mut(&tenant) {
                    *own -= 1;
                    if *own == 0 {
                        self.per_tenant.remove(&tenant);
                    }
                }
            }
            if jobs.is_empty() {
                turns.jobs.remove(&tenant);
            } else {
                turns.next.push_back(tenant);
            }
        }
        taken
    }
}

/// Jobs that were taken, and who waits for each.
struct Batch<W: BatchWriter> {
    jobs: Vec<W::Job>,
    callers: Vec<Option<oneshot::Sender<Outcome<W::Answer>>>>,
}

impl<W: BatchWriter> Batch<W> {
    fn new(queued: Vec<Queued<W>>) -> Self {
        let (jobs, callers) = queued.into_iter().map(|queued| (queued.job, Some(queued.caller))).unzip();
        Self { jobs, callers }
    }

    /// Writes all jobs and answers all callers. What the database refuses is halved, down to the jobs at fault.
    async fn write_all(mut self, shared: Arc<Shared<W>>) {
        let mut halvings = HALVINGS;
        let whole = 0..self.jobs.len();
        let mut parts = vec![whole];
        while let Some(part) = parts.pop() {
            let may_split = part.len() > 1 && halvings > 0;
            match shared.write(self.jobs.get(part.clone()).unwrap_or_default(), may_split).await {
                Ok(answers) => {
                    for (job, answer) in part.zip(answers) {
                        self.answer(job, Ok(answer));
                    }
                }
                Err(Failure::Refused(_)) if may_split => {
                    halvings -= 1;
                    let middle = part.start.midpoint(part.end);
                    parts.push(middle..part.end);
                    parts.push(part.start..middle);
                }
                Err(failure) => self.fail(part, &failure.into()),
            }
        }
    }

    fn fail(&mut self, part: Range<usize>, error: &StorageError) {
        tracing::warn!(jobs = part.len(), %error, "writes failed");
        for job in part {
            self.answer(job, Err(NotWritten::Storage(error.clone())));
        }
    }

    fn answer(&mut self, job: usize, outcome: Outcome<W::Answer>) {
        if let Some(caller) = self.callers.get_mut(job).and_then(Option::take) {
            // A caller that has gone needs no answer.
            let _ = caller.send(outcome);
        }
    }
}

impl<W: BatchWriter> Shared<W> {
    /// Writes jobs in one transaction, again after a collision or a broken connection, until it is certain that they
    /// are committed or that they are not.
    async fn write(&self, jobs: &[W::Job], may_split: bool) -> Result<Vec<W::Answer>, Failure<W::Answer>> {
        let (mut collisions, mut races, mut reconnects) = (COLLISIONS, RACES, RECONNECTS);
        let mut in_doubt = None;
        loop {
            let started = Instant::now();
            let tell = |outcome| self.tell(jobs.len(), started, outcome);
            let failure = match self.writer.write(jobs).await {
                Ok(answers) => {
                    tell(BatchOutcome::Committed);
                    return Ok(answers);
                }
                Err(Failure::InDoubt(answers, error)) => {
                    in_doubt = Some(answers);
                    Failure::Disconnected(error)
                }
                Err(failure) => failure,
            };
            // Asked after every later failure as well: a COMMIT that was still on its way when we first asked makes
            // the repeated rows collide with their own.
            if let Some(answers) = in_doubt.take() {
                if let Ok(true) = self.writer.is_written(&answers).await {
                    tell(BatchOutcome::Committed);
                    return Ok(answers);
                }
                in_doubt = Some(answers);
            }
            let left = match &failure {
                Failure::Collision(_) => &mut collisions,
                Failure::Overtaken(_) => &mut races,
                Failure::Disconnected(_) | Failure::InDoubt(..) => &mut reconnects,
                Failure::Refused(_) => &mut 0,
            };
            if *left == 0 {
                let split = may_split && matches!(failure, Failure::Refused(_));
                tell(if split { BatchOutcome::Split } else { BatchOutcome::Failed });
                return Err(failure);
            }
            *left -= 1;
            tell(BatchOutcome::Retried);
        }
    }

    fn tell(&self, jobs: usize, started: Instant, outcome: BatchOutcome) {
        self.observer.tell(&BatchReport { jobs, duration: started.elapsed(), outcome });
    }
}

impl<A> From<Failure<A>> for StorageError {
    fn from(failure: Failure<A>) -> Self {
        match failure {
            Failure::Collision(error)
            | Failure::Overtaken(error)
            | Failure::Disconnected(error)
            | Failure::InDoubt(_, error)
            | Failure::Refused(error) => error,
        }
    }
}

#[cfg(test)]
mod tests;
