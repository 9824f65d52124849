//! The mini-programs that authorised a platform, asked or unasked.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, PlatformApp, PlatformAppState, Timestamp, WechatAppid};

use crate::operation::{Limit, Method, Operation, Page, Route};
use crate::service::admin::{Admin, AdminError};

/// A mini-program as a platform knows it. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PlatformAppReply {
    /// WeChat's id of it.
    #[schema(value_type = String)]
    pub(crate) appid: WechatAppid,
    /// `attached`: the platform acts for it; `parked`: it authorised the platform and no admin had asked for that, or it has
    /// an AppSecret again; `withdrawn`: it authorises the platform no more.
    #[schema(value_type = String)]
    pub(crate) state: PlatformAppState,
    /// Whether there is a refresh token. Without one it must authorise the platform again.
    pub(crate) is_granted: bool,
    /// Whether a code is still to be exchanged with WeChat.
    pub(crate) is_pending: bool,
    /// The ids of the permission sets that it granted; users and phone numbers need 18.
    pub(crate) permissions: Vec<i64>,
    /// Until when its token lives; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) token_until: Option<i64>,
    /// When it authorised the platform last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) authorized_at: Option<i64>,
}

impl From<PlatformApp> for PlatformAppReply {
    fn from(app: PlatformApp) -> Self {
        Self {
            appid: app.appid,
            state: app.state,
            is_granted: app.is_granted,
            is_pending: app.is_pending,
            permissions: app.permissions,
            token_until: app.token_until.map(Timestamp::seconds),
            authorized_at: app.authorized_at.map(Timestamp::seconds),
        }
    }
}

/// The mini-programs of a platform, by appid.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListPlatformApps {
    /// WeChat's id of the platform.
    #[schema(value_type = String)]
    pub(crate) platform: WechatAppid,
    /// How many at most: 1 to 500, else 100.
    #[serde(default)]
    #[schema(value_type = u16, minimum = 1, maximum = 500)]
    pub(crate) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    pub(crate) cursor: Option<String>,
}

impl Operation for ListPlatformApps {
    type Reply = Page<PlatformAppReply>;
    const ROUTE: Route = Route {
        id: "listPlatformApps",
        method: Method::Get,
        path: "/platforms/{platform}/apps",
        scope: AdminScope::Read,
        summary: "List the mini-programs that authorised a third-party platform, the parked ones too.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (tenant, platform) = admin.platform(&self.platform).await?;
        let platforms = admin.storage.tenant(tenant.id).platforms();
        let found = platforms.apps(platform.id, self.cursor.as_deref(), self.limit.and_one()).await?;
        let told = found.into_iter().map(PlatformAppReply::from);
        Ok(Page::begun(told, self.limit, |app| app.appid.to_string()))
    }
}

/// A parked mini-program that the platform is to act for.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttachPlatformApp {
    /// WeChat's id of the platform.
    #[schema(value_type = String)]
    pub(crate) platform: WechatAppid,
    /// WeChat's id of the mini-program.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
}

impl Operation for AttachPlatformApp {
    type Reply = PlatformAppReply;
    const ROUTE: Route = Route {
        id: "attachPlatformApp",
        method: Method::Post,
        path: "/platforms/{platform}/apps/{app}/attach",
        scope: AdminScope::Write,
        summary: "Have a third-party platform act for a parked mini-program; operators decide that.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        admin.caller.must_be_operator()?;
        let found = admin.platform(&self.platform).await?;
        Ok(admin.attach_platform_app(&found, &self.app).await?.into())
    }
}
