//! Opaque tokens: a prefix that says what they are, a payload, and a MAC that says they are ours.

use crate::digest::{MacKey, constant_time_eq};
use crate::encoding;
use crate::secret::Secret;

/// The MAC's length in bytes: HMAC-SHA256 cut to 128 bits.
pub const MAC_LENGTH: usize = 16;

/// Longest token that is read at all, in characters.
const MAX_LENGTH: usize = 512;

/// Makes a token: `prefix` + base64url(`payload` | MAC).
///
/// `bound` is covered by the MAC but not carried: whoever verifies must know it.
pub fn mint(prefix: &'static str, payload: &[u8], bound: &[u8], key: &MacKey) -> Secret<String> {
    let mut bytes = Vec::with_capacity(payload.len() + MAC_LENGTH);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&mac(prefix, payload, bound, key));
    Secret::new(format!("{prefix}{}", encoding::to_base64url(bytes)))
}

/// A token that was read but not yet verified: its payload may name the key to verify it with.
#[derive(Debug)]
pub struct Unverified<const N: usize> {
    prefix: &'static str,
    payload: [u8; N],
    mac: [u8; MAC_LENGTH],
}

impl<const N: usize> Unverified<N> {
    /// Reads a token of this prefix with a payload of `N` bytes; `None` for anything else, non-canonical texts too.
    pub fn parse(prefix: &'static str, token: &Secret<String>) -> Option<Self> {
        let text = token.expose();
        let body = text.strip_prefix(prefix).filter(|_| text.len() <= MAX_LENGTH)?;
        let bytes = encoding::base64url(body)?;
        let (payload, mac) = bytes.split_at_checked(N)?;
        Some(Self { prefix, payload: payload.try_into().ok()?, mac: mac.try_into().ok()? })
    }

    /// What the token claims, to find the key with; trust nothing of it before [`Unverified::verify`].
    pub fn claimed(&self) -> &[u8; N] {
        &self.payload
    }

    /// The payload, if this key made the token for the same `bound`.
    pub fn verify(self, bound: &[u8], key: &MacKey) -> Option<[u8; N]> {
        constant_time_eq(&self.mac, &mac(self.prefix, &self.payload, bound, key)).then_some(self.payload)
    }
}

fn mac(prefix: &str, payload: &[u8], bound: &[u8], key: &MacKey) -> [u8; MAC_LENGTH] {
    let digest = key.digest(prefix, &[payload, bound]);
    let mut mac = [0; MAC_LENGTH];
    mac.copy_from_slice(digest.as_bytes().split_at(MAC_LENGTH).0);
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seal::KeyId;
    use crate::{Random, Secret};

    fn key(seed: u64) -> MacKey {
        MacKey::new(KeyId::from(1), Random::seeded(seed).secret())
    }

    fn verify(token: &str, bound: &[u8], key: &MacKey) -> Option<[u8; 4]> {
        Unverified::<4>::parse("wxt_", &Secret::new(token.to_owned()))?.verify(bound, key)
    }

    #[test]
    fn a_token_is_bound_to_prefix_payload_key_and_context() {
        let token = mint("wxt_", b"abcd", b"epoch 1", &key(1)).expose().clone();
        assert_eq!(verify(&token, b"epoch 1", &key(1)), Some(*b"abcd"));
        assert_eq!(verify(&token, b"epoch 2", &key(1)), None);
        assert_eq!(verify(&token, b"epoch 1", &key(2)), None);
        assert_eq!(verify(&token.replace("wxt_", "wxr_"), b"epoch 1", &key(1)), None);
        assert_eq!(verify(&format!("{token}="), b"epoch 1", &key(1)), None);
        assert!(Unverified::<5>::parse("wxt_", &Secret::new(token)).is_none());
    }

    proptest! {
        #[test]
        fn no_other_text_verifies(text in "wxt_[A-Za-z0-9_=-]{0,40}") {
            prop_assert_eq!(verify(&text, b"epoch 1", &key(1)), None);
        }

        #[test]
        fn any_changed_character_fails(at in 4..31usize, to in "[A-Za-z0-9_-]") {
            let token = mint("wxt_", b"abcd", b"", &key(1)).expose().clone();
            let mut changed = token.clone();
            changed.replace_range(at..=at, &to);
            prop_assert_eq!(verify(&changed, b"", &key(1)).is_some(), changed == token);
        }
    }
}
