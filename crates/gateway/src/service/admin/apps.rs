//! Mini-programs.

mod api_security;
pub(super) mod calls;
mod push;
pub(super) mod removal;
mod secrets;

use serde::Serialize;
use wxgate_domain::{App, AppId, AppPolicy, AppSecret, AppStatus, Audience, Tenant, UnionGroupId, WechatAppid};
use wxgate_storage::{AppChange, NewApp, StorageError};

use super::{Admin, AdminError, Event, checked};

pub(crate) use api_security::GivenKeys;
pub(crate) use push::PushToSet;
pub(crate) use secrets::Proof;

/// A mini-program to be added.
#[derive(Debug)]
pub(crate) struct AppToAdd {
    pub(crate) appid: WechatAppid,
    pub(crate) name: String,
    pub(crate) secret: AppSecret,
    /// The union group of the same tenant that it is bound to.
    pub(crate) union_group: Option<UnionGroupId>,
    pub(crate) policy: AppPolicy,
}

impl Admin {
    /// Adds a mini-program to a tenant, unless WeChat refuses its secret; what `told` says is told of it.
    pub(crate) async fn add_app<R: Serialize>(
        &self,
        tenant: &Tenant,
        app: AppToAdd,
        proof: Proof,
        told: impl FnOnce(App) -> R,
    ) -> Result<R, AdminError> {
        let AppToAdd { appid, name, secret, union_group, policy } = app;
        let (name, policy) = (checked(name)?, policy.checked()?);
        // Whoever cannot have it need not ask WeChat.
        if self.is_taken(tenant, &appid).await? {
            return Err(AdminError::AppTaken(appid));
        }
        let is_accepted = self.proved(&appid, &secret, proof).await?;
        let named = policy.audiences.clone();
        let may_move = self.caller.must_be_operator().is_ok();
        let new = NewApp { appid: appid.clone(), name, secret, is_accepted, union_group, policy, may_move };
        let tx = self.storage.begin().await?;
        match tx.tenant(tenant.id).apps().add(new).await {
            Ok(app) => self.commit_told(tx, Event::of(tenant.id, "app.create", &app.appid), told(app)).await,
            Err(StorageError::NotUnique { constraint }) if constraint == "released_appid" => {
                Err(AdminError::AppReleased(appid))
            }
            Err(StorageError::NotUnique { .. }) => Err(AdminError::AppTaken(appid)),
            Err(error) => {
                drop(tx);
                Err(self.not_owned(tenant, named.iter().map(String::as_str), error.into()).await)
            }
        }
    }

    /// Whether the tenant cannot have the appid: it has it, or another tenant owns it as an app or as an audience.
    async fn is_taken(&self, tenant: &Tenant, appid: &WechatAppid) -> Result<bool, AdminError> {
        if let Some(known) = self.storage.apps().find(appid).await? {
            return Ok(known.tenant.id == tenant.id || known.app.credential.is_proved());
        }
        let Ok(name) = appid.as_str().parse::<Audience>() else { return Ok(false) };
        let audience = self.storage.audiences().find(&name).await?;
        Ok(audience.is_some_and(|audience| audience.tenant != tenant.id))
    }

    /// Changes a mini-program: `change` gets it as it is, locked, and says how it is to be. The tenant must own every
    /// audience that is named.
    pub(crate) async fn change_app(
        &self,
        (tenant, app): &(Tenant, App),
        change: impl FnOnce(App) -> Result<AppChange, AdminError>,
    ) -> Result<App, AdminError> {
        let mut audiences = Vec::new();
        let decide = |before| {
            let AppChange { name, union_group, policy } = change(before)?;
            let policy = policy.checked()?;
            audiences.clone_from(&policy.audiences);
            Ok(AppChange { name: checked(name)?, union_group, policy })
        };
        let tx = self.storage.begin().await?;
        let changed = tx.tenant(tenant.id).apps().change(&app.appid, decide).await;
        match changed {
            Ok(app) => {
                self.commit(tx, Event::of(tenant.id, "app.change", &app.appid)).await?;
                Ok(app)
            }
            Err(error) => {
                drop(tx);
                Err(self.not_owned(tenant, audiences.iter().map(String::as_str), error).await)
            }
        }
    }

    /// Enables or disables a mini-program.
    pub(crate) async fn set_app_status(
        &self,
        (tenant, app): &(Tenant, App),
        status: AppStatus,
    ) -> Result<App, AdminError> {
        if app.status == AppStatus::Removing {
            return Err(AdminError::AppRemoving(app.appid.clone()));
        }
        let tx = self.storage.begin().await?;
        let app = tx.tenant(tenant.id).apps().set_status(&app.appid, status).await?;
        let action = if status == AppStatus::Enabled { "app.enable" } else { "app.disable" };
        self.commit(tx, Event::of(tenant.id, action, &app.appid)).await?;
        Ok(app)
    }

    /// The mini-program of this appid, or of this id of ours, if it exists for the caller.
    pub(crate) async fn app(&self, named: &WechatAppid) -> Result<(Tenant, App), AdminError> {
        let apps = self.storage.apps();
        let mut found = apps.find(named).await?;
        if let (None, Ok(id)) = (&found, named.as_str().parse::<AppId>()) {
            found = apps.of_id(id).await?;
        }
        let found = found.filter(|found| self.caller.sees(found.tenant.id));
        found.map(|found| (found.tenant, found.app)).ok_or_else(|| AdminError::NoApp(named.clone()))
    }
}
