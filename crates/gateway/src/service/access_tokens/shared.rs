//! Tokens of which each new one ends the one before (`cgi-bin/token`): all nodes share one, and one node at a time fetches.
//!
//! Source: WeChat, "API: getAccessToken". For apps that share their token with a system that knows no other interface.

use std::sync::Arc;
use std::time::Duration;

use wxgate_crypto::Digest;
use wxgate_domain::AppSecrets;
use wxgate_storage::{SharedToken, StorageError, TenantAccessTokens, TokenLease};
use wxgate_wechat_client::{AccessToken, CallError};

use super::{AccessTokens, Held};
use crate::service::directory::ActiveApp;

/// How long a node waits for what another one is fetching before it looks again.
const AGAIN: Duration = Duration::from_millis(200);

impl AccessTokens {
    /// The token that all nodes share, if it is not the one that must go; else the next one, fetched under a lease here or
    /// on another node.
    pub(super) async fn shared(
        &self,
        app: &ActiveApp,
        secrets: &AppSecrets,
        unwanted: Option<Digest>,
    ) -> Result<Arc<Held>, CallError> {
        let tokens = self.storage.tenant(app.tenant.id()).access_tokens();
        loop {
            if let Some(held) = self.usable(&tokens, app, unwanted).await? {
                return Ok(held);
            }
            match tokens.lease(app.app.id).await.map_err(|error| unreadable(app, &error))? {
                Some(lease) => {
                    if let Some(held) = self.next(&tokens, (app, secrets), (lease, unwanted)).await? {
                        return Ok(held);
                    }
                }
                None => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// What is stored, if it goes on living and is not the one that must go.
    async fn usable(
        &self,
        tokens: &TenantAccessTokens,
        app: &ActiveApp,
        unwanted: Option<Digest>,
    ) -> Result<Option<Arc<Held>>, CallError> {
        let stored = tokens.find(app.app.id).await.map_err(|error| unreadable(app, &error))?;
        let held = stored.and_then(|stored| {
            let token = AccessToken::parse(stored.token.expose().clone())?;
            let life = stored.expires_at.since(stored.fetched_at);
            Some(Held::new(token, (stored.fetched_at, life), self.random.fraction()))
        });
        let now = self.clock.now();
        Ok(held.filter(|held| now < held.until && Some(held.token.digest()) != unwanted).map(Arc::new))
    }

    /// Fetches the next token under a lease; `None` if the lease was lost meanwhile.
    async fn next(
        &self,
        tokens: &TenantAccessTokens,
        (app, secrets): (&ActiveApp, &AppSecrets),
        (lease, unwanted): (TokenLease, Option<Digest>),
    ) -> Result<Option<Arc<Held>>, CallError> {
        // Another node may have stored one between our look and our lease.
        if let Some(held) = self.usable(tokens, app, unwanted).await? {
            give_back(tokens, app, lease).await;
            return Ok(Some(held));
        }
        let fetched_at = self.clock.now();
        let issued = match self.wechat.legacy_token(&app.app.appid, secrets).await {
            Ok(issued) => issued,
            Err(error) => {
                give_back(tokens, app, lease).await;
                return Err(error);
            }
        };
        self.note_slot(app, issued.slot);
        let token = wxgate_crypto::Secret::new(issued.token.expose().to_owned());
        let shared = SharedToken { token, fetched_at, expires_at: fetched_at.plus(issued.expires_in) };
        match tokens.store(lease, &shared).await {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            // It is the newest all the same. Other nodes go on with the one before, which works for five minutes more.
            Err(error) => drop(unreadable(app, &error)),
        }
        Ok(Some(self.held(issued, fetched_at)))
    }
}

async fn give_back(tokens: &TenantAccessTokens, app: &ActiveApp, lease: TokenLease) {
    if let Err(error) = tokens.give_back(lease).await {
        unreadable(app, &error);
    }
}

/// A database that fails is no more use than a WeChat that does not answer.
fn unreadable(app: &ActiveApp, error: &StorageError) -> CallError {
    tracing::warn!(wechat.appid = %app.app.appid, error.source = %error, "the access_token that all nodes share cannot be read or written");
    CallError::Unavailable
}
