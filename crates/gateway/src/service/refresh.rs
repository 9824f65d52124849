//! A refresh: one token for the next pair.

use std::sync::Arc;

use wxgate_crypto::{Digest, Secret};
use wxgate_domain::refresh::UnverifiedRefreshToken;
use wxgate_domain::{AppId, Clock, EndReason, RefreshToken, RefreshedSession};
use wxgate_storage::{NotRefreshed, RefreshKeys, RefreshRequest, RefreshSessionError, Storage, StorageError};

use super::directory::{Directory, DirectoryError};
use super::tokens::{Issued, TokenError, Tokens, Turn};
use crate::metrics::Metrics;

/// Refreshes sessions.
#[derive(Clone)]
pub(crate) struct Refreshes {
    pub(crate) clock: Clock,
    pub(crate) storage: Storage,
    pub(crate) directory: Directory,
    pub(crate) tokens: Tokens,
    pub(crate) metrics: Arc<Metrics>,
}

/// Who presents a token, as far as it can be told without asking.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PresentedBy {
    /// The network, /24 inside IPv6 or /64.
    pub(crate) network: [u8; 16],
    /// Digest of the user agent.
    pub(crate) agent: Digest,
}

/// The next pair of a session.
#[derive(Debug)]
pub(crate) struct Refreshed {
    pub(crate) session: RefreshedSession,
    pub(crate) tokens: Issued,
}

/// Why there is no next pair.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefreshError {
    #[error("the refresh token is not ours, or no longer")]
    Invalid,
    #[error("an old refresh token came back, and the session ended")]
    Reused,
    #[error("the session is over: {}", .0.as_str())]
    Ended(EndReason),
    #[error("the user is blocked")]
    UserBlocked,
    #[error("the app is disabled or its tenant suspended")]
    AppDisabled,
    #[error("too much to write")]
    Overloaded,
    #[error("{0}")]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl Refreshes {
    /// Moves a session on. `app` is the one that the client says it is, where it must say so.
    pub(crate) async fn refresh(
        &self,
        token: &Secret<String>,
        by: PresentedBy,
        app: Option<AppId>,
    ) -> Result<Refreshed, RefreshError> {
        let refreshed = self.answered(token, by, app).await;
        self.metrics.refresh(refreshed.as_ref().map_or_else(RefreshError::outcome, Refreshed::outcome));
        refreshed
    }

    async fn answered(
        &self,
        token: &Secret<String>,
        by: PresentedBy,
        app: Option<AppId>,
    ) -> Result<Refreshed, RefreshError> {
        let (token, keys) = self.verified(token).await?;
        let tenant = self.directory.tenant_of(token.tenant).await?.ok_or(RefreshError::Invalid)?;
        let request = RefreshRequest {
            token,
            keys: &keys,
            app,
            network: &by.network,
            agent: by.agent.as_bytes(),
            policy: &tenant.tenant.policy,
        };
        let turned = self.storage.tenant(token.tenant).refresh_session(&request).await;
        let session = turned.inspect_err(|error| tell_operator(&token, error))?;
        let app = self.directory.active_app_of(token.tenant, session.app).await?;
        let tokens = self.tokens.issue(&app, Turn::next(&session), Some(keys), self.clock.now()).await?;
        Ok(Refreshed { session, tokens })
    }

    /// The MAC comes before any row of a session: whoever guesses costs us a hash, or where no tenant has the id, one look for
    /// its keys. The keys that checked it come along.
    pub(crate) async fn verified(&self, token: &Secret<String>) -> Result<(RefreshToken, RefreshKeys), RefreshError> {
        let unverified = UnverifiedRefreshToken::parse(token).ok_or(RefreshError::Invalid)?;
        let claimed = unverified.claimed().ok_or(RefreshError::Invalid)?;
        let keys = self.storage.tenant(claimed.tenant).refresh_keys(claimed.mac_key).await?;
        let key = keys.key(claimed.mac_key).ok_or(RefreshError::Invalid)?;
        let token = unverified.verify(key, keys.restore_epoch()).ok_or(RefreshError::Invalid)?;
        Ok((token, keys))
    }
}

impl Refreshed {
    fn outcome(&self) -> &'static str {
        if self.session.repeated { "repeated" } else { "success" }
    }
}

impl RefreshError {
    /// The outcome's name in metrics.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Reused => EndReason::Reuse.as_str(),
            Self::Ended(reason) => reason.as_str(),
            Self::UserBlocked => "user_blocked",
            Self::AppDisabled => "app_disabled",
            Self::Overloaded => "overloaded",
            Self::Internal(_) => "internal",
        }
    }
}

/// Old tokens that come back are somebody else's doing, or a restored database's.
fn tell_operator(token: &RefreshToken, error: &RefreshSessionError) {
    let RefreshSessionError::Refused(NotRefreshed::EndedNow(reason, session)) = error else { return };
    let reason_word = reason.as_str();
    match reason {
        EndReason::Reuse | EndReason::Contested => {
            tracing::warn!(tenant.id = %token.tenant, session.id = %session, reason = reason_word, "a refresh token was stolen, and its session ended");
        }
        EndReason::StateLost => {
            tracing::error!(tenant.id = %token.tenant, session.id = %session, reason = reason_word, "the database is older than its refresh tokens; after a restore run `wxgate db restored`");
        }
        _ => {
            tracing::info!(tenant.id = %token.tenant, session.id = %session, reason = reason_word, "a session ended");
        }
    }
}

impl From<RefreshSessionError> for RefreshError {
    fn from(error: RefreshSessionError) -> Self {
        match error {
            RefreshSessionError::Overloaded => Self::Overloaded,
            RefreshSessionError::Storage(error) => error.into(),
            RefreshSessionError::Refused(refused) => match refused {
                NotRefreshed::Unknown | NotRefreshed::OtherApp => Self::Invalid,
                NotRefreshed::EndedNow(EndReason::Reuse | EndReason::Contested, _) => Self::Reused,
                NotRefreshed::Ended(reason) | NotRefreshed::EndedNow(reason, _) => Self::Ended(reason),
                NotRefreshed::UserBlocked => Self::UserBlocked,
                NotRefreshed::AppDisabled => Self::AppDisabled,
            },
        }
    }
}

impl From<StorageError> for RefreshError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NotFound => Self::Invalid,
            StorageError::Busy | StorageError::Unavailable { .. } => Self::Overloaded,
            error => Self::Internal(error.into()),
        }
    }
}

impl From<TokenError> for RefreshError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Storage(error) => error.into(),
            TokenError::Issue(error) => Self::Internal(error.into()),
        }
    }
}

impl From<DirectoryError> for RefreshError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Unknown => Self::Invalid,
            DirectoryError::Disabled => Self::AppDisabled,
            DirectoryError::Unavailable => Self::Overloaded,
        }
    }
}
