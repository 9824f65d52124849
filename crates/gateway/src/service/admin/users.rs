//! Users: who is who, who may not log in, and who is to be forgotten.

use wxgate_domain::{
    E164, EraseCause, ExternalId, OpenId, Phone, SessionId, Tenant, UnionId, User, UserId, UserStatus, WechatAppid,
};
use wxgate_storage::{Erased, KnownIdentity, LiveSession, StorageError};

use super::{Admin, AdminError, Event};
use crate::service::again::again_if_busy;

/// Which user an operator means.
#[derive(Clone, Debug)]
pub(crate) enum WhichUser {
    /// By our id.
    Id(UserId),
    /// By what a mini-program knows them by.
    OpenId(WechatAppid, OpenId),
    /// By what an Open Platform account knows them by: one user for each union group at most.
    UnionId(UnionId),
    /// By what another system calls them.
    ExternalId(ExternalId),
}

/// A user with all their identities.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) user: User,
    pub(crate) phone: Option<Phone>,
    pub(crate) identities: Vec<KnownIdentity>,
}

impl Admin {
    /// The users who are meant; none if there are none.
    pub(crate) async fn find_users(&self, tenant: &Tenant, which: &WhichUser) -> Result<Vec<Person>, AdminError> {
        let users = self.storage.tenant(tenant.id).users();
        let found = match which {
            WhichUser::Id(id) => self.storage.tenant(tenant.id).user(*id).await?.into_iter().collect(),
            WhichUser::OpenId(appid, openid) => users.of_openid(appid, openid).await?.into_iter().collect(),
            WhichUser::UnionId(unionid) => users.of_unionid(unionid).await?,
            WhichUser::ExternalId(external_id) => users.of_external_id(external_id).await?.into_iter().collect(),
        };
        self.with_identities(tenant, found).await
    }

    /// Whoever has this phone number. That somebody looked is written down, with whom they found.
    pub(crate) async fn find_user_by_phone(
        &self,
        tenant: &Tenant,
        number: &E164,
    ) -> Result<Option<Person>, AdminError> {
        let owner = self.storage.tenant(tenant.id).phones().owner(number).await?;
        let target = owner.map_or_else(|| "nobody".to_owned(), |user| user.to_string());
        let tx = self.storage.begin().await?;
        self.commit(tx, Event::of(tenant.id, "user.find", target)).await?;
        let Some(owner) = owner else { return Ok(None) };
        Ok(self.find_users(tenant, &WhichUser::Id(owner)).await?.into_iter().next())
    }

    /// The users of a tenant, oldest first: at most `limit` after `after`.
    pub(crate) async fn users(
        &self,
        tenant: &Tenant,
        after: Option<UserId>,
        limit: u64,
    ) -> Result<Vec<Person>, AdminError> {
        let users = self.storage.tenant(tenant.id).users().page(after, limit).await?;
        self.with_identities(tenant, users).await
    }

    /// One user.
    pub(crate) async fn user(&self, tenant: &Tenant, id: UserId) -> Result<Person, AdminError> {
        let found = self.find_users(tenant, &WhichUser::Id(id)).await?;
        found.into_iter().next().ok_or_else(|| AdminError::NoUser(tenant.slug.clone(), id))
    }

    async fn with_identities(&self, tenant: &Tenant, users: Vec<User>) -> Result<Vec<Person>, AdminError> {
        let ids: Vec<_> = users.iter().map(|user| user.id).collect();
        let scope = self.storage.tenant(tenant.id);
        let mut identities = scope.users().identities(&ids).await?;
        let mut phones = scope.phones().of_users(&ids).await?;
        let person = |user: User| Person {
            phone: phones.remove(&user.id),
            identities: identities.remove(&user.id).unwrap_or_default(),
            user,
        };
        Ok(users.into_iter().map(person).collect())
    }

    /// Blocks or unblocks a user, or somebody who was erased. A block ends all sessions of the user.
    pub(crate) async fn set_user_status(
        &self,
        tenant: &Tenant,
        id: UserId,
        status: UserStatus,
    ) -> Result<(), AdminError> {
        let tx = self.storage.begin().await?;
        let changed = tx.tenant(tenant.id).users().set_status(id, status).await;
        changed.map_err(|error| no_user(error, tenant, id))?;
        let action = if status == UserStatus::Blocked { "user.block" } else { "user.unblock" };
        self.commit(tx, Event::of(tenant.id, action, id)).await
    }

    /// Erases a user, for good. Whoever was blocked stays so.
    pub(crate) async fn erase_user(&self, tenant: &Tenant, id: UserId) -> Result<Erased, AdminError> {
        again_if_busy!(self.try_to_erase(tenant, id))
    }

    async fn try_to_erase(&self, tenant: &Tenant, id: UserId) -> Result<Erased, AdminError> {
        let tx = self.storage.begin().await?;
        let erased = tx.tenant(tenant.id).users().erase(id, EraseCause::Operator).await;
        let erased = erased.map_err(|error| no_user(error, tenant, id))?;
        self.commit(tx, Event::of(tenant.id, "user.erase", id)).await?;
        Ok(erased)
    }

    /// The live sessions of a user.
    pub(crate) async fn sessions(&self, tenant: &Tenant, user: UserId) -> Result<Vec<LiveSession>, AdminError> {
        let scope = self.storage.tenant(tenant.id);
        let found = scope.user(user).await?.ok_or_else(|| AdminError::NoUser(tenant.slug.clone(), user))?;
        Ok(scope.live_sessions(found.id).await?)
    }

    /// Ends a session.
    pub(crate) async fn end_session(&self, tenant: &Tenant, session: SessionId) -> Result<(), AdminError> {
        let tx = self.storage.begin().await?;
        let ended = tx.tenant(tenant.id).users().end_session(session).await;
        ended.map_err(|error| match error {
            StorageError::NotFound => AdminError::NoSession(tenant.slug.clone(), session),
            error => error.into(),
        })?;
        self.commit(tx, Event::of(tenant.id, "session.end", session)).await
    }
}

fn no_user(error: StorageError, tenant: &Tenant, id: UserId) -> AdminError {
    match error {
        StorageError::NotFound => AdminError::NoUser(tenant.slug.clone(), id),
        error => error.into(),
    }
}
