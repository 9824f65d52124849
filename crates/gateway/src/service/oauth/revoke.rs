//! A token is given back by its holder (RFC 7009): its session ends.

use wxgate_crypto::Secret;
use wxgate_domain::refresh;
use wxgate_domain::{EndReason, SessionId, WechatAppid};
use wxgate_storage::RefreshSessionError;
use wxgate_token::{Expected, VerifyError, verify};

use super::OAuth;
use crate::service::directory::KnownTenant;
use crate::service::refresh::RefreshError;

/// Who gives a token back.
#[derive(Clone, Debug)]
pub(crate) enum Revoker {
    /// Whoever holds it: that is all that a mini-program can prove. It may say which one it is.
    Holder(Option<WechatAppid>),
    /// A service client that proved who it is.
    Service,
}

/// Why a token was not revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevokeError {
    #[error("the token is another client's")]
    NotTheHolder,
    #[error("tokens of service clients end by themselves")]
    Unsupported,
    #[error("too much to write")]
    Overloaded,
    #[error("{0}")]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

/// Whose session a token belongs to.
struct Held {
    session: SessionId,
    app: Option<WechatAppid>,
}

impl OAuth {
    /// Ends the session of a refresh token, of whichever turn, or of a user's access token. A token that is not ours, of
    /// another tenant, or over already needs no revoking: that is success (section 2.2).
    ///
    /// # Errors
    /// [`RevokeError`].
    pub(crate) async fn revoke(
        &self,
        tenant: &KnownTenant,
        token: &Secret<String>,
        by: &Revoker,
    ) -> Result<(), RevokeError> {
        let held = if token.expose().starts_with(refresh::PREFIX) {
            self.of_refresh_token(tenant, token).await?
        } else {
            self.of_access_token(tenant, token)?
        };
        let Some(held) = held else { return Ok(()) };
        match by {
            Revoker::Service => return Err(RevokeError::NotTheHolder),
            Revoker::Holder(Some(app)) if !self.is_of_app(tenant, &held, app).await? => {
                return Err(RevokeError::NotTheHolder);
            }
            Revoker::Holder(_) => {}
        }
        let storage = self.storage.tenant(tenant.id());
        storage.end_sessions(&[held.session], None, EndReason::Revoked).await?;
        self.revoked.settled(&self.storage).await;
        Ok(())
    }

    async fn of_refresh_token(
        &self,
        tenant: &KnownTenant,
        token: &Secret<String>,
    ) -> Result<Option<Held>, RevokeError> {
        match self.refreshes.verified(token).await {
            Ok((token, _)) if token.tenant == tenant.id() => Ok(Some(Held { session: token.session, app: None })),
            Ok(_) | Err(RefreshError::Invalid) => Ok(None),
            Err(RefreshError::Overloaded) => Err(RevokeError::Overloaded),
            Err(error) => Err(RevokeError::Internal(error.into())),
        }
    }

    /// Only a user's own token is for the gateway itself. Others were handed on: whoever was handed one must not be able to
    /// end the user's session with it.
    fn of_access_token(&self, tenant: &KnownTenant, token: &Secret<String>) -> Result<Option<Held>, RevokeError> {
        let expected = Expected { issuer: &tenant.issuer, audience: tenant.issuer.as_str() };
        match verify(token.expose(), &tenant.ring, &expected, &self.clock) {
            Ok(claims) => {
                let app = claims.app();
                Ok(claims.sid.map(|session| Held { session, app }))
            }
            Err(VerifyError::Audience) => Err(RevokeError::Unsupported),
            Err(_) => Ok(None),
        }
    }

    /// Whether a session is this app's; one that does not act is over, and nobody minds.
    async fn is_of_app(&self, tenant: &KnownTenant, held: &Held, app: &WechatAppid) -> Result<bool, RevokeError> {
        if let Some(own) = &held.app {
            return Ok(own == app);
        }
        let acting = self.storage.tenant(tenant.id()).acting_session(held.session).await;
        let acting = acting.map_err(|error| RevokeError::from(RefreshSessionError::Storage(error)))?;
        Ok(acting.is_none_or(|acting| acting.appid == *app))
    }
}

impl From<RefreshSessionError> for RevokeError {
    fn from(error: RefreshSessionError) -> Self {
        match error {
            RefreshSessionError::Overloaded | RefreshSessionError::Refused(_) => Self::Overloaded,
            RefreshSessionError::Storage(error) if error.is_retryable() => Self::Overloaded,
            RefreshSessionError::Storage(error) => Self::Internal(error.into()),
        }
    }
}
