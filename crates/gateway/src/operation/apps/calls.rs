//! What a mini-program has called of WeChat, and what WeChat lets it call.

use std::fmt;
use std::str::FromStr;

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, WechatAppid};
use wxgate_storage::WechatCalls;
use wxgate_wechat_client::{CgiPath, MalformedCgiPath};

use crate::operation::{Method, Operation, Route};
use crate::service::admin::{Admin, AdminError};

/// A mini-program whose calls of WeChat are asked for.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowAppCalls {
    /// WeChat's id of it, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
    /// An interface of WeChat's, such as /wxa/business/getuserphonenumber: WeChat is asked what is left of its quota.
    #[arg(long, value_name = "PATH")]
    #[schema(value_type = Option<String>)]
    pub(crate) quota_of: Option<InterfacePath>,
}

/// The calls of one mini-program by all gateways together, today and on the six days before.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AppCallsReply {
    #[schema(value_type = String)]
    pub(crate) appid: WechatAppid,
    /// Newest day first. What another gateway called in the last seconds is not among it yet.
    pub(crate) calls: Vec<CallCount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) quota: Option<QuotaReply>,
}

/// How often an interface was called with one outcome on one day.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CallCount {
    /// The day in Beijing, such as `2026-11-22`: WeChat's quotas begin anew with it.
    pub(crate) day: String,
    /// The interface, such as `/sns/jscode2session`.
    pub(crate) interface: String,
    /// `ok`, or what went wrong, as in the metric `wxgate_wechat_calls`.
    pub(crate) outcome: String,
    pub(crate) count: u64,
}

/// What WeChat says of a day's quota, or why it does not.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct QuotaReply {
    pub(crate) interface: String,
    /// Calls in a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) daily_limit: Option<u64>,
    /// Calls that were made today, by whomever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) used: Option<u64>,
    /// Calls that are left today.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) remain: Option<u64>,
    /// Why WeChat does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) refused: Option<String>,
}

impl Operation for ShowAppCalls {
    type Reply = AppCallsReply;
    const ROUTE: Route = Route {
        id: "showAppCalls",
        method: Method::Get,
        path: "/apps/{app}/wechat-calls",
        scope: AdminScope::Read,
        summary: "Show what a mini-program has called of WeChat in the last seven days, whichever gateway it was.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (_, app) = admin.app(&self.app).await?;
        let count = |of: WechatCalls| CallCount {
            day: of.day.to_string(),
            interface: of.interface,
            outcome: of.outcome,
            count: of.calls,
        };
        let calls = admin.meters.of(&app).await?.into_iter().map(count).collect();
        let quota = match self.quota_of {
            Some(path) => Some(quota(admin, &app.appid, path.0).await?),
            None => None,
        };
        Ok(AppCallsReply { appid: app.appid, calls, quota })
    }
}

async fn quota(admin: &Admin, appid: &WechatAppid, path: CgiPath) -> Result<QuotaReply, AdminError> {
    let told = admin.daily_quota(appid, &path).await?;
    let quota = told.as_ref().ok();
    Ok(QuotaReply {
        interface: path.to_string(),
        daily_limit: quota.map(|quota| quota.limit),
        used: quota.map(|quota| quota.used),
        remain: quota.map(|quota| quota.remain),
        refused: told.err(),
    })
}

/// An interface of WeChat's, as a text.
#[derive(Clone, Debug)]
pub(crate) struct InterfacePath(CgiPath);

impl FromStr for InterfacePath {
    type Err = MalformedCgiPath;

    fn from_str(text: &str) -> Result<Self, MalformedCgiPath> {
        text.parse().map(Self)
    }
}

impl fmt::Display for InterfacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for InterfacePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for InterfacePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
