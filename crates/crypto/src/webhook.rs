//! Signatures of webhooks (Standard Webhooks, "Symmetric signatures": HMAC-SHA256).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::digest::constant_time_eq;
use crate::encoding;
use crate::random::Random;
use crate::secret::Secret;

/// What a webhook's requests are signed with, and its receiver verifies them by: 24 to 64 bytes; ours have 32.
#[derive(Clone, Debug)]
pub struct WebhookSecret(Secret<Vec<u8>>);

impl WebhookSecret {
    /// What every one of them begins with, so that libraries and scanners know one.
    pub const PREFIX: &str = "whsec_";

    /// A new secret.
    pub fn generate(random: &Random) -> Self {
        Self(Secret::new(random.secret::<32>().expose().to_vec()))
    }

    /// The secret of stored bytes; `None` if there are too few of them, or too many.
    pub fn from_bytes(bytes: Secret<Vec<u8>>) -> Option<Self> {
        (24..=64).contains(&bytes.expose().len()).then_some(Self(bytes))
    }

    /// The secret of a text, `whsec_` and base64; `None` if it is none.
    pub fn parse(text: &Secret<String>) -> Option<Self> {
        let text = text.expose().trim().strip_prefix(Self::PREFIX)?;
        Self::from_bytes(Secret::new(encoding::base64(text)?))
    }

    /// The bytes, to be sealed.
    pub fn bytes(&self) -> &Secret<Vec<u8>> {
        &self.0
    }

    /// The secret, to be told once: `whsec_` and base64.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(format!("{}{}", Self::PREFIX, encoding::to_base64(self.0.expose())))
    }

    /// The signature of a message: `v1,` and the base64 of an HMAC over id, attempt's time in seconds, and body.
    #[expect(clippy::missing_panics_doc, reason = "HMAC takes keys of any length")]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", encoding::to_base64(mac.finalize().into_bytes()))
    }
}

impl PartialEq for WebhookSecret {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(self.0.expose(), other.0.expose())
    }
}

impl Eq for WebhookSecret {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference libraries of Standard Webhooks.
    #[test]
    fn the_published_example_is_signed_as_published() {
        let bytes = encoding::base64("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let secret = WebhookSecret::from_bytes(Secret::new(bytes)).unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(secret.to_text().expose(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(WebhookSecret::parse(&secret.to_text()), Some(secret));
        for wrong in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_%"] {
            assert_eq!(WebhookSecret::parse(&Secret::new(wrong.to_owned())), None, "{wrong}");
        }
    }

    #[test]
    fn a_secret_reads_back_from_its_bytes_and_is_never_short() {
        let secret = WebhookSecret::generate(&Random::seeded(7));
        let again = WebhookSecret::from_bytes(secret.bytes().clone()).unwrap();
        assert_eq!(again.sign("a", 1, b"b"), secret.sign("a", 1, b"b"));
        assert_ne!(secret.sign("a", 2, b"b"), secret.sign("a", 1, b"b"));
        assert!(WebhookSecret::from_bytes(Secret::new(vec![0; 23])).is_none());
        assert!(!format!("{secret:?}").contains(secret.to_text().expose()));
    }
}
