//! Who is who: users by what WeChat and others call them, for operators who look for somebody.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use wxgate_domain::{ExternalId, OpenId, TenantId, Timestamp, UnionId, User, UserId, WechatAppid};

use super::{apps, ascii, users};
use crate::entity::{app, identity, union_group, union_member, user};
use crate::error::StorageError;
use crate::scope::of_tenant;
use crate::storage::Storage;

/// Most union groups that are looked through, and most identities that are told of one user.
const MOST: u64 = 1_000;

/// A user as one mini-program knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownIdentity {
    /// The mini-program.
    pub appid: WechatAppid,
    /// The user inside it.
    pub openid: OpenId,
    /// The user inside the Open Platform account, if WeChat said so.
    pub unionid: Option<UnionId>,
    /// When the user first logged in there.
    pub created_at: Timestamp,
}

/// The users of one tenant.
#[derive(Clone, Debug)]
pub struct TenantUsers {
    storage: Storage,
    tenant: TenantId,
}

impl TenantUsers {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// The user whom a mini-program of the tenant knows by this openid.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of_openid(&self, appid: &WechatAppid, openid: &OpenId) -> Result<Option<User>, StorageError> {
        let tenant = self.tenant;
        let found = self.storage.core.read(|db| async move {
            let Some(app) = apps::of_appid(tenant, appid).one(&db).await? else { return Ok(None) };
            let of_app = of_tenant::<identity::Entity>(tenant).filter(identity::Column::AppId.eq(app.id));
            let known = of_app.filter(identity::Column::Openid.eq(openid.as_str().as_bytes().to_vec()));
            let Some(known) = known.one(&db).await? else { return Ok(None) };
            of_tenant::<user::Entity>(tenant).filter(user::Column::Id.eq(known.user_id)).one(&db).await
        });
        let found: Option<user::Model> = found.await?;
        found.map(users::of_row).transpose()
    }

    /// The users who hold this unionid, one for each union group of the tenant that knows it. A unionid that WeChat told
    /// of an app outside any group is nobody's here.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of_unionid(&self, unionid: &UnionId) -> Result<Vec<User>, StorageError> {
        let tenant = self.tenant;
        let found = self.storage.core.read(|db| async move {
            // Named one by one, so that the primary key finds them.
            let groups = of_tenant::<union_group::Entity>(tenant).limit(MOST).all(&db).await?;
            let members = of_tenant::<union_member::Entity>(tenant)
                .filter(union_member::Column::UnionGroupId.is_in(groups.into_iter().map(|group| group.id)))
                .filter(union_member::Column::Unionid.eq(unionid.as_str().as_bytes().to_vec()));
            let members = members.all(&db).await?;
            let ids = members.into_iter().map(|member| member.user_id);
            of_tenant::<user::Entity>(tenant).filter(user::Column::Id.is_in(ids)).all(&db).await
        });
        let found: Vec<user::Model> = found.await?;
        found.into_iter().map(users::of_row).collect()
    }

    /// The user whom another system calls so.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of_external_id(&self, external_id: &ExternalId) -> Result<Option<User>, StorageError> {
        let tenant = self.tenant;
        let query = || of_tenant::<user::Entity>(tenant).filter(user::Column::ExternalId.eq(external_id.as_str()));
        let found = self.storage.core.read(|db| async move { query().one(&db).await }).await?;
        found.map(users::of_row).transpose()
    }

    /// The users in the order of their ids, which is that of their making: at most `limit` after `after`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn page(&self, after: Option<UserId>, limit: u64) -> Result<Vec<User>, StorageError> {
        let tenant = self.tenant;
        let query = || {
            let mut users = of_tenant::<user::Entity>(tenant).order_by_asc(user::Column::Id).limit(limit);
            if let Some(after) = after {
                users = users.filter(user::Column::Id.gt(after.uuid()));
            }
            users
        };
        let rows = self.storage.core.read(|db| async move { query().all(&db).await }).await?;
        rows.into_iter().map(users::of_row).collect()
    }

    /// The identities of users, oldest first; of none that the tenant does not have.
    ///
    /// # Errors
    /// The database fails.
    pub async fn identities(&self, users: &[UserId]) -> Result<HashMap<UserId, Vec<KnownIdentity>>, StorageError> {
        let tenant = self.tenant;
        let ids = || users.iter().map(|user| user.uuid());
        let found = self.storage.core.read(|db| async move {
            let known = of_tenant::<identity::Entity>(tenant).filter(identity::Column::UserId.is_in(ids()));
            let most = MOST.saturating_mul(users.len() as u64);
            let known = known.order_by_asc(identity::Column::CreatedAt).limit(most).all(&db).await?;
            let apps: BTreeSet<_> = known.iter().map(|identity| identity.app_id).collect();
            let apps = of_tenant::<app::Entity>(tenant).filter(app::Column::Id.is_in(apps)).all(&db).await?;
            Ok::<_, sea_orm::DbErr>((known, apps))
        });
        let (known, apps) = found.await?;
        let mut of_users: HashMap<UserId, Vec<KnownIdentity>> = HashMap::new();
        for row in known {
            let app = apps.iter().find(|app| app.id == row.app_id);
            let appid = app.ok_or_else(|| StorageError::inconsistent("identity", "app_id"))?.appid.clone();
            let unionid = row.unionid.map(|unionid| ascii(unionid, "identity", "unionid")).transpose()?;
            of_users.entry(row.user_id.into()).or_default().push(KnownIdentity {
                appid: ascii(appid, "app", "appid")?,
                openid: ascii(row.openid, "identity", "openid")?,
                unionid,
                created_at: Timestamp::from_millis(row.created_at),
            });
        }
        Ok(of_users)
    }
}
