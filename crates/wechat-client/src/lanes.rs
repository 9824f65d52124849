//! One lane for each app, so that one broken or slow app never starves another.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wxgate_crypto::Random;
use wxgate_domain::WechatAppid;

use crate::breaker::{Admission, Breaker};
use crate::transport::Lost;

/// How long an open breaker stays open, up to twice that: jittered, so that apps do not probe in step.
const PAUSE: Duration = Duration::from_secs(1);
/// Lanes that are remembered although nobody is in them, for their count of failures.
const MAX_IDLE: usize = 10_000;

/// The lanes of all apps.
#[derive(Debug)]
pub(crate) struct Lanes {
    by_app: Mutex<HashMap<WechatAppid, Lane>>,
    max_in_flight: usize,
    threshold: u32,
    random: Random,
}

#[derive(Debug)]
struct Lane {
    in_flight: usize,
    breaker: Breaker,
}

impl Lanes {
    pub(crate) fn new(max_in_flight: usize, threshold: u32, random: Random) -> Self {
        Self { by_app: Mutex::default(), max_in_flight, threshold, random }
    }

    /// Takes a place in the app's lane, without waiting: whoever would wait for WeChat's slowness is better told.
    pub(crate) fn enter<'a>(&'a self, appid: &'a WechatAppid) -> Result<Pass<'a>, Lost> {
        let mut lanes = self.lock();
        let lane = match lanes.entry(appid.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Lane { in_flight: 0, breaker: Breaker::new() }),
        };
        if lane.in_flight >= self.max_in_flight {
            return Err(Lost::Overloaded);
        }
        let admission = lane.breaker.admit(Instant::now()).ok_or(Lost::Unavailable)?;
        lane.in_flight += 1;
        Ok(Pass { lanes: self, appid, admission, outcome: Outcome::Abandoned })
    }

    fn leave(&self, pass: &Pass<'_>) {
        let mut lanes = self.lock();
        let Some(lane) = lanes.get_mut(pass.appid) else { return };
        lane.in_flight = lane.in_flight.saturating_sub(1);
        let now = Instant::now();
        match pass.outcome {
            Outcome::Answered => lane.breaker.answered(),
            Outcome::Failed => lane.breaker.failed(pass.admission, now, self.threshold, || self.pause()),
            Outcome::Abandoned => lane.breaker.abandoned(pass.admission, now),
        }
        if lane.in_flight == 0 && (lane.breaker.is_pristine() || lanes.len() > MAX_IDLE) {
            lanes.remove(pass.appid);
        }
    }

    fn pause(&self) -> Duration {
        PAUSE.mul_f64(1.0 + self.random.fraction())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WechatAppid, Lane>> {
        // Nothing panics between two changes that belong together.
        self.by_app.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a call ended, as the breaker sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// WeChat answered, whatever it said.
    Answered,
    /// It failed altogether.
    Failed,
    /// It says nothing about WeChat.
    Abandoned,
}

/// A place in a lane. Dropping it gives the place back; without [`Pass::end`] the call counts as given up.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    lanes: &'a Lanes,
    appid: &'a WechatAppid,
    admission: Admission,
    outcome: Outcome,
}

impl Pass<'_> {
    /// Gives the place back and tells the breaker how the call ended.
    pub(crate) fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.lanes.leave(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(max_in_flight: usize, threshold: u32) -> Lanes {
        Lanes::new(max_in_flight, threshold, Random::seeded(1))
    }

    fn appid(number: usize) -> WechatAppid {
        format!("wx{number:016x}").parse().unwrap()
    }

    #[test]
    fn a_full_lane_leaves_the_others_alone_and_empty_lanes_are_forgotten() {
        let lanes = lanes(2, 1);
        let (one, other) = (appid(1), appid(2));
        let first = lanes.enter(&one).unwrap();
        let second = lanes.enter(&one).unwrap();
        assert_eq!(lanes.enter(&one).unwrap_err(), Lost::Overloaded);
        lanes.enter(&other).unwrap().end(Outcome::Answered);
        first.end(Outcome::Answered);
        drop(lanes.enter(&one).unwrap());
        drop(second);
        assert!(lanes.lock().is_empty());
    }

    #[test]
    fn an_open_breaker_stops_its_app_only_and_one_answer_keeps_it_closed() {
        let lanes = lanes(8, 3);
        let (broken, healthy) = (appid(1), appid(2));
        for _ in 0..2 {
            lanes.enter(&broken).unwrap().end(Outcome::Failed);
        }
        lanes.enter(&broken).unwrap().end(Outcome::Answered);
        let late = lanes.enter(&broken).unwrap();
        for _ in 0..3 {
            lanes.enter(&broken).unwrap().end(Outcome::Failed);
        }
        assert_eq!(lanes.enter(&broken).unwrap_err(), Lost::Unavailable);
        lanes.enter(&healthy).unwrap().end(Outcome::Answered);
        late.end(Outcome::Answered);
        lanes.enter(&broken).unwrap().end(Outcome::Answered);
        assert!(lanes.lock().is_empty());
    }

    #[test]
    fn the_pause_is_one_to_two_seconds() {
        let lanes = lanes(1, 1);
        let pauses: Vec<_> = (0..1_000).map(|_| lanes.pause()).collect();
        assert!(pauses.iter().all(|pause| (PAUSE..PAUSE * 2).contains(pause)));
        assert!(pauses.iter().max().unwrap().saturating_sub(*pauses.iter().min().unwrap()) > PAUSE / 2);
    }

    #[test]
    fn lanes_that_are_kept_for_their_failures_are_bounded() {
        let lanes = lanes(1, 1);
        for number in 0..MAX_IDLE + 100 {
            lanes.enter(&appid(number)).unwrap().end(Outcome::Failed);
        }
        assert_eq!(lanes.lock().len(), MAX_IDLE);
    }
}
