//! From a grant to a signed access token (RFC 9068).

use std::time::Duration;

use wxgate_crypto::{Random, Secret, encoding};
use wxgate_domain::{OpenId, SessionId, Slug, Timestamp, UnionId, UserId, WechatAppid};

use crate::claims::{Claims, MAX_LENGTH, MAX_LIFE};
use crate::issuer::Issuer;
use crate::key_ring::KeyRing;

/// What an access token is to say. It borrows, because everything in it lives longer than the call.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The mini-program that the user logged in to.
    pub app: &'a WechatAppid,
    /// Whom the token is for, beside the issuer; empty means the appid.
    pub audiences: &'a [String],
    /// What it allows: words with spaces between.
    pub scope: &'a str,
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// The openid, only if the app opted in.
    pub openid: Option<&'a OpenId>,
    /// The unionid, only if the app opted in.
    pub unionid: Option<&'a UnionId>,
    /// How long it lives at most: a second to a day. Up to a tenth is taken off at random.
    pub life: Duration,
    /// The tenant, which must be the issuer's.
    pub tenant: &'a Slug,
}

/// A signed access token.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The token: a bearer secret until it ends.
    pub token: Secret<String>,
    /// How long it lives in seconds: exactly `exp` minus `iat`.
    pub expires_in: u32,
    /// When it ends: exactly `exp`.
    pub expires_at: Timestamp,
}

/// Signs an access token with the ring's active key.
///
/// Its life is shortened by up to 10 % at random, never lengthened: clients that logged in together, after an outage
/// say, would otherwise all come back to refresh in the same second.
///
/// The audience is the grant's, and the issuer itself, by which the gateway's own routes know their tokens.
///
/// # Errors
/// A life outside its bounds, another tenant's issuer, a token longer than anybody reads, or a failed signature.
pub fn issue(
    ring: &KeyRing,
    issuer: &Issuer,
    grant: &Grant<'_>,
    now: Timestamp,
    random: &Random,
) -> Result<AccessToken, IssueError> {
    if grant.tenant != issuer.tenant() {
        return Err(IssueError::Tenant);
    }
    let expires_in = jittered(grant.life, random).ok_or(IssueError::Life)?;
    let claims = claims(issuer, grant, now.seconds(), expires_in, random);
    let payload = serde_json::to_vec(&claims).map_err(|_| IssueError::Claims)?;

    let key = ring.active();
    let mut token = format!("{}.{}", key.header(), encoding::to_base64url(payload));
    let signature = key.sign(token.as_bytes()).map_err(|_| IssueError::Signature)?;
    token.push('.');
    token.push_str(&encoding::to_base64url(signature));
    if token.len() > MAX_LENGTH {
        return Err(IssueError::TooLong);
    }
    Ok(AccessToken { token: Secret::new(token), expires_in, expires_at: claims.expires_at() })
}

fn claims(issuer: &Issuer, grant: &Grant<'_>, now: i64, expires_in: u32, random: &Random) -> Claims {
    Claims {
        iss: issuer.as_str().to_owned(),
        sub: grant.user.to_string(),
        aud: audiences(issuer, grant),
        client_id: grant.app.to_string(),
        sid: Some(grant.session),
        jti: encoding::to_base64url(random.bytes::<16>()),
        iat: now,
        exp: now.saturating_add(expires_in.into()),
        nbf: None,
        scope: grant.scope.to_owned(),
        tenant: grant.tenant.clone(),
        openid: grant.openid.cloned(),
        unionid: grant.unionid.cloned(),
    }
}

fn audiences(issuer: &Issuer, grant: &Grant<'_>) -> Vec<String> {
    let mut audiences = grant.audiences.to_vec();
    if audiences.is_empty() {
        audiences.push(grant.app.to_string());
    }
    if !audiences.iter().any(|audience| audience == issuer.as_str()) {
        audiences.push(issuer.as_str().to_owned());
    }
    audiences
}

/// Whole seconds between nine tenths of the life and all of it, each as likely; `None` outside the bounds.
fn jittered(life: Duration, random: &Random) -> Option<u32> {
    if life > MAX_LIFE {
        return None;
    }
    let seconds = u32::try_from(life.as_secs()).ok().filter(|seconds| *seconds > 0)?;
    // 32 bits over at most 8,641 values: the bias is below one in a hundred thousand.
    let less = u32::from_be_bytes(random.bytes()) % (seconds / 10 + 1);
    Some(seconds - less)
}

/// Why no token was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The life is below a second or beyond [`MAX_LIFE`].
    #[error("an access token lives a second to a day")]
    Life,
    /// The issuer speaks for another tenant.
    #[error("the issuer speaks for another tenant")]
    Tenant,
    /// The token would be longer than [`MAX_LENGTH`]; too many or too long audiences or scopes.
    #[error("the access token would be longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// The claims could not be written.
    #[error("the claims could not be written")]
    Claims,
    /// The key did not sign.
    #[error("the key did not sign")]
    Signature,
}

#[cfg(test)]
mod tests;
