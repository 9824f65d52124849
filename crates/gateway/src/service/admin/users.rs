//! Users: who is who, and who may not log in.

use wxgate_domain::{OpenId, Tenant, UnionId, User, UserId, UserStatus, WechatAppid};
use wxgate_storage::{KnownIdentity, StorageError};

use super::{Admin, AdminError, Event};

/// Which user an operator means.
#[derive(Clone, Debug)]
pub(crate) enum WhichUser {
    /// By our id.
    Id(UserId),
    /// By what a mini-program knows them by.
    OpenId(WechatAppid, OpenId),
    /// By what an Open Platform account knows them by: one user for each union group at most.
    UnionId(UnionId),
}

impl Admin {
    /// The users who are meant, with their identities.
    pub(crate) async fn find_users(
        &self,
        tenant: &Tenant,
        which: &WhichUser,
    ) -> Result<Vec<(User, Vec<KnownIdentity>)>, AdminError> {
        let scope = self.storage.tenant(tenant.id);
        let found = match which {
            WhichUser::Id(id) => scope.user(*id).await?.into_iter().collect(),
            WhichUser::OpenId(appid, openid) => scope.users().of_openid(appid, openid).await?.into_iter().collect(),
            WhichUser::UnionId(unionid) => scope.users().of_unionid(unionid).await?,
        };
        if found.is_empty() {
            return Err(AdminError::NoSuchUser(tenant.slug.clone()));
        }
        let mut users = Vec::with_capacity(found.len());
        for user in found {
            let identities = scope.users().identities(user.id).await?;
            users.push((user, identities));
        }
        Ok(users)
    }

    /// Blocks or unblocks a user. A block ends all sessions of the user.
    pub(crate) async fn set_user_status(
        &self,
        tenant: &Tenant,
        id: UserId,
        status: UserStatus,
    ) -> Result<(), AdminError> {
        let tx = self.storage.begin().await?;
        let changed = tx.tenant(tenant.id).users().set_status(id, status).await;
        changed.map_err(|error| match error {
            StorageError::NotFound => AdminError::NoUser(tenant.slug.clone(), id),
            error => error.into(),
        })?;
        let action = if status == UserStatus::Blocked { "user.block" } else { "user.unblock" };
        self.commit(tx, Event::of(tenant.id, action, id)).await
    }
}
