//! What becomes of one event on its way to one webhook: pure decisions over how the attempts went.
//!
//! A receiver that fails is left alone for a while, ever longer, and asked again with the oldest event, so that it gets
//! everything in its order once it is back. An event that is refused while others are taken waits for itself, so that it
//! does not hold them up.

use std::time::Duration;

use crate::event::EventKind;
use crate::ids::EventId;
use crate::time::Timestamp;

/// How long an event is tried.
pub const GIVE_UP: Duration = Duration::from_hours(24);

/// How long is remembered what became of it.
pub const REMEMBERED: Duration = Duration::from_hours(7 * 24);

/// The longest that a receiver which fails is left alone.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The longest that an event which is refused waits between two attempts.
const LONGEST_WAIT: Duration = Duration::from_mins(15);

/// The receipt of one event at one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The event.
    pub event: EventId,
    /// Its kind.
    pub kind: EventKind,
    /// When it happened.
    pub at: Timestamp,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was tried last.
    pub last_at: Option<Timestamp>,
    /// What the receiver answered then (RFC 9110 section 15).
    pub last_status: Option<u16>,
    /// What else went wrong then.
    pub last_error: Option<AttemptError>,
    /// When it is tried next, at the earliest.
    pub due_at: Option<Timestamp>,
}

/// How far one event is on its way to one webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is to be told, for the first time or again.
    Waiting,
    /// The receiver took it.
    Delivered,
    /// Given up after a day; an operator can have it told again.
    Failed,
    /// Given up because a user whom it is about was erased: nobody knows any more what it said.
    Erased,
}

impl DeliveryState {
    const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Failed, Self::Erased];

    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Erased => "erased",
        }
    }

    /// The state of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// How one attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver answered with this status.
    Answered(u16),
    /// There was no answer.
    Unanswered(AttemptError),
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptError {
    /// No connection: no address, nobody listens, no TLS.
    Unreachable,
    /// It took too long.
    Timeout,
    /// The connection broke.
    Broken,
    /// The address is one that nobody may be made to call, such as one inside the operator's network.
    Forbidden,
}

impl AttemptError {
    const ALL: [Self; 4] = [Self::Unreachable, Self::Timeout, Self::Broken, Self::Forbidden];

    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Forbidden => "forbidden",
        }
    }

    /// The error of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|error| error.as_str() == word)
    }
}

/// What an attempt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The receiver took it.
    Taken,
    /// The receiver understood, and does not take this event.
    Refused,
    /// The receiver is not well, or not there.
    Failing,
    /// The receiver says that it is there no more.
    Gone,
}

impl Attempt {
    /// What it says (Standard Webhooks, "Deliverability and reliability").
    pub fn meaning(self) -> Meaning {
        match self {
            Self::Answered(200..=299) => Meaning::Taken,
            Self::Answered(410) => Meaning::Gone,
            // Of the receiver, not of the event: a wrong secret, a route that is not there yet, too many requests.
            Self::Answered(401 | 403 | 404 | 405 | 408 | 421 | 425 | 429) => Meaning::Failing,
            Self::Answered(400..=499) => Meaning::Refused,
            Self::Answered(_) | Self::Unanswered(_) => Meaning::Failing,
        }
    }
}

/// How the deliveries to a webhook go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// Attempts that failed in a row.
    pub failures: u32,
    /// Since when.
    pub failing_since: Option<Timestamp>,
    /// Until when the receiver is left alone.
    pub paused_until: Timestamp,
}

impl Course {
    /// Whether it is time for an event that was tried least, rather than the oldest one: every other time, so that one
    /// event which makes its receiver fail does not hold up the others.
    pub fn asks_another(&self) -> bool {
        self.failures % 2 == 1
    }
}

/// One event that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// How it went.
    pub attempt: Attempt,
    /// How often it was tried, this time included.
    pub attempts: u32,
    /// Since when it waits.
    pub since: Timestamp,
    /// Now.
    pub now: Timestamp,
    /// A number of `0.0..1.0` that spreads attempts.
    pub chance: f64,
}

/// When the event is tried again; `None` if it is settled so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// How far the event is.
    pub state: DeliveryState,
    /// When it is tried again, if it is.
    pub due_at: Option<Timestamp>,
    /// How the deliveries go on.
    pub course: Course,
}

/// Decides what becomes of an event that was tried; `first` is the shortest pause after a failure.
pub fn settle(course: Course, tried: &Tried, first: Duration) -> Settled {
    let Tried { attempt, attempts, since, now, chance } = *tried;
    let well = Course { failures: 0, failing_since: None, paused_until: course.paused_until.min(now) };
    let (own, course) = match attempt.meaning() {
        Meaning::Taken => return Settled { state: DeliveryState::Delivered, due_at: None, course: well },
        // It waits until somebody enables the webhook again.
        Meaning::Gone => (now, well),
        Meaning::Refused => (now.plus(growing(first, attempts, LONGEST_WAIT, chance)), well),
        Meaning::Failing => {
            let failures = course.failures.saturating_add(1);
            let pause = now.plus(growing(first, failures, LONGEST_PAUSE, chance));
            // The first to fail may itself be the cause. Those after it wait for the receiver only.
            let own = growing(first, attempts, LONGEST_WAIT, chance);
            let own = if course.failures == 0 { now.plus(own).max(pause) } else { pause };
            let failing_since = course.failing_since.or(Some(now));
            (own, Course { failures, failing_since, paused_until: pause })
        }
    };
    if now.since(since) >= GIVE_UP {
        return Settled { state: DeliveryState::Failed, due_at: None, course };
    }
    Settled { state: DeliveryState::Waiting, due_at: Some(own), course }
}

/// `first`, doubled with every time after the first, at most `longest`, give or take a fifth.
fn growing(first: Duration, times: u32, longest: Duration, chance: f64) -> Duration {
    let doubled = first.saturating_mul(1 << times.saturating_sub(1).min(20));
    doubled.min(longest).mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
