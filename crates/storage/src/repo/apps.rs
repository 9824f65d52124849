//! Apps and their secrets.

mod api_security;
mod platform;
mod removal;
mod secrets;
mod write;

use std::collections::HashMap;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;
use wxgate_crypto::{Place, Sealed, Secret};
use wxgate_domain::{
    ApiSecuritySet, App, AppId, AppPolicy, AppSecret, AppSecrets, AppStatus, ComponentStatus, Credential,
    CredentialStatus, SecretFingerprint, SecretState, SecretStatus, Tenant, TenantId, TenantStatus, Timestamp,
    UnionGroupId, WechatAppid,
};

use super::{ascii, tenants, unsigned};
use crate::entity::{app, tenant};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::scope::of_tenant;
use crate::storage::Storage;

pub(crate) use removal::forget_unverified;
pub(crate) use secrets::drop_old_secrets;
pub(crate) use write::TxApps;
pub use write::{AppChange, NewApp};

/// The column of the AppSecret in use, which is part of its seal.
const CURRENT: &str = "secret";
/// The column of the AppSecret before it.
const PREVIOUS: &str = "previous_secret";

/// An app with all that serving it takes.
#[derive(Clone, Debug)]
pub struct StoredApp {
    /// The app.
    pub app: App,
    /// Its tenant.
    pub tenant: Tenant,
    /// Its AppSecret, opened, or the platform that acts for it.
    pub credential: Credential,
    /// Its keys, if its calls are signed and encrypted: those in use, then those before.
    pub api_security: Vec<ApiSecuritySet>,
}

fn place<'a>(tenant: Uuid, column: &'static str, id: &'a Uuid) -> Place<'a> {
    Place { tenant, table: "app", column, row: id.as_bytes() }
}

fn of_row(row: app::Model, keys: &TenantKeys) -> Result<(App, Credential), StorageError> {
    let credential = credential(&row, keys)?;
    let status = match &credential {
        Credential::AppSecret(secrets) => CredentialStatus::AppSecret(secret_status(&row, secrets, keys)?),
        Credential::Component { platform } => CredentialStatus::Component(ComponentStatus {
            platform: platform.clone(),
            withdrawn_at: row.withdrawn_at.map(Timestamp::from_millis),
        }),
    };
    let api_security = api_security::state(&api_security::sets(&row, keys)?, keys);
    let app = App {
        id: row.id.into(),
        tenant: row.tenant_id.into(),
        appid: ascii(row.appid, "app", "appid")?,
        name: row.name,
        status: AppStatus::from_word(&row.status).ok_or_else(|| StorageError::inconsistent("app", "status"))?,
        union_group: row.union_group_id.map(UnionGroupId::from),
        policy: AppPolicy::from_json(&row.policy).map_err(|_| StorageError::inconsistent("app", "policy"))?,
        sessions_epoch: unsigned(row.sessions_epoch, "app", "sessions_epoch")?,
        credential: status,
        api_security,
        created_at: Timestamp::from_millis(row.created_at),
    };
    Ok((app, credential))
}

fn secret_status(row: &app::Model, secrets: &AppSecrets, keys: &TenantKeys) -> Result<SecretStatus, StorageError> {
    let fingerprint = |secret: &AppSecret| SecretFingerprint::of(secret, &keys.digest);
    let state = SecretState::from_word(&row.secret_state);
    Ok(SecretStatus {
        state: state.ok_or_else(|| StorageError::inconsistent("app", "secret_state"))?,
        changed_at: row.secret_changed_at.map(Timestamp::from_millis),
        fingerprint: fingerprint(&secrets.current),
        previous: secrets.previous.as_ref().map(fingerprint),
    })
}

fn credential(row: &app::Model, keys: &TenantKeys) -> Result<Credential, StorageError> {
    if let Some(platform) = &row.platform_appid {
        return Ok(Credential::Component { platform: ascii(platform.clone(), "app", "platform_appid")? });
    }
    let open = |column, sealed: &Vec<u8>| {
        let opened = keys.open(&place(row.tenant_id, column, &row.id), &Sealed::parse(sealed.clone())?)?;
        let text = String::from_utf8(opened.expose().clone()).map(Secret::new);
        let secret = text.ok().and_then(|text| text.expose().parse::<AppSecret>().ok());
        secret.ok_or_else(|| StorageError::inconsistent("app", column))
    };
    let previous = row.previous_secret.as_ref().map(|sealed| open(PREVIOUS, sealed)).transpose()?;
    Ok(Credential::AppSecret(AppSecrets { current: open(CURRENT, &row.secret)?, previous }))
}

/// The apps of all tenants: WeChat's appid is unique among them.
#[derive(Clone, Debug)]
pub struct AllApps(Storage);

impl AllApps {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// The app of this appid, whatever its status and its tenant's, but none of a tenant that is being deleted.
    ///
    /// # Errors
    /// The database fails, or a secret does not open.
    pub async fn find(&self, appid: &WechatAppid) -> Result<Option<StoredApp>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the appid is unique among all tenants")]
        let query = app::Entity::find().filter(app::Column::Appid.eq(appid.as_str().as_bytes().to_vec()));
        Ok(self.stored(query).await?.pop())
    }

    /// The app of this id, for operators, who know ids and not always tenants.
    ///
    /// # Errors
    /// The database fails, or a secret does not open.
    pub async fn of_id(&self, id: AppId) -> Result<Option<StoredApp>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "our ids are unique among all tenants")]
        let query = app::Entity::find_by_id(id.uuid());
        Ok(self.stored(query).await?.pop())
    }

    /// At most `limit` apps, of one tenant or of all, by appid, after this one.
    ///
    /// # Errors
    /// The database fails, or a secret does not open.
    pub async fn page(
        &self,
        tenant: Option<TenantId>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<StoredApp>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the operator sees all tenants")]
        let mut query = tenant.map_or_else(app::Entity::find, of_tenant::<app::Entity>);
        if let Some(after) = after {
            query = query.filter(app::Column::Appid.gt(after.as_bytes().to_vec()));
        }
        self.stored(query.order_by_asc(app::Column::Appid).limit(limit)).await
    }

    async fn stored(&self, query: sea_orm::Select<app::Entity>) -> Result<Vec<StoredApp>, StorageError> {
        let core = &self.0.core;
        // A tenant that is being deleted has no keys any more, and is not there.
        #[expect(clippy::disallowed_methods, reason = "over all tenants")]
        let deleting = tenant::Entity::find().filter(tenant::Column::Status.eq(TenantStatus::Deleting.as_str()));
        let deleting = sea_orm::QueryTrait::into_query(deleting.select_only().column(tenant::Column::Id));
        let query = &query.filter(app::Column::TenantId.not_in_subquery(deleting));
        let rows = core.read(|db| async move { query.clone().all(&db).await }).await?;
        let mut owners: HashMap<TenantId, Tenant> = HashMap::new();
        let mut stored = Vec::with_capacity(rows.len());
        for row in rows {
            let id = TenantId::from(row.tenant_id);
            let tenant = if let Some(known) = owners.get(&id) {
                known.clone()
            } else {
                let owner = core.read(|db| async move { tenants::by_id(&db, id).await }).await?;
                tenants::of_row(owner.ok_or_else(|| StorageError::inconsistent("app", "tenant_id"))?)?
            };
            owners.insert(id, tenant.clone());
            let keys = core.keys_with(id, Sealed::parse(row.secret.clone())?.key_id()).await?;
            let api_security = api_security::sets(&row, &keys)?;
            let (app, credential) = of_row(row, &keys)?;
            stored.push(StoredApp { app, tenant, credential, api_security });
        }
        Ok(stored)
    }

    /// The appid, if exactly one enabled app of an active tenant exists: then clients need not name it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn only_enabled(&self) -> Result<Option<WechatAppid>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "counts over all tenants")]
        let enabled = || {
            let active = tenant::Entity::find().filter(tenant::Column::Status.eq(TenantStatus::Active.as_str()));
            let active = active.select_only().column(tenant::Column::Id);
            let enabled = app::Entity::find().filter(app::Column::Status.eq(AppStatus::Enabled.as_str()));
            enabled.filter(app::Column::TenantId.in_subquery(sea_orm::QueryTrait::into_query(active))).limit(2)
        };
        let rows = self.0.core.read(|db| async move { enabled().all(&db).await }).await?;
        match <[app::Model; 1]>::try_from(rows) {
            Ok([row]) => ascii(row.appid, "app", "appid").map(Some),
            Err(_) => Ok(None),
        }
    }
}

/// The apps of one tenant, without their secrets.
#[derive(Clone, Debug)]
pub struct TenantApps {
    storage: Storage,
    tenant: TenantId,
}

impl TenantApps {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// All of them, by appid.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self) -> Result<Vec<App>, StorageError> {
        let query = || of_tenant::<app::Entity>(self.tenant).order_by_asc(app::Column::Appid);
        self.read(query).await
    }

    /// WeChat's id of the app of this id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn appid(&self, id: AppId) -> Result<Option<WechatAppid>, StorageError> {
        let query = || of_tenant::<app::Entity>(self.tenant).filter(app::Column::Id.eq(id.uuid()));
        let row = self.storage.core.read(|db| async move { query().one(&db).await }).await?;
        row.map(|row| ascii(row.appid, "app", "appid")).transpose()
    }

    /// The one of this appid.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, appid: &WechatAppid) -> Result<Option<App>, StorageError> {
        Ok(self.read(|| of_appid(self.tenant, appid)).await?.pop())
    }

    /// What a secret would be told apart by, if an app of the tenant had it.
    ///
    /// # Errors
    /// The database fails, or the tenant does not exist.
    pub async fn fingerprint(&self, secret: &AppSecret) -> Result<SecretFingerprint, StorageError> {
        Ok(SecretFingerprint::of(secret, &self.storage.core.keys(self.tenant).await?.digest))
    }

    async fn read(&self, query: impl Fn() -> sea_orm::Select<app::Entity>) -> Result<Vec<App>, StorageError> {
        let (core, query) = (&self.storage.core, &query);
        let rows = core.read(|db| async move { query().all(&db).await }).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let keys = core.keys(self.tenant).await?;
        rows.into_iter().map(|row| of_row(row, &keys).map(|(app, _)| app)).collect()
    }
}

/// The row of this appid, if it is the tenant's.
pub(crate) fn of_appid(tenant: TenantId, appid: &WechatAppid) -> sea_orm::Select<app::Entity> {
    of_tenant::<app::Entity>(tenant).filter(app::Column::Appid.eq(appid.as_str().as_bytes().to_vec()))
}
