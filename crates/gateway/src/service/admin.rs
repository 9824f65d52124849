//! What an operator does: tenants, union groups, apps.

use wxgate_domain::{
    App, AppPolicy, AppSecret, AppStatus, Clock, SigningAlgorithm, Slug, Tenant, TenantPolicy, WechatAppid,
};
use wxgate_storage::{NewApp, NewTenant, Storage, StorageError, UnionGroup};
use wxgate_token::{KeyError, SigningKey};

use super::signing_keys::SigningKeys;

/// Longest name for people, in characters.
const MAX_NAME: usize = 200;

/// The operator's moves, each one transaction.
pub(crate) struct Admin {
    pub(crate) storage: Storage,
    pub(crate) clock: Clock,
}

/// A mini-program to be added.
#[derive(Debug)]
pub(crate) struct AppToAdd {
    pub(crate) appid: WechatAppid,
    pub(crate) name: String,
    pub(crate) secret: AppSecret,
    /// The name of a union group of the same tenant.
    pub(crate) union_group: Option<String>,
}

/// Why a move of the operator's did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("there is no tenant {0}; `wxgate tenant list` shows them")]
    NoTenant(Slug),
    #[error("there is no app {0}; `wxgate app list` shows them")]
    NoApp(WechatAppid),
    #[error("the tenant {0} has no union group {1:?}; `wxgate union-group list --tenant {0}` shows them")]
    NoUnionGroup(Slug, String),
    #[error("a tenant {0} exists already, and names are never used again")]
    TenantTaken(Slug),
    #[error("the appid {0} is registered already")]
    AppTaken(WechatAppid),
    #[error("the tenant {0} has a union group {1:?} already")]
    UnionGroupTaken(Slug, String),
    #[error("a name has 1 to {MAX_NAME} characters and no control characters")]
    Name,
    #[error("no signing key could be made")]
    Key(#[from] KeyError),
    #[error("the database refused")]
    Storage(#[from] StorageError),
}

impl Admin {
    /// The tenant of this name.
    pub(crate) async fn tenant(&self, slug: &Slug) -> Result<Tenant, AdminError> {
        self.storage.tenants().find(slug).await?.ok_or_else(|| AdminError::NoTenant(slug.clone()))
    }

    /// The moves of signing keys.
    pub(crate) fn signing_keys(&self) -> SigningKeys {
        SigningKeys { storage: self.storage.clone(), clock: self.clock.clone() }
    }

    /// Creates a tenant; its first signing key signs at once, the second one stands by.
    pub(crate) async fn add_tenant(
        &self,
        slug: Slug,
        name: String,
        algorithm: SigningAlgorithm,
    ) -> Result<Tenant, AdminError> {
        let name = checked(name)?;
        let now = self.clock.now();
        let (signing_key, next_key) = (SigningKey::generate(algorithm, now)?, SigningKey::generate(algorithm, now)?);
        let policy = TenantPolicy { algorithm, ..TenantPolicy::default() };
        let tx = self.storage.begin().await?;
        let new = NewTenant { slug: slug.clone(), name, policy, signing_key, next_key };
        let tenant = tx.tenants().create(new).await;
        let tenant = tenant.map_err(|error| taken(error, AdminError::TenantTaken(slug)))?;
        tx.commit().await?;
        Ok(tenant)
    }

    /// Creates a union group.
    pub(crate) async fn add_union_group(&self, tenant: &Tenant, name: &str) -> Result<UnionGroup, AdminError> {
        let name = checked(name.to_owned())?;
        let tx = self.storage.begin().await?;
        let group = tx.tenant(tenant.id).union_groups().add(&name).await;
        let group = group.map_err(|error| taken(error, AdminError::UnionGroupTaken(tenant.slug.clone(), name)))?;
        tx.commit().await?;
        Ok(group)
    }

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
        tx.commit().await?;
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
        tx.commit().await?;
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
        tx.commit().await?;
        app.status = status;
        Ok((tenant, app))
    }

    async fn app(&self, appid: &WechatAppid) -> Result<(Tenant, App), AdminError> {
        let found = self.storage.apps().find(appid).await?;
        found.map(|found| (found.tenant, found.app)).ok_or_else(|| AdminError::NoApp(appid.clone()))
    }
}

fn checked(name: String) -> Result<String, AdminError> {
    let fits = (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits { Ok(name) } else { Err(AdminError::Name) }
}

fn taken(error: StorageError, meaning: AdminError) -> AdminError {
    match error {
        StorageError::NotUnique { .. } => meaning,
        error => error.into(),
    }
}
