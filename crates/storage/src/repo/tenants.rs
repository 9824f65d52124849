//! Tenants.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use wxgate_domain::{
    Job, RevokedSubject, SigningKeyState, Slug, StoredSigningKey, Task, Tenant, TenantId, TenantPolicy, TenantStatus,
    Timestamp,
};

use super::revocations::NewRevocation;
use super::{ascii, master_keys, signing_keys, unsigned};
use crate::audit;
use crate::changes::ChangeKind;
use crate::entity::{data_key, retired_slug, revocation_counter, signing_key, tenant};
use crate::erasure_journal::Entry;
use crate::error::StorageError;
use crate::keys;
use crate::scope::delete_of_tenant;
use crate::storage::Storage;
use crate::tx::Tx;

/// A tenant to be created.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Its name in addresses.
    pub slug: Slug,
    /// Its name for people, at most 200 characters.
    pub name: String,
    /// What it tunes.
    pub policy: TenantPolicy,
    /// Its first signing key, which signs at once.
    pub signing_key: StoredSigningKey,
    /// The key that stands by, published from the beginning.
    pub next_key: StoredSigningKey,
}

/// The tenants, for operators and for addresses.
#[derive(Clone, Debug)]
pub struct Tenants(Storage);

impl Tenants {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// All of them, by slug.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self) -> Result<Vec<Tenant>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the operator sees all tenants")]
        let query = || tenant::Entity::find().order_by_asc(tenant::Column::Slug);
        let rows = self.0.core.read(|db| async move { query().all(&db).await }).await?;
        rows.into_iter().map(of_row).collect()
    }

    /// The tenant of an address.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, slug: &Slug) -> Result<Option<Tenant>, StorageError> {
        let slug = slug.as_str().as_bytes();
        #[expect(clippy::disallowed_methods, reason = "a tenant is found by its own name")]
        let query = || tenant::Entity::find().filter(tenant::Column::Slug.eq(slug.to_vec()));
        let row = self.0.core.read(|db| async move { query().one(&db).await }).await?;
        row.map(of_row).transpose()
    }

    /// The name in addresses of the tenant of this id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn slug(&self, id: TenantId) -> Result<Option<Slug>, StorageError> {
        let row = self.0.core.read(|db| async move { by_id(&db, id).await }).await?;
        row.map(|row| ascii(row.slug, "tenant", "slug")).transpose()
    }

    /// The names in addresses of these tenants.
    ///
    /// # Errors
    /// The database fails.
    pub async fn slugs(&self, ids: &BTreeSet<TenantId>) -> Result<HashMap<TenantId, Slug>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "tenants are found by their own ids")]
        let query = || tenant::Entity::find().filter(tenant::Column::Id.is_in(ids.iter().copied().map(TenantId::uuid)));
        let query = &query;
        let rows = self.0.core.read(|db| async move { query().all(&db).await }).await?;
        rows.into_iter().map(|row| Ok((row.id.into(), ascii(row.slug, "tenant", "slug")?))).collect()
    }

    /// The tenant of this id, if there is one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of_id(&self, id: TenantId) -> Result<Option<Tenant>, StorageError> {
        let row = self.0.core.read(|db| async move { by_id(&db, id).await }).await?;
        row.map(of_row).transpose()
    }

    /// The tenant of this id.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is none.
    pub async fn get(&self, id: TenantId) -> Result<Tenant, StorageError> {
        self.of_id(id).await?.ok_or(StorageError::NotFound)
    }
}

pub(crate) async fn by_id<C: sea_orm::ConnectionTrait>(db: &C, id: TenantId) -> Result<Option<tenant::Model>, DbErr> {
    #[expect(clippy::disallowed_methods, reason = "a tenant is found by its own id")]
    tenant::Entity::find_by_id(id.uuid()).one(db).await
}

/// The row of a tenant, locked until the transaction ends.
pub(crate) async fn locked(tx: &DatabaseTransaction, id: TenantId) -> Result<tenant::Model, StorageError> {
    #[expect(clippy::disallowed_methods, reason = "a tenant is found by its own id")]
    let row = tenant::Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
    row.ok_or(StorageError::NotFound)
}

/// Whether no tenant that is gone had this name.
async fn must_be_new(tx: &DatabaseTransaction, slug: &Slug) -> Result<(), StorageError> {
    #[expect(clippy::disallowed_methods, reason = "a name of nobody")]
    let retired = retired_slug::Entity::find_by_id(slug.as_str().as_bytes().to_vec()).one(tx).await?;
    match retired {
        Some(_) => Err(StorageError::NotUnique { constraint: "uq_tenant_slug".to_owned() }),
        None => Ok(()),
    }
}

/// A tenant's policy as it is stored.
pub(crate) fn policy(text: &str) -> Result<TenantPolicy, StorageError> {
    TenantPolicy::from_json(text).map_err(|_| StorageError::inconsistent("tenant", "policy"))
}

pub(crate) fn of_row(row: tenant::Model) -> Result<Tenant, StorageError> {
    Ok(Tenant {
        id: row.id.into(),
        slug: ascii(row.slug, "tenant", "slug")?,
        name: row.name,
        status: TenantStatus::from_word(&row.status).ok_or_else(|| StorageError::inconsistent("tenant", "status"))?,
        policy: policy(&row.policy)?,
        sessions_epoch: unsigned(row.sessions_epoch, "tenant", "sessions_epoch")?,
        created_at: Timestamp::from_millis(row.created_at),
    })
}

/// Writes about tenants themselves.
#[derive(Clone, Copy, Debug)]
pub struct TxTenants<'a>(&'a Tx);

impl<'a> TxTenants<'a> {
    pub(crate) fn new(tx: &'a Tx) -> Self {
        Self(tx)
    }

    /// Creates an active tenant with its data keys and its first two signing keys.
    ///
    /// # Errors
    /// [`StorageError::NotUnique`] (`uq_tenant_slug`) if the slug was ever used.
    pub async fn create(&self, new: NewTenant) -> Result<Tenant, StorageError> {
        let Tx { core, tx, .. } = self.0;
        let now = core.clock.now();
        let created = Tenant {
            id: TenantId::new(now, &core.random),
            slug: new.slug,
            name: new.name,
            status: TenantStatus::Active,
            policy: new.policy,
            sessions_epoch: 0,
            created_at: now,
        };
        let row = tenant::ActiveModel {
            id: Set(created.id.uuid()),
            slug: Set(created.slug.as_str().as_bytes().to_vec()),
            name: Set(created.name.clone()),
            status: Set(created.status.as_str().to_owned()),
            policy: Set(created.policy.to_json()),
            sessions_epoch: Set(0),
            created_at: Set(now.millis()),
        };
        tenant::Entity::insert(row).exec_without_returning(tx).await?;
        must_be_new(tx, &created.slug).await?;
        let (data_keys, seal) = keys::create(&master_keys::sealing(tx, core).await?, &core.random, created.id, now);
        data_key::Entity::insert_many(data_keys).exec_without_returning(tx).await?;
        let counter =
            revocation_counter::ActiveModel { tenant_id: Set(created.id.uuid()), seq: Set(0), pruned: Set(0) };
        revocation_counter::Entity::insert(counter).exec_without_returning(tx).await?;
        let signing = [(new.signing_key, SigningKeyState::Active), (new.next_key, SigningKeyState::Next)];
        let signing = signing.map(|(key, state)| {
            signing_keys::to_row(&StoredSigningKey { state, ..key }, created.id, &seal, &core.random)
        });
        signing_key::Entity::insert_many(signing).exec_without_returning(tx).await?;
        audit::begin(tx, core, created.id).await?;
        self.0.record(ChangeKind::Tenant, created.id, Some(created.id.uuid())).await?;
        Ok(created)
    }

    /// Suspends or resumes a tenant, and tells the feed. Nothing happens if it stands so already.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is no such tenant, or it is being deleted.
    pub async fn set_status(&self, id: TenantId, status: TenantStatus) -> Result<(), StorageError> {
        let row = locked(&self.0.tx, id).await?;
        if row.status == status.as_str() {
            return Ok(());
        }
        if row.status == TenantStatus::Deleting.as_str() {
            return Err(StorageError::NotFound);
        }
        let subject = RevokedSubject::Tenant(ascii(row.slug, "tenant", "slug")?);
        let news = NewRevocation::of_status(subject, status == TenantStatus::Active);
        self.0.tenant(id).revocations().record(&[news]).await?;
        self.update(id, tenant::ActiveModel { status: Set(status.as_str().to_owned()), ..Default::default() }).await
    }

    /// Changes a tenant's name for people and what it tunes: `change` gets the tenant as it is and gives both as they are
    /// to be, under the row's lock.
    ///
    /// # Errors
    /// What `change` fails with; [`StorageError::NotFound`] if there is no such tenant; [`StorageError::Inconsistent`] if a
    /// value is out of its bounds.
    pub async fn change<E: From<StorageError>>(
        &self,
        id: TenantId,
        change: impl FnOnce(Tenant) -> Result<(String, TenantPolicy), E>,
    ) -> Result<Tenant, E> {
        let tenant = of_row(locked(&self.0.tx, id).await?)?;
        let (name, policy) = change(tenant.clone())?;
        let policy = policy.checked().map_err(|_| StorageError::inconsistent("tenant", "policy"))?;
        let row = tenant::ActiveModel { name: Set(name.clone()), policy: Set(policy.to_json()), ..Default::default() };
        self.update(id, row).await?;
        Ok(Tenant { name, policy, ..tenant })
    }

    /// Begins to delete a tenant, if `may` allows it, under the row's lock. At once it serves nothing, all its keys are
    /// destroyed, and so is whatever they sealed; its name is never used again. The job removes what is left. [`Tx::commit`]
    /// writes it into the erasure journal first.
    ///
    /// # Errors
    /// What `may` fails with; [`StorageError::NotFound`] if there is no such tenant.
    pub async fn delete<E: From<StorageError>>(
        &self,
        id: TenantId,
        may: impl FnOnce(&Tenant) -> Result<(), E>,
    ) -> Result<Job, E> {
        let tenant = of_row(locked(&self.0.tx, id).await?)?;
        may(&tenant)?;
        self.0.journal(Entry::of_tenant(id, self.0.core.clock.now()));
        Ok(self.destroy(tenant).await?)
    }

    /// Begins to delete a tenant that came back with a backup; whether it was not being deleted already.
    pub(crate) async fn delete_again(&self, tenant: Tenant) -> Result<bool, StorageError> {
        let comes_back = tenant.status != TenantStatus::Deleting;
        if comes_back {
            self.destroy(tenant).await?;
        }
        Ok(comes_back)
    }

    async fn destroy(&self, tenant: Tenant) -> Result<Job, StorageError> {
        let Tx { core, tx, .. } = self.0;
        delete_of_tenant::<data_key::Entity>(tenant.id).exec(tx).await?;
        delete_of_tenant::<signing_key::Entity>(tenant.id).exec(tx).await?;
        self.0.admin_keys().remove_of(tenant.id).await?;
        let slug = tenant.slug.as_str().as_bytes().to_vec();
        let retired = retired_slug::ActiveModel { slug: Set(slug), at: Set(core.clock.now().millis()) };
        retired_slug::Entity::insert(retired).exec_without_returning(tx).await?;
        let status = Set(TenantStatus::Deleting.as_str().to_owned());
        self.update(tenant.id, tenant::ActiveModel { status, ..Default::default() }).await?;
        for kind in [ChangeKind::DataKey, ChangeKind::SigningKey] {
            self.0.record(kind, tenant.id, None).await?;
        }
        self.0.jobs().add(None, Task::TenantDeletion { tenant: tenant.id, slug: tenant.slug }).await
    }

    async fn update(&self, id: TenantId, change: tenant::ActiveModel) -> Result<(), StorageError> {
        #[expect(clippy::disallowed_methods, reason = "a tenant is found by its own id")]
        let update = tenant::Entity::update_many().filter(tenant::Column::Id.eq(id.uuid()));
        update.set(change).exec(&self.0.tx).await?;
        self.0.record(ChangeKind::Tenant, id, Some(id.uuid())).await
    }
}
