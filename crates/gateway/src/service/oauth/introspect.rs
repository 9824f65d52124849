//! What a token is worth now (RFC 7662), for services that cannot or will not verify it themselves.

use std::sync::Arc;

use wxgate_domain::{ServiceClient, TenantStatus};
use wxgate_token::Claims;

use super::{GrantError, OAuth};
use crate::service::directory::KnownTenant;
use crate::service::verified::Refused;

impl OAuth {
    /// What an access token says, if it is valid now and for an audience that the client is known by; `None` for
    /// everything else, refresh tokens too, so that nobody learns more of a token than its own service would.
    ///
    /// Nothing is read: a token that comes back is known by its hash, and what was revoked is in memory, as old as the
    /// last look into the feeds. Where that is not known, there is no answer.
    ///
    /// # Errors
    /// [`GrantError::Overloaded`].
    pub(crate) async fn introspect(
        &self,
        tenant: &KnownTenant,
        client: &ServiceClient,
        token: &str,
    ) -> Result<Option<Arc<Claims>>, GrantError> {
        if tenant.tenant.status != TenantStatus::Active {
            return Ok(None);
        }
        let verified = self.verified.introspected(token, &tenant.tenant.slug, &client.policy.audiences).await;
        match verified {
            Ok(claims) => Ok(Some(claims)),
            Err(Refused::Token(_) | Refused::Revoked | Refused::Scope) => Ok(None),
            Err(Refused::NotKnown(_) | Refused::Directory(_)) => Err(GrantError::Overloaded),
        }
    }
}
