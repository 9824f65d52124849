//! The way in: connect, migrate, start, stop.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sea_orm::DatabaseConnection;
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wxgate_crypto::{MasterKeyRing, Random};
use wxgate_domain::{Clock, Revocation, TenantId};

use crate::audit::{self, AuditChain, AuditLog};
use crate::changes::{self, Change, Heard};
use crate::condition::{self, DatabaseCondition, InstanceCondition};
use crate::connect::{self, DatabaseUrl, Engine};
use crate::erasure_journal::ErasureJournal;
use crate::error::{StartError, StorageError};
use crate::keys::KeyCache;
use crate::repo::admin_keys::AdminKeys;
use crate::repo::apps::AllApps;
use crate::repo::audiences::AllAudiences;
use crate::repo::data_keys::Unneeded;
use crate::repo::deliveries::Deliveries;
use crate::repo::events::EventIds;
use crate::repo::forward_auth_policies::AllForwardAuthPolicies;
use crate::repo::idempotency::Creations;
use crate::repo::jobs::Jobs;
use crate::repo::master_keys::MasterKeys;
use crate::repo::nodes::Nodes;
use crate::repo::platforms::AllPlatforms;
use crate::repo::push_settings::AllPushSettings;
use crate::repo::service_clients::AllServiceClients;
use crate::repo::signing_keys::AllSigningKeys;
use crate::repo::tenants::Tenants;
use crate::repo::union_groups::AllUnionGroups;
use crate::repo::webhooks::AllWebhooks;
use crate::repo::wechat_calls::AllWechatCalls;
use crate::repo::{instance, revocations};
use crate::scope::TenantScope;
use crate::sessions::{SessionBatcher, SessionWriter};
use crate::tx::{self, Tx};
use crate::{MigrationStatus, migrate, start_check, sweep};

/// How long the connections of a pool may take to come back when storage stops.
const LONGEST_CLOSE: Duration = Duration::from_secs(5);

/// All that storage needs to be told.
#[derive(Debug)]
pub struct StorageConfig {
    /// Which database.
    pub url: DatabaseUrl,
    /// The operator's master keys.
    pub master_keys: MasterKeyRing,
    /// What the database is for.
    pub kind: InstanceKind,
    /// Where erasures are written down outside the database, if anywhere.
    pub erasure_journal: Option<ErasureJournal>,
    /// The time.
    pub clock: Clock,
    /// Chance: ids, keys, nonces.
    pub random: Random,
    /// Told of every batch.
    pub observer: BatchObserver,
}

/// What a database is for. It is written down at the first start, so that a development database never goes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceKind {
    /// Made by `wxgate dev`: simulated users, keys that were printed.
    Dev,
    /// Real users.
    Live,
}

impl InstanceKind {
    /// The word in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Live => "live",
        }
    }

    /// The kind of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Dev, Self::Live].into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for InstanceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whom to tell of batches: a gateway's metrics.
#[derive(Clone)]
pub struct BatchObserver(Arc<dyn Fn(&BatchReport) + Send + Sync>);

impl BatchObserver {
    /// An observer that calls `f` after each batch, on the batch's task: it must be quick.
    pub fn new(f: impl Fn(&BatchReport) + Send + Sync + 'static) -> Self {
        Self(Arc::new(f))
    }

    /// An observer that does nothing.
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Tells of a batch.
    pub(crate) fn tell(&self, report: &BatchReport) {
        (self.0)(report);
    }
}

impl fmt::Debug for BatchObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchObserver")
    }
}

/// How a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchReport {
    /// How many callers it served.
    pub jobs: usize,
    /// From the transaction's begin to its commit.
    pub duration: Duration,
    /// How it ended.
    pub outcome: BatchOutcome,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchOutcome {
    /// Committed.
    Committed,
    /// Rolled back, to be tried again whole: deadlock, serialisation failure, busy.
    Retried,
    /// Rolled back, to be tried again in halves.
    Split,
    /// Given up; its callers know.
    Failed,
}

/// What every part of storage works with.
pub(crate) struct Core {
    pub(crate) engine: Engine,
    /// All writing. On SQLite this is the only connection that writes.
    pub(crate) writer: DatabaseConnection,
    /// Reading outside transactions. On servers the same pool as `writer`.
    pub(crate) reader: DatabaseConnection,
    pub(crate) master_keys: MasterKeyRing,
    pub(crate) kind: InstanceKind,
    pub(crate) erasure_journal: Option<ErasureJournal>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) observer: BatchObserver,
    pub(crate) keys: KeyCache,
    pub(crate) event_ids: EventIds,
    /// Data keys that may go soon.
    pub(crate) unneeded: Unneeded,
    pub(crate) changes: broadcast::Sender<Change>,
    pub(crate) heard: Heard,
    /// This process wrote a change that is not to wait for the next look at the log.
    pub(crate) news: Notify,
    /// This process wrote something that services are to be told of.
    pub(crate) told: Notify,
}

impl Core {
    /// Runs a read, on another connection if one turns out to be broken: connections are not pinged before use.
    pub(crate) async fn read<T, E, F, R>(&self, query: F) -> Result<T, StorageError>
    where
        StorageError: From<E>,
        F: Fn(DatabaseConnection) -> R,
        R: Future<Output = Result<T, E>>,
    {
        let mut attempt = 1;
        loop {
            match query(self.reader.clone()).await.map_err(StorageError::from) {
                Err(error) if error.is_broken_connection() && attempt < tx::ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }
}

/// What runs from `start` to `stop`. Dropping it stops the tasks too, without waiting.
struct Running {
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    sessions: OnceLock<SessionBatcher>,
}

/// The database. Clones share everything.
#[derive(Clone)]
pub struct Storage {
    pub(crate) core: Arc<Core>,
    running: Arc<Running>,
}

impl Storage {
    /// Opens the pools; an SQLite file and its folder are made if there are none. No schema is needed yet.
    ///
    /// # Errors
    /// The file cannot be made, or the server cannot be reached.
    pub async fn connect(config: StorageConfig) -> Result<Self, StartError> {
        let pools = connect::open(&config.url).await?;
        let core = Core {
            engine: config.url.engine(),
            writer: pools.writer,
            reader: pools.reader,
            master_keys: config.master_keys,
            kind: config.kind,
            erasure_journal: config.erasure_journal,
            clock: config.clock,
            random: config.random,
            observer: config.observer,
            keys: KeyCache::new(),
            event_ids: EventIds::default(),
            unneeded: Unneeded::default(),
            changes: broadcast::Sender::new(changes::BACKLOG),
            heard: Heard::now(),
            news: Notify::new(),
            told: Notify::new(),
        };
        let running = Running { stop: watch::Sender::new(false), tasks: Mutex::default(), sessions: OnceLock::new() };
        Ok(Self { core: Arc::new(core), running: Arc::new(running) })
    }

    /// Applies pending migrations, one process at a time.
    ///
    /// # Errors
    /// [`StartError::SchemaAhead`] if a newer wxgate was here, [`StartError::MigrationLocked`], or the database fails.
    pub async fn migrate(&self) -> Result<(), StartError> {
        migrate::up(&self.core).await
    }

    /// Which migrations the database has and lacks. Writes nothing.
    ///
    /// # Errors
    /// The database fails.
    pub async fn migration_status(&self) -> Result<MigrationStatus, StartError> {
        Ok(MigrationStatus::of(&self.core.reader).await?)
    }

    /// Checks schema and master keys, for commands that write rows but serve nothing.
    ///
    /// # Errors
    /// What does not fit, see [`StartError`].
    pub async fn check(&self) -> Result<(), StartError> {
        start_check::usable(&self.core).await
    }

    /// Checks schema, kind and master keys, then begins to serve.
    ///
    /// # Errors
    /// What does not fit, see [`StartError`]; [`StartError::Started`] the second time.
    pub async fn start(&self) -> Result<(), StartError> {
        start_check::run(&self.core).await?;
        let last = changes::last(&self.core).await?;
        let mut tasks = self.running.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if !tasks.is_empty() || *self.running.stop.borrow() {
            return Err(StartError::Started);
        }
        self.running.sessions.get_or_init(|| {
            // SQLite has one writer. A server commits side by side, but few large batches cost less than many small ones.
            let lanes = if self.core.engine == Engine::Sqlite { 1 } else { 4 };
            SessionBatcher::start(SessionWriter::new(self.core.clone()), lanes, self.core.observer.clone())
        });
        tasks.push(tokio::spawn(changes::poll(self.core.clone(), last, self.running.stop.subscribe())));
        tasks.push(tokio::spawn(sweep::run(self.core.clone(), self.running.stop.subscribe())));
        Ok(())
    }

    /// Finishes what was begun, stops the tasks and closes the pools. Nothing works afterwards.
    pub async fn stop(&self) {
        if let Some(sessions) = self.running.sessions.get() {
            sessions.stop().await;
        }
        self.running.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.running.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if task.await.is_err() {
                tracing::error!("a background task of storage had panicked");
            }
        }
        self.close().await;
    }

    /// Readers first: with them open, SQLite's log could not be emptied into the file.
    async fn close(&self) {
        if self.core.engine == Engine::Sqlite {
            closed(&self.core.reader).await;
            self.core.empty_log().await;
        }
        closed(&self.core.writer).await;
    }

    /// How the database is, schema or not.
    ///
    /// # Errors
    /// The database fails.
    pub async fn condition(&self) -> Result<DatabaseCondition, StorageError> {
        condition::of_database(&self.core).await
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// The database fails, or has no schema.
    pub async fn instance(&self) -> Result<InstanceCondition, StorageError> {
        condition::of_instance(&self.core).await
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`], most likely.
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.core.read(|db| async move { db.ping().await }).await
    }

    /// The batcher of logins; `None` before [`Storage::start`].
    pub(crate) fn sessions(&self) -> Option<&SessionBatcher> {
        self.running.sessions.get()
    }

    /// Forgets now what is to be forgotten by now; between start and stop this happens every minute.
    ///
    /// # Errors
    /// The database fails; the next sweep continues.
    pub async fn sweep(&self) -> Result<(), StorageError> {
        sweep::once(&self.core).await
    }

    /// Everything that belongs to a tenant.
    pub fn tenant(&self, id: TenantId) -> TenantScope {
        TenantScope::new(self.clone(), id)
    }

    /// The tenants, for operators and for addresses.
    pub fn tenants(&self) -> Tenants {
        Tenants::new(self.clone())
    }

    /// The admin keys of operators and of all tenants.
    pub fn admin_keys(&self) -> AdminKeys {
        AdminKeys::new(self.clone())
    }

    /// The creations that are not to happen twice.
    pub fn creations(&self) -> Creations {
        Creations::new(self.clone())
    }

    /// The jobs of operators and of all tenants.
    pub fn jobs(&self) -> Jobs {
        Jobs::new(self.clone())
    }

    /// The master keys that the database knows of.
    pub fn master_keys(&self) -> MasterKeys {
        MasterKeys::new(self.clone())
    }

    /// The processes that serve.
    pub fn nodes(&self) -> Nodes {
        Nodes::new(self.clone())
    }

    /// What was done to what is a tenant's, or to what belongs to no tenant.
    pub fn audit(&self, tenant: Option<TenantId>) -> AuditLog {
        AuditLog::new(self.clone(), tenant)
    }

    /// How far the audit logs after this one go, at most `limit` of them, in the order of their tenants; the installation's
    /// own is the first of all.
    ///
    /// # Errors
    /// The database fails.
    pub async fn audit_heads(
        &self,
        after: Option<AuditChain>,
        limit: u64,
    ) -> Result<Vec<(AuditChain, u64)>, StorageError> {
        audit::heads(&self.core, after, limit).await
    }

    /// How the apps of all tenants take pushes.
    pub fn push_settings(&self) -> AllPushSettings {
        AllPushSettings::new(self.clone())
    }

    /// The apps of all tenants, by WeChat's appid.
    pub fn apps(&self) -> AllApps {
        AllApps::new(self.clone())
    }

    /// The union groups of all tenants, by id.
    pub fn union_groups(&self) -> AllUnionGroups {
        AllUnionGroups::new(self.clone())
    }

    /// The webhooks of all tenants, by id.
    pub fn webhooks(&self) -> AllWebhooks {
        AllWebhooks::new(self.clone())
    }

    /// What was called of WeChat.
    pub fn wechat_calls(&self) -> AllWechatCalls {
        AllWechatCalls::new(self.clone())
    }

    /// What is still to be told to the webhooks of all tenants.
    pub fn deliveries(&self) -> Deliveries {
        Deliveries::new(self.clone())
    }

    /// The audiences of all tenants, by name.
    pub fn audiences(&self) -> AllAudiences {
        AllAudiences::new(self.clone())
    }

    /// The third-party platforms of all tenants, by WeChat's appid of them.
    pub fn platforms(&self) -> AllPlatforms {
        AllPlatforms::new(self.clone())
    }

    /// The signing keys of all tenants, as rotation sees them.
    pub fn signing_keys(&self) -> AllSigningKeys {
        AllSigningKeys::new(self.clone())
    }

    /// The service clients of all tenants, by id.
    pub fn service_clients(&self) -> AllServiceClients {
        AllServiceClients::new(self.clone())
    }

    /// The forward-auth policies of all tenants, by name.
    pub fn forward_auth_policies(&self) -> AllForwardAuthPolicies {
        AllForwardAuthPolicies::new(self.clone())
    }

    /// The entries of all tenants' feeds that still matter, in the order of tenant and number, at most `limit` of them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn revocations(&self, limit: u64) -> Result<Vec<(TenantId, Revocation)>, StorageError> {
        revocations::all(&self.core, limit).await
    }

    /// Notes that this database was restored from a backup: all refresh tokens and feed cursors of before are void, and all
    /// sessions are over. The new restore epoch, or 0 for a database that never served.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the database never served.
    pub async fn restored(&self) -> Result<u32, StorageError> {
        instance::restored(&self.core).await
    }

    /// Begins a transaction of administrative writes. Nothing of it is seen before [`Tx::commit`].
    ///
    /// # Errors
    /// No connection, or SQLite's writer is busy.
    pub async fn begin(&self) -> Result<Tx, StorageError> {
        Tx::begin(self.core.clone()).await
    }
}

/// Closes a pool. A connection that does not come back keeps no process from its end: the system closes it then.
async fn closed(pool: &DatabaseConnection) {
    if timeout(LONGEST_CLOSE, pool.close_by_ref()).await.is_err() {
        tracing::warn!("a connection to the database did not come back and is left behind");
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({})", self.core.engine)
    }
}
