//! A tenant's data keys.

use wxgate_domain::{DataKeyPurpose, Job, Tenant};
use wxgate_storage::{StorageError, StoredDataKey};

use super::{Admin, AdminError, Event};

impl Admin {
    /// The data keys of a tenant, by number.
    pub(crate) async fn data_keys(&self, tenant: &Tenant) -> Result<Vec<StoredDataKey>, AdminError> {
        Ok(self.storage.tenant(tenant.id).data_keys().list().await?)
    }

    /// Makes a new key for a purpose; for what is sealed, with the job that seals it anew.
    pub(crate) async fn rotate_data_key(
        &self,
        tenant: &Tenant,
        purpose: DataKeyPurpose,
    ) -> Result<(StoredDataKey, Option<Job>), AdminError> {
        let tx = self.storage.begin().await?;
        let rotated = match tx.tenant(tenant.id).data_keys().rotate(purpose).await {
            Err(StorageError::NotFound) => return Err(AdminError::TenantDeleting(tenant.slug.clone())),
            rotated => rotated?,
        };
        self.commit(tx, Event::of(tenant.id, "data-key.rotate", format!("{} {purpose}", rotated.0.number))).await?;
        Ok(rotated)
    }

    /// Removes an older key that nothing needs.
    pub(crate) async fn remove_data_key(&self, tenant: &Tenant, number: u32) -> Result<(), AdminError> {
        let unneeded = |key: &StoredDataKey, uses| match (key.newest, uses) {
            (true, _) => Err(AdminError::DataKeyNewest(number, key.purpose)),
            (false, 0) => Ok(()),
            (false, uses) => Err(AdminError::DataKeyNeeded(number, needed_by(key.purpose, uses))),
        };
        let tx = self.storage.begin().await?;
        match tx.tenant(tenant.id).data_keys().remove(number, unneeded).await {
            Err(AdminError::Storage(StorageError::NotFound)) => {
                return Err(AdminError::NoDataKey(tenant.slug.clone(), number));
            }
            removed => removed?,
        }
        self.commit(tx, Event::of(tenant.id, "data-key.remove", number)).await
    }
}

/// What still needs a key, for people.
fn needed_by(purpose: DataKeyPurpose, uses: u64) -> String {
    match purpose {
        DataKeyPurpose::Seal => format!("{uses} sealed values; see `wxgate job list` for their resealing"),
        DataKeyPurpose::Digest => format!("{uses} tombstones"),
        DataKeyPurpose::RefreshMac => {
            format!("the refresh tokens of {uses} live sessions; it goes by itself after them")
        }
        DataKeyPurpose::Audit => format!("{uses} audit entries"),
    }
}
