//! Union groups.

use wxgate_domain::Tenant;
use wxgate_storage::UnionGroup;

use super::{Admin, AdminError, Event, checked, taken};

impl Admin {
    /// Creates a union group.
    pub(crate) async fn add_union_group(&self, tenant: &Tenant, name: &str) -> Result<UnionGroup, AdminError> {
        let name = checked(name.to_owned())?;
        let tx = self.storage.begin().await?;
        let group = tx.tenant(tenant.id).union_groups().add(&name).await;
        let group = group.map_err(|error| taken(error, AdminError::UnionGroupTaken(tenant.slug.clone(), name)))?;
        self.commit(tx, Event::of(tenant.id, "union-group.create", group.id)).await?;
        Ok(group)
    }
}
