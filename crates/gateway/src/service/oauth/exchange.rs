//! A user's token for a narrower one (RFC 8693): what a service hands on, so that the next one need not see more.

use wxgate_domain::{Audience, Scope, ServiceClient};
use wxgate_token::{Claims, Grant, Subject, issue, verify_for_any};

use super::{GrantError, OAuth, ServiceToken, intersection, must_be_active};
use crate::service::directory::KnownTenant;

/// What a client asks for.
pub(crate) struct Exchange<'a> {
    /// The user's token, or one that was exchanged once before.
    pub(crate) subject: &'a str,
    /// Whom the new token is for.
    pub(crate) audience: Audience,
    /// Nothing means all that is left.
    pub(crate) scopes: Option<Vec<Scope>>,
}

impl OAuth {
    /// Exchanges a token. The client is one that the token is for, and may hand it on to this audience; the new token
    /// allows no more, lives no longer, belongs to the same session, and says who acts. Whether user, session, app and
    /// tenant may act is read from their rows: a token outlives a block by minutes, this must not.
    ///
    /// # Errors
    /// [`GrantError`].
    pub(crate) async fn exchange(
        &self,
        tenant: &KnownTenant,
        client: &ServiceClient,
        asked: &Exchange<'_>,
    ) -> Result<ServiceToken, GrantError> {
        must_be_active(tenant)?;
        let policy = &client.policy;
        if !policy.exchange_to.contains(&asked.audience) {
            return Err(GrantError::Target);
        }
        let claims = verify_for_any(asked.subject, &tenant.ring, &tenant.issuer, &policy.audiences, &self.clock)
            .map_err(|error| GrantError::Subject(error.reason()))?;
        let (Some(session), Some(user), Some(app)) = (claims.sid, claims.user(), claims.app()) else {
            return Err(GrantError::Subject("no user's"));
        };
        let storage = self.storage.tenant(tenant.id());
        let acting = storage.acting_session(session).await?.filter(|acting| acting.appid == app);
        let acting = acting.ok_or(GrantError::Subject("revoked"))?;
        // The token may be older than a merge: what is handed on says who the user is now.
        if !storage.merges().is_one_user(user, acting.user).await? {
            return Err(GrantError::Subject("revoked"));
        }
        let scope = narrowed(&claims, &policy.scopes, asked.scopes.as_deref())?;
        let subject = Subject::Exchanged {
            user: acting.user,
            session,
            app: &app,
            client: &client.id,
            before: claims.act.as_ref(),
            audience: asked.audience.as_str(),
            ends_by: claims.expires_at(),
        };
        let life = tenant.tenant.policy.access_token_life();
        let grant = Grant { tenant: &tenant.tenant.slug, subject, scope: &scope, life };
        let token = issue(&tenant.ring, &tenant.issuer, &grant, self.clock.now(), &self.random)?;
        Ok(ServiceToken { access_token: token.token, expires_in: token.expires_in, scope })
    }
}

/// What the user's token allows, and the client may ask for, and did ask for. Asking for something and getting nothing of
/// it is an error; getting a part is told in the reply.
fn narrowed(claims: &Claims, allowed: &[Scope], asked: Option<&[Scope]>) -> Result<String, GrantError> {
    let mut scopes = intersection(asked, allowed);
    scopes.retain(|scope| claims.allows(scope.as_str()));
    if asked.is_some() && scopes.is_empty() {
        return Err(GrantError::Scope);
    }
    Ok(Scope::join(scopes))
}
