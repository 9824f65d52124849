//! What a token is worth now (RFC 7662), for services that cannot or will not verify it themselves.

use wxgate_domain::{ServiceClient, TenantStatus};
use wxgate_token::{Claims, verify_for_any};

use super::{GrantError, OAuth};
use crate::service::directory::KnownTenant;

impl OAuth {
    /// What an access token says, if it is valid now and for an audience that the client is known by; `None` for
    /// everything else, refresh tokens too, so that nobody learns more of a token than its own service would.
    ///
    /// # Errors
    /// [`GrantError`], if the database does not answer.
    pub(crate) async fn introspect(
        &self,
        tenant: &KnownTenant,
        client: &ServiceClient,
        token: &str,
    ) -> Result<Option<Claims>, GrantError> {
        if tenant.tenant.status == TenantStatus::Suspended {
            return Ok(None);
        }
        let audiences = &client.policy.audiences;
        let Ok(claims) = verify_for_any(token, &tenant.ring, &tenant.issuer, audiences, &self.clock) else {
            return Ok(None);
        };
        let acts = self.holder_is_known(tenant, &claims).await? && self.session_acts(tenant, &claims).await?;
        Ok(acts.then_some(claims))
    }

    /// A service client's tokens are worth nothing once it was removed.
    async fn holder_is_known(&self, tenant: &KnownTenant, claims: &Claims) -> Result<bool, GrantError> {
        match claims.client() {
            Some(holder) => Ok(self.directory.service_clients(tenant.id()).await?.contains_key(&holder)),
            None => Ok(true),
        }
    }

    /// A user's token ends with its session, and rests while user, app or tenant may not act. A client's own has none.
    async fn session_acts(&self, tenant: &KnownTenant, claims: &Claims) -> Result<bool, GrantError> {
        let Some(session) = claims.sid else { return Ok(true) };
        let acting = self.storage.tenant(tenant.id()).acting_session(session).await?;
        Ok(acting.is_some_and(|acting| claims.user() == Some(acting.user) && claims.app() == Some(acting.appid)))
    }
}
