//! Answers to signed calls that were heard already.
//!
//! WeChat binds an answer to address, app and second, and not to the call: whoever stands in between could give one person's
//! phone number to another who asks in the same five minutes. No two answers have one signature, since each is salted.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use wxgate_crypto::Digest;

/// How long an answer could be given again: after that it is too old.
const REMEMBERED: i64 = 300;

/// Answers that are remembered at once; the oldest go first.
const MOST: usize = 100_000;

/// What was heard lately.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    known: HashSet<Digest>,
    oldest_first: VecDeque<(i64, Digest)>,
}

impl Heard {
    /// Whether an answer is heard for the first time; its body stands for it.
    pub(crate) fn is_new(&self, body: &[u8], now: i64) -> bool {
        let digest = Digest::sha256(body);
        // The two are changed together, and nothing in between panics.
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Answers { known, oldest_first } = &mut *answers;
        while oldest_first.len() >= MOST || oldest_first.front().is_some_and(|(at, _)| now - at > REMEMBERED) {
            let Some((_, oldest)) = oldest_first.pop_front() else { break };
            known.remove(&oldest);
        }
        let is_new = known.insert(digest);
        if is_new {
            oldest_first.push_back((now, digest));
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
        assert!(heard.is_new(b"a", 0) && heard.is_new(b"b", 1));
        assert!(!heard.is_new(b"a", 0) && !heard.is_new(b"b", 300));
        assert!(heard.is_new(b"a", 301) && !heard.is_new(b"b", 301));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let heard = Heard::default();
        for n in 0..=MOST {
            assert!(heard.is_new(&n.to_be_bytes(), 0));
        }
        assert_eq!(heard.0.lock().unwrap().known.len(), MOST);
        assert!(heard.is_new(&0_usize.to_be_bytes(), 0), "the oldest is forgotten");
    }
}
