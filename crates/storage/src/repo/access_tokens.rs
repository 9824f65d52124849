//! An app's access_token of WeChat's as all nodes share it, and the lease under which one of them fetches the next.
//!
//! For tokens of which each new one ends the one before (WeChat's `cgi-bin/token`): two nodes that fetch would take each
//! other's token away. The lease has a new random owner each time, and only that owner writes.

mod reports;

use std::time::Duration;

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, Set};
use uuid::Uuid;
use wxgate_crypto::{Place, Secret};
use wxgate_domain::{AppId, TenantId, Timestamp};

use crate::entity::access_token::{ActiveModel, Column, Entity, Model};
use crate::error::StorageError;
use crate::scope::{of_tenant, update_of_tenant};
use crate::sql;
use crate::storage::{Core, Storage};

pub use self::reports::Report;

/// How long a fetch may take, two seconds with WeChat and the write included, before another node may begin one.
const LEASE: Duration = Duration::from_secs(10);

/// A token that all nodes share.
#[derive(Clone, Debug)]
pub struct SharedToken {
    /// The token.
    pub token: Secret<String>,
    /// When it was fetched.
    pub fetched_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The right to fetch an app's next token, for ten seconds.
#[derive(Debug)]
pub struct TokenLease {
    app: AppId,
    owner: Uuid,
}

/// The shared tokens of one tenant's apps.
#[derive(Clone, Debug)]
pub struct TenantAccessTokens {
    storage: Storage,
    tenant: TenantId,
}

impl TenantAccessTokens {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// The app's token, if one was ever fetched. It may have ended.
    ///
    /// # Errors
    /// The database fails, or the token does not open.
    pub async fn find(&self, app: AppId) -> Result<Option<SharedToken>, StorageError> {
        let core = &self.storage.core;
        // From the writer: what another node stored a moment ago is to be seen.
        let Some(row) = self.of(app).one(&core.writer).await? else { return Ok(None) };
        let Model { sealed: Some(sealed), fetched_at: Some(fetched_at), expires_at: Some(expires_at), .. } = row else {
            return Ok(None);
        };
        let opened = core.open(&place(self.tenant, &app.uuid()), sealed).await?;
        let token = String::from_utf8(opened.expose().clone());
        Ok(Some(SharedToken {
            token: Secret::new(token.map_err(|_| StorageError::inconsistent("access_token", "sealed"))?),
            fetched_at: Timestamp::from_millis(fetched_at),
            expires_at: Timestamp::from_millis(expires_at),
        }))
    }

    /// The right to fetch the next token, unless another node has it.
    ///
    /// # Errors
    /// [`StorageError::Dangling`] if the tenant has no such app.
    pub async fn lease(&self, app: AppId) -> Result<Option<TokenLease>, StorageError> {
        let core = &self.storage.core;
        let now = sql::now(&core.writer, &core.clock).await?;
        let owner = core.random.uuid_v7(now.millis());
        let free = Condition::any().add(Column::LeaseUntil.is_null()).add(Column::LeaseUntil.lte(now.millis()));
        let hold = ActiveModel {
            owner: Set(Some(owner)),
            lease_until: Set(Some(now.plus(LEASE).millis())),
            ..Default::default()
        };
        // The row may be missing, or be swept away as soon as it is there: once more then.
        for _ in 0..2 {
            if self.update(app, free.clone(), hold.clone()).await? {
                return Ok(Some(TokenLease { app, owner }));
            }
            if self.of(app).one(&core.writer).await?.is_some() {
                return Ok(None);
            }
            let row = ActiveModel { tenant_id: Set(self.tenant.uuid()), app_id: Set(app.uuid()), ..hold.clone() };
            if self.insert(row).await? {
                return Ok(Some(TokenLease { app, owner }));
            }
        }
        Ok(None)
    }

    /// Stores what was fetched under a lease, and gives the lease back; false, and nothing is stored, if another node has
    /// taken it over.
    ///
    /// # Errors
    /// The database fails.
    pub async fn store(&self, lease: TokenLease, shared: &SharedToken) -> Result<bool, StorageError> {
        let core = &self.storage.core;
        let (keys, app) = (core.keys(self.tenant).await?, lease.app.uuid());
        let place = place(self.tenant, &app);
        let sealed = keys.seal.seal(&place, shared.token.expose().as_bytes(), &core.random);
        let fetched = ActiveModel {
            sealed: Set(Some(sealed.into_bytes())),
            fetched_at: Set(Some(shared.fetched_at.millis())),
            expires_at: Set(Some(shared.expires_at.millis())),
            owner: Set(None),
            lease_until: Set(None),
            ..Default::default()
        };
        self.update(lease.app, mine(&lease), fetched).await
    }

    /// Gives a lease back: nothing was fetched.
    ///
    /// # Errors
    /// The database fails; then the lease ends by itself.
    pub async fn give_back(&self, lease: TokenLease) -> Result<(), StorageError> {
        let free = ActiveModel { owner: Set(None), lease_until: Set(None), ..Default::default() };
        self.update(lease.app, mine(&lease), free).await.map(drop)
    }

    fn of(&self, app: AppId) -> sea_orm::Select<Entity> {
        of_tenant::<Entity>(self.tenant).filter(Column::AppId.eq(app.uuid()))
    }

    /// Inserts a row; false if there is one.
    async fn insert(&self, row: ActiveModel) -> Result<bool, StorageError> {
        match Entity::insert(row).exec_without_returning(&self.storage.core.writer).await.map_err(StorageError::from) {
            Ok(_) => Ok(true),
            Err(StorageError::NotUnique { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn update(&self, app: AppId, only: Condition, change: ActiveModel) -> Result<bool, StorageError> {
        let update = update_of_tenant::<Entity>(self.tenant).filter(Column::AppId.eq(app.uuid())).filter(only);
        Ok(update.set(change).exec(&self.storage.core.writer).await?.rows_affected > 0)
    }
}

fn place(tenant: TenantId, app: &Uuid) -> Place<'_> {
    Place { tenant: tenant.uuid(), table: "access_token", column: "sealed", row: app.as_bytes() }
}

fn mine(lease: &TokenLease) -> Condition {
    Condition::all().add(Column::Owner.eq(lease.owner))
}

/// Deletes tokens that have ended, that nobody is about to replace, and of which no report is fresh.
pub(crate) async fn purge(core: &Core, now: Timestamp) -> Result<(), StorageError> {
    let over = |column: Column| Condition::any().add(column.is_null()).add(column.lte(now.millis()));
    #[expect(clippy::disallowed_methods, reason = "of all tenants at once")]
    let ended = Entity::delete_many().filter(over(Column::ExpiresAt)).filter(over(Column::LeaseUntil));
    ended.filter(reports::is_old(now)).exec(&core.writer).await?;
    Ok(())
}
