//! Adding and changing apps.

use std::sync::Arc;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use uuid::Uuid;
use wxgate_crypto::Sealed;
use wxgate_domain::{
    App, AppId, AppPolicy, AppSecret, AppStatus, CredentialStatus, RevokedSubject, SecretFingerprint, SecretState,
    SecretStatus, Task, TenantId, UnionGroupId, WechatAppid,
};

use super::{CURRENT, of_appid, of_row, place};
use crate::changes::ChangeKind;
use crate::entity::{app, union_group};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::repo::audiences;
use crate::repo::revocations::NewRevocation;
use crate::scope::{of_tenant, update_of_tenant};
use crate::tx::Tx;

/// An app to be added.
#[derive(Clone, Debug)]
pub struct NewApp {
    /// WeChat's id of it.
    pub appid: WechatAppid,
    /// Its name for people, at most 200 characters.
    pub name: String,
    /// Its AppSecret.
    pub secret: AppSecret,
    /// Whether WeChat has accepted the secret.
    pub is_accepted: bool,
    /// The Open Platform account it is bound to.
    pub union_group: Option<UnionGroupId>,
    /// What it tunes.
    pub policy: AppPolicy,
    /// Whether it may come from another tenant, which removed it.
    pub may_move: bool,
}

/// What can be changed of an app at once.
#[derive(Clone, Debug)]
pub struct AppChange {
    /// Its name for people, at most 200 characters.
    pub name: String,
    /// The Open Platform account it is bound to.
    pub union_group: Option<UnionGroupId>,
    /// What it tunes.
    pub policy: AppPolicy,
}

impl From<App> for AppChange {
    /// No change.
    fn from(app: App) -> Self {
        Self { name: app.name, union_group: app.union_group, policy: app.policy }
    }
}

/// Writes about the apps of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxApps<'a> {
    pub(super) tx: &'a Tx,
    pub(super) tenant: TenantId,
}

impl<'a> TxApps<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Adds an app, enabled. If WeChat has accepted its secret, it takes the place of another tenant's registration that
    /// was never proved.
    ///
    /// # Errors
    /// [`StorageError::NotUnique`] if any tenant has the appid (`uq_app_appid`), another one has it as an audience
    /// (`uq_audience_name`), or another one removed it (`released_appid`): the transaction is then of no more use.
    /// [`StorageError::NotFound`] if the tenant has no such union group, does not own an audience of the policy, or does
    /// not exist.
    pub async fn add(&self, new: NewApp) -> Result<App, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let keys = self.keys().await?;
        self.owns_group(new.union_group).await?;
        self.take_up(&new.appid, new.may_move).await?;
        if new.is_accepted {
            self.displace_unverified(&new.appid).await?;
        }
        self.owns_audiences(&new.appid, &new.policy).await?;
        let now = core.clock.now();
        let state = SecretState::Unverified.replaced(new.is_accepted);
        let fingerprint = SecretFingerprint::of(&new.secret, &keys.digest);
        let added = App {
            id: AppId::new(now, &core.random),
            tenant: self.tenant,
            appid: new.appid,
            name: new.name,
            status: AppStatus::Enabled,
            union_group: new.union_group,
            policy: new.policy,
            sessions_epoch: 0,
            credential: CredentialStatus::AppSecret(SecretStatus {
                state,
                changed_at: None,
                fingerprint,
                previous: None,
            }),
            api_security: None,
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
            secret_state: Set(state.as_str().to_owned()),
            secret_changed_at: Set(None),
            platform_appid: Set(None),
            withdrawn_at: Set(None),
            api_security: Set(None),
            previous_api_security: Set(None),
            api_security_changed_at: Set(None),
        };
        app::Entity::insert(row).exec_without_returning(tx).await?;
        self.tx.record(ChangeKind::App, self.tenant, Some(added.id.uuid())).await?;
        audiences::no_other_owns(self.tx, self.tenant, added.appid.as_str()).await?;
        Ok(added)
    }

    /// Changes an app: `change` gets it as it is and says how it is to be, under the row's lock. If it is bound to another
    /// union group, a job joins its users to that.
    ///
    /// # Errors
    /// What `change` fails with; [`StorageError::NotFound`] if the tenant has no such app or union group, or does not own
    /// an audience of the policy; [`StorageError::Inconsistent`] if a value is out of its bounds.
    pub async fn change<E: From<StorageError>>(
        &self,
        appid: &WechatAppid,
        change: impl FnOnce(App) -> Result<AppChange, E>,
    ) -> Result<App, E> {
        let app = self.current(appid).await?;
        let AppChange { name, union_group, policy } = change(app.clone())?;
        let policy = policy.checked().map_err(|_| StorageError::inconsistent("app", "policy"))?;
        self.owns_group(union_group).await?;
        self.owns_audiences(appid, &policy).await?;
        let row = app::ActiveModel {
            name: Set(name.clone()),
            union_group_id: Set(union_group.map(UnionGroupId::uuid)),
            policy: Set(policy.to_json()),
            ..Default::default()
        };
        self.update(app.id.uuid(), row).await?;
        if let Some(group) = union_group.filter(|_| union_group != app.union_group) {
            // Whoever was known by a unionid before is found by it in the group only after this.
            let task = Task::UnionJoin { app: app.id, group };
            self.tx.jobs().add(Some(self.tenant), task).await?;
        }
        Ok(App { name, union_group, policy, ..app })
    }

    /// Enables or disables an app, and tells the feed. Nothing happens if it stands so already.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app, or it is being removed.
    pub async fn set_status(&self, appid: &WechatAppid, status: AppStatus) -> Result<App, StorageError> {
        let app = self.current(appid).await?;
        if app.status == AppStatus::Removing {
            return Err(StorageError::NotFound);
        }
        if app.status == status {
            return Ok(app);
        }
        let news = NewRevocation::of_status(RevokedSubject::App(appid.clone()), status == AppStatus::Enabled);
        self.tx.tenant(self.tenant).revocations().record(&[news]).await?;
        let change = app::ActiveModel { status: Set(status.as_str().to_owned()), ..Default::default() };
        self.update(app.id.uuid(), change).await?;
        Ok(App { status, ..app })
    }

    /// Whether the tenant owns every audience of a policy; the appid itself is about to be its own.
    async fn owns_audiences(&self, appid: &WechatAppid, policy: &AppPolicy) -> Result<(), StorageError> {
        let others = policy.audiences.iter().map(String::as_str).filter(|name| *name != appid.as_str());
        audiences::must_be_owned(self.tx, self.tenant, &others.collect::<Vec<_>>()).await
    }

    async fn owns_group(&self, group: Option<UnionGroupId>) -> Result<(), StorageError> {
        let Some(group) = group else { return Ok(()) };
        let found = of_tenant::<union_group::Entity>(self.tenant).filter(union_group::Column::Id.eq(group.uuid()));
        found.one(&self.tx.tx).await?.map(drop).ok_or(StorageError::NotFound)
    }

    /// The tenant's keys as this transaction sees them.
    pub(super) async fn keys(&self) -> Result<Arc<TenantKeys>, StorageError> {
        self.tx.keys(self.tenant).await
    }

    pub(super) fn sealed(&self, keys: &TenantKeys, column: &'static str, id: Uuid, secret: &AppSecret) -> Vec<u8> {
        let place = place(self.tenant.uuid(), column, &id);
        keys.seal.seal(&place, secret.expose().as_bytes(), &self.tx.core.random).into_bytes()
    }

    /// The app as it is, locked until the transaction ends.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app.
    pub async fn current(&self, appid: &WechatAppid) -> Result<App, StorageError> {
        let (row, keys) = self.locked_with_keys(appid).await?;
        Ok(of_row(row, &keys)?.0)
    }

    /// The row, locked until the transaction ends, and the keys that open it.
    pub(super) async fn locked_with_keys(
        &self,
        appid: &WechatAppid,
    ) -> Result<(app::Model, Arc<TenantKeys>), StorageError> {
        let row = self.locked(appid).await?;
        let sealed_by = Sealed::parse(row.secret.clone())?.key_id();
        Ok((row, self.tx.keys_with(self.tenant, sealed_by).await?))
    }

    pub(super) async fn locked(&self, appid: &WechatAppid) -> Result<app::Model, StorageError> {
        let row = of_appid(self.tenant, appid).lock_exclusive().one(&self.tx.tx).await?;
        row.ok_or(StorageError::NotFound)
    }

    pub(super) async fn update(&self, id: Uuid, change: app::ActiveModel) -> Result<(), StorageError> {
        let update = update_of_tenant::<app::Entity>(self.tenant).filter(app::Column::Id.eq(id)).set(change);
        update.exec(&self.tx.tx).await?;
        self.tx.record(ChangeKind::App, self.tenant, Some(id)).await
    }
}
