//! Audiences. Operators alone register and remove them: a name must be one tenant's only.

use serde::Serialize;
use wxgate_domain::{Audience, Slug, Tenant};
use wxgate_storage::{OwnedAudience, StorageError};

use super::{Admin, AdminError, Event, taken};

impl Admin {
    /// Registers an audience for a tenant; what `told` says is told of it.
    pub(crate) async fn add_audience<R: Serialize>(
        &self,
        tenant: &Tenant,
        name: &Audience,
        told: impl FnOnce(OwnedAudience) -> R,
    ) -> Result<R, AdminError> {
        self.caller.must_be_operator()?;
        let tx = self.storage.begin().await?;
        let added = tx.tenant(tenant.id).audiences().add(name).await;
        let added = added.map_err(|error| taken(error, AdminError::AudienceTaken(name.to_string())))?;
        self.commit_told(tx, Event::of(tenant.id, "audience.create", name), told(added)).await
    }

    /// Removes an audience that nothing names any more. `still` gets it with its tenant's slug as it is, locked, and may
    /// refuse.
    pub(crate) async fn remove_audience(
        &self,
        name: &Audience,
        still: impl FnOnce(&Slug, OwnedAudience) -> Result<(), AdminError>,
    ) -> Result<(), AdminError> {
        let found = self.storage.audiences().find(name).await?.filter(|audience| self.caller.sees(audience.tenant));
        let audience = found.ok_or_else(|| AdminError::NoAudience(name.to_string()))?;
        self.caller.must_be_operator()?;
        let owner = self.storage.tenants().get(audience.tenant).await?;
        let tx = self.storage.begin().await?;
        let audiences = tx.tenant(audience.tenant).audiences();
        still(&owner.slug, audiences.current(name).await?)?;
        let named_by = audiences.remove(name).await?;
        if !named_by.is_empty() {
            return Err(AdminError::AudienceInUse(name.to_string(), named_by));
        }
        self.commit(tx, Event::of(audience.tenant, "audience.remove", name)).await
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
