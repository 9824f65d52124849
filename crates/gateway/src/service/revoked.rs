//! What ended before its tokens did, in memory: the feeds of all tenants, folded, so that no token costs a read.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, watch};
use wxgate_domain::{Clock, Kid, Revocation, RevokedSet, SessionId, Slug, TenantId, Timestamp, UserId, WechatAppid};
use wxgate_storage::{Change, ChangeKind, Storage, StorageError};

/// Most entries at once; a hundred bytes each. Beyond, no token is accepted until enough of them have expired.
const CAPACITY: usize = 1_000_000;

/// How long the feeds may go unread before no token is accepted any more.
const STALE: Duration = Duration::from_secs(30);

/// How often, when nothing happens, it is noted that nothing happened.
const TICK: Duration = Duration::from_secs(1);

/// How often the expired is forgotten, in ticks: that looks at every entry.
const FORGET_EVERY: u32 = 60;

/// How long somebody waits at the most until their own deed is known here.
const PATIENCE: Duration = Duration::from_secs(1);

/// Entries read at once.
const PAGE: u64 = 1_000;

/// The entries of all tenants that still matter. Clones share them.
#[derive(Clone)]
pub(crate) struct Revoked(Arc<Shared>);

struct Shared {
    clock: Clock,
    set: RwLock<RevokedSet>,
    /// Everything that was committed before this moment stands in the set.
    complete_until: AtomicI64,
    /// Asks the follower to look at once.
    look: Notify,
    /// When its last successful look began.
    looked: watch::Sender<Instant>,
}

/// What a token says of itself, as far as it can be revoked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bearer<'a> {
    pub(crate) session: Option<SessionId>,
    pub(crate) user: Option<UserId>,
    pub(crate) app: Option<&'a WechatAppid>,
    pub(crate) tenant: Option<&'a Slug>,
    pub(crate) key: &'a Kid,
}

/// The feeds were not read for too long, or hold more than there is room for: nobody knows whom to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was revoked is not known")]
pub(crate) struct NotKnown;

impl Revoked {
    /// Reads what matters now, and what is needed to follow what comes.
    ///
    /// # Errors
    /// The database fails.
    pub(crate) async fn load(storage: Storage, clock: Clock) -> Result<(Self, Follower), StorageError> {
        // First the ear, then the eyes: what is written in between is heard.
        let changes = storage.changes();
        let set = RwLock::new(RevokedSet::new(CAPACITY));
        let complete_until = AtomicI64::new(i64::MIN);
        let (look, looked) = (Notify::new(), watch::Sender::new(Instant::now()));
        let revoked = Self(Arc::new(Shared { clock, set, complete_until, look, looked }));
        let mut follower = Follower { storage, changes, revoked: revoked.clone(), last: HashMap::new() };
        follower.reload().await?;
        Ok((revoked, follower))
    }

    /// Whether the token is revoked.
    ///
    /// # Errors
    /// [`NotKnown`]: then no token may be accepted.
    pub(crate) fn refuses(&self, bearer: &Bearer<'_>, now: Timestamp) -> Result<bool, NotKnown> {
        let complete_until = Timestamp::from_millis(self.0.complete_until.load(Ordering::Acquire));
        if now.since(complete_until) > STALE {
            return Err(NotKnown);
        }
        let set = self.0.set.read().unwrap_or_else(PoisonError::into_inner);
        if set.is_full() {
            return Err(NotKnown);
        }
        Ok(set.refuses(bearer.session, bearer.user, bearer.app, bearer.tenant, bearer.key))
    }

    /// Returns once what was committed before is known here, so that whoever is told that a session is over finds its
    /// tokens refused by this gateway. Where that takes too long it is given up: then the follower comes later.
    pub(crate) async fn settled(&self, storage: &Storage) {
        let settled = async {
            storage.heard_all().await;
            let asked = Instant::now();
            self.0.look.notify_one();
            let _ = self.0.looked.subscribe().wait_for(|began| *began >= asked).await;
        };
        let _ = tokio::time::timeout(PATIENCE, settled).await;
    }

    /// Whether a key was retired in an emergency.
    pub(crate) fn refuses_key(&self, key: &Kid) -> bool {
        self.0.set.read().unwrap_or_else(PoisonError::into_inner).refuses_key(key)
    }

    fn apply(&self, entries: &[Revocation]) {
        let mut set = self.0.set.write().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            // A set without room says so itself, and refuses everything.
            let _ = set.apply(entry);
        }
    }

    fn replace(&self, newer: RevokedSet) {
        *self.0.set.write().unwrap_or_else(PoisonError::into_inner) = newer;
    }

    /// Whether there is no room, also without what has expired.
    fn forget_expired(&self) -> bool {
        let mut set = self.0.set.write().unwrap_or_else(PoisonError::into_inner);
        set.forget_expired(self.0.clock.now());
        set.is_full()
    }

    fn is_complete_until(&self, moment: Timestamp) {
        self.0.complete_until.store(moment.millis(), Ordering::Release);
    }
}

/// Follows the feeds; one for each process.
pub(crate) struct Follower {
    storage: Storage,
    changes: Receiver<Change>,
    revoked: Revoked,
    /// The number of the last entry that was read, of each tenant that has any.
    last: HashMap<TenantId, u64>,
}

/// What is to be read again.
#[derive(Default)]
struct News {
    tenants: HashSet<TenantId>,
    /// Changes were missed, or concern everybody.
    all: bool,
}

impl News {
    fn of(&mut self, change: Change) {
        match change {
            Change { kind: ChangeKind::Revocation, tenant: Some(tenant), .. } => drop(self.tenants.insert(tenant)),
            Change { tenant: None, .. } => self.all = true,
            _ => {}
        }
    }
}

impl Follower {
    /// Follows until the storage stops.
    pub(crate) async fn follow(mut self) {
        let mut tick = tokio::time::interval(TICK);
        let mut ticks = 0_u32;
        let mut news = News::default();
        let mut well = true;
        loop {
            tokio::select! {
                change = self.changes.recv() => match change {
                    Ok(change) => news.of(change),
                    Err(RecvError::Lagged(_)) => news.all = true,
                    Err(RecvError::Closed) => return,
                },
                () = self.revoked.0.look.notified() => {}
                _ = tick.tick() => {
                    ticks = ticks.wrapping_add(1);
                    news.all |= ticks.is_multiple_of(FORGET_EVERY) && self.forget_expired();
                }
            }
            let result = self.catch_up(&mut news).await;
            if let Err(error) = &result
                && well
            {
                tracing::warn!(error.source = %error, "revocations cannot be read; soon no token will be accepted");
            }
            well = result.is_ok();
        }
    }

    /// Reads everything that there is now.
    #[cfg(test)]
    pub(crate) async fn read_all(&mut self) -> Result<(), StorageError> {
        self.reload().await
    }

    /// Reads what the news are about. What fails stays news.
    async fn catch_up(&mut self, news: &mut News) -> Result<(), StorageError> {
        let began = Instant::now();
        // The age first: what it speaks for has arrived here then.
        let heard = self.revoked.0.clock.now().minus(self.storage.changes_age());
        loop {
            match self.changes.try_recv() {
                Ok(change) => news.of(change),
                Err(TryRecvError::Lagged(_)) => news.all = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if news.all {
            self.reload().await?;
            *news = News::default();
        }
        for tenant in news.tenants.clone() {
            self.read_on(tenant).await?;
            news.tenants.remove(&tenant);
        }
        self.revoked.is_complete_until(heard);
        self.revoked.0.looked.send_replace(began);
        Ok(())
    }

    /// Whether everything must be read anew, because there was no room for something.
    fn forget_expired(&self) -> bool {
        let full = self.revoked.forget_expired();
        if full {
            tracing::error!(
                limit = CAPACITY,
                "too much was revoked at once: no token is accepted until some has expired"
            );
        }
        full
    }

    /// Reads a tenant's entries after the last one known.
    async fn read_on(&mut self, tenant: TenantId) -> Result<(), StorageError> {
        loop {
            let last = self.last.entry(tenant).or_default();
            let entries = self.storage.tenant(tenant).revocations().after(*last, PAGE).await?;
            self.revoked.apply(&entries);
            *last = entries.last().map_or(*last, |entry| entry.seq);
            if (entries.len() as u64) < PAGE {
                return Ok(());
            }
        }
    }

    /// Reads everything anew.
    async fn reload(&mut self) -> Result<(), StorageError> {
        let began = self.revoked.0.clock.now();
        // One more than fits, so that a set that is too small knows it.
        let entries = self.storage.revocations(CAPACITY as u64 + 1).await?;
        let mut set = RevokedSet::new(CAPACITY);
        let mut last = HashMap::new();
        for (tenant, entry) in &entries {
            let _ = set.apply(entry);
            last.insert(*tenant, entry.seq);
        }
        self.revoked.replace(set);
        self.last = last;
        self.revoked.is_complete_until(began);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
