//! The one verify function for access tokens (RFC 9068 section 4, RFC 8725 section 3).

use std::time::Duration;

use wxgate_crypto::{encoding, strict_json};
use wxgate_domain::{Clock, Timestamp};

use crate::claims::{Claims, MAX_LENGTH};
use crate::issuer::Issuer;
use crate::jws::{self, TokenType};
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
    verify_for_any(token, keys, expected.issuer, &[expected.audience], clock)
}

/// [`verify`] for a service that has several audiences, such as the appids of several mini-programs: one is enough.
///
/// # Errors
/// As [`verify`]; without any audience every token is refused.
pub fn verify_for_any(
    token: &str,
    keys: &impl AsRef<VerifyingKeys>,
    issuer: &Issuer,
    audiences: &[impl AsRef<str>],
    clock: &Clock,
) -> Result<Claims, VerifyError> {
    let (payload, kid) = jws::open(token, TokenType::AccessToken, MAX_LENGTH, keys.as_ref())?;
    let claims = Claims::read(&payload, kid).map_err(|_| VerifyError::Claims)?;
    if claims.iss != issuer.as_str() || claims.tenant != *issuer.tenant() {
        return Err(VerifyError::Issuer);
    }
    if !audiences.iter().any(|audience| claims.is_for(audience.as_ref())) {
        return Err(VerifyError::Audience);
    }
    within_its_time(&claims, clock.now())?;
    Ok(claims)
}

/// The issuer that a token names, to find its keys by. Trust nothing of it: [`verify`] with this issuer is what says
/// whether it is true. `None` for what is no token, or no issuer of wxgate's.
pub fn claimed_issuer(token: &str) -> Option<Issuer> {
    let payload = token.split('.').nth(1).filter(|_| token.len() <= MAX_LENGTH)?;
    let payload = strict_json::parse(&encoding::base64url(payload)?).ok()?;
    payload.get("iss")?.as_str()?.parse().ok()
}

/// Whether the token is valid at this moment, give or take [`LEEWAY`]. Also for whoever keeps verified tokens.
///
/// # Errors
/// [`VerifyError::NotYetValid`] or [`VerifyError::Expired`].
pub fn within_its_time(claims: &Claims, now: Timestamp) -> Result<(), VerifyError> {
    let begins = claims.iat.max(claims.nbf.unwrap_or_default());
    if begins > now.plus(LEEWAY).seconds() {
        return Err(VerifyError::NotYetValid);
    }
    if claims.exp <= now.minus(LEEWAY).seconds() {
        return Err(VerifyError::Expired);
    }
    Ok(())
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum VerifyError {
    /// Too long, not three segments of canonical base64url, not a header without surprises.
    #[error("not a token")]
    Malformed,
    /// `typ` is missing or another: not an access token, or not a security event where one is asked for.
    #[error("a token of another type")]
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
    /// A claim is missing, malformed or there twice, the times are no times, or claims contradict each other.
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
    /// A security event that retires the very key that signed it. A thief of the key could say so too.
    #[error("signed by the key that it retires")]
    RetiredKey,
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
            Self::RetiredKey => "retired_key",
        }
    }
}

#[cfg(test)]
mod tests;
