//! Other keys for what WeChat pushes to a platform.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, WechatAppid};

use super::{MadePlatform, PlatformReply, TellingKeys};
use crate::operation::push_renewal::{PushPart, renewal};
use crate::operation::secret_text::SecretText;
use crate::operation::{Method, Operation, Route};
use crate::service::admin::{Admin, AdminError};

/// Another EncodingAESKey of a platform, another Token, or both. Pushes under those before are read until
/// `finishPlatformPush`.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotatePlatformPush {
    /// WeChat's id of the platform.
    #[schema(value_type = String)]
    pub(crate) platform: WechatAppid,
    /// What is renewed; what no value is given for is made and told. Left out: what a value is given for, else the key.
    #[arg(long)]
    #[schema(inline)]
    pub(crate) what: Option<PushPart>,
    /// The new Token: letters and digits, at most 32, that hold 128 bits of chance.
    #[arg(skip)]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) push_token: Option<SecretText>,
    /// The new EncodingAESKey: 43 characters.
    #[arg(skip)]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) encoding_aes_key: Option<SecretText>,
}

impl Operation for RotatePlatformPush {
    type Reply = MadePlatform;
    const ROUTE: Route = Route {
        id: "rotatePlatformPush",
        method: Method::Post,
        path: "/platforms/{platform}/push/rotate",
        scope: AdminScope::Secrets,
        summary: "Take another EncodingAESKey or Token of a third-party platform, and keep the one before beside it.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.platform(&self.platform).await?;
        let renewal = renewal(self.what, self.push_token.as_ref(), self.encoding_aes_key.as_ref())?;
        let (made_token, made_key) = (renewal.token.is_made(), renewal.key.is_made());
        let (platform, keys) = admin.rotate_platform_push(&found, renewal).await?;
        let platform = PlatformReply::of(admin, &found.0.slug, platform);
        Ok(MadePlatform { platform, secret: TellingKeys::of(&keys, made_token, made_key) })
    }
}

/// The end of a change: the Token and the EncodingAESKey before are forgotten.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FinishPlatformPush {
    /// WeChat's id of the platform.
    #[schema(value_type = String)]
    pub(crate) platform: WechatAppid,
}

impl Operation for FinishPlatformPush {
    type Reply = PlatformReply;
    const ROUTE: Route = Route {
        id: "finishPlatformPush",
        method: Method::Post,
        path: "/platforms/{platform}/push/finish",
        scope: AdminScope::Secrets,
        summary: "Forget a platform's Token and EncodingAESKey before: the new ones are in WeChat's console.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.platform(&self.platform).await?;
        Ok(PlatformReply::of(admin, &found.0.slug, admin.finish_platform_push(&found).await?))
    }
}
