//! Audiences.

use wxgate_domain::{Audience, Tenant};
use wxgate_storage::{OwnedAudience, StorageError};

use super::{Admin, AdminError, Event, taken};

impl Admin {
    /// Registers an audience for a tenant.
    pub(crate) async fn add_audience(&self, tenant: &Tenant, name: &Audience) -> Result<OwnedAudience, AdminError> {
        let tx = self.storage.begin().await?;
        let added = tx.tenant(tenant.id).audiences().add(name).await;
        let added = added.map_err(|error| taken(error, AdminError::AudienceTaken(name.to_string())))?;
        self.commit(tx, Event::of(tenant.id, "audience.create", name)).await?;
        Ok(added)
    }

    /// What an error of storage means where audiences were named: it knows no more than that one is not the tenant's.
    pub(super) async fn not_owned<'a>(
        &self,
        tenant: &Tenant,
        named: impl Iterator<Item = &'a str>,
        error: AdminError,
    ) -> AdminError {
        if !matches!(error, AdminError::Storage(StorageError::NotFound)) {
            return error;
        }
        let named: Vec<_> = named.collect();
        match self.storage.tenant(tenant.id).audiences().first_not_owned(&named).await {
            Ok(Some(audience)) => AdminError::AudienceNotOwned(tenant.slug.clone(), audience),
            Ok(None) => error,
            Err(error) => error.into(),
        }
    }
}
