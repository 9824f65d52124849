//! Forward-auth policies.

use wxgate_domain::{ForwardAuthPolicy, Tenant};
use wxgate_storage::NewForwardAuthPolicy;

use super::{Admin, AdminError, Event, taken};

impl Admin {
    /// Adds a policy that proxies name in their address.
    pub(crate) async fn add_forward_auth_policy(
        &self,
        tenant: &Tenant,
        policy: NewForwardAuthPolicy,
    ) -> Result<ForwardAuthPolicy, AdminError> {
        let policy = NewForwardAuthPolicy { scopes: ForwardAuthPolicy::checked_scopes(policy.scopes)?, ..policy };
        let NewForwardAuthPolicy { name, audience, .. } = policy.clone();
        let tx = self.storage.begin().await?;
        let added = tx.tenant(tenant.id).forward_auth_policies().add(policy).await;
        match added.map_err(|error| taken(error, AdminError::PolicyTaken(name))) {
            Ok(added) => {
                self.commit(tx, Event::of(tenant.id, "policy.create", &added.name)).await?;
                Ok(added)
            }
            Err(error) => Err(self.not_owned(tenant, std::iter::once(audience.as_str()), error).await),
        }
    }
}
