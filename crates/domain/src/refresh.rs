//! The refresh token: which session it continues, and which turn of it.

use wxgate_crypto::{MacKey, Secret, opaque};

use crate::ids::{SessionId, TenantId};

/// Never changes: clients, scanners and logs know our refresh tokens by it.
pub const PREFIX: &str = "wxr_";

const VERSION: u8 = 1;
const LENGTH: usize = 1 + 4 + 16 + 16 + 4;

/// What a refresh token says: the session's turn number `generation`, counted from 0.
///
/// Its text is `wxr_` + base64url(version 1, MAC key number 4, tenant 16, session 16, generation 4, MAC 16). It is
/// computed, never stored, so the same turn always has the same text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// The number of the tenant's data key that makes the MAC.
    pub mac_key: u32,
    /// The tenant.
    pub tenant: TenantId,
    /// The session it continues.
    pub session: SessionId,
    /// The turn: 0 at login, one more with each refresh.
    pub generation: u32,
}

impl RefreshToken {
    /// The token's text. `restore_epoch` is covered by the MAC, so a restored backup voids all tokens.
    pub fn mint(&self, key: &MacKey, restore_epoch: u32) -> Secret<String> {
        opaque::mint(PREFIX, &self.payload(), &restore_epoch.to_be_bytes(), key)
    }

    fn payload(&self) -> [u8; LENGTH] {
        let (tenant, session) = (self.tenant.uuid(), self.session.uuid());
        let mut payload = [0; LENGTH];
        let parts: [&[u8]; 5] = [
            &[VERSION],
            &self.mac_key.to_be_bytes(),
            tenant.as_bytes(),
            session.as_bytes(),
            &self.generation.to_be_bytes(),
        ];
        for (slot, byte) in payload.iter_mut().zip(parts.concat()) {
            *slot = byte;
        }
        payload
    }

    fn from_payload(payload: &[u8; LENGTH]) -> Option<Self> {
        let (version, rest) = payload.split_first()?;
        let (mac_key, rest) = rest.split_first_chunk::<4>()?;
        let (tenant, rest) = rest.split_first_chunk::<16>()?;
        let (session, rest) = rest.split_first_chunk::<16>()?;
        let (generation, _) = rest.split_first_chunk::<4>()?;
        (*version == VERSION).then(|| Self {
            mac_key: u32::from_be_bytes(*mac_key),
            tenant: uuid::Uuid::from_bytes(*tenant).into(),
            session: uuid::Uuid::from_bytes(*session).into(),
            generation: u32::from_be_bytes(*generation),
        })
    }
}

/// A refresh token that was read, but whose MAC is not checked yet.
#[derive(Debug)]
pub struct UnverifiedRefreshToken(opaque::Unverified<LENGTH>);

impl UnverifiedRefreshToken {
    /// Reads a token's text; `None` unless it has exactly our shape.
    pub fn parse(text: &Secret<String>) -> Option<Self> {
        opaque::Unverified::parse(PREFIX, text).map(Self)
    }

    /// What the token claims, to find its tenant and MAC key with. Trust nothing of it before [`Self::verify`].
    pub fn claimed(&self) -> Option<RefreshToken> {
        RefreshToken::from_payload(self.0.claimed())
    }

    /// The token, if this key made it in this restore epoch.
    pub fn verify(self, key: &MacKey, restore_epoch: u32) -> Option<RefreshToken> {
        RefreshToken::from_payload(&self.0.verify(&restore_epoch.to_be_bytes(), key)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wxgate_crypto::{KeyId, Random};

    use super::*;
    use crate::time::Timestamp;

    fn key(seed: u64) -> MacKey {
        MacKey::new(KeyId::from(3), Random::seeded(seed).secret())
    }

    fn token(generation: u32) -> RefreshToken {
        let random = Random::seeded(9);
        let now = Timestamp::from_millis(1);
        let (tenant, session) = (TenantId::new(now, &random), SessionId::new(now, &random));
        RefreshToken { mac_key: 3, tenant, session, generation }
    }

    proptest! {
        #[test]
        fn a_token_reads_back_under_its_key_and_epoch_only(generation: u32, epoch: u32) {
            let text = token(generation).mint(&key(1), epoch);
            let read = || UnverifiedRefreshToken::parse(&text).unwrap();
            prop_assert_eq!(read().claimed(), Some(token(generation)));
            prop_assert_eq!(read().verify(&key(1), epoch), Some(token(generation)));
            prop_assert_eq!(read().verify(&key(2), epoch), None);
            prop_assert_eq!(read().verify(&key(1), epoch.wrapping_add(1)), None);
        }
    }

    #[test]
    fn the_same_turn_has_the_same_text_and_another_turn_another() {
        let mint = |generation| token(generation).mint(&key(1), 0).expose().clone();
        assert_eq!(mint(0), mint(0));
        assert_ne!(mint(0), mint(1));
        assert!(mint(0).starts_with(PREFIX));
    }
}
