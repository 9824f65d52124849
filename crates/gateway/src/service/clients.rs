//! Who a service client is: an id, a secret, and an address that it may come from.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use wxgate_crypto::{Random, Secret};
use wxgate_domain::{ClientSecret, Clock, SecretDigests, ServiceClient, ServiceClientId};

use super::directory::{Directory, DirectoryError, KnownTenant};
use super::limits::{Limits, Wait};
use crate::metrics::Metrics;

/// What somebody says: not yet believed.
pub(crate) struct Credentials {
    pub(crate) id: String,
    pub(crate) secret: Secret<String>,
}

/// A service client with what is stored of its secrets.
#[derive(Debug)]
pub(crate) struct KnownClient {
    pub(crate) client: ServiceClient,
    secrets: SecretDigests,
}

impl KnownClient {
    /// A client as its row says it.
    pub(super) fn new(client: ServiceClient, secrets: SecretDigests) -> Self {
        Self { client, secrets }
    }
}

/// All service clients of one tenant.
pub(crate) type TenantClients = HashMap<ServiceClientId, Arc<KnownClient>>;

/// Authenticates service clients.
#[derive(Clone)]
pub(crate) struct Clients {
    clock: Clock,
    directory: Directory,
    limits: Arc<Limits>,
    metrics: Arc<Metrics>,
    /// What an unknown client's secret is compared with, so that it takes as long.
    nobody: SecretDigests,
}

/// Why a client is not believed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClientError {
    /// Unknown, or the secret is not right, or not from this address. Nobody is told which.
    Refused,
    /// Likewise, and too often for this id.
    TooOften(Wait),
    /// The database does not answer.
    Unavailable,
}

impl Clients {
    pub(crate) fn new(
        directory: Directory,
        limits: Arc<Limits>,
        metrics: Arc<Metrics>,
        parts: (Clock, &Random),
    ) -> Self {
        let (clock, random) = parts;
        let nobody = SecretDigests { current: ClientSecret::generate(random).digest(), previous: None };
        Self { clock, directory, limits, metrics, nobody }
    }

    /// The tenant's client of this id, if the secret is one of its two and it may come from this address.
    ///
    /// Clients of a tenant are in memory together, so known and unknown ids take the same way; and a client of another
    /// tenant is unknown here. The right secret is always believed: what is limited are failures, so that nobody can shut
    /// a client out by failing in its name.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn authenticate(
        &self,
        tenant: &KnownTenant,
        claimed: &Credentials,
        address: IpAddr,
    ) -> Result<Arc<KnownClient>, ClientError> {
        let clients = self.directory.service_clients(tenant.id()).await?;
        let digest = ClientSecret::digest_of(claimed.secret.expose());
        let id: Option<ServiceClientId> = claimed.id.parse().ok();
        let known = id.as_ref().and_then(|id| clients.get(id));
        let secrets = known.map_or(&self.nobody, |known| &known.secrets);
        let is_right = secrets.accept(&digest, self.clock.now());
        match known {
            Some(known) if is_right && known.client.policy.admits(address) => return Ok(known.clone()),
            Some(known) if is_right => {
                tracing::warn!(client.id = %known.client.id, "a service client's secret came from an address that it may not come from");
            }
            _ => {}
        }
        self.metrics.client_failures.inc();
        let Some(id) = id else { return Err(ClientError::Refused) };
        self.limits.client_failure(tenant.id(), id).map_err(ClientError::TooOften)?;
        Err(ClientError::Refused)
    }
}

impl From<DirectoryError> for ClientError {
    fn from(_: DirectoryError) -> Self {
        Self::Unavailable
    }
}
