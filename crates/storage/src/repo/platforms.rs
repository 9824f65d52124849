//! Third-party platforms: who they are, what opens what is pushed to them, and what their tokens come from.

mod apps;
mod leases;
mod requests;
mod write;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;
use wxgate_crypto::push::{EncodingAesKey, PushKeys, PushToken};
use wxgate_crypto::{Place, Secret};
use wxgate_domain::{AppSecret, Platform, PlatformId, TenantId, Timestamp, WechatAppid};

use super::ascii;
use crate::entity::platform;
use crate::error::StorageError;
use crate::scope::of_tenant;
use crate::storage::{Core, Storage};

pub use apps::{Grant, NewAuthorization, PendingCode};
pub use leases::{LeasedToken, NextToken, StoredToken};
pub(crate) use requests::purge;
pub use requests::{AuthorizationRequest, BroughtBy, NewAuthorizationRequest};
pub use write::NewPlatform;
pub(crate) use write::TxPlatforms;

/// The columns that are sealed, as their places name them.
const SECRET: &str = "secret";
const PUSH_TOKEN: &str = "push_token";
const PREVIOUS_PUSH_TOKEN: &str = "previous_push_token";
const AES_KEY: &str = "aes_key";
const PREVIOUS_AES_KEY: &str = "previous_aes_key";
const TICKET: &str = "ticket";

fn place<'a>(tenant: Uuid, column: &'static str, id: &'a Uuid) -> Place<'a> {
    Place { tenant, table: "platform", column, row: id.as_bytes() }
}

fn of_row(row: platform::Model) -> Result<Platform, StorageError> {
    Ok(Platform {
        id: row.id.into(),
        tenant: row.tenant_id.into(),
        appid: ascii(row.appid, "platform", "appid")?,
        name: row.name,
        has_previous_token: row.previous_push_token.is_some(),
        has_previous_key: row.previous_aes_key.is_some(),
        ticket_at: row.ticket_at.map(Timestamp::from_millis),
        token_until: row.token_expires_at.map(Timestamp::from_millis),
        created_at: Timestamp::from_millis(row.created_at),
    })
}

/// Opens a sealed text of a tenant's.
async fn text(core: &Core, place: Place<'_>, sealed: Vec<u8>) -> Result<Secret<String>, StorageError> {
    let (table, column) = (place.table, place.column);
    let opened = core.open(&place, sealed).await?;
    let text = String::from_utf8(opened.expose().clone());
    text.map(Secret::new).map_err(|_| StorageError::inconsistent(table, column))
}

/// The platforms of all tenants: WeChat's appids of them are unique.
#[derive(Clone, Debug)]
pub struct AllPlatforms(Storage);

impl AllPlatforms {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// The platform of this appid.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, appid: &WechatAppid) -> Result<Option<Platform>, StorageError> {
        self.row(appid).await?.map(of_row).transpose()
    }

    /// The platform of this appid, with what opens what WeChat pushes to it.
    ///
    /// # Errors
    /// The database fails, or a key does not open.
    pub async fn with_push_keys(&self, appid: &WechatAppid) -> Result<Option<(Platform, PushKeys)>, StorageError> {
        let Some(row) = self.row(appid).await? else { return Ok(None) };
        let keys = push_keys(&self.0.core, &row).await?;
        Ok(Some((of_row(row)?, keys)))
    }

    /// The platform of this id of ours.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of_id(&self, id: PlatformId) -> Result<Option<Platform>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "our ids are unique among all tenants")]
        let query = || platform::Entity::find_by_id(id.uuid());
        self.0.core.read(|db| async move { query().one(&db).await }).await?.map(of_row).transpose()
    }

    /// At most `limit` platforms, of one tenant or of all, by appid, after this one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn page(
        &self,
        tenant: Option<TenantId>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Platform>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the operator sees all tenants")]
        let mut query = tenant.map_or_else(platform::Entity::find, of_tenant::<platform::Entity>);
        if let Some(after) = after {
            query = query.filter(platform::Column::Appid.gt(after.as_bytes().to_vec()));
        }
        let query = &query.order_by_asc(platform::Column::Appid).limit(limit);
        let rows = self.0.core.read(|db| async move { query.clone().all(&db).await }).await?;
        rows.into_iter().map(of_row).collect()
    }

    async fn row(&self, appid: &WechatAppid) -> Result<Option<platform::Model>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the appid is unique among all tenants")]
        let query = || platform::Entity::find().filter(platform::Column::Appid.eq(appid.as_str().as_bytes().to_vec()));
        self.0.core.read(|db| async move { query().one(&db).await }).await
    }
}

/// What opens what WeChat pushes to a platform, and of its apps.
pub(super) async fn push_keys(core: &Core, row: &platform::Model) -> Result<PushKeys, StorageError> {
    let wrong = |column| StorageError::inconsistent("platform", column);
    let opened =
        async |column, sealed: &Vec<u8>| text(core, place(row.tenant_id, column, &row.id), sealed.clone()).await;
    let token =
        async |column, sealed| PushToken::parse(opened(column, sealed).await?.expose()).ok_or_else(|| wrong(column));
    let key = async |column, sealed| EncodingAesKey::parse(opened(column, sealed).await?).map_err(|_| wrong(column));
    let previous_token = match &row.previous_push_token {
        Some(sealed) => Some(token(PREVIOUS_PUSH_TOKEN, sealed).await?),
        None => None,
    };
    let previous = match &row.previous_aes_key {
        Some(sealed) => Some(key(PREVIOUS_AES_KEY, sealed).await?),
        None => None,
    };
    let (token, current) = (token(PUSH_TOKEN, &row.push_token).await?, key(AES_KEY, &row.aes_key).await?);
    Ok(PushKeys { token, previous_token, current, previous })
}

/// A platform of a tenant.
pub(super) fn of_appid(tenant: TenantId, appid: Vec<u8>) -> sea_orm::Select<platform::Entity> {
    of_tenant::<platform::Entity>(tenant).filter(platform::Column::Appid.eq(appid))
}

/// The platforms of one tenant.
#[derive(Clone, Debug)]
pub struct TenantPlatforms {
    storage: Storage,
    tenant: TenantId,
}

impl TenantPlatforms {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// The platform of this appid.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, appid: &WechatAppid) -> Result<Option<Platform>, StorageError> {
        let query = || of_appid(self.tenant, appid.as_str().as_bytes().to_vec());
        let row = self.storage.core.read(|db| async move { query().one(&db).await }).await?;
        row.map(of_row).transpose()
    }

    /// What a platform's token comes from: its secret, and its newest ticket if one came.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such platform; or a secret does not open.
    pub async fn secrets(&self, id: PlatformId) -> Result<(AppSecret, Option<Secret<String>>), StorageError> {
        let core = &self.storage.core;
        let query = || of_tenant::<platform::Entity>(self.tenant).filter(platform::Column::Id.eq(id.uuid()));
        let row = core.read(|db| async move { query().one(&db).await }).await?.ok_or(StorageError::NotFound)?;
        let secret = text(core, place(row.tenant_id, SECRET, &row.id), row.secret).await?;
        let secret = secret.expose().parse().map_err(|_| StorageError::inconsistent("platform", SECRET))?;
        let ticket = match row.ticket {
            Some(sealed) => Some(text(core, place(row.tenant_id, TICKET, &row.id), sealed).await?),
            None => None,
        };
        Ok((secret, ticket))
    }
}
