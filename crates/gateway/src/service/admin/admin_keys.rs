//! Admin keys: who else may do what an operator does, or what one tenant's admin does.

use serde::Serialize;
use wxgate_domain::{AdminKey, AdminKeyId, AdminKeySecret, Tenant};
use wxgate_storage::{NewAdminKey, StorageError};

use super::{Admin, AdminError, Caller, Desk, Event, checked};

impl Desk {
    /// Who proves to be somebody with this text; `None` for whatever is no key that counts.
    pub(crate) async fn holder_of(&self, claimed: &str) -> Result<Option<Caller>, StorageError> {
        let Some((id, digest)) = AdminKeySecret::claimed(claimed) else { return Ok(None) };
        let keys = self.storage.admin_keys();
        let Some((key, stored)) = keys.find(id).await? else { return Ok(None) };
        if stored != digest || !key.is_valid_at(self.clock.now()) {
            return Ok(None);
        }
        keys.used(&key).await?;
        Ok(Some(Caller::holding(&key)))
    }
}

impl Admin {
    /// The keys that exist for the caller, or those of one tenant.
    pub(crate) async fn admin_keys(&self, tenant: Option<&Tenant>) -> Result<Vec<AdminKey>, AdminError> {
        let tenant = tenant.map(|tenant| tenant.id).or(self.caller.tenant);
        Ok(self.storage.admin_keys().list(tenant).await?)
    }

    /// Adds a key and makes its secret, which is told by what `told` says and never again. Nobody gives more than they have.
    pub(crate) async fn add_admin_key<R: Serialize>(
        &self,
        key: NewAdminKey,
        told: impl FnOnce(AdminKey, AdminKeySecret) -> R,
    ) -> Result<R, AdminError> {
        if key.tenant != self.caller.tenant {
            self.caller.must_be_operator()?;
        }
        if !self.caller.scopes.include(&key.scopes) {
            return Err(AdminError::MoreThanOwn(self.caller.scopes.clone()));
        }
        let expired = key.expires_at.is_some_and(|expires_at| expires_at <= self.clock.now());
        if key.scopes.iter().next().is_none() || expired {
            return Err(AdminError::KeyShape);
        }
        let key = NewAdminKey { name: checked(key.name)?, ..key };
        let tx = self.storage.begin().await?;
        let (added, secret) = tx.admin_keys().add(key).await.map_err(|error| match error {
            StorageError::Full { .. } => AdminError::TooManyAdminKeys,
            error => error.into(),
        })?;
        let event = Event::concerning(added.tenant, "admin-key.create", added.id);
        self.commit_told(tx, event, told(added, secret)).await
    }

    /// Removes a key, which counts no more at once.
    pub(crate) async fn remove_admin_key(&self, id: AdminKeyId) -> Result<AdminKey, AdminError> {
        let found = self.storage.admin_keys().find(id).await?.map(|(key, _)| key);
        let mine = |key: &AdminKey| self.caller.tenant.is_none_or(|own| key.tenant == Some(own));
        let key = found.filter(mine).ok_or(AdminError::NoAdminKey(id))?;
        let tx = self.storage.begin().await?;
        tx.admin_keys().remove(id).await?;
        self.commit(tx, Event::concerning(key.tenant, "admin-key.remove", id)).await?;
        Ok(key)
    }
}
