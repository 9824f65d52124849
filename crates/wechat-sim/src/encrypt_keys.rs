//! The keys with which a mini-program and its server encrypt what they tell each other (`UserCryptoManager`).
//!
//! WeChat: getUserEncryptKey. A key lasts an hour; the server is told the last three.

use std::collections::{HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::chance::{Chance, hex};

/// How long a key lasts, in seconds.
const LIFE_S: u64 = 3_600;
/// Keys of a user that the server is told.
const TOLD: usize = 3;
/// Users whose keys are remembered.
const MAX: usize = 10_000;

/// A user of an app.
type User = (String, String);

struct Key {
    /// Base64 of 16 bytes.
    text: String,
    /// 16 characters.
    iv: String,
    version: u64,
    made_s: u64,
}

impl Key {
    /// Seconds that are left; 0 once it has expired.
    fn left_s(&self, now_s: u64) -> u64 {
        (self.made_s + LIFE_S).saturating_sub(now_s)
    }
}

/// Keys by user, newest first, and users by age.
#[derive(Default)]
pub(crate) struct EncryptKeys {
    of_user: HashMap<User, VecDeque<Key>>,
    oldest_first: VecDeque<User>,
}

impl EncryptKeys {
    /// What `getLatestUserKey` gives to the mini-program: the present key, or a new one if that has expired.
    pub(crate) fn latest(&mut self, appid: &str, openid: &str, now_s: u64, chance: &mut Chance) -> Value {
        let newest = self.present(appid, openid, now_s, chance).front();
        newest.map_or(Value::Null, |key| {
            json!({
                "encryptKey": key.text,
                "iv": key.iv,
                "version": key.version,
                "expireTime": key.left_s(now_s),
            })
        })
    }

    /// What the server is told.
    pub(crate) fn told(&mut self, appid: &str, openid: &str, now_s: u64, chance: &mut Chance) -> Vec<Value> {
        let told = |key: &Key| {
            json!({
                "encrypt_key": key.text,
                "version": key.version,
                "expire_in": key.left_s(now_s),
                "iv": key.iv,
                "create_time": key.made_s,
            })
        };
        self.present(appid, openid, now_s, chance).iter().map(told).collect()
    }

    /// A user's keys, the first of which has not expired.
    fn present(&mut self, appid: &str, openid: &str, now_s: u64, chance: &mut Chance) -> &VecDeque<Key> {
        let user = (appid.to_owned(), openid.to_owned());
        if !self.of_user.contains_key(&user) {
            if self.of_user.len() == MAX
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.of_user.remove(&oldest);
            }
            self.oldest_first.push_back(user.clone());
        }
        let keys = self.of_user.entry(user).or_default();
        if keys.front().is_none_or(|key| key.left_s(now_s) == 0) {
            let version = keys.front().map_or(1, |key| key.version + 1);
            let (text, iv) = (STANDARD.encode(chance.bytes::<16>()), hex(&chance.bytes::<8>()));
            keys.push_front(Key { text, iv, version, made_s: now_s });
            keys.truncate(TOLD);
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lasts_an_hour_and_three_are_told() {
        let (mut keys, mut chance) = (EncryptKeys::default(), Chance::from_system().unwrap());
        let first = keys.latest("wxA", "o1", 0, &mut chance);
        assert_eq!((&first["version"], &first["expireTime"]), (&json!(1), &json!(3_600)));
        assert_eq!(keys.latest("wxA", "o1", 3_599, &mut chance)["encryptKey"], first["encryptKey"]);
        for hour in 1..=3 {
            keys.latest("wxA", "o1", hour * LIFE_S, &mut chance);
        }
        let told = keys.told("wxA", "o1", 3 * LIFE_S + 10, &mut chance);
        let part = |name: &str| told.iter().map(|key| key[name].as_u64().unwrap()).collect::<Vec<_>>();
        assert_eq!((part("version"), part("expire_in")), (vec![4, 3, 2], vec![3_590, 0, 0]));
        assert_eq!(part("create_time"), [3 * LIFE_S, 2 * LIFE_S, LIFE_S]);
        assert_eq!(told[0]["iv"].as_str().unwrap().len(), 16);
        assert_eq!(keys.told("wxA", "o2", 0, &mut chance).len(), 1);
    }

    #[test]
    fn users_are_bounded() {
        let (mut keys, mut chance) = (EncryptKeys::default(), Chance::from_system().unwrap());
        for number in 0..=MAX {
            keys.latest("wxA", &number.to_string(), 0, &mut chance);
        }
        assert_eq!((keys.of_user.len(), keys.oldest_first.len()), (MAX, MAX));
    }
}
