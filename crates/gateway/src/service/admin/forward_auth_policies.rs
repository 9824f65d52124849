//! Forward-auth policies.

use serde::Serialize;
use wxgate_domain::{Audience, ForwardAuthPolicy, PolicyName, Scope, Tenant};
use wxgate_storage::NewForwardAuthPolicy;

use super::{Admin, AdminError, Event, taken};

impl Admin {
    /// Adds a policy that proxies name in their address; what `told` says is told of it.
    pub(crate) async fn add_forward_auth_policy<R: Serialize>(
        &self,
        tenant: &Tenant,
        policy: NewForwardAuthPolicy,
        told: impl FnOnce(ForwardAuthPolicy) -> R,
    ) -> Result<R, AdminError> {
        let policy = NewForwardAuthPolicy { scopes: ForwardAuthPolicy::checked_scopes(policy.scopes)?, ..policy };
        let NewForwardAuthPolicy { name, audience, .. } = policy.clone();
        let tx = self.storage.begin().await?;
        let added = tx.tenant(tenant.id).forward_auth_policies().add(policy).await;
        match added.map_err(|error| taken(error, AdminError::PolicyTaken(name))) {
            Ok(added) => self.commit_told(tx, Event::of(tenant.id, "policy.create", &added.name), told(added)).await,
            Err(error) => Err(self.not_owned(tenant, std::iter::once(audience.as_str()), error).await),
        }
    }

    /// Changes what a policy asks for: `change` gets it as it is, locked.
    pub(crate) async fn change_forward_auth_policy(
        &self,
        (tenant, policy): &(Tenant, ForwardAuthPolicy),
        change: impl FnOnce(ForwardAuthPolicy) -> Result<(Audience, Vec<Scope>), AdminError>,
    ) -> Result<ForwardAuthPolicy, AdminError> {
        let mut wanted = None;
        let decide = |before| {
            let (audience, scopes) = change(before)?;
            wanted = Some(audience.clone());
            Ok::<_, AdminError>((audience, ForwardAuthPolicy::checked_scopes(scopes)?))
        };
        let tx = self.storage.begin().await?;
        let changed = tx.tenant(tenant.id).forward_auth_policies().change(&policy.name, decide).await;
        match changed {
            Ok(policy) => {
                self.commit(tx, Event::of(tenant.id, "policy.change", &policy.name)).await?;
                Ok(policy)
            }
            Err(error) => {
                drop(tx);
                Err(self.not_owned(tenant, wanted.iter().map(Audience::as_str), error).await)
            }
        }
    }

    /// Removes a policy. Proxies that still name it are refused. `still` gets it as it is, locked, and may refuse.
    pub(crate) async fn remove_forward_auth_policy(
        &self,
        (tenant, policy): &(Tenant, ForwardAuthPolicy),
        still: impl FnOnce(ForwardAuthPolicy) -> Result<(), AdminError>,
    ) -> Result<(), AdminError> {
        let tx = self.storage.begin().await?;
        let policies = tx.tenant(tenant.id).forward_auth_policies();
        still(policies.current(&policy.name).await?)?;
        policies.remove(&policy.name).await?;
        self.commit(tx, Event::of(tenant.id, "policy.remove", &policy.name)).await
    }

    /// The policy of this name, if it exists for the caller.
    pub(crate) async fn forward_auth_policy(
        &self,
        name: &PolicyName,
    ) -> Result<(Tenant, ForwardAuthPolicy), AdminError> {
        let found = self.storage.forward_auth_policies().find(name).await?;
        let found = found.filter(|found| self.caller.sees(found.tenant.id));
        found.map(|found| (found.tenant, found.policy)).ok_or_else(|| AdminError::NoPolicy(name.clone()))
    }
}
