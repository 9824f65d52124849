//! Access tokens that come back with every request: verified once, then known by their hash.
//!
//! What can change is asked at every request: the time, whom the token is for, what it allows, and whether it, its user,
//! app, tenant or key was revoked. What cannot change is kept until the tenant's keys move.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use moka::sync::Cache;
use wxgate_crypto::Digest;
use wxgate_domain::{Audience, Clock, Scope, ServiceClientId, Slug, UserId, WechatAppid};
use wxgate_token::{Claims, Expected, VerifyError, claimed_issuer, verify, verify_for_any, within_its_time};

use super::directory::{AsOf, Directory, DirectoryError, KnownTenant, TenantChanges};
use super::revoked::{Bearer, NotKnown, Revoked};

/// Bytes of verified tokens that are kept, roughly: some fifty thousand tokens.
const KEPT: u64 = 64 * 1024 * 1024;

/// How long one is kept at most. Longer than most tokens live.
const KEPT_FOR: Duration = Duration::from_hours(1);

/// Verifies access tokens of this gateway's tenants. Clones share what they know.
#[derive(Clone)]
pub(crate) struct Verified {
    directory: Directory,
    clock: Clock,
    revoked: Revoked,
    tokens: Cache<Digest, Arc<VerifiedToken>>,
}

/// A user's token for the gateway itself, and its tenant.
pub(crate) struct UsersToken {
    pub(crate) claims: Arc<Claims>,
    pub(crate) tenant: Arc<KnownTenant>,
}

/// A token whose signature and claims were verified. Only [`Verified`] makes one, and hands it out only for a purpose.
pub(crate) struct VerifiedToken {
    claims: Arc<Claims>,
    /// What a proxy passes on, ready to be sent.
    pub(crate) told: Told,
    user: Option<UserId>,
    app: Option<WechatAppid>,
    /// The service client that holds it, if one does.
    holder: Option<ServiceClientId>,
    /// When the keys were read that verified it, and whether they have moved since.
    keys_as_of: AsOf,
    changes: TenantChanges,
}

/// Whom a token speaks of, each a text; empty where it says nothing.
pub(crate) struct Told {
    pub(crate) sub: Bytes,
    pub(crate) tenant: Bytes,
    pub(crate) app: Bytes,
    pub(crate) sid: Bytes,
    pub(crate) scope: Bytes,
}

/// What a token must be good for, beside being valid.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// The gateway's own routes: its own audience, which only users' tokens have, and a session.
    Own,
    /// What a service client may learn of: tokens of its tenant, for any audience that it is known by.
    Introspection { tenant: &'a Slug, audiences: &'a [Audience] },
    /// A service of a tenant.
    Service { tenant: &'a Slug, audience: &'a str, scopes: &'a [Scope] },
}

impl<'a> Purpose<'a> {
    /// The tenant whose tokens count; `None` for whichever the token names.
    fn tenant(self) -> Option<&'a Slug> {
        match self {
            Self::Own => None,
            Self::Introspection { tenant, .. } | Self::Service { tenant, .. } => Some(tenant),
        }
    }
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the access token is not accepted: {0}")]
    Token(#[from] VerifyError),
    #[error("the access token was revoked")]
    Revoked,
    #[error("the access token does not allow this")]
    Scope,
    #[error(transparent)]
    NotKnown(#[from] NotKnown),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl Verified {
    pub(crate) fn new(directory: Directory, clock: Clock, revoked: Revoked) -> Self {
        let weight = |_: &Digest, token: &Arc<VerifiedToken>| token.weight();
        let tokens = Cache::builder().max_capacity(KEPT).weigher(weight).time_to_live(KEPT_FOR).build();
        Self { directory, clock, revoked, tokens }
    }

    /// Verifies a user's token for the gateway's own routes. The session's row may say more.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) async fn user(&self, token: &str) -> Result<UsersToken, Refused> {
        let claims = self.verify(token, Purpose::Own).await?.claims.clone();
        let tenant = self.directory.tenant(&claims.tenant).await?.ok_or(VerifyError::Issuer)?;
        Ok(UsersToken { claims, tenant })
    }

    /// Verifies a token of a tenant for whoever is known by one of these audiences; what it says.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) async fn introspected(
        &self,
        token: &str,
        tenant: &Slug,
        audiences: &[Audience],
    ) -> Result<Arc<Claims>, Refused> {
        Ok(self.verify(token, Purpose::Introspection { tenant, audiences }).await?.claims.clone())
    }

    /// Verifies a token for a purpose. Its tenant is found by the issuer that it names, and then it must be that one's.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) async fn verify(&self, token: &str, purpose: Purpose<'_>) -> Result<Arc<VerifiedToken>, Refused> {
        let digest = Digest::sha256(token.as_bytes());
        let known = self.tokens.get(&digest).filter(|known| known.changes.same_keys_since(known.keys_as_of));
        if let Some(known) = known {
            self.check(&known, purpose)?;
            self.check_holder(&known).await?;
            return Ok(known);
        }
        let verified = Arc::new(self.verify_anew(token, purpose).await?);
        self.check(&verified, purpose)?;
        self.check_holder(&verified).await?;
        self.tokens.insert(digest, verified.clone());
        Ok(verified)
    }

    /// What a service client holds is worth nothing once the client was removed.
    async fn check_holder(&self, token: &VerifiedToken) -> Result<(), Refused> {
        let Some(holder) = &token.holder else { return Ok(()) };
        let tenant = self.directory.tenant(&token.claims.tenant).await?.ok_or(VerifyError::Issuer)?;
        let clients = self.directory.service_clients(tenant.id()).await?;
        if clients.contains_key(holder) { Ok(()) } else { Err(Refused::Revoked) }
    }

    async fn verify_anew(&self, token: &str, purpose: Purpose<'_>) -> Result<VerifiedToken, Refused> {
        let issuer = claimed_issuer(token).ok_or(VerifyError::Malformed)?;
        if purpose.tenant().is_some_and(|tenant| issuer.tenant() != tenant) {
            return Err(VerifyError::Issuer.into());
        }
        let tenant = self.directory.tenant_by_issuer(&issuer).await?.ok_or(VerifyError::Issuer)?;
        let (ring, issuer, clock) = (&tenant.ring, &tenant.issuer, &self.clock);
        let claims = match purpose {
            Purpose::Own => verify(token, ring, &Expected { issuer, audience: issuer.as_str() }, clock),
            Purpose::Introspection { audiences, .. } => verify_for_any(token, ring, issuer, audiences, clock),
            Purpose::Service { audience, .. } => verify(token, ring, &Expected { issuer, audience }, clock),
        }?;
        Ok(VerifiedToken::new(claims, &tenant))
    }

    fn check(&self, token: &VerifiedToken, purpose: Purpose<'_>) -> Result<(), Refused> {
        let (claims, now) = (&token.claims, self.clock.now());
        within_its_time(claims, now)?;
        if purpose.tenant().is_some_and(|tenant| claims.tenant != *tenant) {
            return Err(VerifyError::Issuer.into());
        }
        let (is_for_it, scopes) = match purpose {
            Purpose::Own => (claims.sid.is_some() && claims.is_for(&claims.iss), &[][..]),
            Purpose::Introspection { audiences, .. } => {
                (audiences.iter().any(|audience| claims.is_for(audience.as_str())), &[][..])
            }
            Purpose::Service { audience, scopes, .. } => (claims.is_for(audience), scopes),
        };
        if !is_for_it {
            return Err(VerifyError::Audience.into());
        }
        let bearer = match purpose {
            // The rows of session, user, app and tenant are read next, and say it in other words.
            Purpose::Own => Bearer { session: None, user: None, app: None, tenant: None, key: &claims.kid },
            Purpose::Introspection { .. } | Purpose::Service { .. } => token.bearer(),
        };
        if self.revoked.refuses(&bearer, now)? {
            return Err(Refused::Revoked);
        }
        let allowed = scopes.iter().all(|scope| claims.allows(scope.as_str()));
        if allowed { Ok(()) } else { Err(Refused::Scope) }
    }
}

impl VerifiedToken {
    fn new(claims: Claims, tenant: &KnownTenant) -> Self {
        let text = |text: String| Bytes::from(text.into_bytes());
        let app = claims.app();
        let told = Told {
            sub: text(claims.sub.clone()),
            tenant: text(claims.tenant.to_string()),
            app: text(app.as_ref().map(ToString::to_string).unwrap_or_default()),
            sid: text(claims.sid.map(|sid| sid.to_string()).unwrap_or_default()),
            scope: text(claims.scope.clone()),
        };
        let (user, holder, claims) = (claims.user(), claims.client(), Arc::new(claims));
        Self { claims, told, user, app, holder, keys_as_of: tenant.as_of, changes: tenant.changes.clone() }
    }

    fn bearer(&self) -> Bearer<'_> {
        Bearer {
            session: self.claims.sid,
            user: self.user,
            app: self.app.as_ref(),
            tenant: Some(&self.claims.tenant),
            key: &self.claims.kid,
        }
    }

    /// Its size in memory, roughly: every text of the claims twice, and what holds them together.
    fn weight(&self) -> u32 {
        let claims = &self.claims;
        let audiences: usize = claims.aud.iter().map(|audience| audience.len() + size_of::<String>()).sum();
        let texts = claims.iss.len() + claims.sub.len() * 2 + claims.scope.len() * 2 + claims.jti.len() + audiences;
        u32::try_from(texts + size_of::<Self>() + 512).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests;
