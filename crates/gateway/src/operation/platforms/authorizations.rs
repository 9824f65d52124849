//! Bringing a mini-program under a platform: its administrator agrees in WeChat, on a page that an admin here has asked for.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, WechatAppid};

use crate::operation::secret_text::SecretText;
use crate::operation::{Method, Operation, Route};
use crate::service::admin::{Admin, AdminError};

/// An authorisation to be started.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartAuthorization {
    /// WeChat's id of the platform.
    #[schema(value_type = String)]
    pub(crate) platform: WechatAppid,
    /// The mini-program that it is for; any if left out.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) app: Option<WechatAppid>,
}

/// Where the mini-program's administrator agrees. Whoever has these addresses may bring a mini-program, once.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct StartedAuthorization {
    /// For a computer. WeChat wants it to be opened from a page of the domain that its console knows as the one that
    /// authorisations start from.
    #[schema(value_type = String)]
    pub(crate) on_a_computer: SecretText,
    /// For WeChat itself.
    #[schema(value_type = String)]
    pub(crate) in_wechat: SecretText,
    /// Until when it may come back, in seconds since 1970.
    pub(crate) expires_at: i64,
}

impl Operation for StartAuthorization {
    type Reply = StartedAuthorization;
    const ROUTE: Route = Route {
        id: "startAuthorization",
        method: Method::Post,
        path: "/platforms/{platform}/authorizations",
        scope: AdminScope::Write,
        summary: "Ask for a mini-program's authorisation.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.platform(&self.platform).await?;
        let (links, expires_at) = admin.start_authorization(&found, self.app).await?;
        Ok(StartedAuthorization {
            on_a_computer: SecretText::telling(links.on_a_computer.expose()),
            in_wechat: SecretText::telling(links.in_wechat.expose()),
            expires_at: expires_at.seconds(),
        })
    }
}

/// An authorisation that came back to a browser which cannot reach this gateway: what stands in the address there. Only
/// who started it may bring it.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FinishAuthorization {
    /// WeChat's id of the platform.
    #[schema(value_type = String)]
    pub(crate) platform: WechatAppid,
    /// `state` of that address.
    #[arg(skip)]
    #[schema(value_type = String)]
    pub(crate) state: SecretText,
    /// `auth_code` of that address.
    #[arg(skip)]
    #[schema(value_type = String)]
    pub(crate) auth_code: SecretText,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct FinishedAuthorization {
    /// The mini-program that the platform acts for from now on.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
}

impl Operation for FinishAuthorization {
    type Reply = FinishedAuthorization;
    const ROUTE: Route = Route {
        id: "finishAuthorization",
        method: Method::Post,
        path: "/platforms/{platform}/authorizations/finish",
        scope: AdminScope::Write,
        summary: "Carry out an authorisation that came back elsewhere.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (_, platform) = admin.platform(&self.platform).await?;
        let app = admin.finish_authorization(&platform, self.state.secret(), self.auth_code.secret()).await?;
        Ok(FinishedAuthorization { app })
    }
}
