//! Apps and their secrets.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use uuid::Uuid;
use wxgate_crypto::{Place, Sealed, Secret};
use wxgate_domain::{
    App, AppId, AppPolicy, AppSecret, AppStatus, Credential, RevokedSubject, Tenant, TenantId, TenantStatus, Timestamp,
    UnionGroupId, WechatAppid,
};

use super::revocations::NewRevocation;
use super::{ascii, audiences, tenants, unsigned};
use crate::changes::ChangeKind;
use crate::entity::{app, tenant, union_group};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::scope::{of_tenant, update_of_tenant};
use crate::storage::Storage;
use crate::tx::Tx;

/// The column of the AppSecret in use, which is part of its seal.
const CURRENT: &str = "secret";
/// The column of the AppSecret before it.
const PREVIOUS: &str = "previous_secret";

/// An app to be added.
#[derive(Clone, Debug)]
pub struct NewApp {
    /// WeChat's id of it.
    pub appid: WechatAppid,
    /// Its name for people, at most 200 characters.
    pub name: String,
    /// Its AppSecret.
    pub secret: AppSecret,
    /// The Open Platform account it is bound to.
    pub union_group: Option<UnionGroupId>,
    /// What it tunes.
    pub policy: AppPolicy,
}

/// An app with all that serving it takes.
#[derive(Clone, Debug)]
pub struct StoredApp {
    /// The app.
    pub app: App,
    /// Its tenant.
    pub tenant: Tenant,
    /// Its AppSecret, opened.
    pub credential: Credential,
}

fn place<'a>(tenant: Uuid, column: &'static str, id: &'a Uuid) -> Place<'a> {
    Place { tenant, table: "app", column, row: id.as_bytes() }
}

fn of_row(row: app::Model) -> Result<App, StorageError> {
    Ok(App {
        id: row.id.into(),
        tenant: row.tenant_id.into(),
        appid: ascii(row.appid, "app", "appid")?,
        name: row.name,
        status: AppStatus::from_word(&row.status).ok_or_else(|| StorageError::inconsistent("app", "status"))?,
        union_group: row.union_group_id.map(UnionGroupId::from),
        policy: AppPolicy::from_json(&row.policy).map_err(|_| StorageError::inconsistent("app", "policy"))?,
        sessions_epoch: unsigned(row.sessions_epoch, "app", "sessions_epoch")?,
        created_at: Timestamp::from_millis(row.created_at),
    })
}

fn credential(row: &app::Model, keys: &TenantKeys) -> Result<Credential, StorageError> {
    let open = |column, sealed: &Vec<u8>| {
        let opened = keys.open(&place(row.tenant_id, column, &row.id), &Sealed::parse(sealed.clone())?)?;
        let text = String::from_utf8(opened.expose().clone()).map(Secret::new);
        let secret = text.ok().and_then(|text| text.expose().parse::<AppSecret>().ok());
        secret.ok_or_else(|| StorageError::inconsistent("app", column))
    };
    let previous = row.previous_secret.as_ref().map(|sealed| open(PREVIOUS, sealed)).transpose()?;
    Ok(Credential::AppSecret { current: open(CURRENT, &row.secret)?, previous })
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
        let query = || app::Entity::find().filter(app::Column::Appid.eq(appid.as_str().as_bytes().to_vec()));
        let core = &self.0.core;
        let Some(row) = core.read(|db| async move { query().one(&db).await }).await? else { return Ok(None) };
        let id = TenantId::from(row.tenant_id);
        let owner = core.read(|db| async move { tenants::by_id(&db, id).await }).await?;
        let owner = owner.ok_or_else(|| StorageError::inconsistent("app", "tenant_id"))?;
        let owner = tenants::of_row(owner)?;
        if owner.status == TenantStatus::Deleting {
            return Ok(None);
        }
        let credential = credential(&row, core.keys(id).await?.as_ref())?;
        Ok(Some(StoredApp { app: of_row(row)?, tenant: owner, credential }))
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
        let rows = self.storage.core.read(|db| async move { query().all(&db).await }).await?;
        rows.into_iter().map(of_row).collect()
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
        let query = || of_appid(self.tenant, appid);
        let row = self.storage.core.read(|db| async move { query().one(&db).await }).await?;
        row.map(of_row).transpose()
    }
}

/// The row of this appid, if it is the tenant's.
pub(crate) fn of_appid(tenant: TenantId, appid: &WechatAppid) -> sea_orm::Select<app::Entity> {
    of_tenant::<app::Entity>(tenant).filter(app::Column::Appid.eq(appid.as_str().as_bytes().to_vec()))
}

/// Writes about the apps of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxApps<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxApps<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Adds an app, enabled.
    ///
    /// # Errors
    /// [`StorageError::NotUnique`] (`uq_app_appid`) if any tenant has the appid, or (`uq_audience_name`) if another one has
    /// it as an audience: the transaction is then of no more use. [`StorageError::NotFound`] if the tenant has no such union
    /// group, does not own an audience of the policy, or does not exist.
    pub async fn add(&self, new: NewApp) -> Result<App, StorageError> {
        let Tx { core, tx } = self.tx;
        let keys = self.keys().await?;
        if let Some(group) = new.union_group {
            let found = of_tenant::<union_group::Entity>(self.tenant).filter(union_group::Column::Id.eq(group.uuid()));
            found.one(tx).await?.ok_or(StorageError::NotFound)?;
        }
        audiences::must_be_free(self.tx, self.tenant, new.appid.as_str()).await?;
        self.owns_audiences(&new.appid, &new.policy).await?;
        let now = core.clock.now();
        let added = App {
            id: AppId::new(now, &core.random),
            tenant: self.tenant,
            appid: new.appid,
            name: new.name,
            status: AppStatus::Enabled,
            union_group: new.union_group,
            policy: new.policy,
            sessions_epoch: 0,
            created_at: now,
        };
        let row = app::ActiveModel {
            id: Set(added.id.uuid()),
            tenant_id: Set(self.tenant.uuid()),
            appid: Set(added.appid.as_str().as_bytes().to_vec()),
            name: Set(added.name.clone()),
            status: Set(added.status.as_str().to_owned()),
            union_group_id: Set(added.union_group.map(UnionGroupId::uuid)),
            policy: Set(added.policy.to_json()),
            secret: Set(self.sealed(&keys, CURRENT, added.id.uuid(), &new.secret)),
            previous_secret: Set(None),
            sessions_epoch: Set(0),
            created_at: Set(now.millis()),
            secret_state: Set("accepted".to_owned()),
            secret_changed_at: Set(None),
        };
        app::Entity::insert(row).exec_without_returning(tx).await?;
        self.tx.record(ChangeKind::App, self.tenant, Some(added.id.uuid())).await?;
        audiences::must_be_free(self.tx, self.tenant, added.appid.as_str()).await?;
        Ok(added)
    }

    /// Changes what an app tunes: `change` gets the policy as it is and gives it as it is to be, under the row's lock.
    ///
    /// # Errors
    /// What `change` fails with; [`StorageError::NotFound`] if the tenant has no such app or does not own an audience of
    /// the policy; [`StorageError::Inconsistent`] if a value is out of its bounds.
    pub async fn set_policy<E: From<StorageError>>(
        &self,
        appid: &WechatAppid,
        change: impl FnOnce(AppPolicy) -> Result<AppPolicy, E>,
    ) -> Result<App, E> {
        let app = of_row(self.locked(appid).await?)?;
        let policy = change(app.policy)?.checked().map_err(|_| StorageError::inconsistent("app", "policy"))?;
        self.owns_audiences(appid, &policy).await?;
        let row = app::ActiveModel { policy: Set(policy.to_json()), ..Default::default() };
        self.update(app.id.uuid(), row).await?;
        Ok(App { policy, ..app })
    }

    /// Whether the tenant owns every audience of a policy; the appid itself is about to be its own.
    async fn owns_audiences(&self, appid: &WechatAppid, policy: &AppPolicy) -> Result<(), StorageError> {
        let others = policy.audiences.iter().map(String::as_str).filter(|name| *name != appid.as_str());
        audiences::must_be_owned(self.tx, self.tenant, &others.collect::<Vec<_>>()).await
    }

    /// Enables or disables an app, and tells the feed. Nothing happens if it stands so already.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app.
    pub async fn set_status(&self, appid: &WechatAppid, status: AppStatus) -> Result<(), StorageError> {
        let row = self.locked(appid).await?;
        if row.status == status.as_str() {
            return Ok(());
        }
        let news = NewRevocation::of_status(RevokedSubject::App(appid.clone()), status == AppStatus::Enabled);
        self.tx.tenant(self.tenant).revocations().record(&[news]).await?;
        self.update(row.id, app::ActiveModel { status: Set(status.as_str().to_owned()), ..Default::default() }).await
    }

    /// Takes a new AppSecret into use; the current one moves to the second slot, and what was there is lost.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app.
    pub async fn rotate_secret(&self, appid: &WechatAppid, new: &AppSecret) -> Result<(), StorageError> {
        let row = self.locked(appid).await?;
        let keys = self.keys().await?;
        let Credential::AppSecret { current, .. } = credential(&row, &keys)?;
        let change = app::ActiveModel {
            secret: Set(self.sealed(&keys, CURRENT, row.id, new)),
            previous_secret: Set(Some(self.sealed(&keys, PREVIOUS, row.id, &current))),
            ..Default::default()
        };
        self.update(row.id, change).await
    }

    /// Forgets the AppSecret of the second slot: the rotation is over.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app.
    pub async fn drop_previous_secret(&self, appid: &WechatAppid) -> Result<(), StorageError> {
        let row = self.locked(appid).await?;
        self.update(row.id, app::ActiveModel { previous_secret: Set(None), ..Default::default() }).await
    }

    /// The tenant's keys as this transaction sees them: the tenant may be as new as the transaction.
    async fn keys(&self) -> Result<TenantKeys, StorageError> {
        TenantKeys::load(&self.tx.tx, &self.tx.core.master_keys, self.tenant).await
    }

    fn sealed(&self, keys: &TenantKeys, column: &'static str, id: Uuid, secret: &AppSecret) -> Vec<u8> {
        let place = place(self.tenant.uuid(), column, &id);
        keys.seal.seal(&place, secret.expose().as_bytes(), &self.tx.core.random).into_bytes()
    }

    async fn locked(&self, appid: &WechatAppid) -> Result<app::Model, StorageError> {
        let row = of_appid(self.tenant, appid).lock_exclusive().one(&self.tx.tx).await?;
        row.ok_or(StorageError::NotFound)
    }

    async fn update(&self, id: Uuid, change: app::ActiveModel) -> Result<(), StorageError> {
        let update = update_of_tenant::<app::Entity>(self.tenant).filter(app::Column::Id.eq(id)).set(change);
        update.exec(&self.tx.tx).await?;
        self.tx.record(ChangeKind::App, self.tenant, Some(id)).await
    }
}
