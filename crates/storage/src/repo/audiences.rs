//! Audiences: names of services, each owned by one tenant.
//!
//! A tenant owns the names that are registered for it, and the appids of its apps. A name is never both one tenant's
//! audience and another's appid, so that no tenant can issue a token that another's service takes for its own.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set};
use wxgate_domain::{Audience, TenantId, Timestamp};

use super::ascii;
use crate::changes::ChangeKind;
use crate::entity::{app, audience};
use crate::error::StorageError;
use crate::scope::of_tenant;
use crate::storage::Storage;
use crate::tx::Tx;

/// An audience that was registered for a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedAudience {
    /// Its name.
    pub name: Audience,
    /// When it was registered.
    pub created_at: Timestamp,
}

fn of_row(row: audience::Model) -> Result<OwnedAudience, StorageError> {
    let created_at = Timestamp::from_millis(row.created_at);
    Ok(OwnedAudience { name: ascii(row.name, "audience", "name")?, created_at })
}

/// The audiences of one tenant.
#[derive(Clone, Debug)]
pub struct TenantAudiences {
    storage: Storage,
    tenant: TenantId,
}

impl TenantAudiences {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// The registered ones, by name. The appids of the tenant's apps are its audiences too and do not stand here.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self) -> Result<Vec<OwnedAudience>, StorageError> {
        let query = || of_tenant::<audience::Entity>(self.tenant).order_by_asc(audience::Column::Name);
        let rows = self.storage.core.read(|db| async move { query().all(&db).await }).await?;
        rows.into_iter().map(of_row).collect()
    }

    /// The first of these names that the tenant does not own.
    ///
    /// # Errors
    /// The database fails.
    pub async fn first_not_owned(&self, names: &[&str]) -> Result<Option<String>, StorageError> {
        self.storage.core.read(|db| async move { first_not_owned(&db, self.tenant, names).await }).await
    }
}

async fn first_not_owned<C: ConnectionTrait>(
    db: &C,
    tenant: TenantId,
    names: &[&str],
) -> Result<Option<String>, StorageError> {
    if names.is_empty() {
        return Ok(None);
    }
    let bytes = || names.iter().map(|name| name.as_bytes().to_vec());
    let registered =
        of_tenant::<audience::Entity>(tenant).filter(audience::Column::Name.is_in(bytes())).all(db).await?;
    let apps = of_tenant::<app::Entity>(tenant).filter(app::Column::Appid.is_in(bytes())).all(db).await?;
    let owned = |name: &[u8]| registered.iter().any(|row| row.name == name) || apps.iter().any(|row| row.appid == name);
    Ok(names.iter().find(|name| !owned(name.as_bytes())).map(|name| (*name).to_owned()))
}

/// Whether the tenant owns all of these names. Neither audiences nor apps are ever removed, so what holds once holds on.
///
/// # Errors
/// [`StorageError::NotFound`] if it does not.
pub(crate) async fn must_be_owned(tx: &Tx, tenant: TenantId, names: &[&str]) -> Result<(), StorageError> {
    match first_not_owned(&tx.tx, tenant, names).await? {
        None => Ok(()),
        Some(_) => Err(StorageError::NotFound),
    }
}

/// Whether no tenant but this one has the name, as an audience or as an appid.
///
/// Asked before the name is written, so that a refusal leaves nothing behind, and again after the change was recorded:
/// from then on the transaction holds the lock of the log, and sees whatever a rival committed meanwhile.
///
/// # Errors
/// [`StorageError::NotUnique`] if another tenant has it.
pub(crate) async fn must_be_free(tx: &Tx, tenant: TenantId, name: &str) -> Result<(), StorageError> {
    let bytes = name.as_bytes().to_vec();
    #[expect(clippy::disallowed_methods, reason = "an appid is unique among all tenants")]
    let app = app::Entity::find()
        .filter(app::Column::Appid.eq(bytes.clone()))
        .filter(app::Column::TenantId.ne(tenant.uuid()));
    #[expect(clippy::disallowed_methods, reason = "an audience is unique among all tenants")]
    let audience = audience::Entity::find().filter(audience::Column::Name.eq(bytes));
    let audience = audience.filter(audience::Column::TenantId.ne(tenant.uuid()));
    if app.one(&tx.tx).await?.is_some() {
        return Err(StorageError::NotUnique { constraint: "uq_app_appid".to_owned() });
    }
    if audience.one(&tx.tx).await?.is_some() {
        return Err(StorageError::NotUnique { constraint: "uq_audience_name".to_owned() });
    }
    Ok(())
}

/// Writes about the audiences of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxAudiences<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxAudiences<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Registers an audience for the tenant.
    ///
    /// # Errors
    /// [`StorageError::NotUnique`] if a tenant, this one or another, has the audience, or another one has an app of this
    /// appid. The transaction is then of no more use.
    pub async fn add(&self, name: &Audience) -> Result<OwnedAudience, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        must_be_free(self.tx, self.tenant, name.as_str()).await?;
        let added = OwnedAudience { name: name.clone(), created_at: core.clock.now() };
        let row = audience::ActiveModel {
            name: Set(name.as_str().as_bytes().to_vec()),
            tenant_id: Set(self.tenant.uuid()),
            created_at: Set(added.created_at.millis()),
        };
        audience::Entity::insert(row).exec_without_returning(tx).await?;
        self.tx.record(ChangeKind::Audience, self.tenant, None).await?;
        must_be_free(self.tx, self.tenant, name.as_str()).await?;
        Ok(added)
    }
}
