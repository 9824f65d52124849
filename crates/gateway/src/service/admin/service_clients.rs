//! Service clients.

use std::time::Duration;

use serde::Serialize;
use wxgate_domain::{ClientSecret, ServiceClient, ServiceClientId, ServiceClientPolicy, Tenant};
use wxgate_storage::StorageError;

use super::{Admin, AdminError, Event, checked, taken};

impl Admin {
    /// Adds a service client and makes its secret, which is told by what `told` says and never again.
    pub(crate) async fn add_service_client<R: Serialize>(
        &self,
        tenant: &Tenant,
        (name, policy): (&str, ServiceClientPolicy),
        told: impl FnOnce(ServiceClient, ClientSecret) -> R,
    ) -> Result<R, AdminError> {
        let (name, policy) = (checked(name.to_owned())?, policy.checked()?);
        let named: Vec<_> = policy.named().map(str::to_owned).collect();
        let tx = self.storage.begin().await?;
        let added = tx.tenant(tenant.id).service_clients().add(&name, policy).await;
        let meaning = |error| match error {
            StorageError::Full { .. } => AdminError::TooManyServiceClients,
            error => taken(error, AdminError::ServiceClientTaken(tenant.slug.clone(), name)),
        };
        match added.map_err(meaning) {
            Ok((client, secret)) => {
                let event = Event::of(tenant.id, "service-client.create", &client.id);
                self.commit_told(tx, event, told(client, secret)).await
            }
            Err(error) => Err(self.not_owned(tenant, named.iter().map(String::as_str), error).await),
        }
    }

    /// Changes a service client: `change` gets it as it is, locked.
    pub(crate) async fn change_service_client(
        &self,
        (tenant, client): &(Tenant, ServiceClient),
        change: impl FnOnce(ServiceClient) -> Result<(String, ServiceClientPolicy), AdminError>,
    ) -> Result<ServiceClient, AdminError> {
        let (mut wanted, mut named) = (String::new(), Vec::new());
        let decide = |before| {
            let (name, policy) = change(before)?;
            let (name, policy) = (checked(name)?, policy.checked()?);
            wanted.clone_from(&name);
            named.extend(policy.named().map(str::to_owned));
            Ok::<_, AdminError>((name, policy))
        };
        let tx = self.storage.begin().await?;
        let changed = tx.tenant(tenant.id).service_clients().change(&client.id, decide).await;
        match changed {
            Ok(client) => {
                self.commit(tx, Event::of(tenant.id, "service-client.change", &client.id)).await?;
                Ok(client)
            }
            Err(AdminError::Storage(error @ StorageError::NotUnique { .. })) => {
                Err(taken(error, AdminError::ServiceClientTaken(tenant.slug.clone(), wanted)))
            }
            Err(error) => {
                drop(tx);
                Err(self.not_owned(tenant, named.iter().map(String::as_str), error).await)
            }
        }
    }

    /// Makes a new secret for a service client; the one in use still counts for a while.
    pub(crate) async fn rotate_service_client<R: Serialize>(
        &self,
        id: &ServiceClientId,
        overlap: Duration,
        told: impl FnOnce(&Tenant, ServiceClient, ClientSecret) -> R,
    ) -> Result<R, AdminError> {
        let (tenant, _) = self.service_client(id).await?;
        let tx = self.storage.begin().await?;
        let (client, secret) = tx.tenant(tenant.id).service_clients().rotate(id, overlap).await?;
        self.commit_told(tx, Event::of(tenant.id, "service-client.rotate", id), told(&tenant, client, secret)).await
    }

    /// Removes a service client. `still` gets it as it is, locked, and may refuse.
    pub(crate) async fn remove_service_client(
        &self,
        (tenant, client): &(Tenant, ServiceClient),
        still: impl FnOnce(ServiceClient) -> Result<(), AdminError>,
    ) -> Result<(), AdminError> {
        let tx = self.storage.begin().await?;
        let clients = tx.tenant(tenant.id).service_clients();
        still(clients.current(&client.id).await?)?;
        clients.remove(&client.id).await?;
        self.commit(tx, Event::of(tenant.id, "service-client.remove", &client.id)).await
    }

    /// The service client of this id, if it exists for the caller.
    pub(crate) async fn service_client(&self, id: &ServiceClientId) -> Result<(Tenant, ServiceClient), AdminError> {
        let found = self.storage.service_clients().find(id).await?.filter(|client| self.caller.sees(client.tenant));
        let client = found.ok_or_else(|| AdminError::NoServiceClient(id.clone()))?;
        Ok((self.storage.tenants().get(client.tenant).await?, client))
    }
}
