//! What ended before its tokens did: the tenant's revocation feed, followed in the background and asked on every request.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use reqwest::Url;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use wxgate_token::domain::{Clock, RevokedSet, RevokedSetFull, RevokedSubject, Timestamp};
use wxgate_token::{Issuer, RevocationPage};

use crate::builder::{BuildError, Following};
use crate::error::{Error, Unavailable};
use crate::jwks_cache::JwksCache;
use crate::verifier::Known;

mod follow;
mod page;

/// How often what has expired is forgotten. It looks at every entry.
const SWEEP: Duration = Duration::from_mins(1);

/// How far back the clock may be set before the last news count as stale.
const CLOCK_STEP: Duration = Duration::from_mins(1);

/// The feed as the verifier asks it. It is followed until this is dropped.
#[derive(Debug)]
pub(crate) struct Revocations {
    held: Arc<Held>,
    follower: AbortHandle,
}

/// What is held of the feed.
#[derive(Debug)]
pub(crate) struct Held {
    max_staleness: Duration,
    capacity: usize,
    state: RwLock<State>,
    standing: watch::Sender<Standing>,
}

#[derive(Debug)]
struct State {
    /// `None` until the first snapshot is complete.
    set: Option<RevokedSet>,
    /// When the last answer came.
    heard_at: Timestamp,
    swept_at: Timestamp,
}

/// Where the follower stands, for whoever waits for the first snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Loading,
    Loaded,
    /// What waiting does not mend.
    Failed(Unavailable),
}

impl Revocations {
    pub(crate) fn follow(
        http: reqwest::Client,
        url: Url,
        issuer: Issuer,
        feed: Following,
        keys: Arc<JwksCache>,
        clock: Clock,
    ) -> Result<Self, BuildError> {
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let state = State { set: None, heard_at: clock.now(), swept_at: clock.now() };
        let held = Arc::new(Held {
            max_staleness: feed.max_staleness,
            capacity: feed.capacity,
            state: RwLock::new(state),
            standing: watch::Sender::new(Standing::Loading),
        });
        let source = page::Source { http, url, issuer, client: feed.client, secret: feed.secret, keys, clock };
        let follower = follow::Follower::new(source, Arc::clone(&held), feed.random);
        let follower = runtime.spawn(follower.run()).abort_handle();
        Ok(Self { held, follower })
    }

    /// Waits for the first snapshot.
    pub(crate) async fn loaded(&self) -> Result<(), Unavailable> {
        let mut standing = self.held.standing.subscribe();
        let settled = standing.wait_for(|standing| *standing != Standing::Loading).await;
        match settled.as_deref() {
            Ok(Standing::Failed(unavailable)) => Err(*unavailable),
            Ok(_) => Ok(()),
            Err(_) => Err(Unavailable::FeedNotLoaded),
        }
    }

    /// Whether the token still stands, as far as anybody can say now.
    pub(crate) fn check(&self, known: &Known, now: Timestamp) -> Result<(), Error> {
        let state = self.held.read();
        let set = state.set.as_ref().ok_or(Unavailable::FeedNotLoaded)?;
        if now.since(state.heard_at) > self.held.max_staleness || state.heard_at > now.plus(CLOCK_STEP) {
            return Err(Unavailable::FeedStale.into());
        }
        if set.is_full() {
            return Err(Unavailable::FeedFull.into());
        }
        let claims = &known.claims;
        let revoked = set.refuses(claims.sid, known.user, known.app.as_ref(), Some(&claims.tenant), &claims.kid);
        if revoked { Err(Error::Revoked) } else { Ok(()) }
    }
}

impl Drop for Revocations {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Held {
    /// A complete snapshot takes the place of whatever was there.
    fn replace(&self, set: RevokedSet, now: Timestamp) {
        *self.write() = State { set: Some(set), heard_at: now, swept_at: now };
        self.standing.send_replace(Standing::Loaded);
    }

    /// Takes in a page that came after the snapshot.
    fn apply(&self, page: &RevocationPage, now: Timestamp) -> Result<(), RevokedSetFull> {
        let mut state = self.write();
        let sweep = now.since(state.swept_at) >= SWEEP;
        if let Some(set) = state.set.as_mut() {
            if sweep {
                set.forget_expired(now);
            }
            page.entries.iter().try_for_each(|entry| set.apply(entry))?;
        }
        state.heard_at = now;
        if sweep {
            state.swept_at = now;
        }
        Ok(())
    }

    /// Tells whoever waits for the first snapshot that it will not come by itself.
    fn failed(&self, unavailable: Unavailable) {
        if self.read().set.is_none() {
            self.standing.send_replace(Standing::Failed(unavailable));
        }
    }

    /// Whether everything that this key signed is refused already.
    fn refuses_key(&self, kid: &wxgate_token::domain::Kid) -> bool {
        // A full set refuses every key, but pages must still be read to get out of it.
        self.read().set.as_ref().is_some_and(|set| !set.is_full() && set.refuses_key(kid))
    }

    // A poisoned lock is harmless: the state is valid between any two instructions.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys that a page retires.
fn retired(page: &RevocationPage) -> impl Iterator<Item = &wxgate_token::domain::Kid> {
    page.entries.iter().filter_map(|entry| match &entry.subject {
        RevokedSubject::Key(kid) => Some(kid),
        _ => None,
    })
}
