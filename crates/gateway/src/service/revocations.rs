//! The feed of what ended before its tokens did: signed pages for the services that follow it, and patience for those
//! that wait for news.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wxgate_crypto::Random;
use wxgate_domain::{Clock, Revocation, ServiceClient, ServiceClientId, TenantId};
use wxgate_storage::{Change, ChangeKind, FeedError, RevocationRows, Storage};
use wxgate_token::{IssueError, RevocationPage, security_event};

use super::directory::{Directory, DirectoryError, KnownTenant};
use super::revoked::Revoked;

/// Questions of one client that may wait for news at once: one for each of its nodes, and some to spare.
const WAITING_OF_CLIENT: usize = 256;

/// Questions of all clients that may wait at once.
const WAITING: usize = 8_192;

/// Of them, those of one tenant's clients.
const WAITING_OF_TENANT: usize = WAITING / 4;

/// How long news are held back for those that follow on their heels: a burst is one page for each follower, and a
/// second is what a follower is promised.
const GATHER: Duration = Duration::from_millis(30);

/// Serves the feeds of all tenants.
#[derive(Clone)]
pub(crate) struct Revocations {
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) storage: Storage,
    pub(crate) directory: Directory,
    pub(crate) revoked: Revoked,
    /// Whoever waits is answered when the process stops.
    pub(crate) stopping: CancellationToken,
    pub(crate) waiting: Waiting,
}

/// What a follower asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// Where it is; `None` for a snapshot of all that matters.
    pub(crate) after: Option<&'a str>,
    /// How long it would wait for news.
    pub(crate) wait: Duration,
    /// Entries that it takes at once.
    pub(crate) limit: u64,
}

/// Why a follower gets no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevocationsError {
    #[error("the client has no grant for this")]
    NotGranted,
    #[error("the client was removed while it waited")]
    Removed,
    #[error("the client waits too often at once")]
    TooMany,
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error("the tenant's keys cannot be read")]
    Keys(#[from] DirectoryError),
    #[error("the page was not signed: {0}")]
    Signed(#[from] IssueError),
}

impl Revocations {
    /// A signed page of the tenant's feed, at once if there is something to tell, else when there is, or when the time
    /// is over.
    ///
    /// # Errors
    /// [`RevocationsError`].
    pub(crate) async fn page(
        &self,
        tenant: &KnownTenant,
        client: &ServiceClient,
        ask: Ask<'_>,
    ) -> Result<String, RevocationsError> {
        if !client.policy.feed {
            return Err(RevocationsError::NotGranted);
        }
        let rows = self.rows(tenant.id(), &client.id, ask).await?;
        // Whoever waited may have been removed meanwhile, or have lost the grant.
        let clients = self.directory.service_clients(tenant.id()).await?;
        let known = clients.get(&client.id).ok_or(RevocationsError::Removed)?;
        if !known.client.policy.feed {
            return Err(RevocationsError::NotGranted);
        }
        self.signed(tenant, client, rows).await
    }

    async fn rows(
        &self,
        tenant: TenantId,
        client: &ServiceClientId,
        ask: Ask<'_>,
    ) -> Result<RevocationRows, RevocationsError> {
        let feed = self.storage.tenant(tenant).revocations();
        let deadline = Instant::now() + ask.wait;
        let mut turn = None;
        loop {
            // The ear before the eyes: what is written after this read is heard.
            let bell = self.waiting.bell(tenant);
            let rung = bell.notified();
            tokio::pin!(rung);
            rung.as_mut().enable();
            let rows = feed.page(ask.after, ask.limit).await?;
            // Who begins is told where it stands, also where there is nothing to tell.
            let news = !rows.entries.is_empty() || rows.more || rows.snapshot;
            if news || Instant::now() >= deadline || self.stopping.is_cancelled() {
                return Ok(rows);
            }
            if turn.is_none() {
                turn = Some(self.waiting.enter(tenant, client).ok_or(RevocationsError::TooMany)?);
            }
            tokio::select! {
                () = rung => tokio::time::sleep(GATHER).await,
                () = tokio::time::sleep_until(deadline) => {}
                () = self.stopping.cancelled() => {}
            }
        }
    }

    /// Signs a page by a key that nobody has heard to be retired, least of all from this page.
    async fn signed(
        &self,
        tenant: &KnownTenant,
        client: &ServiceClient,
        rows: RevocationRows,
    ) -> Result<String, RevocationsError> {
        let page = page(rows);
        let sign = |tenant: &KnownTenant| {
            if self.revoked.refuses_key(tenant.ring.active().kid()) {
                return Err(IssueError::RetiredKey);
            }
            let now = self.clock.now();
            security_event::sign_page(&tenant.ring, &tenant.issuer, &client.id, &page, now, &self.random)
        };
        match sign(tenant) {
            // What is known here of the keys is older than the page.
            Err(IssueError::RetiredKey) => {
                let anew = self.directory.tenant_anew(&tenant.tenant.slug).await?;
                Ok(sign(anew.as_deref().unwrap_or(tenant))?)
            }
            signed => Ok(signed?),
        }
    }

    /// Rings for those who wait when something ended. Ends when the storage stops.
    pub(crate) async fn follow(self) {
        let mut changes = self.storage.changes();
        loop {
            match changes.recv().await {
                Ok(Change { kind: ChangeKind::Revocation, tenant: Some(tenant), .. }) => self.waiting.ring(tenant),
                Ok(Change { tenant: None, .. }) | Err(RecvError::Lagged(_)) => self.waiting.ring_all(),
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}

fn page(rows: RevocationRows) -> RevocationPage {
    let RevocationRows { entries, as_of, cursor, more, snapshot } = rows;
    let seq = |entry: Option<&Revocation>| entry.map_or(0, |entry| entry.seq);
    let (first, last) = (seq(entries.first()), seq(entries.last()));
    RevocationPage { as_of, first, last, cursor, snapshot, more, entries }
}

/// Who waits for news, and how they are told.
#[derive(Clone, Default)]
pub(crate) struct Waiting {
    bells: Arc<Mutex<HashMap<TenantId, Arc<Notify>>>>,
    turns: Arc<Mutex<Turns>>,
}

#[derive(Default)]
struct Turns {
    all: usize,
    /// Of each client that waits at all, and of each tenant that has such clients.
    of: HashMap<Holder, usize>,
}

/// A tenant's client, or all of them.
type Holder = (TenantId, Option<ServiceClientId>);

impl Turns {
    fn held_by(&self, holder: &Holder) -> usize {
        self.of.get(holder).copied().unwrap_or(0)
    }
}

impl Waiting {
    /// The bell of a tenant. Bells that nobody holds go with the next one that is new.
    fn bell(&self, tenant: TenantId) -> Arc<Notify> {
        let mut bells = locked(&self.bells);
        if let Some(bell) = bells.get(&tenant) {
            return bell.clone();
        }
        bells.retain(|_, bell| Arc::strong_count(bell) > 1);
        bells.entry(tenant).or_default().clone()
    }

    fn ring(&self, tenant: TenantId) {
        if let Some(bell) = locked(&self.bells).get(&tenant) {
            bell.notify_waiters();
        }
    }

    fn ring_all(&self) {
        locked(&self.bells).values().for_each(|bell| bell.notify_waiters());
    }

    /// A turn to wait; `None` if the client, its tenant, or all clients together, have too many.
    fn enter(&self, tenant: TenantId, client: &ServiceClientId) -> Option<Turn> {
        let mut turns = locked(&self.turns);
        let holders = [(tenant, Some(client.clone())), (tenant, None)];
        let [own, of_tenant] = holders.each_ref().map(|holder| turns.held_by(holder));
        if turns.all >= WAITING || of_tenant >= WAITING_OF_TENANT || own >= WAITING_OF_CLIENT {
            return None;
        }
        turns.all += 1;
        for holder in &holders {
            *turns.of.entry(holder.clone()).or_default() += 1;
        }
        Some(Turn { turns: self.turns.clone(), holders })
    }
}

/// A client that waits. It ends when this is dropped: with the answer, also where nobody is there any more to take it, for
/// a connection that is closed in one direction may still be read from in the other.
struct Turn {
    turns: Arc<Mutex<Turns>>,
    holders: [Holder; 2],
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = locked(&self.turns);
        turns.all = turns.all.saturating_sub(1);
        for holder in &self.holders {
            if let Entry::Occupied(mut held) = turns.of.entry(holder.clone()) {
                *held.get_mut() -= 1;
                if *held.get() == 0 {
                    held.remove();
                }
            }
        }
    }
}

/// The maps are valid between any two instructions that could panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
