//! How often each service client asked, and when that is to be written down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use wxgate_domain::{AppId, ServiceClientId, Timestamp};

/// How often it is written down at most.
const EVERY: Duration = Duration::from_hours(1);

/// Tallies that are kept at once; the least used go first, and are then written down once more than they need be.
const KEPT: u64 = 20_000;

/// Who asked for what, with which outcome.
type Key = (ServiceClientId, AppId, &'static str);

/// How often each asked since it was written down.
#[derive(Clone, Debug)]
pub(super) struct Tallies(Cache<Key, Arc<Mutex<Tally>>>);

#[derive(Debug, Default)]
struct Tally {
    /// When it was written down last, or is being written down.
    written_at: Option<Timestamp>,
    /// How often it happened since then.
    since: u64,
}

/// Something that is to be written down now. Dropped without a word, it is to be written down the next time.
#[derive(Debug)]
pub(super) struct Due {
    tally: Arc<Mutex<Tally>>,
    since: u64,
    written: bool,
}

impl Default for Tallies {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(KEPT).time_to_idle(EVERY * 2).build())
    }
}

impl Tallies {
    /// Counts once more; what there is to be written down, if it is time.
    pub(super) fn count(&self, key: Key, now: Timestamp) -> Option<Due> {
        let shared = self.0.get_with(key, Arc::default);
        let mut tally = lock(&shared);
        if tally.written_at.is_some_and(|at| now.since(at) < EVERY) {
            tally.since += 1;
            return None;
        }
        tally.written_at = Some(now);
        let since = std::mem::take(&mut tally.since);
        drop(tally);
        Some(Due { tally: shared, since, written: false })
    }
}

impl Due {
    /// How often it happened meanwhile, in words.
    pub(super) fn detail(&self) -> Option<String> {
        (self.since > 0).then(|| format!("and {} times more since the last such entry of this node", self.since))
    }

    /// It is written down.
    pub(super) fn written(mut self) {
        self.written = true;
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        if !self.written {
            let mut tally = lock(&self.tally);
            tally.written_at = None;
            tally.since += self.since;
        }
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    // Numbers are whole between any two instructions that could panic.
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use wxgate_crypto::Random;

    use super::*;

    #[test]
    fn a_flood_is_written_down_once_an_hour_with_its_number() {
        let (tallies, random) = (Tallies::default(), Random::seeded(1));
        let now = Timestamp::from_millis(1_795_305_600_000);
        let client = ServiceClientId::new(&random);
        let key = || (client.clone(), AppId::from(uuid::Uuid::nil()), "done");
        assert_eq!(tallies.count(key(), now).unwrap().detail(), None, "and it was not written");
        tallies.count(key(), now).unwrap().written();
        assert!((0..1_000).all(|_| tallies.count(key(), now.plus(EVERY / 2)).is_none()));
        let due = tallies.count(key(), now.plus(EVERY)).unwrap();
        assert_eq!(due.detail().unwrap(), "and 1000 times more since the last such entry of this node");
        due.written();
        assert!(tallies.count((client, AppId::from(uuid::Uuid::nil()), "refused"), now).is_some());
    }
}
