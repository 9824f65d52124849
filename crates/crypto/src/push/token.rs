//! The token of an app's pushes, and what it signs.

use sha1::{Digest as _, Sha1};

use crate::digest::constant_time_eq;
use crate::encoding;
use crate::random::Random;
use crate::secret::Secret;

/// Longest token that is read. WeChat's console takes 3 to 32 characters.
const MAX_TOKEN: usize = 128;

/// `timestamp` and `nonce` of a push, as they came in its query.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// Seconds since 1970, in decimal.
    pub timestamp: &'a str,
    /// Something that WeChat uses once.
    pub nonce: &'a str,
}

impl Stamp<'_> {
    /// The time in seconds, if it is written as WeChat writes it: ten digits.
    ///
    /// The texts are signed without separators, so a looser reading would let digits move between time and nonce.
    pub fn seconds(&self) -> Option<i64> {
        let ten_digits = self.timestamp.len() == 10 && self.timestamp.bytes().all(|byte| byte.is_ascii_digit());
        ten_digits.then(|| self.timestamp.parse().ok()).flatten()
    }
}

/// The token that an operator enters in WeChat's console. Whoever knows it can write plaintext pushes.
#[derive(Clone, Debug)]
pub struct PushToken(Secret<String>);

impl PushToken {
    /// A new token: 32 hexadecimal digits, 128 bits.
    pub fn generate(random: &Random) -> Self {
        Self(Secret::new(encoding::to_hex(random.bytes::<16>())))
    }

    /// Reads a token: 1 to 128 visible ASCII characters. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let visible = (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        visible.then(|| Self(Secret::new(text.to_owned())))
    }

    /// The token, to be sealed or shown once.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether `signature` is that of a plaintext push or of an address verification, compared in constant time. It
    /// says nothing about a body.
    pub fn signs(&self, stamp: &Stamp<'_>, signature: &str) -> bool {
        constant_time_eq(self.signature(stamp).as_bytes(), signature.as_bytes())
    }

    /// The signature of a plaintext push, as WeChat makes it.
    pub fn signature(&self, stamp: &Stamp<'_>) -> String {
        signature_over([self.expose(), stamp.timestamp, stamp.nonce])
    }

    /// Whether `msg_signature` covers this `Encrypt`, compared in constant time.
    pub fn signs_message(&self, stamp: &Stamp<'_>, encrypt: &str, msg_signature: &str) -> bool {
        constant_time_eq(self.message_signature(stamp, encrypt).as_bytes(), msg_signature.as_bytes())
    }

    /// The signature over an `Encrypt`.
    pub fn message_signature(&self, stamp: &Stamp<'_>, encrypt: &str) -> String {
        signature_over([self.expose(), stamp.timestamp, stamp.nonce, encrypt])
    }
}

impl PartialEq for PushToken {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(self.expose().as_bytes(), other.expose().as_bytes())
    }
}

impl Eq for PushToken {}

/// `lower_hex(sha1(the texts, sorted by their bytes and joined))`.
fn signature_over<const N: usize>(mut texts: [&str; N]) -> String {
    texts.sort_unstable();
    encoding::to_hex(texts.iter().fold(Sha1::new(), Sha1::chain_update).finalize())
}
