//! A page of the revocation feed as a signed security event token (RFC 8417): written, and read back strictly.

use serde_json::{Map, Value, json};
use wxgate_crypto::{Random, encoding};
use wxgate_domain::{Clock, Kid, Revocation, RevocationEffect, RevokedSubject, ServiceClientId, Timestamp};

use crate::issue::IssueError;
use crate::issuer::Issuer;
use crate::jws::{self, TokenType};
use crate::key_ring::{KeyRing, VerifyingKeys};
use crate::signing_key::SigningKey;
use crate::verify::{LEEWAY, VerifyError};

mod read;

/// The longest page that is signed or read, in bytes.
pub const MAX_LENGTH: usize = 1024 * 1024;

/// The most entries of a page.
pub const MAX_ENTRIES: usize = 500;

/// The longest cursor, in bytes.
pub const MAX_CURSOR: usize = 512;

/// The event that holds a page.
const REVOCATIONS: &str = "urn:wxgate:event:revocations";

/// Something ended or was blocked (OpenID CAEP 1.0 section 3.1).
const SESSION_REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

/// A block was lifted.
const BLOCK_LIFTED: &str = "urn:wxgate:event:block-lifted";

/// A key verifies nothing more.
const KEY_RETIRED: &str = "urn:wxgate:event:key-retired";

/// One answer of the revocation feed. Times are whole seconds on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationPage {
    /// The moment that the page is true of.
    pub as_of: Timestamp,
    /// The number of the first entry; 0 if there is none.
    pub first: u64,
    /// The number of the last entry; 0 if there is none.
    pub last: u64,
    /// What to ask for next: 1 to [`MAX_CURSOR`] visible ASCII characters that mean something to the gateway alone.
    pub cursor: String,
    /// Whether it belongs to a snapshot: what matters now, rather than what came after a cursor.
    pub snapshot: bool,
    /// Whether more is there already, to be asked for at once.
    pub more: bool,
    /// At most [`MAX_ENTRIES`], their numbers ascending.
    pub entries: Vec<Revocation>,
}

/// A page whose signature and claims were verified, and the key that signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPage {
    /// The page.
    pub page: RevocationPage,
    /// The key. Whoever has heard that it was retired refuses the page.
    pub kid: Kid,
}

/// Signs a page for one service client with the ring's active key.
///
/// # Errors
/// As [`sign_page_with`].
pub fn sign_page(
    ring: &KeyRing,
    issuer: &Issuer,
    audience: &ServiceClientId,
    page: &RevocationPage,
    now: Timestamp,
    random: &Random,
) -> Result<String, IssueError> {
    sign_page_with(ring.active(), issuer, audience, page, now, random)
}

/// Signs a page with a key by name, see [`KeyRing::signing`]: the page that retires the active key is signed by the next.
///
/// # Errors
/// A page that no reader takes: too long, with too many entries or a cursor out of bounds, not in order, or one that
/// retires the key that signs it. Or a failed signature.
pub fn sign_page_with(
    key: &SigningKey,
    issuer: &Issuer,
    audience: &ServiceClientId,
    page: &RevocationPage,
    now: Timestamp,
    random: &Random,
) -> Result<String, IssueError> {
    if page.retires(key.kid()) {
        return Err(IssueError::RetiredKey);
    }
    if !page.is_in_order() {
        return Err(IssueError::Claims);
    }
    let claims = json!({
        "iss": issuer.as_str(),
        "aud": audience.as_str(),
        "iat": now.seconds(),
        "jti": encoding::to_base64url(random.bytes::<16>()),
        "events": { REVOCATIONS: page.to_json() },
    });
    let payload = serde_json::to_vec(&claims).map_err(|_| IssueError::Claims)?;
    let token = jws::sign(key, TokenType::SecurityEvent, &payload).map_err(|_| IssueError::Signature)?;
    if token.len() > MAX_LENGTH { Err(IssueError::TooLong) } else { Ok(token) }
}

/// Verifies a page: form, type, key, signature, issuer, audience and time, and then every entry.
///
/// It is read strictly: an entry that is not understood might be the one that matters, so nothing in a page is skipped.
///
/// # Errors
/// The first check that failed; [`VerifyError::UnknownKey`] says that the keys may be old.
pub fn verify_page(
    token: &str,
    keys: &impl AsRef<VerifyingKeys>,
    issuer: &Issuer,
    audience: &ServiceClientId,
    clock: &Clock,
) -> Result<VerifiedPage, VerifyError> {
    let (payload, kid) = jws::open(token, TokenType::SecurityEvent, MAX_LENGTH, keys.as_ref())?;
    let claims = read::claims(&payload).ok_or(VerifyError::Claims)?;
    if claims.iss != issuer.as_str() {
        return Err(VerifyError::Issuer);
    }
    if claims.aud != audience.as_str() {
        return Err(VerifyError::Audience);
    }
    if claims.iat > clock.now().plus(LEEWAY).seconds() {
        return Err(VerifyError::NotYetValid);
    }
    if claims.page.retires(kid) {
        return Err(VerifyError::RetiredKey);
    }
    Ok(VerifiedPage { page: claims.page, kid: kid.clone() })
}

impl RevocationPage {
    /// Whether an entry retires this key.
    fn retires(&self, kid: &Kid) -> bool {
        self.entries.iter().any(|entry| matches!(&entry.subject, RevokedSubject::Key(key) if key == kid))
    }

    /// Whether number, order and cursor are as they are documented.
    fn is_in_order(&self) -> bool {
        let ends = |entry: Option<&Revocation>| entry.map_or(0, |entry| entry.seq);
        let ascending = |pair: &[Revocation]| matches!(pair, [one, next] if one.seq < next.seq);
        self.entries.len() <= MAX_ENTRIES
            && (self.first, self.last) == (ends(self.entries.first()), ends(self.entries.last()))
            && self.entries.first().is_none_or(|entry| entry.seq > 0)
            && self.entries.windows(2).all(ascending)
            && (1..=MAX_CURSOR).contains(&self.cursor.len())
            && self.cursor.bytes().all(|byte| byte.is_ascii_graphic())
            && self.entries.iter().all(|entry| event(entry).is_some())
    }

    fn to_json(&self) -> Value {
        json!({
            "as_of": self.as_of.seconds(),
            "first": self.first,
            "last": self.last,
            "cursor": self.cursor,
            "snapshot": self.snapshot,
            "more": self.more,
            "entries": self.entries.iter().map(entry).collect::<Vec<_>>(),
        })
    }
}

/// The type of event that an entry is; `None` for what cannot happen to its subject.
fn event(entry: &Revocation) -> Option<&'static str> {
    match (&entry.subject, entry.effect) {
        (RevokedSubject::Key(_), RevocationEffect::Ended) => Some(KEY_RETIRED),
        (RevokedSubject::Session(_), RevocationEffect::Ended) => Some(SESSION_REVOKED),
        (RevokedSubject::Key(_) | RevokedSubject::Session(_), _) => None,
        (_, RevocationEffect::Lifted) => Some(BLOCK_LIFTED),
        (_, RevocationEffect::Ended | RevocationEffect::Blocked) => Some(SESSION_REVOKED),
    }
}

fn entry(entry: &Revocation) -> Value {
    let mut written = Map::from_iter([
        ("seq".to_owned(), json!(entry.seq)),
        ("at".to_owned(), json!(entry.at.seconds())),
        ("event".to_owned(), json!(event(entry))),
        ("subject".to_owned(), json!({ "kind": entry.subject.kind(), "id": entry.subject.id() })),
        ("effect".to_owned(), json!(entry.effect.as_str())),
    ]);
    // Only what has ended can be forgotten. Rounded up: a second too late lets nobody in.
    if let Some(expires) = entry.expires.filter(|_| entry.effect == RevocationEffect::Ended) {
        written.insert("expires".to_owned(), json!(expires.plus(ALMOST_A_SECOND).seconds()));
    }
    Value::Object(written)
}

const ALMOST_A_SECOND: std::time::Duration = std::time::Duration::from_millis(999);

#[cfg(test)]
mod tests;
