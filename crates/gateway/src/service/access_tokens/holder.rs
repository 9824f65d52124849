//! One app's token: who may fetch it, who waits, and when it is dead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use wxgate_crypto::Digest;
use wxgate_domain::{CredentialStatus, Timestamp};
use wxgate_wechat_client::{AccessToken, CallError};

use super::pause::Pause;

/// The part of its life after which a token is replaced, and how far apps are spread around it.
const DUE: f64 = 0.8;
const SPREAD: f64 = 0.1;

/// A token is not used in the last seconds of its life: it might end on its way.
const EN_ROUTE: Duration = Duration::from_secs(10);

/// How long a token that was called dead, and that WeChat gives all the same, is not asked about again.
const GIVEN_AGAIN: Duration = Duration::from_secs(30);

/// A token that is held, and its moments.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) token: AccessToken,
    /// From when on it is not used.
    pub(crate) until: Timestamp,
    pub(super) due: Timestamp,
}

impl Held {
    /// A token that was asked for at a moment and lives so long from then on; `chance`, from 0 to 1, spreads apps.
    pub(super) fn new(token: AccessToken, (asked_at, life): (Timestamp, Duration), chance: f64) -> Self {
        let due = life.mul_f64(DUE + SPREAD * (chance - 0.5));
        Self { token, until: asked_at.plus(life.saturating_sub(EN_ROUTE)), due: asked_at.plus(due) }
    }
}

/// How a fetch ended for those who wait: a token, or how long there will be none.
pub(super) type Outcome = Result<Arc<Held>, Duration>;

/// What is known of one app's token.
#[derive(Debug, Default)]
pub(super) struct Holder(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    held: Option<Arc<Held>>,
    /// A fetch under way.
    flight: Option<Follower>,
    pause: Option<Pause>,
    /// The last token that WeChat called dead, and until when it is believed in all the same because WeChat gave it again.
    buried: Option<(Digest, Timestamp)>,
    /// Whether somebody used the token that is held.
    used: bool,
}

/// What a caller may do.
#[derive(Debug)]
pub(super) enum Standing {
    /// Use this one.
    Held(Arc<Held>),
    /// Fetch one; everyone else waits.
    Lead(Lead, Follower),
    /// Wait for the one that is being fetched.
    Follow(Follower),
    /// Come back later.
    Paused(Duration),
}

impl Holder {
    /// What a caller may do who needs a token now.
    pub(super) fn claim(self: &Arc<Self>, credential: &CredentialStatus, now: Timestamp) -> Standing {
        let mut state = self.state();
        state.used = true;
        if let Some(held) = state.held.as_ref().filter(|held| now < held.until) {
            return Standing::Held(held.clone());
        }
        if let Some(flight) = &state.flight {
            return Standing::Follow(flight.clone());
        }
        if let Some(left) = state.pause.as_ref().and_then(|pause| pause.left(credential, now)) {
            return Standing::Paused(left);
        }
        let lead = self.lead(&mut state);
        let follower = lead.1;
        Standing::Lead(lead.0, follower)
    }

    /// The right to fetch a token in place of the one that is held, if that is due and in use.
    pub(super) fn due(self: &Arc<Self>, now: Timestamp) -> Option<Lead> {
        let mut state = self.state();
        let is_due = state.used && state.held.as_ref().is_some_and(|held| held.due <= now);
        let is_paused = state.pause.as_ref().is_some_and(|pause| pause.left_to_all(now).is_some());
        (is_due && !is_paused && state.flight.is_none()).then(|| self.lead(&mut state).0)
    }

    /// Lets go of a dead token; whether it makes sense to ask for another. What is dead was perhaps let go before, and
    /// another is held; then that is the one to use.
    pub(super) fn bury(&self, dead: &Digest, now: Timestamp) -> bool {
        let mut state = self.state();
        if !state.held.as_ref().is_some_and(|held| held.token.digest() == *dead) {
            return true;
        }
        if state.buried.as_ref().is_some_and(|(buried, until)| buried == dead && now < *until) {
            return false;
        }
        state.held = None;
        state.buried = Some((*dead, now));
        true
    }

    /// The token of this digest, if it is the one that is held.
    pub(super) fn held(&self, digest: &Digest) -> Option<Arc<Held>> {
        self.state().held.as_ref().filter(|held| held.token.digest() == *digest).cloned()
    }

    fn lead(self: &Arc<Self>, state: &mut State) -> (Lead, Follower) {
        let (sender, receiver) = watch::channel(None);
        let follower = Follower(receiver);
        state.flight = Some(follower.clone());
        (Lead { holder: self.clone(), sender, settled: false }, follower)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right, and the duty, to end a fetch. Dropped without a word, it ends as a failure that says nothing.
#[derive(Debug)]
pub(super) struct Lead {
    holder: Arc<Holder>,
    sender: watch::Sender<Option<Outcome>>,
    settled: bool,
}

impl Lead {
    /// The token that another one must take the place of, if any.
    pub(super) fn unwanted(&self) -> Option<Digest> {
        let state = self.holder.state();
        let held = state.held.as_ref().map(|held| held.token.digest());
        held.or_else(|| state.buried.as_ref().map(|(buried, _)| *buried))
    }

    /// There is a token.
    pub(super) fn settle(mut self, held: &Arc<Held>, now: Timestamp) {
        self.end(Ok(held.clone()), |state| {
            let given_again = state.buried.as_ref().is_some_and(|(buried, _)| *buried == held.token.digest());
            state.buried = given_again.then(|| (held.token.digest(), now.plus(GIVEN_AGAIN)));
            state.held = Some(held.clone());
            state.pause = None;
            state.used = false;
        });
    }

    /// There is none, for a reason that says when to ask again. What is held goes on until its end.
    pub(super) fn fail(mut self, error: &CallError, credential: &CredentialStatus, now: Timestamp) {
        let before = self.holder.state().pause.clone();
        let pause = Pause::after(error, before.as_ref(), credential, now);
        self.end_paused(pause, now);
    }

    /// Nobody asked WeChat.
    pub(super) fn postpone(mut self, now: Timestamp) {
        self.end_paused(Pause::moment(now), now);
    }

    fn end_paused(&mut self, pause: Pause, now: Timestamp) {
        let left = pause.left_to_all(now).unwrap_or_default();
        self.end(Err(left), |state| state.pause = Some(pause));
    }

    fn end(&mut self, outcome: Outcome, change: impl FnOnce(&mut State)) {
        self.settled = true;
        let mut state = self.holder.state();
        state.flight = None;
        change(&mut state);
        drop(state);
        self.sender.send_replace(Some(outcome));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !self.settled {
            self.end(Err(Duration::ZERO), |_| {});
        }
    }
}

/// Someone who waits for a fetch under way.
#[derive(Clone, Debug)]
pub(super) struct Follower(watch::Receiver<Option<Outcome>>);

impl Follower {
    /// What the fetch brought, as soon as it is known.
    pub(super) async fn outcome(mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(Duration::ZERO)),
            Err(_) => Err(Duration::ZERO),
        }
    }
}
