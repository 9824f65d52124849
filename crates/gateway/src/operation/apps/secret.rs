//! AppSecrets: they come in and never go out.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, ComponentStatus, SecretState, SecretStatus, WechatAppid};

use super::{AppReply, seconds, unchanged};
use crate::operation::secret_text::SecretText;
use crate::operation::{Method, Operation, Route};
use crate::service::admin::{Admin, AdminError, Proof};

/// What may be known of an AppSecret.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SecretReply {
    /// Tells it from others: 16 hexadecimal digits, equal for equal secrets of one tenant.
    pub(crate) fingerprint: String,
    /// `accepted` by WeChat; `pending`: new, and the one before still serves where WeChat wants it; `unverified`: the app
    /// is new, and nobody has proved its secret yet.
    #[schema(value_type = String)]
    pub(crate) state: SecretState,
    /// When it took the place of the one before, in seconds since 1970; absent for an app's first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) changed_at: Option<i64>,
    /// The fingerprint of the one before, as long as that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) previous_fingerprint: Option<String>,
}

impl From<SecretStatus> for SecretReply {
    fn from(secret: SecretStatus) -> Self {
        Self {
            fingerprint: secret.fingerprint.as_str().to_owned(),
            state: secret.state,
            changed_at: seconds(secret.changed_at),
            previous_fingerprint: secret.previous.map(|previous| previous.as_str().to_owned()),
        }
    }
}

/// The third-party platform that acts for a mini-program.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ActingPlatform {
    /// WeChat's id of the platform.
    #[schema(value_type = String)]
    pub(crate) appid: WechatAppid,
    /// Since when the mini-program does not authorise it any more, in seconds since 1970: nobody logs in until it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) withdrawn_at: Option<i64>,
}

impl From<ComponentStatus> for ActingPlatform {
    fn from(component: ComponentStatus) -> Self {
        Self { appid: component.platform, withdrawn_at: seconds(component.withdrawn_at) }
    }
}

/// A new AppSecret of a mini-program. The one that works is kept beside it and serves where WeChat wants it.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetAppSecret {
    /// WeChat's id of the mini-program, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
    /// The new AppSecret: 1 to 128 visible ASCII characters. No answer ever shows it.
    #[arg(skip)]
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 128)]
    pub(crate) secret: SecretText,
    /// Take it though WeChat refuses it: WeChat does not know it yet, and is about to.
    #[arg(long)]
    #[serde(default)]
    pub(crate) ahead: bool,
}

impl Operation for SetAppSecret {
    type Reply = AppReply;
    const ROUTE: Route = Route {
        id: "setAppSecret",
        method: Method::Put,
        path: "/apps/{app}/secret",
        scope: AdminScope::Secrets,
        summary: "Take a new AppSecret, unless WeChat refuses it.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.app(&self.app).await?;
        let proof = if self.ahead { Proof::Ahead } else { Proof::Ask };
        let still = unchanged(admin, &found.0.slug);
        let app = admin.rotate_secret(&found, self.secret.parse()?, proof, still).await?;
        Ok(AppReply::of(&found.0.slug, app))
    }
}

/// A mini-program whose AppSecret WeChat is to be asked about. If it is accepted, the one before is forgotten.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyApp {
    /// WeChat's id of it, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
}

impl Operation for VerifyApp {
    type Reply = AppReply;
    const ROUTE: Route = Route {
        id: "verifyApp",
        method: Method::Post,
        path: "/apps/{app}/verify",
        scope: AdminScope::Write,
        summary: "Ask WeChat whether it accepts the AppSecret.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (tenant, app) = admin.verify_secret(&self.app).await?;
        Ok(AppReply::of(&tenant.slug, app))
    }
}
