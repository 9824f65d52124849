use std::collections::BTreeSet;

use tokio::sync::Semaphore;
use tokio::task::yield_now;
use uuid::Uuid;

use super::*;

/// What the database does with a transaction.
#[derive(Clone, Copy, Debug)]
enum Reply {
    Collision,
    Overtaken,
    Disconnected,
    /// COMMIT is carried out, but its answer is lost.
    LostButDone,
    /// COMMIT is lost on its way.
    Lost,
    Panic,
}

/// A database in memory. A job is a number; those in `bad` are refused.
#[derive(Default)]
struct Memory {
    replies: VecDeque<Reply>,
    bad: BTreeSet<u32>,
    transactions: Vec<Vec<u32>>,
    rows: BTreeSet<u32>,
}

#[derive(Clone)]
struct Writer {
    memory: Arc<Mutex<Memory>>,
    /// One permit for each transaction that may go on.
    gate: Arc<Semaphore>,
}

impl Writer {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let memory = Memory { replies: replies.into_iter().collect(), ..Memory::default() };
        Self { memory: Arc::new(Mutex::new(memory)), gate: Arc::new(Semaphore::new(0)) }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // A test's panic poisons it.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) {
        self.gate.add_permits(10_000);
    }
}

fn error() -> StorageError {
    StorageError::Driver { code: "test".to_owned() }
}

impl BatchWriter for Writer {
    type Job = u32;
    type Answer = u32;

    async fn write(&self, jobs: &[u32]) -> Result<Vec<u32>, Failure<u32>> {
        self.memory().transactions.push(jobs.to_vec());
        self.gate.acquire().await.unwrap().forget();
        let mut memory = self.memory();
        let answers: Vec<u32> = jobs.iter().map(|job| job * 10).collect();
        let reply = memory.replies.pop_front();
        match reply {
            Some(Reply::Collision) => return Err(Failure::Collision(StorageError::Busy)),
            Some(Reply::Overtaken) => return Err(Failure::Overtaken(error())),
            Some(Reply::Disconnected) => return Err(Failure::Disconnected(error())),
            Some(Reply::Lost) => return Err(Failure::InDoubt(answers, error())),
            Some(Reply::Panic) => panic!("a test's panic"),
            Some(Reply::LostButDone) | None => {}
        }
        if jobs.iter().any(|job| memory.bad.contains(job)) {
            return Err(Failure::Refused(error()));
        }
        if jobs.iter().any(|job| !memory.rows.insert(*job)) {
            return Err(Failure::Overtaken(error()));
        }
        match reply {
            None => Ok(answers),
            Some(_) => Err(Failure::InDoubt(answers, error())),
        }
    }

    async fn is_written(&self, answers: &[u32]) -> Result<bool, StorageError> {
        Ok(answers.iter().any(|answer| self.memory().rows.contains(&(answer / 10))))
    }
}

struct Test {
    writer: Writer,
    batcher: Arc<Batcher<Writer>>,
    reports: Arc<Mutex<Vec<(usize, BatchOutcome)>>>,
}

impl Test {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let writer = Writer::new(replies);
        let reports = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&reports);
        let observer = BatchObserver::new(move |report| seen.lock().unwrap().push((report.jobs, report.outcome)));
        Self { batcher: Arc::new(Batcher::start(writer.clone(), 1, observer)), writer, reports }
    }

    fn submit(&self, tenant: u8, job: u32) -> JoinHandle<Outcome<u32>> {
        let batcher = Arc::clone(&self.batcher);
        tokio::spawn(async move { batcher.submit(tenant_of(tenant), 0, job).await })
    }

    /// Queues the jobs of a tenant, in order.
    async fn submit_all(&self, tenant: u8, jobs: impl IntoIterator<Item = u32>) -> Vec<JoinHandle<Outcome<u32>>> {
        let submitted = jobs.into_iter().map(|job| self.submit(tenant, job)).collect();
        self.settle().await;
        submitted
    }

    /// Lets every task go as far as it can: the runtime has one thread and takes turns.
    async fn settle(&self) {
        for _ in 0..200 {
            yield_now().await;
        }
    }

    /// Holds the lane with a transaction that waits at the gate.
    async fn busy_lane(&self) -> JoinHandle<Outcome<u32>> {
        let first = self.submit(99, 1);
        self.settle().await;
        assert_eq!(self.transactions(), [[1]]);
        first
    }

    fn transactions(&self) -> Vec<Vec<u32>> {
        self.writer.memory().transactions.clone()
    }

    fn outcomes(&self) -> Vec<BatchOutcome> {
        self.reports.lock().unwrap().iter().map(|(_, outcome)| *outcome).collect()
    }
}

fn tenant_of(number: u8) -> TenantId {
    Uuid::from_bytes([number; 16]).into()
}

/// The outcomes as words, to compare them.
async fn outcomes(submitted: Vec<JoinHandle<Outcome<u32>>>) -> Vec<Result<u32, &'static str>> {
    let mut outcomes = Vec::new();
    for task in submitted {
        outcomes.push(task.await.unwrap().map_err(|reason| match reason {
            NotWritten::Overloaded => "overloaded",
            NotWritten::Storage(_) => "storage",
        }));
    }
    outcomes
}

#[tokio::test]
async fn the_next_batch_collects_while_one_is_written() {
    let test = Test::new([]);
    let first = test.busy_lane().await;
    let rest = test.submit_all(1, 2..6).await;
    assert_eq!(test.transactions(), [[1]]);
    test.writer.open();
    assert_eq!(outcomes(vec![first]).await, [Ok(10)]);
    assert_eq!(outcomes(rest).await, [Ok(20), Ok(30), Ok(40), Ok(50)]);
    assert_eq!(test.transactions(), [vec![1], vec![2, 3, 4, 5]]);
    assert_eq!(*test.reports.lock().unwrap(), [(1, BatchOutcome::Committed), (4, BatchOutcome::Committed)]);
}

#[tokio::test]
async fn tenants_take_turns_and_batches_are_bounded() {
    let test = Test::new([]);
    let first = test.busy_lane().await;
    let busy = test.submit_all(1, 1_000..1_500).await;
    let quiet = test.submit_all(2, [2, 3]).await;
    test.writer.open();
    for all in [vec![first], busy, quiet] {
        assert!(outcomes(all).await.iter().all(Result::is_ok));
    }
    let transactions = test.transactions();
    assert_eq!(transactions[1][..5], [1_000, 2, 1_001, 3, 1_002]);
    let sizes: Vec<_> = transactions.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, LARGEST_BATCH, 502 - LARGEST_BATCH]);
}

#[tokio::test]
async fn a_full_queue_and_a_share_that_is_used_up_are_overloaded_at_once() {
    let test = Test::new([]);
    let first = test.busy_lane().await;
    let many = u32::try_from(CAPACITY).unwrap();
    let flood = test.submit_all(1, 1_000..1_000 + many).await;
    assert_eq!(test.batcher.shared.queue().total, ALONE);
    // A newcomer finds room, and then the flooding tenant is far beyond its share.
    let quiet = test.submit_all(2, [2]).await;
    assert_eq!(outcomes(vec![test.submit(1, 3)]).await, [Err("overloaded")]);
    let second_flood = test.submit_all(2, 10_000..10_000 + many).await;
    assert_eq!(test.batcher.shared.queue().total, CAPACITY - RESERVED);
    test.writer.open();
    assert_eq!(outcomes(vec![first]).await, [Ok(10)]);
    assert_eq!(outcomes(quiet).await, [Ok(20)]);
    let written = |outcomes: Vec<Result<u32, _>>| outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(written(outcomes(flood).await), ALONE);
    assert_eq!(written(outcomes(second_flood).await), CAPACITY - RESERVED - ALONE - 1);
    let queue = test.batcher.shared.queue();
    assert!(queue.total == 0 && queue.per_tenant.is_empty() && queue.lanes[0].jobs.is_empty());
}

#[tokio::test]
async fn beside_another_tenant_nobody_has_more_than_half() {
    let test = Test::new([]);
    let first = test.busy_lane().await;
    let quiet = test.submit_all(2, [2]).await;
    let flood = test.submit_all(1, 1_000..1_000 + u32::try_from(CAPACITY).unwrap()).await;
    assert_eq!(test.batcher.shared.queue().total, SHARE + 1);
    test.writer.open();
    assert_eq!(outcomes(vec![first]).await, [Ok(10)]);
    assert_eq!(outcomes(quiet).await, [Ok(20)]);
    assert_eq!(outcomes(flood).await.iter().filter(|outcome| outcome.is_ok()).count(), SHARE);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waited_too_long_is_refused_and_never_written() {
    let test = Test::new([]);
    let first = test.busy_lane().await;
    let late = test.submit_all(1, [2, 3]).await;
    tokio::time::advance(LONGEST_WAIT + Duration::from_millis(1)).await;
    let fresh = test.submit_all(1, [4]).await;
    test.writer.open();
    assert_eq!(outcomes(vec![first]).await, [Ok(10)]);
    assert_eq!(outcomes(late).await, [Err("overloaded"), Err("overloaded")]);
    assert_eq!(outcomes(fresh).await, [Ok(40)]);
    assert_eq!(test.transactions(), [[1], [4]]);
}

#[tokio::test]
async fn a_caller_that_leaves_cancels_nothing() {
    let test = Test::new([]);
    let first = test.busy_lane().await;
    let second = test.submit_all(1, [2]).await;
    first.abort();
    second.iter().for_each(JoinHandle::abort);
    test.settle().await;
    test.writer.open();
    test.batcher.stop().await;
    assert_eq!(test.writer.memory().rows, BTreeSet::from([1, 2]));
}

#[tokio::test]
async fn stopping_writes_what_is_queued_and_takes_no_more() {
    let test = Test::new([]);
    let first = test.busy_lane().await;
    let queued = test.submit_all(1, 2..500).await;
    let batcher = Arc::clone(&test.batcher);
    let stopping = tokio::spawn(async move { batcher.stop().await });
    test.settle().await;
    assert_eq!(outcomes(vec![test.submit(1, 1_000)]).await, [Err("overloaded")]);
    assert!(!stopping.is_finished());
    test.writer.open();
    stopping.await.unwrap();
    assert_eq!(outcomes(vec![first]).await, [Ok(10)]);
    assert!(outcomes(queued).await.iter().all(Result::is_ok));
    assert_eq!(test.writer.memory().rows.len(), 499);
    test.batcher.stop().await;
}

#[tokio::test]
async fn a_collision_is_tried_again_three_times() {
    let test = Test::new([Reply::Collision; 3]);
    test.writer.open();
    assert_eq!(outcomes(vec![test.submit(1, 7)]).await, [Ok(70)]);
    assert_eq!(test.transactions(), [[7]; 4]);
    let retried = BatchOutcome::Retried;
    assert_eq!(test.outcomes(), [retried, retried, retried, BatchOutcome::Committed]);

    let test = Test::new([Reply::Collision; 5]);
    test.writer.open();
    assert_eq!(outcomes(vec![test.submit(1, 7)]).await, [Err("storage")]);
    assert_eq!(test.outcomes(), [retried, retried, retried, BatchOutcome::Failed]);
}

#[tokio::test]
async fn a_broken_connection_is_tried_again_once() {
    let test = Test::new([Reply::Disconnected]);
    test.writer.open();
    assert_eq!(outcomes(vec![test.submit(1, 7)]).await, [Ok(70)]);
    let test = Test::new([Reply::Disconnected; 2]);
    test.writer.open();
    assert_eq!(outcomes(vec![test.submit(1, 7)]).await, [Err("storage")]);
    assert_eq!(test.transactions().len(), 2);
}

#[tokio::test]
async fn a_bad_job_fails_alone() {
    let test = Test::new([]);
    let first = test.busy_lane().await;
    let jobs = test.submit_all(1, 2..202).await;
    test.writer.memory().bad = BTreeSet::from([50, 150]);
    test.writer.open();
    assert_eq!(outcomes(vec![first]).await, [Ok(10)]);
    for (job, outcome) in (2..202).zip(outcomes(jobs).await) {
        let expected = if job == 50 || job == 150 { Err("storage") } else { Ok(job * 10) };
        assert_eq!(outcome, expected, "job {job}");
    }
    let failed = test.outcomes().iter().filter(|outcome| **outcome == BatchOutcome::Failed).count();
    assert_eq!(failed, 2);
}

#[tokio::test]
async fn a_database_that_refuses_everything_is_not_asked_for_ever() {
    let test = Test::new([]);
    let first = test.busy_lane().await;
    test.writer.memory().bad = (2..258).collect();
    let jobs = test.submit_all(1, 2..258).await;
    test.writer.open();
    assert_eq!(outcomes(vec![first]).await, [Ok(10)]);
    assert!(outcomes(jobs).await.iter().all(|outcome| *outcome == Err("storage")));
    let most = 2 + 2 * usize::try_from(HALVINGS).unwrap();
    assert!(test.transactions().len() <= most, "{} transactions", test.transactions().len());
}

#[tokio::test]
async fn a_lost_answer_to_commit_is_looked_up_before_anyone_is_told() {
    for (replies, transactions) in [
        // Carried out: found at once, not written again.
        (vec![Reply::LostButDone], 1),
        // Not carried out: written again.
        (vec![Reply::Lost], 2),
        (vec![Reply::Lost, Reply::Collision], 3),
    ] {
        let test = Test::new(replies.clone());
        test.writer.open();
        assert_eq!(outcomes(vec![test.submit(1, 7)]).await, [Ok(70)], "{replies:?}");
        assert_eq!(test.transactions().len(), transactions, "{replies:?}");
    }
    // Lost, and lost again: nobody is told that it worked.
    let test = Test::new([Reply::Lost, Reply::Lost]);
    test.writer.open();
    assert_eq!(outcomes(vec![test.submit(1, 7)]).await, [Err("storage")]);
    assert!(test.writer.memory().rows.is_empty());
}

#[tokio::test]
async fn a_commit_that_arrives_late_is_found_when_its_own_rows_are_in_the_way() {
    let test = Test::new([Reply::Lost, Reply::Overtaken]);
    let submitted = test.submit(1, 7);
    test.settle().await;
    test.writer.gate.add_permits(1);
    test.settle().await;
    // The second transaction waits at the gate; meanwhile the first COMMIT gets through.
    assert_eq!(test.transactions().len(), 2);
    test.writer.memory().rows.insert(7);
    test.writer.open();
    assert_eq!(outcomes(vec![submitted]).await, [Ok(70)]);
    assert_eq!(test.transactions().len(), 2);
}

#[tokio::test]
async fn a_panic_costs_one_batch_and_not_the_lane() {
    let test = Test::new([Reply::Panic]);
    test.writer.open();
    assert_eq!(outcomes(vec![test.submit(1, 7)]).await, [Err("storage")]);
    assert_eq!(outcomes(vec![test.submit(1, 8)]).await, [Ok(80)]);
}
