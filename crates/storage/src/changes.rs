//! The log of administrative changes, and who listens to it.
//!
//! Each change takes its number from a row that stays locked until the commit, so numbers appear in their order and
//! whoever has seen one has seen all before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;
use wxgate_domain::{TenantId, Timestamp};

use crate::entity::{change, change_counter};
use crate::error::StorageError;
use crate::storage::{Core, Storage};

/// Changes that a slow receiver may be behind before it is told that it lags.
pub(crate) const BACKLOG: usize = 1_024;
/// How often the log is read.
const EVERY: Duration = Duration::from_millis(250);
/// How many changes are read at once.
const PAGE: u64 = 500;

/// Something that an administrator changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number; they have no gaps.
    pub seq: i64,
    /// The tenant it concerns.
    pub tenant: Option<TenantId>,
    /// What kind of row changed.
    pub kind: ChangeKind,
    /// The row's id, where it has a UUID.
    pub row: Option<Uuid>,
}

/// What kind of row changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A tenant: name, status, policy or epoch.
    Tenant,
    /// An app: status, secret, policy or epoch.
    App,
    /// A union group.
    UnionGroup,
    /// A user was blocked or unblocked.
    User,
    /// A tenant's signing keys.
    SigningKey,
    /// A tenant's data keys.
    DataKey,
    /// A service client: its secret or policy, or it is gone.
    ServiceClient,
    /// An audience.
    Audience,
    /// A forward-auth policy.
    ForwardAuthPolicy,
    /// Something ended, was blocked or may act again: there are new entries in the tenant's feed.
    Revocation,
    /// A tenant's webhooks: which there are, what they want to hear of.
    Webhook,
}

impl ChangeKind {
    /// Whether what is remembered with a tenant's keys is out of date.
    pub(crate) fn is_about_keys(self) -> bool {
        matches!(self, Self::DataKey | Self::Webhook)
    }

    const ALL: [Self; 11] = [
        Self::Tenant,
        Self::App,
        Self::UnionGroup,
        Self::User,
        Self::SigningKey,
        Self::DataKey,
        Self::ServiceClient,
        Self::Audience,
        Self::ForwardAuthPolicy,
        Self::Revocation,
        Self::Webhook,
    ];

    /// The word in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::App => "app",
            Self::UnionGroup => "union_group",
            Self::User => "user",
            Self::SigningKey => "signing_key",
            Self::DataKey => "data_key",
            Self::ServiceClient => "service_client",
            Self::Audience => "audience",
            Self::ForwardAuthPolicy => "forward_auth_policy",
            Self::Revocation => "revocation",
            Self::Webhook => "webhook",
        }
    }

    /// The kind of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// When the log was last read to its end, by a clock that nobody sets.
pub(crate) struct Heard {
    since: Instant,
    micros: AtomicU64,
    again: Notify,
}

impl Heard {
    /// Read at this moment.
    pub(crate) fn now() -> Self {
        Self { since: Instant::now(), micros: AtomicU64::new(0), again: Notify::new() }
    }

    /// How long ago that was.
    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed().saturating_sub(self.last())
    }

    /// It was read to its end by a reading that began at `started`.
    fn to_the_end(&self, started: Instant) {
        let micros = started.duration_since(self.since).as_micros();
        self.micros.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Release);
        self.again.notify_waiters();
    }

    /// When the last reading to the end began.
    fn last(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Acquire))
    }
}

impl Storage {
    /// The changes from now on, those of other processes too. Nothing comes before [`Storage::start`].
    ///
    /// A receiver that lags has missed changes: it must forget everything that it remembers.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.core.changes.subscribe()
    }

    /// How long ago the log of changes was last read to its end: whoever received everything until now knows all that
    /// was committed before that.
    pub fn changes_age(&self) -> Duration {
        self.core.heard.age()
    }

    /// Returns once everything that was committed before has been sent to those who receive changes; never, where the
    /// storage was not started.
    pub async fn heard_all(&self) {
        let asked = self.core.heard.since.elapsed();
        loop {
            let again = self.core.heard.again.notified();
            tokio::pin!(again);
            again.as_mut().enable();
            if self.core.heard.last() > asked {
                return;
            }
            self.core.news.notify_one();
            again.await;
        }
    }
}

/// Logs a change in the transaction that makes it.
pub(crate) async fn record(
    tx: &DatabaseTransaction,
    kind: ChangeKind,
    tenant: TenantId,
    row: Option<Uuid>,
    now: Timestamp,
) -> Result<(), StorageError> {
    record_of(tx, kind, Some(tenant), row, now).await
}

/// The same for what concerns all tenants.
pub(crate) async fn record_of(
    tx: &DatabaseTransaction,
    kind: ChangeKind,
    tenant: Option<TenantId>,
    row: Option<Uuid>,
    now: Timestamp,
) -> Result<(), StorageError> {
    let row = change::ActiveModel {
        seq: Set(next_seq(tx).await?),
        tenant_id: Set(tenant.map(TenantId::uuid)),
        kind: Set(kind.as_str().to_owned()),
        row_id: Set(row),
        at: Set(now.millis()),
    };
    change::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Raises the counter and keeps its row locked until the transaction ends.
async fn next_seq(tx: &DatabaseTransaction) -> Result<i64, StorageError> {
    use sea_orm::sea_query::{Expr, ExprTrait};
    #[expect(clippy::disallowed_methods, reason = "the counter belongs to no tenant")]
    let raise = change_counter::Entity::update_many()
        .col_expr(change_counter::Column::Seq, Expr::col(change_counter::Column::Seq).add(1));
    raise.exec(tx).await?;
    counter(tx).await
}

async fn counter<C: ConnectionTrait>(db: &C) -> Result<i64, StorageError> {
    #[expect(clippy::disallowed_methods, reason = "the counter belongs to no tenant")]
    let row = change_counter::Entity::find().one(db).await?;
    Ok(row.ok_or_else(|| StorageError::inconsistent("change_counter", "seq"))?.seq)
}

/// The number of the newest change.
pub(crate) async fn last(core: &Core) -> Result<i64, StorageError> {
    counter(&core.reader).await
}

/// Reads the log until told to stop. A failed read changes nothing: the next one continues where the last success ended.
pub(crate) async fn poll(core: Arc<Core>, mut last: i64, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut healthy = true;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = tick.tick() => {}
            () = core.news.notified() => {}
        }
        let started = Instant::now();
        let result = catch_up(&core, &mut last).await;
        if let Err(error) = &result
            && healthy
        {
            tracing::warn!(%error, "the log of changes cannot be read; caches may be up to a minute old");
        }
        if result.is_ok() {
            core.heard.to_the_end(started);
        }
        healthy = result.is_ok();
    }
}

/// Tells everyone of the changes after `last`, and moves it along.
async fn catch_up(core: &Core, last: &mut i64) -> Result<(), StorageError> {
    loop {
        let after = *last;
        let rows = core.read(|db| async move { page(&db, after).await }).await?;
        for row in &rows {
            *last = row.seq;
            // A kind that a newer version wrote means nothing to this one.
            let Some(kind) = ChangeKind::from_word(&row.kind) else { continue };
            tell(core, Change { seq: row.seq, tenant: row.tenant_id.map(TenantId::from), kind, row: row.row_id }).await;
        }
        if (rows.len() as u64) < PAGE {
            return Ok(());
        }
    }
}

async fn page<C: ConnectionTrait>(db: &C, after: i64) -> Result<Vec<change::Model>, DbErr> {
    #[expect(clippy::disallowed_methods, reason = "the log belongs to no tenant")]
    let newer = change::Entity::find().filter(change::Column::Seq.gt(after));
    newer.order_by_asc(change::Column::Seq).limit(PAGE).all(db).await
}

async fn tell(core: &Core, change: Change) {
    if change.kind.is_about_keys() {
        match change.tenant {
            Some(tenant) => core.keys.forget(tenant).await,
            None => core.keys.forget_all(),
        }
    }
    // Nobody listening is no error.
    let _ = core.changes.send(change);
}
