//! A breaker: while WeChat does not answer for an app, logins fail at once instead of queueing for two seconds each.
//!
//! It counts only calls that failed altogether. An answer of WeChat, whatever it says, is a sign of life: wrong codes,
//! which any stranger can send, never open a breaker.

use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug, PartialEq)]
enum State {
    /// Calls pass; this many in a row failed.
    Closed { failures: u32 },
    /// No call passes before this moment.
    Open { until: Instant },
    /// One call is out to see whether WeChat is back.
    Probing,
}

/// The breaker of one app.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
}

/// The right to make one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Regular,
    /// The one call while all others wait; its end decides.
    Probe,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self { state: State::Closed { failures: 0 } }
    }

    /// Whether it can be forgotten: a new one would behave the same.
    pub(crate) fn is_pristine(&self) -> bool {
        self.state == State::Closed { failures: 0 }
    }

    /// Lets a call pass, or not.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<Admission> {
        match self.state {
            State::Closed { .. } => Some(Admission::Regular),
            State::Open { until } if now >= until => {
                self.state = State::Probing;
                Some(Admission::Probe)
            }
            State::Open { .. } | State::Probing => None,
        }
    }

    /// WeChat answered, be it to a call from before the breaker opened.
    pub(crate) fn answered(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// A call failed altogether. `pause` is asked for only when the breaker opens.
    pub(crate) fn failed(
        &mut self,
        admission: Admission,
        now: Instant,
        threshold: u32,
        pause: impl FnOnce() -> Duration,
    ) {
        match (&mut self.state, admission) {
            (State::Closed { failures }, _) if failures.saturating_add(1) < threshold => *failures += 1,
            (State::Closed { .. }, _) | (State::Probing, Admission::Probe) => {
                self.state = State::Open { until: now + pause() };
            }
            // Calls from before it opened say nothing new.
            (State::Open { .. } | State::Probing, _) => {}
        }
    }

    /// A call was given up by its caller, which says nothing about WeChat. The next call is the probe then.
    pub(crate) fn abandoned(&mut self, admission: Admission, now: Instant) {
        if self.state == State::Probing && admission == Admission::Probe {
            self.state = State::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new();
        for _ in 0..3 {
            assert_eq!(breaker.admit(now), Some(Admission::Regular));
            breaker.failed(Admission::Regular, now, 3, || PAUSE);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_answer_resets_the_count() {
        let now = Instant::now();
        let mut breaker = Breaker::new();
        for _ in 0..100 {
            breaker.failed(Admission::Regular, now, 3, || PAUSE);
            breaker.failed(Admission::Regular, now, 3, || PAUSE);
            breaker.answered();
            assert!(breaker.is_pristine());
        }
        assert_eq!(opened(now).admit(now), None);
    }

    #[test]
    fn one_probe_passes_after_the_pause_and_decides() {
        let start = Instant::now();
        let later = start + PAUSE;
        let mut breaker = opened(start);
        assert_eq!(breaker.admit(start + PAUSE / 2), None);
        assert_eq!(breaker.admit(later), Some(Admission::Probe));
        assert_eq!(breaker.admit(later), None);
        breaker.failed(Admission::Probe, later, 3, || PAUSE);
        assert_eq!(breaker.admit(later), None);
        assert_eq!(breaker.admit(later + PAUSE), Some(Admission::Probe));
        breaker.answered();
        assert_eq!(breaker.admit(later), Some(Admission::Regular));
    }

    #[test]
    fn late_failures_change_nothing_and_late_answers_close() {
        let start = Instant::now();
        let mut breaker = opened(start);
        breaker.failed(Admission::Regular, start + PAUSE / 2, 3, || PAUSE);
        assert_eq!(breaker.admit(start + PAUSE), Some(Admission::Probe));
        breaker.failed(Admission::Regular, start + PAUSE, 3, || PAUSE);
        assert_eq!(breaker.state, State::Probing);
        breaker.answered();
        assert!(breaker.is_pristine());
    }

    #[test]
    fn an_abandoned_probe_hands_its_right_to_the_next_call() {
        let start = Instant::now();
        let mut breaker = opened(start);
        let later = start + PAUSE;
        assert_eq!(breaker.admit(later), Some(Admission::Probe));
        breaker.abandoned(Admission::Regular, later);
        assert_eq!(breaker.admit(later), None);
        breaker.abandoned(Admission::Probe, later);
        assert_eq!(breaker.admit(later), Some(Admission::Probe));
    }
}
