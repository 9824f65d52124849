//! The follower: a snapshot, then one long poll after the other, for as long as the verifier lives.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use wxgate_token::crypto::Random;
use wxgate_token::domain::{RevokedSet, Timestamp};
use wxgate_token::verify::LEEWAY;
use wxgate_token::{RevocationPage, VerifiedPage};

use super::page::{PageError, Source};
use super::{Held, retired};
use crate::error::Unavailable;

/// The longest that the gateway is asked to wait for news.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// Between two polls, so that a storm of revocations comes in ten pages a second and not in one for each.
const GATHER: Duration = Duration::from_millis(100);

/// An answer without news that did not wait for any, so that asking again at once would only be noise.
const HASTY: Duration = Duration::from_secs(1);

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// The most pages of one snapshot: a million entries. A gateway that always says "more" is not believed for ever.
const MAX_PAGES: usize = 2_000;

pub(super) struct Follower {
    source: Source,
    held: Arc<Held>,
    random: Random,
    /// How long a poll waits for news: several fit into the time after which they are stale.
    wait: Duration,
    /// What to ask for next; `None` asks for a snapshot.
    cursor: Option<String>,
    /// The number of the last entry seen.
    last: u64,
    failures: u32,
}

impl Follower {
    pub(super) fn new(source: Source, held: Arc<Held>, random: Random) -> Self {
        let wait = LONGEST_WAIT.min(held.max_staleness / 3);
        Self { source, held, random, wait, cursor: None, last: 0, failures: 0 }
    }

    pub(super) async fn run(mut self) {
        loop {
            let began = Instant::now();
            let outcome = match self.cursor.clone() {
                Some(cursor) => self.poll(&cursor).await,
                None => self.load().await,
            };
            match outcome {
                Ok(Next::AtOnce) => self.failures = 0,
                Ok(Next::Later { news }) => {
                    self.failures = 0;
                    let hasty = !news && began.elapsed() < HASTY;
                    sleep(if hasty { HASTY } else { GATHER }).await;
                }
                Err(error) => self.recover(error).await,
            }
        }
    }

    /// Loads a snapshot beside what is held, and puts it in its place when it is whole.
    async fn load(&mut self) -> Result<Next, PageError> {
        let mut set = RevokedSet::new(self.held.capacity);
        let (mut cursor, mut last) = (None::<String>, 0);
        for _ in 0..MAX_PAGES {
            let page = self.page(cursor.as_deref(), Duration::ZERO).await?;
            // The first page begins the snapshot; the pages after it may run over into what came meanwhile.
            if (cursor.is_none() && !page.snapshot) || !continues(&page, last) {
                return Err(PageError::OutOfOrder);
            }
            page.entries.iter().try_for_each(|entry| set.apply(entry)).map_err(|_| PageError::Full)?;
            retired(&page).for_each(|kid| self.source.keys.retire(kid));
            last = last.max(page.last);
            if !page.more {
                set.forget_expired(self.now());
                self.held.replace(set, self.now());
                (self.cursor, self.last) = (Some(page.cursor), last);
                return Ok(Next::AtOnce);
            }
            cursor = Some(page.cursor);
        }
        Err(PageError::OutOfOrder)
    }

    /// One long poll.
    async fn poll(&mut self, cursor: &str) -> Result<Next, PageError> {
        let page = self.page(Some(cursor), self.wait).await?;
        if page.snapshot || !continues(&page, self.last) {
            return Err(PageError::OutOfOrder);
        }
        self.held.apply(&page, self.now()).map_err(|_| PageError::Full)?;
        retired(&page).for_each(|kid| self.source.keys.retire(kid));
        self.last = self.last.max(page.last);
        let next = if page.more { Next::AtOnce } else { Next::Later { news: !page.entries.is_empty() } };
        self.cursor = Some(page.cursor);
        Ok(next)
    }

    /// A page that is verified, by a key that still stands, and new enough to count as news.
    async fn page(&self, cursor: Option<&str>, wait: Duration) -> Result<RevocationPage, PageError> {
        let VerifiedPage { page, kid } = self.source.page(cursor, wait).await?;
        let old = self.now().since(page.as_of) > self.held.max_staleness + LEEWAY;
        if old || self.held.refuses_key(&kid) { Err(PageError::OutOfOrder) } else { Ok(page) }
    }

    /// Waits before the next attempt, the longer the more have failed in a row, and never in step with other verifiers.
    async fn recover(&mut self, error: PageError) {
        let first = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        match error {
            PageError::Gone | PageError::OutOfOrder => self.cursor = None,
            PageError::Full => {
                self.cursor = None;
                self.held.failed(Unavailable::FeedFull);
            }
            PageError::Refused(_) => self.held.failed(Unavailable::FeedRefused),
            PageError::Keys(Unavailable::Tenant) => self.held.failed(Unavailable::Tenant),
            PageError::Keys(_) | PageError::Invalid(_) | PageError::NoAnswer(_) | PageError::Status { .. } => {}
        }
        let (failures, reason) = (self.failures, error.to_string());
        tracing::warn!(url = %self.source.url, failures, reason, "the revocation feed gave no page");
        // A cursor that is gone is not the gateway's trouble: the snapshot is asked for at once, but only once.
        if first && error == PageError::Gone {
            return;
        }
        let longest = FIRST_PAUSE.saturating_mul(1 << (self.failures - 1).min(10)).min(LONGEST_PAUSE);
        let asked = match error {
            PageError::Status { retry_after: Some(pause), .. } => pause.min(LONGEST_PAUSE),
            _ => Duration::ZERO,
        };
        sleep(asked + longest.mul_f64(0.5 + self.random.fraction() / 2.0)).await;
    }

    fn now(&self) -> Timestamp {
        self.source.clock.now()
    }
}

/// When to ask again.
enum Next {
    /// More is there already.
    AtOnce,
    Later {
        news: bool,
    },
}

/// Whether the page goes on where entry `last` ended. An entry that comes twice could undo what came between.
fn continues(page: &RevocationPage, last: u64) -> bool {
    page.entries.is_empty() || page.first > last
}
