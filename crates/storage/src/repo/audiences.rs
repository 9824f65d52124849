//! Audiences: names of services, each owned by one tenant.
//!
//! A tenant owns the names that are registered for it, and the appids of its apps once WeChat has accepted a secret of
//! theirs. A name is never both one tenant's
//! audience and another's appid, so that no tenant can issue a token that another's service takes for its own.

use std::fmt;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use wxgate_domain::{
    AppPolicy, AppStatus, Audience, PolicyName, SecretState, ServiceClientId, ServiceClientPolicy, TenantId, Timestamp,
    WechatAppid,
};

use super::ascii;
use crate::changes::ChangeKind;
use crate::entity::{app, audience, forward_auth_policy, service_client};
use crate::error::StorageError;
use crate::scope::{delete_of_tenant, of_tenant};
use crate::storage::Storage;
use crate::tx::Tx;

/// An audience that was registered for a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedAudience {
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// Its name.
    pub name: Audience,
    /// When it was registered.
    pub created_at: Timestamp,
}

fn of_row(row: audience::Model) -> Result<OwnedAudience, StorageError> {
    let created_at = Timestamp::from_millis(row.created_at);
    Ok(OwnedAudience { tenant: row.tenant_id.into(), name: ascii(row.name, "audience", "name")?, created_at })
}

/// What names an audience, and so would be left with a name that nobody owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudienceUse {
    /// The policy of an app.
    App(WechatAppid),
    /// A forward-auth policy.
    ForwardAuthPolicy(PolicyName),
    /// The policy of a service client.
    ServiceClient(ServiceClientId),
}

impl fmt::Display for AudienceUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(appid) => write!(f, "the app {appid}"),
            Self::ForwardAuthPolicy(name) => write!(f, "the policy {name}"),
            Self::ServiceClient(id) => write!(f, "the service client {id}"),
        }
    }
}

/// The audiences of all tenants.
#[derive(Clone, Debug)]
pub struct AllAudiences(Storage);

impl AllAudiences {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// The registered audience of this name, for operators.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, name: &Audience) -> Result<Option<OwnedAudience>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "an audience is unique among all tenants")]
        let query = || audience::Entity::find_by_id(name.as_str().as_bytes().to_vec());
        let row = self.0.core.read(|db| async move { query().one(&db).await }).await?;
        row.map(of_row).transpose()
    }

    /// At most `limit` of the registered ones, of one tenant or of all, by name, after this one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn page(
        &self,
        tenant: Option<TenantId>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<OwnedAudience>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the operator sees all tenants")]
        let mut query = tenant.map_or_else(audience::Entity::find, of_tenant::<audience::Entity>);
        if let Some(after) = after {
            query = query.filter(audience::Column::Name.gt(after.as_bytes().to_vec()));
        }
        let query = &query.order_by_asc(audience::Column::Name).limit(limit);
        let rows = self.0.core.read(|db| async move { query.clone().all(&db).await }).await?;
        rows.into_iter().map(of_row).collect()
    }
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
        self.storage.core.read(|db| async move { first_not_owned(&db, self.tenant, names, false).await }).await
    }
}

/// Locked, the rows of the names stay until the transaction ends: whoever removes one waits, and then sees who names it.
async fn first_not_owned<C: ConnectionTrait>(
    db: &C,
    tenant: TenantId,
    names: &[&str],
    locked: bool,
) -> Result<Option<String>, StorageError> {
    if names.is_empty() {
        return Ok(None);
    }
    let bytes = || names.iter().map(|name| name.as_bytes().to_vec());
    let mut registered = of_tenant::<audience::Entity>(tenant)
        .filter(audience::Column::Name.is_in(bytes()))
        .order_by_asc(audience::Column::Name);
    // A registration that nobody has proved owns nothing, its own appid included, nor does an app that goes.
    let mut apps = of_tenant::<app::Entity>(tenant)
        .filter(app::Column::Status.ne(AppStatus::Removing.as_str()))
        .filter(app::Column::Appid.is_in(bytes()))
        .filter(app::Column::SecretState.ne(SecretState::Unverified.as_str()))
        .order_by_asc(app::Column::Appid);
    if locked {
        (registered, apps) = (registered.lock_exclusive(), apps.lock_exclusive());
    }
    let (registered, apps) = (registered.all(db).await?, apps.all(db).await?);
    let owned = |name: &[u8]| registered.iter().any(|row| row.name == name) || apps.iter().any(|row| row.appid == name);
    Ok(names.iter().find(|name| !owned(name.as_bytes())).map(|name| (*name).to_owned()))
}

/// Whether the tenant owns all of these names, which it then does until the transaction ends.
///
/// # Errors
/// [`StorageError::NotFound`] if it does not.
pub(crate) async fn must_be_owned(tx: &Tx, tenant: TenantId, names: &[&str]) -> Result<(), StorageError> {
    match first_not_owned(&tx.tx, tenant, names, true).await? {
        None => Ok(()),
        Some(_) => Err(StorageError::NotFound),
    }
}

/// What names an audience of a tenant, whose row is locked.
pub(crate) async fn uses(tx: &Tx, tenant: TenantId, name: &str) -> Result<Vec<AudienceUse>, StorageError> {
    let mut uses = Vec::new();
    let apps = of_tenant::<app::Entity>(tenant).filter(app::Column::Status.ne(AppStatus::Removing.as_str()));
    for row in apps.order_by_asc(app::Column::Appid).all(&tx.tx).await? {
        let policy = AppPolicy::from_json(&row.policy).map_err(|_| StorageError::inconsistent("app", "policy"))?;
        if policy.audiences.iter().any(|audience| audience == name) {
            uses.push(AudienceUse::App(ascii(row.appid, "app", "appid")?));
        }
    }
    let policies = of_tenant::<forward_auth_policy::Entity>(tenant)
        .filter(forward_auth_policy::Column::Audience.eq(name.as_bytes().to_vec()))
        .order_by_asc(forward_auth_policy::Column::Name);
    for row in policies.all(&tx.tx).await? {
        uses.push(AudienceUse::ForwardAuthPolicy(ascii(row.name, "forward_auth_policy", "name")?));
    }
    let clients = of_tenant::<service_client::Entity>(tenant).order_by_asc(service_client::Column::Name);
    for row in clients.all(&tx.tx).await? {
        let policy = ServiceClientPolicy::from_json(&row.policy);
        let policy = policy.map_err(|_| StorageError::inconsistent("service_client", "policy"))?;
        if policy.named().any(|own| own == name) {
            uses.push(AudienceUse::ServiceClient(ascii(row.id, "service_client", "id")?));
        }
    }
    Ok(uses)
}

/// Whether no tenant but this one has registered the name as an audience.
///
/// Asked after the change was recorded it is final: from then on the transaction holds the lock of the log, and sees
/// whatever a rival committed meanwhile.
///
/// # Errors
/// [`StorageError::NotUnique`] (`uq_audience_name`) if another tenant has.
pub(crate) async fn no_other_owns(tx: &Tx, tenant: TenantId, name: &str) -> Result<(), StorageError> {
    #[expect(clippy::disallowed_methods, reason = "an audience is unique among all tenants")]
    let others = audience::Entity::find().filter(audience::Column::TenantId.ne(tenant.uuid()));
    let found = others.filter(audience::Column::Name.eq(name.as_bytes().to_vec())).one(&tx.tx).await?;
    found.map_or(Ok(()), |_| Err(StorageError::NotUnique { constraint: "uq_audience_name".to_owned() }))
}

/// Whether no tenant but this one has an app of this appid; final as [`no_other_owns`].
///
/// # Errors
/// [`StorageError::NotUnique`] (`uq_app_appid`) if another tenant has.
pub(crate) async fn no_other_has_app(tx: &Tx, tenant: TenantId, appid: &str) -> Result<(), StorageError> {
    #[expect(clippy::disallowed_methods, reason = "an appid is unique among all tenants")]
    let others = app::Entity::find().filter(app::Column::TenantId.ne(tenant.uuid()));
    let found = others.filter(app::Column::Appid.eq(appid.as_bytes().to_vec())).one(&tx.tx).await?;
    found.map_or(Ok(()), |_| Err(StorageError::NotUnique { constraint: "uq_app_appid".to_owned() }))
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
        let added = OwnedAudience { tenant: self.tenant, name: name.clone(), created_at: core.clock.now() };
        let row = audience::ActiveModel {
            name: Set(name.as_str().as_bytes().to_vec()),
            tenant_id: Set(self.tenant.uuid()),
            created_at: Set(added.created_at.millis()),
        };
        audience::Entity::insert(row).exec_without_returning(tx).await?;
        self.tx.record(ChangeKind::Audience, self.tenant, None).await?;
        no_other_has_app(self.tx, self.tenant, name.as_str()).await?;
        Ok(added)
    }

    /// The audience as it is, locked until the transaction ends.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such audience.
    pub async fn current(&self, name: &Audience) -> Result<OwnedAudience, StorageError> {
        let by_name = audience::Column::Name.eq(name.as_str().as_bytes().to_vec());
        let found = of_tenant::<audience::Entity>(self.tenant).filter(by_name).lock_exclusive();
        of_row(found.one(&self.tx.tx).await?.ok_or(StorageError::NotFound)?)
    }

    /// Removes an audience of the tenant, unless something names it: then nothing happens, and that is returned.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such audience.
    pub async fn remove(&self, name: &Audience) -> Result<Vec<AudienceUse>, StorageError> {
        let tx = &self.tx.tx;
        let by_name = || audience::Column::Name.eq(name.as_str().as_bytes().to_vec());
        self.current(name).await?;
        let appid = of_tenant::<app::Entity>(self.tenant)
            .filter(app::Column::Appid.eq(name.as_str().as_bytes().to_vec()))
            .filter(app::Column::Status.ne(AppStatus::Removing.as_str()))
            .filter(app::Column::SecretState.ne(SecretState::Unverified.as_str()));
        // The appid of an app stays an audience of its tenant by itself.
        let stays = appid.one(tx).await?.is_some();
        let uses = if stays { Vec::new() } else { uses(self.tx, self.tenant, name.as_str()).await? };
        if uses.is_empty() {
            delete_of_tenant::<audience::Entity>(self.tenant).filter(by_name()).exec(tx).await?;
            self.tx.record(ChangeKind::Audience, self.tenant, None).await?;
        }
        Ok(uses)
    }
}
