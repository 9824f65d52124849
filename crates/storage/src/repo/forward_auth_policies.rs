//! Forward-auth policies: what a proxy may ask of a token, by name.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use wxgate_domain::{Audience, ForwardAuthPolicy, PolicyName, Scope, Tenant, TenantId, Timestamp};

use super::{ascii, audiences, tenants};
use crate::changes::ChangeKind;
use crate::entity::{forward_auth_policy, tenant};
use crate::error::StorageError;
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};
use crate::storage::Storage;
use crate::tx::Tx;

/// A policy to be added.
#[derive(Clone, Debug)]
pub struct NewForwardAuthPolicy {
    /// Its name, unique among all tenants.
    pub name: PolicyName,
    /// Whom tokens must be for; the tenant owns it.
    pub audience: Audience,
    /// What they must allow, at most 20.
    pub scopes: Vec<Scope>,
}

/// A policy with its tenant.
#[derive(Clone, Debug)]
pub struct StoredForwardAuthPolicy {
    /// The policy.
    pub policy: ForwardAuthPolicy,
    /// Its tenant.
    pub tenant: Tenant,
}

fn of_row(row: forward_auth_policy::Model) -> Result<ForwardAuthPolicy, StorageError> {
    let scopes = serde_json::from_str(&row.scopes);
    Ok(ForwardAuthPolicy {
        name: ascii(row.name, "forward_auth_policy", "name")?,
        tenant: row.tenant_id.into(),
        audience: ascii(row.audience, "forward_auth_policy", "audience")?,
        scopes: scopes.map_err(|_| StorageError::inconsistent("forward_auth_policy", "scopes"))?,
        created_at: Timestamp::from_millis(row.created_at),
    })
}

/// The policies of all tenants: a proxy names one in its address, and nothing else.
#[derive(Clone, Debug)]
pub struct AllForwardAuthPolicies(Storage);

impl AllForwardAuthPolicies {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// The policies of all tenants by name, at most `limit`, whatever their tenants' status.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self, limit: u64) -> Result<Vec<StoredForwardAuthPolicy>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "a gateway decides for the proxies of all tenants")]
        let query = || forward_auth_policy::Entity::find().order_by_asc(forward_auth_policy::Column::Name).limit(limit);
        let core = &self.0.core;
        let rows = core.read(|db| async move { query().all(&db).await }).await?;
        let ids: BTreeSet<_> = rows.iter().map(|row| row.tenant_id).collect();
        #[expect(clippy::disallowed_methods, reason = "tenants are found by their own ids")]
        let owners = || tenant::Entity::find().filter(tenant::Column::Id.is_in(ids.iter().copied()));
        let owners = &owners;
        let owners = core.read(|db| async move { owners().all(&db).await }).await?;
        let owners: HashMap<_, _> =
            owners.into_iter().map(|row| Ok((row.id, tenants::of_row(row)?))).collect::<Result<_, StorageError>>()?;
        let stored = rows.into_iter().map(|row| {
            let tenant = owners.get(&row.tenant_id).cloned();
            let tenant = tenant.ok_or_else(|| StorageError::inconsistent("forward_auth_policy", "tenant_id"))?;
            Ok(StoredForwardAuthPolicy { policy: of_row(row)?, tenant })
        });
        stored.collect()
    }

    /// At most `limit` policies, of one tenant or of all, by name, after this one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn page(
        &self,
        tenant: Option<TenantId>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<ForwardAuthPolicy>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the operator sees all tenants")]
        let mut query = tenant.map_or_else(forward_auth_policy::Entity::find, of_tenant::<forward_auth_policy::Entity>);
        if let Some(after) = after {
            query = query.filter(forward_auth_policy::Column::Name.gt(after.as_bytes().to_vec()));
        }
        let query = &query.order_by_asc(forward_auth_policy::Column::Name).limit(limit);
        let rows = self.0.core.read(|db| async move { query.clone().all(&db).await }).await?;
        rows.into_iter().map(of_row).collect()
    }

    /// The policy of this name, whatever its tenant's status.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, name: &PolicyName) -> Result<Option<StoredForwardAuthPolicy>, StorageError> {
        let by_name = || forward_auth_policy::Column::Name.eq(name.as_str().as_bytes().to_vec());
        #[expect(clippy::disallowed_methods, reason = "the name is unique among all tenants")]
        let query = || forward_auth_policy::Entity::find().filter(by_name());
        let core = &self.0.core;
        let Some(row) = core.read(|db| async move { query().one(&db).await }).await? else { return Ok(None) };
        let policy = of_row(row)?;
        let owner = core.read(|db| async move { tenants::by_id(&db, policy.tenant).await }).await?;
        let owner = owner.ok_or_else(|| StorageError::inconsistent("forward_auth_policy", "tenant_id"))?;
        Ok(Some(StoredForwardAuthPolicy { policy, tenant: tenants::of_row(owner)? }))
    }
}

/// The policies of one tenant.
#[derive(Clone, Debug)]
pub struct TenantForwardAuthPolicies {
    storage: Storage,
    tenant: TenantId,
}

impl TenantForwardAuthPolicies {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self) -> Result<Vec<ForwardAuthPolicy>, StorageError> {
        let by_name = forward_auth_policy::Column::Name;
        let query = || of_tenant::<forward_auth_policy::Entity>(self.tenant).order_by_asc(by_name);
        let rows = self.storage.core.read(|db| async move { query().all(&db).await }).await?;
        rows.into_iter().map(of_row).collect()
    }
}

/// Writes about the policies of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxForwardAuthPolicies<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxForwardAuthPolicies<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Adds a policy.
    ///
    /// # Errors
    /// [`StorageError::NotUnique`] if any tenant has one of this name, [`StorageError::NotFound`] if the tenant does not
    /// own the audience.
    pub async fn add(&self, new: NewForwardAuthPolicy) -> Result<ForwardAuthPolicy, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        audiences::must_be_owned(self.tx, self.tenant, &[new.audience.as_str()]).await?;
        let NewForwardAuthPolicy { name, audience, scopes } = new;
        let added = ForwardAuthPolicy { name, tenant: self.tenant, audience, scopes, created_at: core.clock.now() };
        let row = forward_auth_policy::ActiveModel {
            name: Set(added.name.as_str().as_bytes().to_vec()),
            tenant_id: Set(self.tenant.uuid()),
            audience: Set(added.audience.as_str().as_bytes().to_vec()),
            scopes: Set(serde_json::to_string(&added.scopes).unwrap_or_default()),
            created_at: Set(added.created_at.millis()),
        };
        forward_auth_policy::Entity::insert(row).exec_without_returning(tx).await?;
        self.tx.record(ChangeKind::ForwardAuthPolicy, self.tenant, None).await?;
        Ok(added)
    }
    /// Changes what a policy asks for: `change` gets it as it is, under the row's lock, and gives audience and scopes as
    /// they are to be.
    ///
    /// # Errors
    /// What `change` fails with; [`StorageError::NotFound`] if the tenant has no such policy or does not own the audience.
    pub async fn change<E: From<StorageError>>(
        &self,
        name: &PolicyName,
        change: impl FnOnce(ForwardAuthPolicy) -> Result<(Audience, Vec<Scope>), E>,
    ) -> Result<ForwardAuthPolicy, E> {
        let tx = &self.tx.tx;
        let by_name = || forward_auth_policy::Column::Name.eq(name.as_str().as_bytes().to_vec());
        let policy = self.current(name).await?;
        let (audience, scopes) = change(policy.clone())?;
        audiences::must_be_owned(self.tx, self.tenant, &[audience.as_str()]).await?;
        let row = forward_auth_policy::ActiveModel {
            audience: Set(audience.as_str().as_bytes().to_vec()),
            scopes: Set(serde_json::to_string(&scopes).unwrap_or_default()),
            ..Default::default()
        };
        let update = update_of_tenant::<forward_auth_policy::Entity>(self.tenant).filter(by_name()).set(row);
        update.exec(tx).await.map_err(StorageError::from)?;
        self.tx.record(ChangeKind::ForwardAuthPolicy, self.tenant, None).await?;
        Ok(ForwardAuthPolicy { audience, scopes, ..policy })
    }

    /// The policy as it is, locked until the transaction ends.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such policy.
    pub async fn current(&self, name: &PolicyName) -> Result<ForwardAuthPolicy, StorageError> {
        let by_name = forward_auth_policy::Column::Name.eq(name.as_str().as_bytes().to_vec());
        let found = of_tenant::<forward_auth_policy::Entity>(self.tenant).filter(by_name).lock_exclusive();
        of_row(found.one(&self.tx.tx).await?.ok_or(StorageError::NotFound)?)
    }

    /// Removes a policy. Proxies that still name it are refused.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such policy.
    pub async fn remove(&self, name: &PolicyName) -> Result<(), StorageError> {
        let by_name = forward_auth_policy::Column::Name.eq(name.as_str().as_bytes().to_vec());
        let remove = delete_of_tenant::<forward_auth_policy::Entity>(self.tenant).filter(by_name);
        if remove.exec(&self.tx.tx).await?.rows_affected == 0 {
            return Err(StorageError::NotFound);
        }
        self.tx.record(ChangeKind::ForwardAuthPolicy, self.tenant, None).await
    }
}
