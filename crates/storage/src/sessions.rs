//! Sessions as they are written: logins, refreshes and ends, many in one transaction.
//!
//! Each is one job of the group commit (`group_commit.rs`); this file does a batch of them. What a login is stands in
//! `open_session.rs`, a refresh in `refresh_session.rs`, an end in `end_sessions.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use tokio::time::timeout;
use wxgate_domain::{Event, TenantId};

use crate::end_sessions::EndJob;
use crate::error::StorageError;
use crate::group_commit::{BatchWriter, Batcher, Failure};
use crate::listeners::Listener;
use crate::open_session::{OpenJob, Opened, Openings, UserBlocked};
use crate::refresh_session::{NotRefreshed, RefreshJob, Turned, Turns};
use crate::repo::events;
use crate::repo::revocations::{self, NewRevocation};
use crate::sql;
use crate::storage::Core;
use crate::tx;

/// Longest time for the rows of a transaction and again for its commit, before the connection is given up. A lock is
/// waited for less long.
const LONGEST_STEP: Duration = Duration::from_secs(10);

/// What a batch tells, by tenant: in the order in which rows are locked.
#[derive(Debug, Default)]
pub(crate) struct News {
    feeds: BTreeMap<TenantId, Vec<NewRevocation>>,
    /// Those whose services want to be told of something.
    listeners: BTreeMap<TenantId, Listener>,
    events: BTreeMap<TenantId, Vec<Event>>,
}

impl News {
    /// Nothing yet. Where nobody listens it costs nothing.
    fn of(jobs: &[Job]) -> Self {
        let listeners = jobs.iter().filter_map(|job| {
            let (tenant, listener) = job.listener();
            Some((tenant, listener.cloned()?))
        });
        Self { listeners: listeners.collect(), ..Self::default() }
    }

    /// For the tenant's feed.
    pub(crate) fn feed(&mut self, tenant: TenantId, news: impl IntoIterator<Item = NewRevocation>) {
        self.feeds.entry(tenant).or_default().extend(news);
    }

    /// For the tenant's services, if they want to hear of it.
    pub(crate) fn tell(&mut self, tenant: TenantId, event: impl FnOnce() -> Event) {
        if let Some(listener) = self.listeners.get(&tenant) {
            let event = event();
            if listener.wants(&event) {
                self.events.entry(tenant).or_default().push(event);
            }
        }
    }

    /// Writes the events, and then the feeds, whose counters are locked last.
    async fn write(mut self, tx: &DatabaseTransaction, core: &Core) -> Result<Written, StorageError> {
        let mut written = Written::default();
        for (tenant, events) in &self.events {
            if let Some(listener) = self.listeners.get(tenant) {
                written.told |= events::tell(tx, core, listener.keys(), *tenant, events).await?;
            }
        }
        self.feeds.retain(|_, news| !news.is_empty());
        for (tenant, news) in &self.feeds {
            revocations::record(tx, *tenant, news, core.clock.now()).await?;
            written.fed = true;
        }
        Ok(written)
    }
}

/// Who is to be woken after the commit.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    /// There is news in feeds.
    fed: bool,
    /// There is something to tell services of.
    told: bool,
}

/// The batcher of everything that happens to sessions.
pub(crate) type SessionBatcher = Batcher<SessionWriter>;

/// What is to be written of one session, or of several of one user.
#[derive(Debug)]
pub(crate) enum Job {
    /// A login.
    Open(OpenJob),
    /// A refresh token was presented.
    Refresh(RefreshJob),
    /// Sessions are to end.
    End(EndJob),
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Answer {
    Opened(Result<Opened, UserBlocked>),
    Refreshed(Result<Turned, NotRefreshed>),
    /// How many sessions ended now.
    Ended(usize),
}

/// The one writer of sessions.
pub(crate) struct SessionWriter {
    core: Arc<Core>,
    openings: Openings,
    turns: Turns,
}

impl SessionWriter {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let backend = core.writer.get_database_backend();
        Self { core, openings: Openings::new(backend), turns: Turns::new(backend) }
    }

    /// Everything between BEGIN and COMMIT. Locks and rows follow the one order of all writers: union member, user,
    /// identity, session, tenant and app (shared), webhook (shared), revocation counter, change counter; each by key. (A new user is inserted
    /// before its membership, which refers to it; nobody else can know or lock it yet.)
    ///
    /// Beside the answers: who is to be woken.
    async fn write_rows(&self, tx: &DatabaseTransaction, jobs: &[Job]) -> Result<(Vec<Answer>, Written), StorageError> {
        let mut news = News::of(jobs);
        let mut answers: Vec<Option<Answer>> = jobs.iter().map(|_| None).collect();
        let mut answer = |index: usize, told: Answer| {
            if let Some(slot) = answers.get_mut(index) {
                *slot = Some(told);
            }
        };
        let of = |job: &Job| matches!(job, Job::Open(_));
        let opens: Vec<_> = jobs.iter().enumerate().filter(|(_, job)| of(job)).collect();
        if !opens.is_empty() {
            let logins: Vec<_> = opens.iter().filter_map(|(_, job)| job.open()).collect();
            let opened = self.openings.write(tx, &logins, &self.core, &mut news).await?;
            for ((index, _), opened) in opens.iter().zip(opened) {
                answer(*index, Answer::Opened(opened));
            }
        }
        if opens.len() < jobs.len() {
            for (index, told) in self.turns.write(tx, jobs, &self.core, &mut news).await? {
                answer(index, told);
            }
        }
        let written = news.write(tx, &self.core).await?;
        let all: Option<Vec<_>> = answers.into_iter().collect();
        let all = all.ok_or_else(|| StorageError::inconsistent("session", "id"))?;
        Ok((all, written))
    }
}

impl Job {
    fn open(&self) -> Option<&OpenJob> {
        match self {
            Self::Open(job) => Some(job),
            _ => None,
        }
    }

    /// The tenant, and whether its services want to be told of something.
    fn listener(&self) -> (TenantId, Option<&Listener>) {
        match self {
            Self::Open(job) => (job.tenant(), job.listener()),
            Self::Refresh(job) => (job.tenant(), job.listener()),
            Self::End(job) => (job.tenant, job.listener.as_ref()),
        }
    }
}

impl Answer {
    /// A statement that finds a row if the answer's write is committed; `None` if it wrote nothing.
    fn proof(&self) -> Option<(&'static str, Vec<Value>)> {
        match self {
            Self::Opened(Ok((opened, _))) => {
                Some(("SELECT 1 FROM session WHERE id = ?", vec![sql::id(opened.id.uuid())]))
            }
            // Whoever refreshed it since found our turn there.
            Self::Refreshed(Ok((refreshed, _))) if !refreshed.repeated => {
                let turn = [sql::id(refreshed.id.uuid()), sql::number(refreshed.generation)];
                Some(("SELECT 1 FROM session WHERE id = ? AND generation >= ?", turn.into()))
            }
            Self::Refreshed(Err(NotRefreshed::EndedNow(_, session))) => {
                Some(("SELECT 1 FROM session WHERE id = ? AND ended_at IS NOT NULL", vec![sql::id(session.uuid())]))
            }
            _ => None,
        }
    }
}

impl BatchWriter for SessionWriter {
    type Job = Job;
    type Answer = Answer;

    async fn write(&self, jobs: &[Job]) -> Result<Vec<Answer>, Failure<Answer>> {
        // An error drops the transaction, which rolls it back.
        let tx = in_time(tx::begin(&self.core)).await.map_err(before_commit)?;
        let (answers, written) = in_time(self.write_rows(&tx, jobs)).await.map_err(before_commit)?;
        match in_time(async { Ok(tx.commit().await?) }).await {
            Ok(()) => {
                if written.fed {
                    self.core.news.notify_one();
                }
                if written.told {
                    self.core.told.notify_one();
                }
                Ok(answers)
            }
            Err(error @ StorageError::Unavailable { .. }) => Err(Failure::InDoubt(answers, error)),
            Err(error) => Err(before_commit(error)),
        }
    }

    /// A transaction is all or nothing, so one of its rows speaks for all. Ends are written again without harm.
    async fn is_written(&self, answers: &[Answer]) -> Result<bool, StorageError> {
        let Some((text, values)) = answers.iter().find_map(Answer::proof) else {
            return Ok(!answers.iter().any(Answer::ended_something));
        };
        let found = self.core.read(|db| {
            let statement = sql::statement(db.get_database_backend(), text, values.clone());
            async move { db.query_one_raw(statement).await }
        });
        Ok(found.await?.is_some())
    }
}

impl Answer {
    fn ended_something(&self) -> bool {
        matches!(self, Self::Ended(1..) | Self::Refreshed(Err(NotRefreshed::EndedNow(..))))
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
