//! What the OAuth endpoints do that is no login and no refresh: tokens for service clients, and what becomes of tokens.

mod client_credentials;
mod exchange;
mod introspect;
mod revoke;

use wxgate_crypto::{Random, Secret};
use wxgate_domain::{Clock, Scope, TenantStatus};
use wxgate_storage::{RefreshSessionError, Storage, StorageError};
use wxgate_token::IssueError;

use super::directory::{DirectoryError, KnownTenant};
use super::refresh::Refreshes;
use super::revoked::Revoked;
use super::verified::Verified;

pub(crate) use client_credentials::ClientTokenRequest;
pub(crate) use exchange::Exchange;
pub(crate) use revoke::{RevokeError, Revoker};

/// Serves the OAuth endpoints.
#[derive(Clone)]
pub(crate) struct OAuth {
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) storage: Storage,
    pub(crate) refreshes: Refreshes,
    pub(crate) verified: Verified,
    pub(crate) revoked: Revoked,
}

/// An access token for a service client. There is no refresh token beside it: the client can ask again.
#[derive(Debug)]
pub(crate) struct ServiceToken {
    pub(crate) access_token: Secret<String>,
    pub(crate) expires_in: u32,
    pub(crate) scope: String,
}

/// Why a service client gets no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    #[error("the tenant is suspended")]
    Suspended,
    #[error("not a scope of the client's")]
    Scope,
    #[error("not an audience of the client's")]
    Target,
    #[error("the subject token is not accepted: {0}")]
    Subject(&'static str),
    #[error("two services act already")]
    Actors,
    #[error("the database does not answer")]
    Overloaded,
    #[error("{0}")]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

/// Only an active tenant issues tokens.
fn must_be_active(tenant: &KnownTenant) -> Result<(), GrantError> {
    match tenant.tenant.status {
        TenantStatus::Active => Ok(()),
        TenantStatus::Suspended | TenantStatus::Deleting => Err(GrantError::Suspended),
    }
}

/// The words of `asked` that `allowed` has, in the order of `allowed`; all of `allowed` if nothing was asked.
fn intersection<'a>(asked: Option<&[Scope]>, allowed: &'a [Scope]) -> Vec<&'a Scope> {
    allowed.iter().filter(|scope| asked.is_none_or(|asked| asked.contains(scope))).collect()
}

impl From<StorageError> for GrantError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Busy | StorageError::Unavailable { .. } => Self::Overloaded,
            error => Self::Internal(error.into()),
        }
    }
}

impl From<IssueError> for GrantError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Actors => Self::Actors,
            IssueError::Audience => Self::Target,
            // The life of a policy has its bounds, so it is the subject token's that is over.
            IssueError::Life => Self::Subject("expired"),
            error => Self::Internal(error.into()),
        }
    }
}

impl From<DirectoryError> for GrantError {
    fn from(_: DirectoryError) -> Self {
        Self::Overloaded
    }
}

impl From<RefreshSessionError> for GrantError {
    fn from(error: RefreshSessionError) -> Self {
        match error {
            RefreshSessionError::Storage(error) => error.into(),
            RefreshSessionError::Overloaded | RefreshSessionError::Refused(_) => Self::Overloaded,
        }
    }
}
