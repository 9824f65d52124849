//! The one verify function for access tokens (RFC 9068 section 4, RFC 8725 section 3).

use std::time::Duration;

use serde_json::{Map, Value};
use wxgate_crypto::{encoding, strict_json};
use wxgate_domain::{Clock, Kid, SigningAlgorithm, Timestamp};

use crate::claims::{Claims, MAX_LENGTH, TYPE};
use crate::issuer::Issuer;
use crate::key_ring::VerifyingKeys;

/// How far two clocks may be apart.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// What a token must agree with. There is no way to leave any of it out.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who must have issued it.
    pub issuer: &'a Issuer,
    /// Whom it must be for: the service's own audience; for the gateway's routes the issuer's text.
    pub audience: &'a str,
}

/// Verifies an access token: form, type, key, signature, and then what it says.
///
/// The algorithm is the key's own; the header only has to agree. Keys and addresses inside the header (`jwk`, `jku`,
/// `x5c`, `x5u`) are never looked at. `keys` is a [`KeyRing`](crate::KeyRing) or [`VerifyingKeys`].
///
/// # Errors
/// The first check that failed. Whoever holds a token that is only [`VerifyError::Expired`] may refresh;
/// [`VerifyError::UnknownKey`] tells a verifier that its keys may be old.
pub fn verify(
    token: &str,
    keys: &impl AsRef<VerifyingKeys>,
    expected: &Expected<'_>,
    clock: &Clock,
) -> Result<Claims, VerifyError> {
    let parts = Parts::split(token).ok_or(VerifyError::Malformed)?;
    let header = Header::read(parts.header)?;
    let key = keys.as_ref().get(&header.kid).ok_or(VerifyError::UnknownKey)?;
    if header.algorithm != key.algorithm() {
        return Err(VerifyError::Algorithm);
    }
    let signature = encoding::base64url(parts.signature).ok_or(VerifyError::Malformed)?;
    if !key.verifies(parts.message.as_bytes(), &signature) {
        return Err(VerifyError::Signature);
    }
    let payload = encoding::base64url(parts.payload).ok_or(VerifyError::Malformed)?;
    let claims = Claims::read(&payload).map_err(|_| VerifyError::Claims)?;
    expected.check(&claims, clock.now())?;
    Ok(claims)
}

/// The three segments of a JWS in compact form (RFC 7515 section 7.1). A JWE has five and is none of ours.
struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// What was signed: header and payload with the point between.
    message: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Option<Self> {
        let (message, signature) = token.rsplit_once('.').filter(|_| token.len() <= MAX_LENGTH)?;
        let (header, payload) = message.split_once('.')?;
        (!payload.contains('.')).then_some(Self { header, payload, signature, message })
    }
}

/// What the header says, as far as we listen.
struct Header {
    algorithm: SigningAlgorithm,
    kid: Kid,
}

impl Header {
    /// Reads the header; duplicate names are refused, unknown ones ignored.
    fn read(encoded: &str) -> Result<Self, VerifyError> {
        let bytes = encoding::base64url(encoded).ok_or(VerifyError::Malformed)?;
        let Ok(Value::Object(header)) = strict_json::parse(&bytes) else { return Err(VerifyError::Malformed) };
        // RFC 7515 section 4.1.11, RFC 7797: we understand no extension, and an unencoded payload is none of ours.
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(VerifyError::Malformed);
        }
        if !text(&header, "typ").is_some_and(is_access_token) {
            return Err(VerifyError::Type);
        }
        // `none` in any spelling and every HMAC ends here: they are no algorithms of ours.
        let algorithm = text(&header, "alg").and_then(|name| name.parse().ok()).ok_or(VerifyError::Algorithm)?;
        let kid = text(&header, "kid").and_then(|kid| kid.parse().ok()).ok_or(VerifyError::Malformed)?;
        Ok(Self { algorithm, kid })
    }
}

fn text<'a>(header: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    header.get(name)?.as_str()
}

/// RFC 7515 section 4.1.9: a media type, compared without case, with or without `application/`.
fn is_access_token(typ: &str) -> bool {
    const PREFIX: &str = "application/";
    let bare = match typ.get(..PREFIX.len()) {
        Some(start) if start.eq_ignore_ascii_case(PREFIX) => typ.get(PREFIX.len()..).unwrap_or_default(),
        _ => typ,
    };
    bare.eq_ignore_ascii_case(TYPE)
}

impl Expected<'_> {
    fn check(&self, claims: &Claims, now: Timestamp) -> Result<(), VerifyError> {
        if claims.iss != self.issuer.as_str() || claims.tenant != *self.issuer.tenant() {
            return Err(VerifyError::Issuer);
        }
        if !claims.is_for(self.audience) {
            return Err(VerifyError::Audience);
        }
        let begins = claims.iat.max(claims.nbf.unwrap_or_default());
        if begins > now.plus(LEEWAY).seconds() {
            return Err(VerifyError::NotYetValid);
        }
        if claims.exp <= now.minus(LEEWAY).seconds() {
            return Err(VerifyError::Expired);
        }
        Ok(())
    }
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum VerifyError {
    /// Too long, not three segments of canonical base64url, not a header without surprises.
    #[error("not a token")]
    Malformed,
    /// `typ` is missing or another: not an access token.
    #[error("not an access token")]
    Type,
    /// The algorithm is none of ours, or not the key's.
    #[error("not the key's algorithm")]
    Algorithm,
    /// No such key is known.
    #[error("signed by an unknown key")]
    UnknownKey,
    /// The key did not sign this.
    #[error("the signature does not fit")]
    Signature,
    /// A claim is missing, malformed or there twice, or the times are no times.
    #[error("malformed claims")]
    Claims,
    /// Issued by another.
    #[error("issued by another")]
    Issuer,
    /// For another audience.
    #[error("for another audience")]
    Audience,
    /// Not valid yet.
    #[error("not valid yet")]
    NotYetValid,
    /// It has ended; everything else about it was right.
    #[error("expired")]
    Expired,
}

impl VerifyError {
    /// Its stable name, for metrics and logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Type => "type",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests;
