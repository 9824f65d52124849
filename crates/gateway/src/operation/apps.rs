//! Mini-programs.

mod api_security;
mod calls;
mod policy;
mod push;
mod secret;

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{
    AdminScope, App, AppPolicy, AppStatus, CredentialStatus, Slug, TenantId, Timestamp, UnionGroupId, WechatAppid,
};
use wxgate_storage::AppChange;

use super::jobs::JobReply;
use super::secret_text::SecretText;
use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError, AppToAdd, Proof};

pub(crate) use api_security::{
    ApiSecurityReply, ForgetApiSecurity, ForgetPreviousApiSecurity, KeyReply, SetApiSecurity,
};
pub(crate) use calls::{AppCallsReply, CallCount, ShowAppCalls};
pub(crate) use policy::AppPolicyChange;
pub(crate) use push::{FinishPush, PushReply, RemovePush, RotatePush, SetPush, ShowPush};
pub(crate) use secret::{ActingPlatform, SecretReply, SetAppSecret, VerifyApp};

/// Every operation on mini-programs.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListApps>();
    visitor.visit::<AddApp>();
    visitor.visit::<ShowApp>();
    visitor.visit::<ChangeApp>();
    visitor.visit::<RemoveApp>();
    visitor.visit::<SetAppSecret>();
    visitor.visit::<EnableApp>();
    visitor.visit::<DisableApp>();
    visitor.visit::<VerifyApp>();
    visitor.visit::<ShowAppCalls>();
    visitor.visit::<SetApiSecurity>();
    visitor.visit::<ForgetApiSecurity>();
    visitor.visit::<ForgetPreviousApiSecurity>();
    visitor.visit::<SetPush>();
    visitor.visit::<ShowPush>();
    visitor.visit::<RotatePush>();
    visitor.visit::<FinishPush>();
    visitor.visit::<RemovePush>();
}

/// A mini-program, as operators see it. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AppReply {
    /// Our id of it.
    pub(crate) id: String,
    /// WeChat's id of it.
    #[schema(value_type = String)]
    pub(crate) appid: WechatAppid,
    /// The slug of its tenant.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// Its name for people.
    pub(crate) name: String,
    /// `enabled`, `disabled` or `removing`.
    #[schema(value_type = String)]
    pub(crate) status: AppStatus,
    /// The id of the union group that it is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) union_group_id: Option<String>,
    /// What may be known of its AppSecret; absent if a platform acts for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) secret: Option<SecretReply>,
    /// The third-party platform that acts for it instead of an AppSecret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) platform: Option<ActingPlatform>,
    /// What may be known of the keys with which its calls are signed and encrypted; absent if they go out plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) api_security: Option<ApiSecurityReply>,
    #[schema(value_type = Object)]
    pub(crate) policy: AppPolicy,
    pub(crate) created_at: i64,
}

impl AppReply {
    /// What is told of an app.
    pub(crate) fn of(tenant: &Slug, app: App) -> Self {
        let (secret, platform) = match app.credential {
            CredentialStatus::AppSecret(secret) => (Some(secret.into()), None),
            CredentialStatus::Component(component) => (None, Some(component.into())),
        };
        Self {
            id: app.id.to_string(),
            appid: app.appid,
            tenant: tenant.clone(),
            name: app.name,
            status: app.status,
            union_group_id: app.union_group.map(|group| group.to_string()),
            secret,
            platform,
            api_security: app.api_security.map(ApiSecurityReply::from),
            policy: app.policy,
            created_at: app.created_at.seconds(),
        }
    }
}

/// Refuses if an app is not any more as the caller saw it.
fn unchanged(admin: &Admin, tenant: &Slug) -> impl FnOnce(App) -> Result<(), AdminError> {
    move |app| admin.must_match(&AppReply::of(tenant, app))
}

/// The mini-programs, by appid.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListApps {
    /// Of this tenant alone: its slug or id.
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// How many at most: 1 to 500, else 100.
    #[serde(default)]
    #[schema(value_type = u16, minimum = 1, maximum = 500)]
    pub(crate) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    pub(crate) cursor: Option<String>,
}

impl Operation for ListApps {
    type Reply = Page<AppReply>;
    const ROUTE: Route = Route {
        id: "listApps",
        method: Method::Get,
        path: "/apps",
        scope: AdminScope::Read,
        summary: "List the mini-programs.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.within(self.tenant.as_ref()).await?;
        let found = admin.storage.apps().page(tenant, self.cursor.as_deref(), self.limit.and_one()).await?;
        let apps = found.into_iter().map(|found| AppReply::of(&found.tenant.slug, found.app));
        Ok(Page::begun(apps, self.limit, |app| app.appid.to_string()))
    }
}

/// A mini-program to be added.
///
/// WeChat is asked about its AppSecret. If it refuses, nothing is added. If it cannot be asked, the app is `unverified`: it
/// serves logins, and the first one proves the secret. Until then its appid is not the tenant's, and after a day without
/// one it is forgotten.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddApp {
    /// The tenant that owns it: its slug or id.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// WeChat's id of the mini-program.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) appid: WechatAppid,
    /// Its name for people; the appid if left out.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Its AppSecret: 1 to 128 visible ASCII characters. No answer ever shows it.
    #[arg(skip)]
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 128)]
    pub(crate) secret: SecretText,
    /// The union group of the Open Platform account that it is bound to: its name or id.
    #[arg(long, value_name = "NAME")]
    pub(crate) union_group: Option<String>,
    /// What it tunes; the defaults if left out.
    #[command(flatten)]
    #[serde(default)]
    pub(crate) policy: AppPolicyChange,
}

impl Operation for AddApp {
    type Reply = AppReply;
    const ROUTE: Route = Route {
        id: "addApp",
        method: Method::Create,
        path: "/apps",
        scope: AdminScope::Write,
        summary: "Add a mini-program, unless WeChat refuses its AppSecret.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant(&self.tenant).await?;
        let union_group = match &self.union_group {
            Some(named) => Some(admin.union_group(Some(&tenant), named).await?.1.id),
            None => None,
        };
        let name = self.name.unwrap_or_else(|| self.appid.to_string());
        let (secret, policy) = (self.secret.parse()?, self.policy.apply(&AppPolicy::default()));
        let app = AppToAdd { appid: self.appid, name, secret, union_group, policy };
        admin.add_app(&tenant, app, Proof::Ask, |app| AppReply::of(&tenant.slug, app)).await
    }
}

/// One mini-program.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowApp {
    /// WeChat's id of it, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
}

impl Operation for ShowApp {
    type Reply = AppReply;
    const ROUTE: Route = Route {
        id: "showApp",
        method: Method::Get,
        path: "/apps/{app}",
        scope: AdminScope::Read,
        summary: "Show a mini-program.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (tenant, app) = admin.app(&self.app).await?;
        Ok(AppReply::of(&tenant.slug, app))
    }
}

/// What is to be changed of a mini-program; what is left out stays.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeApp {
    /// WeChat's id of it, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
    /// Its name for people.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The union group that it is bound to: its name or id; an empty text for none. Users stay who they are.
    #[arg(long, value_name = "NAME")]
    pub(crate) union_group: Option<String>,
    /// What it tunes.
    #[command(flatten)]
    #[serde(default)]
    pub(crate) policy: AppPolicyChange,
}

impl ChangeApp {
    /// Whether nothing is to be changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.name.is_none() && self.union_group.is_none() && self.policy.is_empty()
    }

    async fn wanted_group(&self, admin: &Admin, tenant: TenantId) -> Result<Option<Option<UnionGroupId>>, AdminError> {
        let tenant = admin.storage.tenants().get(tenant).await?;
        match self.union_group.as_deref() {
            None => Ok(None),
            Some("") => Ok(Some(None)),
            Some(named) => Ok(Some(Some(admin.union_group(Some(&tenant), named).await?.1.id))),
        }
    }
}

impl Operation for ChangeApp {
    type Reply = AppReply;
    const ROUTE: Route = Route {
        id: "changeApp",
        method: Method::Patch,
        path: "/apps/{app}",
        scope: AdminScope::Write,
        summary: "Change the name of a mini-program, its union group or what it tunes.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.app(&self.app).await?;
        let group = self.wanted_group(admin, found.0.id).await?;
        let slug = &found.0.slug;
        let change = |before: App| {
            admin.must_match(&AppReply::of(slug, before.clone()))?;
            Ok(AppChange {
                name: self.name.unwrap_or(before.name),
                union_group: group.unwrap_or(before.union_group),
                policy: self.policy.apply(&before.policy),
            })
        };
        Ok(AppReply::of(slug, admin.change_app(&found, change).await?))
    }
}

/// A mini-program to be removed with its sessions and identities. Its users stay.
///
/// It serves nothing more at once; a job removes what there is of it.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveApp {
    /// WeChat's id of it, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
}

impl Operation for RemoveApp {
    type Reply = JobReply;
    const ROUTE: Route = Route {
        id: "removeApp",
        method: Method::Delete,
        path: "/apps/{app}",
        scope: AdminScope::Write,
        summary: "Remove a mini-program with its sessions and identities; its users stay.",
    };
    const MATCHES: bool = true;

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.app(&self.app).await?;
        Ok(admin.remove_app(&found, unchanged(admin, &found.0.slug)).await?.into())
    }
}

/// A mini-program that is to be served again.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnableApp {
    /// WeChat's id of it, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
}

impl Operation for EnableApp {
    type Reply = AppReply;
    const ROUTE: Route = Route {
        id: "enableApp",
        method: Method::Post,
        path: "/apps/{app}/enable",
        scope: AdminScope::Write,
        summary: "Serve a disabled mini-program again.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.app(&self.app).await?;
        Ok(AppReply::of(&found.0.slug, admin.set_app_status(&found, AppStatus::Enabled).await?))
    }
}

/// A mini-program that is to serve nothing until it is enabled.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DisableApp {
    /// WeChat's id of it, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
}

impl Operation for DisableApp {
    type Reply = AppReply;
    const ROUTE: Route = Route {
        id: "disableApp",
        method: Method::Post,
        path: "/apps/{app}/disable",
        scope: AdminScope::Write,
        summary: "Serve nothing of a mini-program.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.app(&self.app).await?;
        Ok(AppReply::of(&found.0.slug, admin.set_app_status(&found, AppStatus::Disabled).await?))
    }
}

/// Seconds since 1970, where there is a moment.
fn seconds(moment: Option<Timestamp>) -> Option<i64> {
    moment.map(Timestamp::seconds)
}
