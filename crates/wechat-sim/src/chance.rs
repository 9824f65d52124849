//! Random identifiers in the shapes that WeChat gives them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::{StdRng, SysError, SysRng};
use rand::{Rng, SeedableRng};

const LETTERS_AND_DIGITS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A generator of its own, seeded by the operating system.
pub(crate) struct Chance(StdRng);

impl Chance {
    pub(crate) fn from_system() -> Result<Self, SysError> {
        Ok(Self(StdRng::try_from_rng(&mut SysRng)?))
    }

    /// A code of `wx.login`: 32 letters and digits.
    pub(crate) fn login_code(&mut self) -> String {
        self.letters(32)
    }

    /// A code of the phone button: 64 hex digits.
    pub(crate) fn phone_code(&mut self) -> String {
        hex(&self.bytes::<32>())
    }

    /// An openid or unionid: 28 characters, the first an `o`.
    pub(crate) fn open_id(&mut self) -> String {
        format!("o{}", self.letters(27))
    }

    /// The id of a chat group.
    pub(crate) fn open_group_id(&mut self) -> String {
        format!("tG{}", self.letters(26))
    }

    /// The id of a private message.
    pub(crate) fn activity_id(&mut self) -> String {
        format!("{}_{}", self.digits(10), self.letters(24))
    }

    /// A session_key: base64 of 16 bytes.
    pub(crate) fn session_key(&mut self) -> String {
        STANDARD.encode(self.bytes::<16>())
    }

    /// An access_token: a number of two digits and 136 url-safe characters.
    pub(crate) fn access_token(&mut self) -> String {
        format!("89_{}", self.letters(136))
    }

    /// So many decimal digits.
    pub(crate) fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.0.next_u32() % 10).unwrap_or_default())).collect()
    }

    /// A mainland mobile number that no one has: 199 and eight digits.
    pub(crate) fn phone(&mut self) -> String {
        format!("199{:08}", self.0.next_u32() % 100_000_000)
    }

    /// A trace id as in `errmsg`; its first group is the Unix time.
    pub(crate) fn rid(&mut self, now_ms: u64) -> String {
        let seconds = now_ms / 1000;
        format!("{seconds:08x}-{:08x}-{:08x}", self.0.next_u32(), self.0.next_u32())
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    fn letters(&mut self, length: usize) -> String {
        let mut random = vec![0; length];
        self.0.fill_bytes(&mut random);
        // 256 is no multiple of 62: a little bias that nobody's safety rests on.
        random
            .iter()
            .filter_map(|byte| LETTERS_AND_DIGITS.get(usize::from(*byte) % LETTERS_AND_DIGITS.len()))
            .map(|letter| char::from(*letter))
            .collect()
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_those_of_wechat() {
        let mut chance = Chance::from_system().unwrap();
        assert_eq!(chance.login_code().len(), 32);
        assert_eq!(chance.phone_code().len(), 64);
        assert_eq!(chance.open_id().len(), 28);
        assert!(chance.open_id().starts_with('o'));
        assert_ne!(chance.open_id(), chance.open_id());
        let key = chance.session_key();
        assert_eq!(key.len(), 24);
        assert_eq!(STANDARD.decode(key).unwrap().len(), 16);
        assert_eq!(chance.phone().len(), 11);
        assert!(chance.rid(0x652d_44d0_u64 * 1000).starts_with("652d44d0-"));
        assert_eq!(hex(&[0, 0xab]), "00ab");
    }
}
