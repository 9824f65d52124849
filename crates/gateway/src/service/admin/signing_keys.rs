//! Signing keys, where an operator steps in.

use wxgate_domain::{KeyMoveError, Kid, Tenant};

use super::{Admin, AdminError};
use crate::service::signing_keys::SigningKeyError;

impl Admin {
    /// Lets the next key of a tenant sign before its time.
    pub(crate) async fn rotate_signing_key(&self, tenant: &Tenant) -> Result<(), AdminError> {
        let rotated = self.signing_keys().rotate(tenant.id).await;
        rotated.map(drop).map_err(|error| explained(error, tenant))
    }

    /// An emergency: a key of a tenant signs and verifies nothing from now on.
    pub(crate) async fn retire_signing_key(&self, tenant: &Tenant, kid: &Kid) -> Result<(), AdminError> {
        let retired = self.signing_keys().retire(tenant.id, kid).await;
        retired.map(drop).map_err(|error| explained(error, tenant))
    }
}

/// What an operator does about a key that did not move.
fn explained(error: SigningKeyError, tenant: &Tenant) -> AdminError {
    let slug = tenant.slug.clone();
    match error {
        SigningKeyError::Move(KeyMoveError::Unknown) => AdminError::NoSigningKey(slug),
        SigningKeyError::Move(KeyMoveError::NotYet { until }) => AdminError::KeyNotYet(slug, until.to_rfc3339()),
        SigningKeyError::Move(error) => AdminError::KeyStays(error),
        SigningKeyError::Make(error) => error.into(),
        SigningKeyError::Storage(error) => error.into(),
        SigningKeyError::Unreadable(_) => AdminError::KeysUnreadable(slug),
    }
}
