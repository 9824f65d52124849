//! The phone data that WeChat has made: what `checkencryptedmsg` is asked for.

use std::collections::{HashMap, VecDeque};

/// WeChat answers for three days.
const LIFE_S: u64 = 3 * 24 * 60 * 60;
/// Ciphertexts remembered.
const MAX: usize = 65_536;

/// Digests of ciphertexts, in lower-case hex, by app.
#[derive(Default)]
pub(crate) struct Genuine {
    made_s: HashMap<(String, String), u64>,
    oldest_first: VecDeque<(String, String)>,
}

impl Genuine {
    /// Remembers a ciphertext of an app, made at this moment.
    pub(crate) fn note(&mut self, appid: &str, digest: String, now_s: u64) {
        if self.made_s.len() == MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.made_s.remove(&oldest);
        }
        let key = (appid.to_owned(), digest);
        if self.made_s.insert(key.clone(), now_s).is_none() {
            self.oldest_first.push_back(key);
        }
    }

    /// When a ciphertext of this app was made, within the last three days.
    pub(crate) fn made_s(&self, appid: &str, digest: &str, now_s: u64) -> Option<u64> {
        let made_s = *self.made_s.get(&(appid.to_owned(), digest.to_owned()))?;
        (now_s.saturating_sub(made_s) < LIFE_S).then_some(made_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_days_and_one_app() {
        let mut genuine = Genuine::default();
        genuine.note("wxA", "d1".into(), 10);
        assert_eq!(genuine.made_s("wxA", "d1", 10 + LIFE_S - 1), Some(10));
        assert_eq!(genuine.made_s("wxA", "d1", 10 + LIFE_S), None);
        assert_eq!(genuine.made_s("wxB", "d1", 10), None);
        assert_eq!(genuine.made_s("wxA", "d2", 10), None);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut genuine = Genuine::default();
        for number in 0..=MAX {
            genuine.note("wxA", number.to_string(), 0);
        }
        assert_eq!(genuine.made_s.len(), MAX);
        assert_eq!(genuine.made_s("wxA", "0", 0), None);
    }
}
