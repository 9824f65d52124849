//! Answers to signed calls that were heard already.
//!
//! WeChat binds an answer to address, app and second, and not to the call: whoever stands in between could give one person's
//! phone number to another who asks in the same five minutes. No two answers have one signature, since each is salted.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use wxgate_crypto::Digest;

/// How long after it was written, in seconds, an answer could be given again: then it is too old.
const FRESH: i64 = 300;

/// Answers that are remembered at once; the oldest go first.
const MOST: usize = 100_000;

/// What was heard lately.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    known: HashSet<Digest>,
    /// Each with the second after which it is too old.
    oldest_first: VecDeque<(i64, Digest)>,
}

impl Heard {
    /// Whether an answer is heard for the first time; its body stands for it. Where WeChat's clock is ahead of ours, it
    /// could be given again for longer.
    pub(crate) fn is_new(&self, body: &[u8], written: i64, now: i64) -> bool {
        let digest = Digest::sha256(body);
        // The two are changed together, and nothing in between panics.
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Answers { known, oldest_first } = &mut *answers;
        while oldest_first.len() >= MOST || oldest_first.front().is_some_and(|(until, _)| now > *until) {
            let Some((_, oldest)) = oldest_first.pop_front() else { break };
            known.remove(&oldest);
        }
        let is_new = known.insert(digest);
        if is_new {
            oldest_first.push_back((written.max(now).saturating_add(FRESH), digest));
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_new_once_in_five_minutes() {
        let heard = Heard::default();
        assert!(heard.is_new(b"a", 0, 0) && heard.is_new(b"b", 0, 1));
        assert!(!heard.is_new(b"a", 0, 0) && !heard.is_new(b"b", 0, 300));
        assert!(heard.is_new(b"a", 0, 301) && !heard.is_new(b"b", 0, 301));
    }

    #[test]
    fn an_answer_from_a_clock_ahead_is_remembered_as_long_as_it_is_fresh() {
        let heard = Heard::default();
        assert!(heard.is_new(b"a", 900, 0));
        assert!(!heard.is_new(b"a", 900, 301) && !heard.is_new(b"a", 900, 1_200));
        assert!(heard.is_new(b"a", 900, 1_201));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let heard = Heard::default();
        for n in 0..=MOST {
            assert!(heard.is_new(&n.to_be_bytes(), 0, 0));
        }
        assert_eq!(heard.0.lock().unwrap().known.len(), MOST);
        assert!(heard.is_new(&0_usize.to_be_bytes(), 0, 0), "the oldest is forgotten");
    }
}
