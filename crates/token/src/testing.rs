//! What the tests of this crate share.

use std::sync::LazyLock;
use std::time::Duration;

use uuid::Uuid;
use wxgate_crypto::encoding;
use wxgate_domain::{
    Clock, SessionId, SigningAlgorithm, SigningKeyState, Slug, StoredSigningKey, Timestamp, UserId, WechatAppid,
};

use crate::{Grant, Issuer, KeyRing, SigningKey};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_500);
pub(crate) const APPID: &str = "wx4f4bc4dec97d474b";

static TENANT: LazyLock<Slug> = LazyLock::new(|| "acme".parse().unwrap());
static APP: LazyLock<WechatAppid> = LazyLock::new(|| APPID.parse().unwrap());

pub(crate) fn stored(algorithm: SigningAlgorithm, state: SigningKeyState, made: i64) -> StoredSigningKey {
    let key = SigningKey::generate(algorithm, Timestamp::from_millis(made)).unwrap();
    StoredSigningKey { state, ..key }
}

pub(crate) fn ring(algorithm: SigningAlgorithm) -> KeyRing {
    KeyRing::new(&[stored(algorithm, SigningKeyState::Active, 1)]).unwrap()
}

pub(crate) fn clock() -> Clock {
    Clock::manual(NOW)
}

pub(crate) fn issuer() -> Issuer {
    Issuer::new("https://auth.example.com", &TENANT)
}

pub(crate) fn grant() -> Grant<'static> {
    Grant {
        app: &APP,
        audiences: &[],
        scope: "user",
        user: UserId::from(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)),
        session: SessionId::from(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002)),
        openid: None,
        unionid: None,
        life: Duration::from_mins(15),
        tenant: &TENANT,
    }
}

/// A token with this header and payload, whatever they are, truly signed by the ring's active key.
pub(crate) fn signed(ring: &KeyRing, header: &[u8], payload: &[u8]) -> String {
    let message = format!("{}.{}", encoding::to_base64url(header), encoding::to_base64url(payload));
    let signature = ring.active().sign(message.as_bytes()).unwrap();
    format!("{message}.{}", encoding::to_base64url(signature))
}
