//! The pair of tokens that a login ends with.

use wxgate_crypto::{Random, Secret};
use wxgate_domain::{OpenedSession, RefreshToken, Timestamp};
use wxgate_storage::Storage;
use wxgate_token::{Grant, Subject, issue};

use super::directory::ActiveApp;
use super::login::LoginError;

/// Issues token pairs.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) storage: Storage,
    pub(crate) random: Random,
}

/// An access token and the refresh token beside it; lives in seconds.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) access_token: Secret<String>,
    pub(crate) expires_in: u32,
    pub(crate) refresh_token: Secret<String>,
    pub(crate) refresh_expires_in: u64,
    pub(crate) scope: String,
}

impl Tokens {
    /// The first pair of a session. Nothing is stored: the refresh token is computed from the session's row.
    pub(crate) async fn issue(
        &self,
        app: &ActiveApp,
        session: &OpenedSession,
        now: Timestamp,
    ) -> Result<Issued, LoginError> {
        let (policy, tenant) = (&app.app.policy, &app.tenant.tenant);
        let scope = policy.scope();
        let subject = Subject::User {
            user: session.user.id,
            session: session.id,
            app: &app.app.appid,
            audiences: &policy.audiences,
            openid: policy.openid_claim.then_some(&session.openid),
            unionid: session.unionid.as_ref().filter(|_| policy.unionid_claim),
        };
        let life = tenant.policy.access_token_life();
        let grant = Grant { tenant: &tenant.slug, subject, scope: &scope, life };
        let access = issue(&app.tenant.ring, &app.tenant.issuer, &grant, now, &self.random)?;
        let storage = self.storage.tenant(tenant.id);
        let key = storage.refresh_mac_key(session.mac_key).await?;
        let token = RefreshToken { mac_key: session.mac_key, tenant: tenant.id, session: session.id, generation: 0 };
        Ok(Issued {
            access_token: access.token,
            expires_in: access.expires_in,
            refresh_token: token.mint(&key, storage.restore_epoch().await?),
            refresh_expires_in: tenant.policy.refresh_idle().as_secs(),
            scope,
        })
    }
}
