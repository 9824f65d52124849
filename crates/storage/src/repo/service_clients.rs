//! Service clients. Of their secrets only digests are stored.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use wxgate_crypto::Digest;
use wxgate_domain::service_client::MAX_OVERLAP;
use wxgate_domain::{
    ClientSecret, SecretDigests, ServiceClient, ServiceClientId, ServiceClientPolicy, TenantId, Timestamp,
};

use super::{ascii, audiences};
use crate::changes::ChangeKind;
use crate::entity::service_client;
use crate::error::StorageError;
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};
use crate::storage::Storage;
use crate::tx::Tx;

/// Most service clients of one tenant: gateways keep all of them in memory.
const MOST: u64 = 1_000;

fn of_row(row: service_client::Model) -> Result<ServiceClient, StorageError> {
    let policy = ServiceClientPolicy::from_json(&row.policy);
    Ok(ServiceClient {
        id: ascii(row.id, "service_client", "id")?,
        tenant: row.tenant_id.into(),
        name: row.name,
        policy: policy.map_err(|_| StorageError::inconsistent("service_client", "policy"))?,
        previous_until: row.previous_until.map(Timestamp::from_millis),
        created_at: Timestamp::from_millis(row.created_at),
    })
}

fn digests(row: &service_client::Model) -> Result<SecretDigests, StorageError> {
    let digest = |column, bytes: &[u8]| {
        Digest::from_slice(bytes).ok_or_else(|| StorageError::inconsistent("service_client", column))
    };
    let previous = match (&row.previous_digest, row.previous_until) {
        (Some(bytes), Some(until)) => Some((digest("previous_digest", bytes)?, Timestamp::from_millis(until))),
        _ => None,
    };
    Ok(SecretDigests { current: digest("secret_digest", &row.secret_digest)?, previous })
}

/// The service clients of all tenants: ids are unique among them.
#[derive(Clone, Debug)]
pub struct AllServiceClients(Storage);

impl AllServiceClients {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// The client of this id, for operators, who know ids and not always tenants. Nobody is authenticated by this.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, id: &ServiceClientId) -> Result<Option<ServiceClient>, StorageError> {
        let by_id = || service_client::Column::Id.eq(id.as_str().as_bytes().to_vec());
        #[expect(clippy::disallowed_methods, reason = "ids are unique among all tenants")]
        let query = || service_client::Entity::find().filter(by_id());
        let row = self.0.core.read(|db| async move { query().one(&db).await }).await?;
        row.map(of_row).transpose()
    }

    /// At most `limit` clients, of one tenant or of all, by id, after this one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn page(
        &self,
        tenant: Option<TenantId>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<ServiceClient>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the operator sees all tenants")]
        let mut query = tenant.map_or_else(service_client::Entity::find, of_tenant::<service_client::Entity>);
        if let Some(after) = after {
            query = query.filter(service_client::Column::Id.gt(after.as_bytes().to_vec()));
        }
        let query = &query.order_by_asc(service_client::Column::Id).limit(limit);
        let rows = self.0.core.read(|db| async move { query.clone().all(&db).await }).await?;
        rows.into_iter().map(of_row).collect()
    }
}

/// The service clients of one tenant.
#[derive(Clone, Debug)]
pub struct TenantServiceClients {
    storage: Storage,
    tenant: TenantId,
}

impl TenantServiceClients {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self) -> Result<Vec<ServiceClient>, StorageError> {
        self.rows().await?.into_iter().map(of_row).collect()
    }

    /// All of them with what is stored of their secrets, to authenticate by.
    ///
    /// # Errors
    /// The database fails.
    pub async fn with_secrets(&self) -> Result<Vec<(ServiceClient, SecretDigests)>, StorageError> {
        let pair = |row: service_client::Model| {
            let digests = digests(&row)?;
            Ok((of_row(row)?, digests))
        };
        self.rows().await?.into_iter().map(pair).collect()
    }

    async fn rows(&self) -> Result<Vec<service_client::Model>, StorageError> {
        let query = || of_tenant::<service_client::Entity>(self.tenant).order_by_asc(service_client::Column::Name);
        self.storage.core.read(|db| async move { query().all(&db).await }).await
    }
}

/// Writes about the service clients of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxServiceClients<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxServiceClients<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Adds a client and makes its secret, which is told here and never again.
    ///
    /// # Errors
    /// [`StorageError::NotUnique`] (`uq_service_client_tenant_id_name`) if the tenant has one of this name,
    /// [`StorageError::NotFound`] if it does not own an audience of the policy, [`StorageError::Full`] if it has a
    /// thousand clients.
    pub async fn add(
        &self,
        name: &str,
        policy: ServiceClientPolicy,
    ) -> Result<(ServiceClient, ClientSecret), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        if of_tenant::<service_client::Entity>(self.tenant).count(tx).await? >= MOST {
            return Err(StorageError::Full { table: "service_client" });
        }
        let named: Vec<_> = policy.named().collect();
        audiences::must_be_owned(self.tx, self.tenant, &named).await?;
        let secret = ClientSecret::generate(&core.random);
        let added = ServiceClient {
            id: ServiceClientId::new(&core.random),
            tenant: self.tenant,
            name: name.to_owned(),
            policy,
            previous_until: None,
            created_at: core.clock.now(),
        };
        let row = service_client::ActiveModel {
            id: Set(added.id.as_str().as_bytes().to_vec()),
            tenant_id: Set(self.tenant.uuid()),
            name: Set(added.name.clone()),
            secret_digest: Set(secret.digest().as_bytes().to_vec()),
            previous_digest: Set(None),
            previous_until: Set(None),
            policy: Set(added.policy.to_json()),
            created_at: Set(added.created_at.millis()),
        };
        service_client::Entity::insert(row).exec_without_returning(tx).await?;
        self.record().await?;
        Ok((added, secret))
    }

    /// Makes a new secret, which is told here and never again. The one in use still counts for `overlap`, at most a
    /// week; one from before it no longer does.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such client.
    pub async fn rotate(
        &self,
        id: &ServiceClientId,
        overlap: Duration,
    ) -> Result<(ServiceClient, ClientSecret), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let row = self.of_id(id).lock_exclusive().one(tx).await?.ok_or(StorageError::NotFound)?;
        let secret = ClientSecret::generate(&core.random);
        let until = core.clock.now().plus(overlap.min(MAX_OVERLAP));
        let change = service_client::ActiveModel {
            secret_digest: Set(secret.digest().as_bytes().to_vec()),
            previous_digest: Set(Some(row.secret_digest.clone())),
            previous_until: Set(Some(until.millis())),
            ..Default::default()
        };
        let by_id = service_client::Column::Id.eq(row.id.clone());
        update_of_tenant::<service_client::Entity>(self.tenant).filter(by_id).set(change).exec(tx).await?;
        self.record().await?;
        Ok((ServiceClient { previous_until: Some(until), ..of_row(row)? }, secret))
    }

    /// Changes a client: `change` gets it as it is, under the row's lock, and gives name and policy as they are to be.
    ///
    /// # Errors
    /// What `change` fails with; [`StorageError::NotFound`] if the tenant has no such client or does not own an audience of
    /// the policy; [`StorageError::NotUnique`] (`uq_service_client_tenant_id_name`) if another one has the name.
    pub async fn change<E: From<StorageError>>(
        &self,
        id: &ServiceClientId,
        change: impl FnOnce(ServiceClient) -> Result<(String, ServiceClientPolicy), E>,
    ) -> Result<ServiceClient, E> {
        let tx = &self.tx.tx;
        let client = self.current(id).await?;
        let (name, policy) = change(client.clone())?;
        let named: Vec<_> = policy.named().collect();
        audiences::must_be_owned(self.tx, self.tenant, &named).await?;
        let row = service_client::ActiveModel {
            name: Set(name.clone()),
            policy: Set(policy.to_json()),
            ..Default::default()
        };
        let by_id = service_client::Column::Id.eq(id.as_str().as_bytes().to_vec());
        let update = update_of_tenant::<service_client::Entity>(self.tenant).filter(by_id).set(row);
        update.exec(tx).await.map_err(StorageError::from)?;
        self.record().await?;
        Ok(ServiceClient { name, policy, ..client })
    }

    /// Removes a client. Its secrets count no more; tokens that it got end by themselves.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such client.
    pub async fn remove(&self, id: &ServiceClientId) -> Result<(), StorageError> {
        let by_id = service_client::Column::Id.eq(id.as_str().as_bytes().to_vec());
        let removed = delete_of_tenant::<service_client::Entity>(self.tenant).filter(by_id).exec(&self.tx.tx).await?;
        if removed.rows_affected == 0 {
            return Err(StorageError::NotFound);
        }
        self.record().await
    }

    /// The client as it is, locked until the transaction ends.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such client.
    pub async fn current(&self, id: &ServiceClientId) -> Result<ServiceClient, StorageError> {
        of_row(self.of_id(id).lock_exclusive().one(&self.tx.tx).await?.ok_or(StorageError::NotFound)?)
    }

    fn of_id(&self, id: &ServiceClientId) -> sea_orm::Select<service_client::Entity> {
        let by_id = service_client::Column::Id.eq(id.as_str().as_bytes().to_vec());
        of_tenant::<service_client::Entity>(self.tenant).filter(by_id)
    }

    /// Ids of clients are no UUIDs, so the log names none: gateways forget the tenant's clients all.
    async fn record(&self) -> Result<(), StorageError> {
        self.tx.record(ChangeKind::ServiceClient, self.tenant, None).await
    }
}
