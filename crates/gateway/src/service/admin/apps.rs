//! Mini-programs.

use wxgate_domain::{App, AppPolicy, AppSecret, AppStatus, MalformedPolicy, Tenant, WechatAppid};
use wxgate_storage::NewApp;

use super::{Admin, AdminError, Event, checked, taken};

/// A mini-program to be added.
#[derive(Debug)]
pub(crate) struct AppToAdd {
    pub(crate) appid: WechatAppid,
    pub(crate) name: String,
    pub(crate) secret: AppSecret,
    /// The name of a union group of the same tenant.
    pub(crate) union_group: Option<String>,
}

impl Admin {
    /// Adds a mini-program to a tenant.
    pub(crate) async fn add_app(&self, tenant: &Tenant, app: AppToAdd) -> Result<App, AdminError> {
        let AppToAdd { appid, name, secret, union_group } = app;
        let union_group = match union_group {
            None => None,
            Some(name) => {
                let found = self.storage.tenant(tenant.id).union_groups().find(&name).await?;
                Some(found.ok_or_else(|| AdminError::NoUnionGroup(tenant.slug.clone(), name))?.id)
            }
        };
        let new =
            NewApp { appid: appid.clone(), name: checked(name)?, secret, union_group, policy: AppPolicy::default() };
        let tx = self.storage.begin().await?;
        let app = tx.tenant(tenant.id).apps().add(new).await;
        let app = app.map_err(|error| taken(error, AdminError::AppTaken(appid)))?;
        self.commit(tx, Event::of(tenant.id, "app.create", &app.appid)).await?;
        Ok(app)
    }

    /// Puts a new AppSecret into the first slot and the present one into the second.
    pub(crate) async fn rotate_secret(
        &self,
        appid: &WechatAppid,
        secret: AppSecret,
    ) -> Result<(Tenant, App), AdminError> {
        let (tenant, app) = self.app(appid).await?;
        let tx = self.storage.begin().await?;
        tx.tenant(tenant.id).apps().rotate_secret(appid, &secret).await?;
        self.commit(tx, Event::of(tenant.id, "app.rotate-secret", appid)).await?;
        Ok((tenant, app))
    }

    /// Enables or disables a mini-program.
    pub(crate) async fn set_app_status(
        &self,
        appid: &WechatAppid,
        status: AppStatus,
    ) -> Result<(Tenant, App), AdminError> {
        let (tenant, mut app) = self.app(appid).await?;
        let tx = self.storage.begin().await?;
        tx.tenant(tenant.id).apps().set_status(appid, status).await?;
        let action = if status == AppStatus::Enabled { "app.enable" } else { "app.disable" };
        self.commit(tx, Event::of(tenant.id, action, appid)).await?;
        app.status = status;
        Ok((tenant, app))
    }

    /// Changes what a mini-program tunes. The tenant must own every audience that it names.
    pub(crate) async fn set_app_policy(
        &self,
        appid: &WechatAppid,
        change: impl FnOnce(AppPolicy) -> AppPolicy,
    ) -> Result<(Tenant, App), AdminError> {
        let (tenant, app) = self.app(appid).await?;
        let mut audiences = Vec::new();
        let checked = |policy| {
            let policy = change(policy).checked().map_err(|error: MalformedPolicy| AdminError::from(error))?;
            audiences.clone_from(&policy.audiences);
            Ok(policy)
        };
        let tx = self.storage.begin().await?;
        let changed = tx.tenant(tenant.id).apps().set_policy(&app.appid, checked).await;
        let audiences = audiences.iter().map(String::as_str);
        let app = match changed {
            Ok(app) => app,
            Err(error) => return Err(self.not_owned(&tenant, audiences, error).await),
        };
        self.commit(tx, Event::of(tenant.id, "app.change", &app.appid)).await?;
        Ok((tenant, app))
    }

    /// The mini-program of this appid.
    pub(crate) async fn app(&self, appid: &WechatAppid) -> Result<(Tenant, App), AdminError> {
        let found = self.storage.apps().find(appid).await?.filter(|found| self.caller.sees(found.tenant.id));
        found.map(|found| (found.tenant, found.app)).ok_or_else(|| AdminError::NoApp(appid.clone()))
    }
}
