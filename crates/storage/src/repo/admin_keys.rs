//! Admin keys. Of their secrets only digests are stored.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use wxgate_crypto::Digest;
use wxgate_domain::{AdminKey, AdminKeyId, AdminKeySecret, AdminScopes, TenantId, Timestamp};

use crate::entity::admin_key;
use crate::error::StorageError;
use crate::storage::Storage;
use crate::tx::Tx;

/// Most admin keys of one tenant, and of operators.
const MOST: u64 = 1_000;
/// How exact the last use of a key is kept.
const USED: Duration = Duration::from_mins(1);

/// An admin key to be added.
#[derive(Clone, Debug)]
pub struct NewAdminKey {
    /// The tenant that it is for; `None` is an operator's.
    pub tenant: Option<TenantId>,
    /// Its name for people, at most 200 characters.
    pub name: String,
    /// What it allows.
    pub scopes: AdminScopes,
    /// From when on it counts no more.
    pub expires_at: Option<Timestamp>,
}

fn of_row(row: admin_key::Model) -> Result<AdminKey, StorageError> {
    let scopes = row.scopes.parse().map_err(|_| StorageError::inconsistent("admin_key", "scopes"))?;
    Ok(AdminKey {
        id: row.id.into(),
        tenant: row.tenant_id.map(TenantId::from),
        name: row.name,
        scopes,
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: row.expires_at.map(Timestamp::from_millis),
        last_used_at: row.last_used_at.map(Timestamp::from_millis),
    })
}

/// The admin keys of operators and of all tenants.
#[derive(Clone, Debug)]
pub struct AdminKeys(Storage);

impl AdminKeys {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// The key of this id with the digest of its secret, to authenticate by.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, id: AdminKeyId) -> Result<Option<(AdminKey, Digest)>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the key itself says whose it is")]
        let query = || admin_key::Entity::find_by_id(id.uuid());
        let row = self.0.core.read(|db| async move { query().one(&db).await }).await?;
        let Some(row) = row else { return Ok(None) };
        let digest = Digest::from_slice(&row.secret_digest);
        let digest = digest.ok_or_else(|| StorageError::inconsistent("admin_key", "secret_digest"))?;
        Ok(Some((of_row(row)?, digest)))
    }

    /// The keys of one tenant, or all of them, oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self, tenant: Option<TenantId>) -> Result<Vec<AdminKey>, StorageError> {
        let query = || {
            #[expect(clippy::disallowed_methods, reason = "operators see all keys; the filter is a tenant's")]
            let keys = admin_key::Entity::find().order_by_asc(admin_key::Column::Id);
            match tenant {
                Some(tenant) => keys.filter(admin_key::Column::TenantId.eq(tenant.uuid())),
                None => keys,
            }
        };
        let rows = self.0.core.read(|db| async move { query().all(&db).await }).await?;
        rows.into_iter().map(of_row).collect()
    }

    /// Notes that a key was used now; at most once a minute.
    ///
    /// # Errors
    /// The database fails.
    pub async fn used(&self, key: &AdminKey) -> Result<(), StorageError> {
        let core = &self.0.core;
        let now = core.clock.now();
        if key.last_used_at.is_some_and(|last| now.since(last) < USED) {
            return Ok(());
        }
        #[expect(clippy::disallowed_methods, reason = "the key itself says whose it is")]
        let update = admin_key::Entity::update_many().filter(admin_key::Column::Id.eq(key.id.uuid()));
        let change = admin_key::ActiveModel { last_used_at: Set(Some(now.millis())), ..Default::default() };
        update.set(change).exec(&core.writer).await?;
        Ok(())
    }
}

/// Writes about admin keys.
#[derive(Clone, Copy, Debug)]
pub struct TxAdminKeys<'a>(&'a Tx);

impl<'a> TxAdminKeys<'a> {
    pub(crate) fn new(tx: &'a Tx) -> Self {
        Self(tx)
    }

    /// Adds a key and makes its secret, which is told here and never again.
    ///
    /// # Errors
    /// [`StorageError::Full`] with a thousand keys of the same tenant.
    pub async fn add(&self, new: NewAdminKey) -> Result<(AdminKey, AdminKeySecret), StorageError> {
        let Tx { core, tx, .. } = self.0;
        #[expect(clippy::disallowed_methods, reason = "counts those of the same tenant, or of operators")]
        let others = admin_key::Entity::find();
        let others = match new.tenant {
            Some(tenant) => others.filter(admin_key::Column::TenantId.eq(tenant.uuid())),
            None => others.filter(admin_key::Column::TenantId.is_null()),
        };
        if others.limit(MOST).count(tx).await? >= MOST {
            return Err(StorageError::Full { table: "admin_key" });
        }
        let now = core.clock.now();
        let id = AdminKeyId::new(now, &core.random);
        let secret = AdminKeySecret::generate(id, &core.random);
        let row = admin_key::ActiveModel {
            id: Set(id.uuid()),
            tenant_id: Set(new.tenant.map(TenantId::uuid)),
            name: Set(new.name.clone()),
            secret_digest: Set(secret.digest().as_bytes().to_vec()),
            scopes: Set(new.scopes.to_string()),
            created_at: Set(now.millis()),
            expires_at: Set(new.expires_at.map(Timestamp::millis)),
            last_used_at: Set(None),
        };
        admin_key::Entity::insert(row).exec_without_returning(tx).await?;
        let NewAdminKey { tenant, name, scopes, expires_at } = new;
        Ok((AdminKey { id, tenant, name, scopes, created_at: now, expires_at, last_used_at: None }, secret))
    }

    /// Removes every key of a tenant.
    pub(crate) async fn remove_of(&self, tenant: TenantId) -> Result<(), StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the filter is the tenant's")]
        let removal = admin_key::Entity::delete_many().filter(admin_key::Column::TenantId.eq(tenant.uuid()));
        removal.exec(&self.0.tx).await?;
        Ok(())
    }

    /// Removes a key, which counts no more at once.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is no such key.
    pub async fn remove(&self, id: AdminKeyId) -> Result<(), StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the key itself says whose it is")]
        let removal = admin_key::Entity::delete_by_id(id.uuid());
        let removed = removal.exec(&self.0.tx).await?.rows_affected;
        if removed == 0 { Err(StorageError::NotFound) } else { Ok(()) }
    }
}
