//! Users.

mod find;

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, ExternalId, OpenId, Slug, Tenant, UnionId, UserId, UserStatus, WechatAppid};
use wxgate_storage::KnownIdentity;

pub(crate) use self::find::FindUser;
use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError, Person, WhichUser};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListUsers>();
    visitor.visit::<FindUser>();
    visitor.visit::<ShowUser>();
    visitor.visit::<BlockUser>();
    visitor.visit::<UnblockUser>();
    visitor.visit::<EraseUser>();
}

/// A user, as operators see them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct UserReply {
    /// `sub` of the access tokens.
    pub(crate) id: String,
    /// The tenant's slug.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// `active` or `blocked`.
    pub(crate) status: String,
    /// As the user says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) nickname: Option<String>,
    /// As the user says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) avatar_url: Option<String>,
    /// What another system calls the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) external_id: Option<String>,
    /// What may be shown of the user's phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) phone_masked: Option<String>,
    /// Whether WeChat vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) phone_verified: Option<bool>,
    /// Seconds since 1970.
    pub(crate) created_at: i64,
    /// The user in each mini-program, oldest first.
    pub(crate) identities: Vec<IdentityReply>,
}

/// A user as one mini-program knows them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct IdentityReply {
    pub(crate) appid: String,
    pub(crate) openid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) unionid: Option<String>,
    /// Seconds since 1970.
    pub(crate) created_at: i64,
}

impl UserReply {
    fn of(Person { user, phone, identities }: Person, tenant: &Tenant) -> Self {
        Self {
            id: user.id.to_string(),
            tenant: tenant.slug.clone(),
            status: user.status.as_str().to_owned(),
            nickname: user.profile.nickname,
            avatar_url: user.profile.avatar_url,
            external_id: user.external_id.map(|id| id.to_string()),
            phone_masked: phone.as_ref().map(|phone| phone.number.masked()),
            phone_verified: phone.map(|phone| phone.is_verified),
            created_at: user.created_at.seconds(),
            identities: identities.into_iter().map(IdentityReply::from).collect(),
        }
    }
}

impl From<KnownIdentity> for IdentityReply {
    fn from(known: KnownIdentity) -> Self {
        Self {
            appid: known.appid.to_string(),
            openid: known.openid.to_string(),
            unionid: known.unionid.map(|unionid| unionid.to_string()),
            created_at: known.created_at.seconds(),
        }
    }
}

/// The users of a tenant, oldest first; or those who are called so, by one name at most.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListUsers {
    /// The tenant's slug or id; a tenant's key may leave it out.
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// Who has this id.
    #[schema(value_type = Option<String>)]
    pub(crate) id: Option<UserId>,
    /// The mini-program that knows `openid`.
    #[schema(value_type = Option<String>)]
    pub(crate) appid: Option<WechatAppid>,
    /// Who is called so in the mini-program `appid`.
    #[schema(value_type = Option<String>)]
    pub(crate) openid: Option<OpenId>,
    /// Who is called so in a union group of the tenant.
    #[schema(value_type = Option<String>)]
    pub(crate) unionid: Option<UnionId>,
    /// Whom another system calls so.
    #[schema(value_type = Option<String>)]
    pub(crate) external_id: Option<ExternalId>,
    /// How many at most: 1 to 500, else 100.
    #[serde(default)]
    #[schema(value_type = u16, minimum = 1, maximum = 500)]
    pub(crate) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    #[schema(value_type = Option<String>)]
    pub(crate) cursor: Option<UserId>,
}

impl ListUsers {
    /// Who is meant; `None` if all are.
    fn which(&mut self) -> Result<Option<WhichUser>, AdminError> {
        let names = [
            self.id.take().map(WhichUser::Id),
            self.unionid.take().map(WhichUser::UnionId),
            self.external_id.take().map(WhichUser::ExternalId),
            match (self.appid.take(), self.openid.take()) {
                (Some(appid), Some(openid)) => Some(WhichUser::OpenId(appid, openid)),
                (None, None) => None,
                _ => return Err(AdminError::WhichUser),
            },
        ];
        let mut names = names.into_iter().flatten();
        match (names.next(), names.next()) {
            (which, None) => Ok(which),
            _ => Err(AdminError::WhichUser),
        }
    }
}

impl Operation for ListUsers {
    type Reply = Page<UserReply>;
    const ROUTE: Route = Route {
        id: "listUsers",
        method: Method::Get,
        path: "/users",
        scope: AdminScope::Read,
        summary: "List the users of a tenant, or find one.",
    };

    async fn run(mut self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant_or_own(self.tenant.as_ref()).await?;
        let limit = self.limit.get();
        let mut found = match self.which()? {
            Some(which) => admin.find_users(&tenant, &which).await?,
            None => admin.users(&tenant, self.cursor, limit as u64 + 1).await?,
        };
        let more = found.len() > limit;
        found.truncate(limit);
        let items: Vec<_> = found.into_iter().map(|person| UserReply::of(person, &tenant)).collect();
        let next_cursor = items.last().filter(|_| more).map(|user| user.id.clone());
        Ok(Page { items, next_cursor })
    }
}

macro_rules! of_one_user {
    ($(#[doc = $doc:literal] $name:ident),* $(,)?) => {$(
        #[doc = $doc]
        #[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            /// The tenant; a tenant's key may leave it out.
            #[arg(long)]
            #[schema(value_type = Option<String>)]
            pub(crate) tenant: Option<Slug>,
            /// The user's id, which is `sub` of the access token.
            #[arg(value_name = "ID")]
            #[schema(value_type = String)]
            pub(crate) user: UserId,
        }
    )*};
}

of_one_user! {
    /// One user.
    ShowUser,
    /// A user who may not log in any more; also somebody who was erased, should they come back.
    BlockUser,
    /// A user who may log in again; also somebody who was erased.
    UnblockUser,
    /// A user who is to be forgotten, for good.
    EraseUser,
}

impl Operation for ShowUser {
    type Reply = UserReply;
    const ROUTE: Route = Route {
        id: "showUser",
        method: Method::Get,
        path: "/users/{user}",
        scope: AdminScope::Read,
        summary: "Show a user.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant_or_own(self.tenant.as_ref()).await?;
        Ok(UserReply::of(admin.user(&tenant, self.user).await?, &tenant))
    }
}

/// How a user stands now.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct UserStatusReply {
    pub(crate) id: String,
    /// The tenant's slug.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// `active` or `blocked`.
    pub(crate) status: String,
}

impl UserStatusReply {
    async fn set(admin: &Admin, tenant: Option<&Slug>, user: UserId, status: UserStatus) -> Result<Self, AdminError> {
        let tenant = admin.tenant_or_own(tenant).await?;
        admin.set_user_status(&tenant, user, status).await?;
        Ok(Self { id: user.to_string(), tenant: tenant.slug, status: status.as_str().to_owned() })
    }
}

impl Operation for BlockUser {
    type Reply = UserStatusReply;
    const ROUTE: Route = Route {
        id: "blockUser",
        method: Method::Post,
        path: "/users/{user}/block",
        scope: AdminScope::Write,
        summary: "Block a user and end all their sessions.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        UserStatusReply::set(admin, self.tenant.as_ref(), self.user, UserStatus::Blocked).await
    }
}

impl Operation for UnblockUser {
    type Reply = UserStatusReply;
    const ROUTE: Route = Route {
        id: "unblockUser",
        method: Method::Post,
        path: "/users/{user}/unblock",
        scope: AdminScope::Write,
        summary: "Let a user log in again.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        UserStatusReply::set(admin, self.tenant.as_ref(), self.user, UserStatus::Active).await
    }
}

/// What went with a user.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ErasedReply {
    /// The user's id. It is never used again; a ban is lifted by it.
    pub(crate) id: String,
    /// In how many mini-programs they were known.
    pub(crate) identities: usize,
    /// How many of their sessions ended.
    pub(crate) sessions_ended: usize,
}

impl Operation for EraseUser {
    type Reply = ErasedReply;
    const ROUTE: Route = Route {
        id: "eraseUser",
        method: Method::Delete,
        path: "/users/{user}",
        scope: AdminScope::Write,
        summary: "Forget a user for good. A block outlives them.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant_or_own(self.tenant.as_ref()).await?;
        let erased = admin.erase_user(&tenant, self.user).await?;
        Ok(ErasedReply { id: self.user.to_string(), identities: erased.identities, sessions_ended: erased.sessions })
    }
}
