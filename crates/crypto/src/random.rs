//! The one source of chance.

use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use crate::secret::Secret;

/// A cryptographically secure generator that is passed to whoever needs chance, so that tests can repeat it.
///
/// Clones share one state. The lock is held for the time of one ChaCha12 block.
#[derive(Clone)]
pub struct Random(Arc<Mutex<StdRng>>);

impl Random {
    /// A generator seeded once from the operating system.
    ///
    /// # Errors
    /// The operating system has no randomness to give; the process must not start.
    pub fn system() -> Result<Self, NoRandomness> {
        StdRng::try_from_rng(&mut SysRng).map(Self::from_rng).map_err(|_| NoRandomness)
    }

    /// A generator that gives the same sequence for the same seed. For tests only.
    pub fn seeded(seed: u64) -> Self {
        Self::from_rng(StdRng::seed_from_u64(seed))
    }

    fn from_rng(rng: StdRng) -> Self {
        Self(Arc::new(Mutex::new(rng)))
    }

    /// Fills the buffer with random bytes.
    pub fn fill(&self, buffer: &mut [u8]) {
        // A poisoned lock is harmless: the generator's state is valid between any two instructions.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(buffer);
    }

    /// `N` random bytes that need not stay secret: nonces, ids.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// `N` random bytes in custody: keys.
    pub fn secret<const N: usize>(&self) -> Secret<[u8; N]> {
        Secret::new(self.bytes())
    }

    /// A number that is evenly distributed in `0.0..1.0`, with 53 bits.
    pub fn fraction(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let numerator = (u64::from_be_bytes(self.bytes()) >> 11) as f64;
        numerator / 9_007_199_254_740_992.0
    }

    /// A UUIDv7 (RFC 9562 section 5.7) for the given Unix time in milliseconds; earlier than 1970 counts as 1970.
    pub fn uuid_v7(&self, unix_ms: i64) -> Uuid {
        let millis = u64::try_from(unix_ms).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random")
    }
}

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no randomness")]
pub struct NoRandomness;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_and_two_draws_differ() {
        let first = Random::seeded(7);
        let draws: [[u8; 16]; 2] = [first.bytes(), first.bytes()];
        assert_ne!(draws[0], draws[1]);
        assert_eq!(Random::seeded(7).bytes::<16>(), draws[0]);
        assert_ne!(Random::system().unwrap().bytes::<16>(), Random::system().unwrap().bytes::<16>());
    }

    #[test]
    fn ids_sort_by_time() {
        let random = Random::seeded(7);
        assert!(random.uuid_v7(1_000) < random.uuid_v7(2_000));
        assert_eq!(random.uuid_v7(1_000).get_version_num(), 7);
    }

    #[test]
    fn fractions_stay_below_one() {
        let random = Random::seeded(7);
        assert!((0..1_000).map(|_| random.fraction()).all(|f| (0.0..1.0).contains(&f)));
    }
}
