//! From a grant to a signed access token (RFC 9068).

use std::time::Duration;

use wxgate_crypto::{Random, Secret, encoding};
use wxgate_domain::{
    ExternalId, Kid, OpenId, PhoneNumber, ServiceClientId, SessionId, Slug, Timestamp, UnionId, UserId, WechatAppid,
};

use crate::actor::Actor;
use crate::claims::{Claims, MAX_LENGTH, MAX_LIFE};
use crate::issuer::Issuer;
use crate::jws::{self, TokenType};
use crate::key_ring::KeyRing;

/// What an access token is to say. It borrows, because everything in it lives longer than the call.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The tenant, which must be the issuer's.
    pub tenant: &'a Slug,
    /// Whom the token speaks of, and whom it is for.
    pub subject: Subject<'a>,
    /// What it allows: words with spaces between.
    pub scope: &'a str,
    /// How long it lives at most: a second to a day. Up to a tenth is taken off at random.
    pub life: Duration,
}

/// Whom a token speaks of: the three kinds of access token.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A user who logged in to a mini-program. The issuer itself is always an audience, by which the gateway's own
    /// routes know their tokens.
    User {
        /// The user.
        user: UserId,
        /// The session.
        session: SessionId,
        /// The mini-program.
        app: &'a WechatAppid,
        /// Whom the token is for, beside the issuer; empty means the appid.
        audiences: &'a [String],
        /// The openid, only if the app opted in.
        openid: Option<&'a OpenId>,
        /// The unionid, only if the app opted in.
        unionid: Option<&'a UnionId>,
        /// What another system calls the user, only if the app opted in.
        external_id: Option<&'a ExternalId>,
        /// The phone number that WeChat vouches for, only if the app opted in.
        phone: Option<&'a PhoneNumber>,
    },
    /// A service client for itself (RFC 6749 section 4.4).
    Client {
        /// The service client.
        client: &'a ServiceClientId,
        /// Whom the token is for: at least one, and never the issuer.
        audiences: &'a [String],
    },
    /// A service client on behalf of the user whose token it was given (RFC 8693).
    Exchanged {
        /// The user of that token.
        user: UserId,
        /// The session of that token.
        session: SessionId,
        /// The mini-program of that token, see [`Claims::app`].
        app: &'a WechatAppid,
        /// The service client that asked, and now acts.
        client: &'a ServiceClientId,
        /// Who acted in that token.
        before: Option<&'a Actor>,
        /// Whom the new token is for: one service, never the issuer.
        audience: &'a str,
        /// When that token ends; the new one ends then at the latest.
        ends_by: Timestamp,
    },
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
/// # Errors
/// A life outside its bounds or a subject token that has ended, an audience that is missing or the issuer's where it may
/// not be, a third actor, another tenant's issuer, a token longer than anybody reads, or a failed signature.
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
    let expires_in = grant.expires_in(now, random).ok_or(IssueError::Life)?;
    let key = ring.active();
    let (iat, exp) = (now.seconds(), now.seconds().saturating_add(expires_in.into()));
    let jti = encoding::to_base64url(random.bytes::<16>());
    let claims = Claims { jti, iat, exp, ..grant.claims(issuer, key.kid())? };
    let mut payload = Vec::with_capacity(USUAL_LENGTH);
    serde_json::to_writer(&mut payload, &claims).map_err(|_| IssueError::Claims)?;
    let token = jws::sign(key, TokenType::AccessToken, &payload).map_err(|_| IssueError::Signature)?;
    if token.len() > MAX_LENGTH {
        return Err(IssueError::TooLong);
    }
    Ok(AccessToken { token: Secret::new(token), expires_in, expires_at: claims.expires_at() })
}

/// What most claims need, in bytes.
const USUAL_LENGTH: usize = 640;

impl Grant<'_> {
    /// The claims but for those of time and chance.
    fn claims(&self, issuer: &Issuer, kid: &Kid) -> Result<Claims, IssueError> {
        let audiences = self.subject.audiences(issuer)?;
        let claims = |sub: String, client_id: String| Claims {
            iss: issuer.as_str().to_owned(),
            sub,
            aud: audiences,
            client_id,
            sid: None,
            jti: String::new(),
            iat: 0,
            exp: 0,
            nbf: None,
            scope: self.scope.to_owned(),
            tenant: self.tenant.clone(),
            openid: None,
            unionid: None,
            external_id: None,
            phone_number: None,
            phone_number_verified: false,
            app: None,
            act: None,
            kid: kid.clone(),
        };
        Ok(match self.subject {
            Subject::User { user, session, app, openid, unionid, external_id, phone, .. } => Claims {
                sid: Some(session),
                openid: openid.cloned(),
                unionid: unionid.cloned(),
                external_id: external_id.cloned(),
                phone_number: phone.map(PhoneNumber::e164),
                phone_number_verified: phone.is_some(),
                ..claims(user.to_string(), app.to_string())
            },
            Subject::Client { client, .. } => claims(client.to_string(), client.to_string()),
            Subject::Exchanged { user, session, app, client, before, .. } => Claims {
                sid: Some(session),
                app: Some(app.clone()),
                act: Some(Actor::in_front_of(client, before).ok_or(IssueError::Actors)?),
                ..claims(user.to_string(), client.to_string())
            },
        })
    }

    /// The life in whole seconds; `None` outside its bounds, or if nothing is left of the subject token's.
    fn expires_in(&self, now: Timestamp, random: &Random) -> Option<u32> {
        let jittered = jittered(self.life, random)?;
        let Subject::Exchanged { ends_by, .. } = self.subject else { return Some(jittered) };
        let left = u32::try_from(ends_by.seconds().saturating_sub(now.seconds())).ok().filter(|left| *left > 0)?;
        Some(jittered.min(left))
    }
}

impl Subject<'_> {
    fn audiences(&self, issuer: &Issuer) -> Result<Vec<String>, IssueError> {
        let own = |audience: &str| audience == issuer.as_str();
        match *self {
            Self::User { app, audiences, .. } => {
                let mut audiences = audiences.to_vec();
                if audiences.is_empty() {
                    audiences.push(app.to_string());
                }
                if !audiences.iter().any(|audience| own(audience)) {
                    audiences.push(issuer.as_str().to_owned());
                }
                Ok(audiences)
            }
            // With the issuer's audience it would open the gateway's own routes, which are the user's alone.
            Self::Client { audiences, .. }
                if !audiences.is_empty() && !audiences.iter().any(|audience| own(audience)) =>
            {
                Ok(audiences.to_vec())
            }
            Self::Exchanged { audience, .. } if !audience.is_empty() && !own(audience) => Ok(vec![audience.to_owned()]),
            Self::Client { .. } | Self::Exchanged { .. } => Err(IssueError::Audience),
        }
    }
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
    /// The life is below a second or beyond [`MAX_LIFE`], or the subject token has ended.
    #[error("an access token lives a second to a day, and no longer than the token it comes from")]
    Life,
    /// No audience, or the issuer where only a user's own token may be for it.
    #[error("a service client's token is for at least one audience, and never for the issuer")]
    Audience,
    /// More than [`MAX_ACTORS`](crate::actor::MAX_ACTORS) would act for the user.
    #[error("too many services would act for the user")]
    Actors,
    /// The issuer speaks for another tenant.
    #[error("the issuer speaks for another tenant")]
    Tenant,
    /// The token would be longer than anybody reads; too many or too long audiences or scopes.
    #[error("the token would be longer than anybody reads")]
    TooLong,
    /// The claims could not be written, or nobody would read them.
    #[error("the claims could not be written")]
    Claims,
    /// A key does not announce its own end: whoever stole it could do so too.
    #[error("a key does not announce that it is retired")]
    RetiredKey,
    /// The key did not sign.
    #[error("the key did not sign")]
    Signature,
}

#[cfg(test)]
mod tests;
