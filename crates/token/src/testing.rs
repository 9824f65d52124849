//! What the tests of this crate share.

use std::sync::LazyLock;
use std::time::Duration;

use uuid::Uuid;
use wxgate_crypto::{Random, encoding};
use wxgate_domain::{
    Clock, ServiceClientId, SessionId, SigningAlgorithm, SigningKeyState, Slug, StoredSigningKey, Timestamp, UserId,
    WechatAppid,
};

use crate::{Actor, Grant, Issuer, KeyRing, SigningKey, Subject};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_500);
pub(crate) const APPID: &str = "wx4f4bc4dec97d474b";

static TENANT: LazyLock<Slug> = LazyLock::new(|| "acme".parse().unwrap());
static APP: LazyLock<WechatAppid> = LazyLock::new(|| APPID.parse().unwrap());
static CLIENT: LazyLock<ServiceClientId> = LazyLock::new(|| ServiceClientId::new(&Random::seeded(5)));
static ORDERS: LazyLock<Vec<String>> = LazyLock::new(|| vec!["orders".to_owned()]);

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

pub(crate) fn user() -> UserId {
    UserId::from(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001))
}

pub(crate) fn session() -> SessionId {
    SessionId::from(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002))
}

pub(crate) fn client() -> &'static ServiceClientId {
    &CLIENT
}

pub(crate) fn granted(subject: Subject<'_>) -> Grant<'_> {
    Grant { tenant: &TENANT, subject, scope: "user", life: Duration::from_mins(15) }
}

/// A user's token, for the appid.
pub(crate) fn grant() -> Grant<'static> {
    grant_for(&[])
}

/// A user's token for these audiences.
pub(crate) fn grant_for(audiences: &[String]) -> Grant<'_> {
    let (openid, unionid) = (None, None);
    granted(Subject::User {
        user: user(),
        session: session(),
        app: &APP,
        audiences,
        openid,
        unionid,
        external_id: None,
        phone: None,
    })
}

/// A service client's own token, for the audience `orders`.
pub(crate) fn client_grant() -> Grant<'static> {
    granted(Subject::Client { client: &CLIENT, audiences: &ORDERS })
}

/// An exchanged token for the audience `orders`.
pub(crate) fn exchanged_grant(before: Option<&Actor>, ends_by: Timestamp) -> Grant<'_> {
    let (user, session, client) = (user(), session(), &CLIENT);
    granted(Subject::Exchanged { user, session, app: &APP, client, before, audience: "orders", ends_by })
}

/// The appid of [`grant`].
pub(crate) fn app() -> &'static WechatAppid {
    &APP
}

/// A token with this header and payload, whatever they are, truly signed by the ring's active key.
pub(crate) fn signed(ring: &KeyRing, header: &[u8], payload: &[u8]) -> String {
    let message = format!("{}.{}", encoding::to_base64url(header), encoding::to_base64url(payload));
    let signature = ring.active().sign(message.as_bytes()).unwrap();
    format!("{message}.{}", encoding::to_base64url(signature))
}
