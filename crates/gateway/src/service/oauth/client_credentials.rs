//! A service client's token for itself (RFC 6749 section 4.4).

use wxgate_domain::{Audience, Scope, ServiceClient};
use wxgate_token::{Grant, Subject, issue};

use super::{GrantError, OAuth, ServiceToken, must_be_active};
use crate::service::directory::KnownTenant;

/// What a client asks for.
#[derive(Debug)]
pub(crate) struct ClientTokenRequest {
    /// Nothing means all that it may ask for.
    pub(crate) scopes: Option<Vec<Scope>>,
    /// Nothing means all audiences that it is known by.
    pub(crate) audience: Option<Audience>,
}

impl OAuth {
    /// A token with which the client speaks for itself and for no user.
    ///
    /// # Errors
    /// [`GrantError`].
    pub(crate) fn client_token(
        &self,
        tenant: &KnownTenant,
        client: &ServiceClient,
        asked: &ClientTokenRequest,
    ) -> Result<ServiceToken, GrantError> {
        must_be_active(tenant)?;
        let policy = &client.policy;
        let scopes = match &asked.scopes {
            None => &policy.scopes,
            Some(asked) if asked.iter().all(|scope| policy.scopes.contains(scope)) => asked,
            Some(_) => return Err(GrantError::Scope),
        };
        let audiences: Vec<String> = match &asked.audience {
            None => policy.audiences.iter().map(ToString::to_string).collect(),
            Some(asked) if policy.named_audiences().any(|own| own == asked) => vec![asked.to_string()],
            Some(_) => return Err(GrantError::Target),
        };
        let scope = Scope::join(scopes);
        let subject = Subject::Client { client: &client.id, audiences: &audiences };
        let life = tenant.tenant.policy.access_token_life();
        let grant = Grant { tenant: &tenant.tenant.slug, subject, scope: &scope, life };
        let token = issue(&tenant.ring, &tenant.issuer, &grant, self.clock.now(), &self.random)?;
        Ok(ServiceToken { access_token: token.token, expires_in: token.expires_in, scope })
    }
}
