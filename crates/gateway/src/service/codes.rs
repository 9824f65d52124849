//! What became of each login code of the last five minutes: one code never makes two sessions.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use wxgate_crypto::{Digest, KeyId, MacKey, Random};
use wxgate_domain::{AppId, OpenedSession, SessionId, TenantId, Timestamp};

use super::login::{Attempt, LoginError, Purpose};

/// How a code's exchange ended, for everyone who waits for it.
pub(crate) type Outcome = Result<Arc<OpenedSession>, LoginError>;

/// A code lives five minutes at WeChat, so this is how long it can come again.
const MEMORY: Duration = Duration::from_mins(5);

/// How long a repeated request without an Idempotency-Key is taken for the same client's.
const SAME_CLIENT: Duration = Duration::from_secs(10);

/// The codes of the last five minutes, by keyed digest. The key is this process's own: nothing of it is stored.
#[derive(Debug)]
pub(crate) struct Codes {
    key: MacKey,
    capacity: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Digest, Entry>,
    /// In the order in which they end; these may go early, for WeChat would only say the same again.
    settled: VecDeque<(Timestamp, Digest)>,
    /// Likewise; these stay.
    spent: VecDeque<(Timestamp, Digest)>,
    /// Spent codes of each app: a flood of one app's must not fill the memory of all.
    spent_by_app: HashMap<AppId, usize>,
}

#[derive(Debug)]
struct Entry {
    app: AppId,
    request: Digest,
    client: Digest,
    idempotency_key: Option<Digest>,
    purpose: Purpose,
    state: State,
}

#[derive(Debug)]
enum State {
    InFlight(Follower),
    Opened {
        session: SessionId,
        at: Timestamp,
    },
    /// WeChat refused the app, whatever the code.
    Refused(LoginError),
    Spent,
}

/// What a request with a code may do.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Exchange the code; everyone else waits.
    Lead(Lead),
    /// An identical request is exchanging it; wait for its outcome.
    Follow(Follower),
    /// The same client had it answered a moment ago with this session.
    Replay(SessionId),
    /// It was answered with this a moment ago, which no repetition changes.
    Refused(LoginError),
    /// The code is spent, or somebody else's.
    Used,
    /// Nothing more can be remembered.
    Full,
}

impl Codes {
    /// A memory for `capacity` codes.
    pub(crate) fn new(capacity: usize, random: &Random) -> Arc<Self> {
        let key = MacKey::new(KeyId::from(0), random.secret());
        Arc::new(Self { key, capacity, table: Mutex::default() })
    }

    /// Decides what a request with a code may do, and remembers the code if it may lead.
    pub(crate) fn admit(
        self: &Arc<Self>,
        tenant: TenantId,
        app: AppId,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Admission {
        let (tenant, app_id) = (tenant.uuid(), app.uuid());
        let parts: [&[u8]; 3] = [tenant.as_bytes(), app_id.as_bytes(), attempt.code.expose().as_bytes()];
        let digest = self.key.digest("login code", &parts);
        let mut table = self.table();
        table.forget_old(now);
        if let Some(entry) = table.entries.get(&digest) {
            return entry.admit(attempt, now);
        }
        if !table.has_room(app, self.capacity) {
            return Admission::Full;
        }
        let (sender, receiver) = watch::channel(None);
        let follower = Follower(receiver);
        let Attempt { request, client, idempotency_key, .. } = *attempt;
        let (purpose, state) = (attempt.purpose.clone(), State::InFlight(follower.clone()));
        table.entries.insert(digest, Entry { app, request, client, idempotency_key, purpose, state });
        Admission::Lead(Lead { codes: self.clone(), digest, sender, follower, now, settled: false })
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn admit(&self, attempt: &Attempt, now: Timestamp) -> Admission {
        let (same_client, keyed) = match attempt.idempotency_key {
            Some(key) => (self.idempotency_key == Some(key), true),
            None => (self.client == attempt.client, false),
        };
        // Whoever overheard a code must not get its session, in flight no more than afterwards. A login proves nothing, and
        // nobody gets tokens of a proof.
        if self.request != attempt.request || !same_client || self.purpose != attempt.purpose {
            return Admission::Used;
        }
        match &self.state {
            State::InFlight(follower) => Admission::Follow(follower.clone()),
            State::Opened { session, at } if keyed || now.since(*at) <= SAME_CLIENT => Admission::Replay(*session),
            State::Refused(error) => Admission::Refused(error.clone()),
            State::Opened { .. } | State::Spent => Admission::Used,
        }
    }
}

impl Table {
    fn forget_old(&mut self, now: Timestamp) {
        while let Some((_, digest)) = self.settled.pop_front_if(|(until, _)| *until <= now) {
            self.entries.remove(&digest);
        }
        while let Some((_, digest)) = self.spent.pop_front_if(|(until, _)| *until <= now) {
            if let Some(entry) = self.entries.remove(&digest)
                && let Some(count) = self.spent_by_app.get_mut(&entry.app)
            {
                *count -= 1;
                if *count == 0 {
                    self.spent_by_app.remove(&entry.app);
                }
            }
        }
    }

    fn settle(&mut self, code: Digest, state: State, until: Timestamp) {
        self.settled.push_back((until, code));
        self.entries.entry(code).and_modify(|entry| entry.state = state);
    }

    /// Makes room by letting the oldest success or refusal go.
    fn has_room(&mut self, app: AppId, capacity: usize) -> bool {
        if self.spent_by_app.get(&app).is_some_and(|count| *count >= capacity / 2) {
            return false;
        }
        if self.entries.len() < capacity {
            return true;
        }
        let oldest = self.settled.pop_front();
        oldest.is_some_and(|(_, digest)| self.entries.remove(&digest).is_some())
    }
}

/// The right, and the duty, to settle what became of a code. Dropped unsettled, the code counts as spent.
#[derive(Debug)]
pub(crate) struct Lead {
    codes: Arc<Codes>,
    digest: Digest,
    sender: watch::Sender<Option<Outcome>>,
    follower: Follower,
    now: Timestamp,
    settled: bool,
}

impl Lead {
    /// A place among those who wait for the outcome.
    pub(crate) fn follow(&self) -> Follower {
        self.follower.clone()
    }

    /// Lets the code go: it was not sent to WeChat.
    pub(crate) fn release(mut self, error: LoginError) {
        self.finish(Err(error), self.now);
    }

    /// Tells everyone who waits, and remembers.
    pub(crate) fn settle(mut self, outcome: Outcome, now: Timestamp) {
        self.finish(outcome, now);
    }

    fn finish(&mut self, outcome: Outcome, now: Timestamp) {
        self.settled = true;
        let until = now.plus(MEMORY);
        let mut table = self.codes.table();
        match &outcome {
            Err(error) if error.leaves_code_unused() => {
                table.entries.remove(&self.digest);
            }
            Ok(session) => table.settle(self.digest, State::Opened { session: session.id, at: now }, until),
            Err(error) if error.is_about_app() => {
                table.settle(self.digest, State::Refused(error.clone()), until);
            }
            Err(_) => {
                let app = table.entries.get_mut(&self.digest).map(|entry| {
                    entry.state = State::Spent;
                    entry.app
                });
                if let Some(app) = app {
                    table.spent.push_back((until, self.digest));
                    *table.spent_by_app.entry(app).or_default() += 1;
                }
            }
        }
        drop(table);
        self.sender.send_replace(Some(outcome));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !self.settled {
            self.finish(Err(LoginError::Timeout), self.now);
        }
    }
}

/// Someone who waits for the outcome of an exchange under way.
#[derive(Clone, Debug)]
pub(crate) struct Follower(watch::Receiver<Option<Outcome>>);

impl Follower {
    /// The outcome, as soon as it is known.
    pub(crate) async fn outcome(mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(LoginError::Timeout)),
            Err(_) => Err(LoginError::Timeout),
        }
    }
}

#[cfg(test)]
mod tests;
