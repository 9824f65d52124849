//! The issuer's keys: read once for all who ask, kept as long as the gateway says, and never trusted for longer than an
//! hour.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use reqwest::Url;
use tokio::runtime::Handle;
use tokio::sync::watch;
use wxgate_token::VerifyingKeys;
use wxgate_token::domain::{Clock, Kid, Timestamp};

use crate::error::Unavailable;

mod fetch;

/// The longest that a set is used after it was read, also if the gateway cannot be reached.
const LONGEST: Duration = Duration::from_hours(1);

/// How soon an unknown `kid` is a reason to read the keys again. Tokens are anybody's to invent: without this pause a
/// flood of them would be a flood of requests to the gateway.
pub(crate) const COOLDOWN: Duration = Duration::from_secs(30);

/// How soon a failed read is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How far back the clock may be set before a set that was read "in the future" counts as old.
const CLOCK_STEP: Duration = Duration::from_mins(1);

/// The keys at one moment.
#[derive(Debug)]
pub(crate) struct KeySet {
    pub(crate) keys: VerifyingKeys,
    /// Grows when a key disappears: what was verified under a smaller number may be in doubt.
    pub(crate) epoch: u64,
    etag: Option<String>,
    read_at: Timestamp,
    /// For how long the gateway vouches for it.
    life: Duration,
}

impl AsRef<VerifyingKeys> for KeySet {
    fn as_ref(&self) -> &VerifyingKeys {
        &self.keys
    }
}

impl KeySet {
    /// How old it is; as old as can be if the clock was set back so far that nobody can say.
    fn age(&self, now: Timestamp) -> Duration {
        if self.read_at > now.plus(CLOCK_STEP) { Duration::MAX } else { now.since(self.read_at) }
    }
}

/// Reads and keeps the keys. One read is under way at a time, as a task of its own: callers that leave cancel nothing.
#[derive(Debug)]
pub(crate) struct JwksCache {
    http: reqwest::Client,
    url: Url,
    clock: Clock,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    set: Option<Arc<KeySet>>,
    epoch: u64,
    /// When the latest read began.
    tried_at: Option<Timestamp>,
    /// Why the latest read that ended gave no keys.
    failed: Option<Unavailable>,
    /// Open as long as a read is under way.
    flight: Option<watch::Receiver<()>>,
}

impl JwksCache {
    pub(crate) fn new(http: reqwest::Client, url: Url, clock: Clock) -> Self {
        Self { http, url, clock, state: RwLock::default() }
    }

    /// The keys to verify with now. As a rule they are at hand; in the last fifth of their life they are read anew
    /// beside, and only after it, or if there are none, the caller waits.
    pub(crate) async fn current(self: &Arc<Self>) -> Result<Arc<KeySet>, Unavailable> {
        let now = self.clock.now();
        let (set, failed) = {
            let state = self.read();
            (state.set.clone(), state.failed)
        };
        if let Some(set) = set {
            let age = set.age(now);
            if age < set.life / 5 * 4 {
                return Ok(set);
            }
            // While the gateway is down nobody waits for it as long as there are keys.
            if age < set.life || (age < LONGEST && failed.is_some()) {
                self.begin(now, RETRY);
                return Ok(set);
            }
        }
        self.landed(self.begin(now, RETRY)).await;
        self.usable()
    }

    /// Other keys than `seen`, after a token named one that is not among them; `None` if there are none. They are read
    /// again, but at most once in [`COOLDOWN`], however many tokens name however many unknown keys.
    ///
    /// # Errors
    /// They could not be read, so nobody knows whether the token's key is a new one.
    pub(crate) async fn other_than(self: &Arc<Self>, seen: &Arc<KeySet>) -> Result<Option<Arc<KeySet>>, Unavailable> {
        let other = || self.read().set.clone().filter(|set| !Arc::ptr_eq(set, seen));
        if let Some(set) = other() {
            return Ok(Some(set));
        }
        self.landed(self.begin(self.clock.now(), COOLDOWN)).await;
        match (other(), self.read().failed) {
            (None, Some(failed)) => Err(failed),
            (other, _) => Ok(other),
        }
    }

    /// Trusts a key no more, and reads the set again at once.
    pub(crate) fn retire(self: &Arc<Self>, kid: &Kid) {
        {
            let mut state = self.write();
            let Some(set) = state.set.as_deref().filter(|set| set.keys.contains(kid)) else { return };
            let mut keys = set.keys.clone();
            keys.remove(kid);
            let (read_at, life) = (set.read_at, set.life);
            state.epoch += 1;
            // Without the tag: the same document would bring the key back, a newer one must be read whole.
            let set = KeySet { keys, epoch: state.epoch, etag: None, read_at, life };
            state.set = Some(Arc::new(set));
        }
        self.begin(self.clock.now(), Duration::ZERO);
    }

    /// What there is, if it is not too old.
    fn usable(&self) -> Result<Arc<KeySet>, Unavailable> {
        let (now, state) = (self.clock.now(), self.read());
        let set = state.set.clone().filter(|set| set.age(now) < LONGEST);
        set.ok_or(state.failed.unwrap_or(Unavailable::Keys))
    }

    /// Begins to read the keys, unless somebody does already or did within `pause`. The receiver closes at the end.
    fn begin(self: &Arc<Self>, now: Timestamp, pause: Duration) -> Option<watch::Receiver<()>> {
        let runtime = Handle::try_current().ok()?;
        let mut state = self.write();
        if state.flight.is_some() {
            return state.flight.clone();
        }
        if state.tried_at.is_some_and(|tried_at| now.since(tried_at) < pause && tried_at <= now.plus(CLOCK_STEP)) {
            return None;
        }
        let (open, flight) = watch::channel(());
        let known = state.set.clone();
        state.tried_at = Some(now);
        state.flight = Some(flight.clone());
        let mut landing = Landing { cache: Arc::clone(self), landed: false, _open: open };
        runtime.spawn(async move {
            let etag = known.as_ref().and_then(|set| set.etag.as_deref());
            let fetched = fetch::keys(&landing.cache.http, &landing.cache.url, etag).await;
            landing.land(fetched, known.as_deref());
        });
        Some(flight)
    }

    async fn landed(&self, flight: Option<watch::Receiver<()>>) {
        if let Some(mut flight) = flight {
            // Nothing is ever sent: the end of the sender is the news.
            while flight.changed().await.is_ok() {}
        }
    }

    fn land(&self, fetched: Result<fetch::Fetched, fetch::FetchError>, known: Option<&KeySet>) {
        let now = self.clock.now();
        let mut state = self.write();
        match fetched {
            Ok(fetch::Fetched::New { keys, etag, life }) => {
                if state.set.as_ref().is_some_and(|old| !old.keys.are_all_in(&keys)) {
                    state.epoch += 1;
                }
                let epoch = state.epoch;
                state.set = Some(Arc::new(KeySet { keys, epoch, etag, read_at: now, life }));
                state.failed = None;
            }
            Ok(fetch::Fetched::Unchanged { life }) => {
                // Unless a key was retired meanwhile: then the tag was of more keys than are trusted.
                let same = state.set.as_ref().filter(|set| known.is_some_and(|known| known.epoch == set.epoch));
                let renewed = same.map(|set| {
                    let (keys, etag) = (set.keys.clone(), set.etag.clone());
                    Arc::new(KeySet { keys, epoch: set.epoch, etag, read_at: now, life })
                });
                if renewed.is_some() {
                    state.set = renewed;
                    state.failed = None;
                }
            }
            Err(fetch::FetchError::NoTenant) => {
                tracing::warn!(url = %self.url, "the issuer is gone: no key of it is trusted any more");
                state.epoch += 1;
                state.set = None;
                state.failed = Some(Unavailable::Tenant);
            }
            Err(error) => {
                let reason = error.to_string();
                tracing::warn!(url = %self.url, reason, "the issuer's keys could not be read");
                state.failed = Some(Unavailable::Keys);
            }
        }
    }

    // A poisoned lock is harmless: the state is valid between any two instructions.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the flight however its task ends: then the next caller may begin another, and those who wait go on.
struct Landing {
    cache: Arc<JwksCache>,
    landed: bool,
    _open: watch::Sender<()>,
}

impl Landing {
    fn land(&mut self, fetched: Result<fetch::Fetched, fetch::FetchError>, known: Option<&KeySet>) {
        self.cache.land(fetched, known);
        self.landed = true;
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut state = self.cache.write();
        state.flight = None;
        // A task that ends without a word, with its runtime for example, has read nothing.
        if !self.landed {
            state.failed = Some(Unavailable::Keys);
        }
    }
}
