//! What a mini-program has called of WeChat, and what WeChat lets it call.

use std::fmt;
use std::str::FromStr;

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, WechatAppid};
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

/// The calls of one mini-program, as this gateway made them since it started.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AppCallsReply {
    #[schema(value_type = String)]
    pub(crate) appid: WechatAppid,
    /// When this gateway began to count, in seconds since 1970.
    pub(crate) since: i64,
    pub(crate) calls: Vec<CallCount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) quota: Option<QuotaReply>,
}

/// How often an interface was called with one outcome.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CallCount {
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
        summary: "Show what a mini-program has called of WeChat since this gateway started.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (_, app) = admin.app(&self.app).await?;
        let count = |((interface, outcome), count): ((&str, &str), u64)| CallCount {
            interface: interface.to_owned(),
            outcome: outcome.to_owned(),
            count,
        };
        let calls = admin.meters.of(&app.appid).into_iter().map(count).collect();
        let quota = match self.quota_of {
            Some(path) => Some(quota(admin, &app.appid, path.0).await?),
            None => None,
        };
        Ok(AppCallsReply { appid: app.appid, since: admin.meters.since().seconds(), calls, quota })
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
