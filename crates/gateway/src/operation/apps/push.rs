//! How an app takes WeChat's message pushes. Token and EncodingAESKey come in, or are made and told once.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_crypto::push::PushKeys;
use wxgate_domain::{AdminScope, PushMode, PushStatus, WechatAppid};

use crate::operation::push_renewal::{PushPart, renewal, told};
use crate::operation::secret_text::SecretText;
use crate::operation::{Method, Operation, Route};
use crate::service::admin::{Admin, AdminError, PushToSet};

/// How an app takes pushes. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PushReply {
    /// What to enter as URL in WeChat's console.
    pub(crate) url: String,
    /// `plain`, `compatible` or `safe`.
    #[schema(value_type = String)]
    pub(crate) mode: PushMode,
    /// Tells the token from others: 16 hexadecimal digits.
    pub(crate) token_fingerprint: String,
    /// The same of the token before, while it is being changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) previous_token_fingerprint: Option<String>,
    /// Tells the EncodingAESKey from others.
    pub(crate) key_fingerprint: String,
    /// The same of the key before, while it is being changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) previous_key_fingerprint: Option<String>,
    /// When something was last changed.
    pub(crate) changed_at: i64,
    /// What to enter as Token; only where it was made just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false)]
    pub(crate) token: Option<SecretText>,
    /// What to enter as EncodingAESKey; only where it was made just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false)]
    pub(crate) encoding_aes_key: Option<SecretText>,
}

impl PushReply {
    fn of(admin: &Admin, appid: &WechatAppid, status: PushStatus) -> Self {
        Self {
            url: format!("{}/wechat/push/{appid}", admin.public_url),
            mode: status.mode,
            token_fingerprint: status.token.as_str().to_owned(),
            previous_token_fingerprint: status.previous_token.map(|token| token.as_str().to_owned()),
            key_fingerprint: status.key.as_str().to_owned(),
            previous_key_fingerprint: status.previous_key.map(|key| key.as_str().to_owned()),
            changed_at: status.changed_at.seconds(),
            token: None,
            encoding_aes_key: None,
        }
    }

    /// With what was made.
    fn telling(self, keys: &PushKeys, token: bool, key: bool) -> Self {
        let (token, encoding_aes_key) = told(keys, token, key);
        Self { token, encoding_aes_key, ..self }
    }
}

/// Refuses if how an app takes pushes is not any more as the caller saw it. What is not there nobody has seen.
fn unchanged(admin: &Admin, appid: &WechatAppid) -> impl FnOnce(Option<PushStatus>) -> Result<(), AdminError> {
    move |status| admin.must_match(&status.map(|status| PushReply::of(admin, appid, status)))
}

/// How an app is to take pushes. The first time, what is left out is made and told; later it stays as it is.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPush {
    /// WeChat's id of the mini-program, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
    /// `plain`, `compatible` or `safe`, as in WeChat's console; safe if left out the first time.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) mode: Option<PushMode>,
    /// The Token: letters and digits, at most 32, that hold 128 bits of chance. The one before counts no more.
    #[arg(skip)]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) token: Option<SecretText>,
    /// The EncodingAESKey: 43 characters. The one before counts no more.
    #[arg(skip)]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) encoding_aes_key: Option<SecretText>,
}

impl Operation for SetPush {
    type Reply = PushReply;
    const ROUTE: Route = Route {
        id: "setPush",
        method: Method::Put,
        path: "/apps/{app}/push",
        scope: AdminScope::Secrets,
        summary: "Set up how a mini-program takes WeChat's pushes.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.app(&self.app).await?;
        let token = self.token.as_ref().map(SecretText::push_token).transpose()?;
        let key = self.encoding_aes_key.as_ref().map(SecretText::aes_key).transpose()?;
        let (made_token, made_key) = (token.is_none(), key.is_none());
        let set =
            admin.set_push(&found, PushToSet { mode: self.mode, token, key }, unchanged(admin, &found.1.appid)).await?;
        let reply = PushReply::of(admin, &found.1.appid, set.status);
        Ok(reply.telling(&set.keys, set.is_new && made_token, set.is_new && made_key))
    }
}

/// How an app takes pushes, without secrets.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowPush {
    /// WeChat's id of the mini-program, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
}

impl Operation for ShowPush {
    type Reply = PushReply;
    const ROUTE: Route = Route {
        id: "showPush",
        method: Method::Get,
        path: "/apps/{app}/push",
        scope: AdminScope::Read,
        summary: "Show how a mini-program takes WeChat's pushes.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.app(&self.app).await?;
        Ok(PushReply::of(admin, &found.1.appid, admin.push(&found).await?))
    }
}

/// Another EncodingAESKey of an app, another Token, or both. Pushes under those before are read until `finishPush`.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotatePush {
    /// WeChat's id of the mini-program, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
    /// What is renewed; what no value is given for is made and told. Left out: what a value is given for, else the key.
    #[arg(long)]
    #[schema(inline)]
    pub(crate) what: Option<PushPart>,
    /// The new Token: letters and digits, at most 32, that hold 128 bits of chance.
    #[arg(skip)]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) token: Option<SecretText>,
    /// The new EncodingAESKey: 43 characters.
    #[arg(skip)]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) encoding_aes_key: Option<SecretText>,
}

impl Operation for RotatePush {
    type Reply = PushReply;
    const ROUTE: Route = Route {
        id: "rotatePush",
        method: Method::Post,
        path: "/apps/{app}/push/rotate",
        scope: AdminScope::Secrets,
        summary: "Take another EncodingAESKey or Token, and keep the one before beside it.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.app(&self.app).await?;
        let renewal = renewal(self.what, self.token.as_ref(), self.encoding_aes_key.as_ref())?;
        let (made_token, made_key) = (renewal.token.is_made(), renewal.key.is_made());
        let (status, keys) = admin.rotate_push(&found, renewal).await?;
        Ok(PushReply::of(admin, &found.1.appid, status).telling(&keys, made_token, made_key))
    }
}

/// The end of a change: the Token and the EncodingAESKey before are forgotten.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FinishPush {
    /// WeChat's id of the mini-program, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
}

impl Operation for FinishPush {
    type Reply = PushReply;
    const ROUTE: Route = Route {
        id: "finishPush",
        method: Method::Post,
        path: "/apps/{app}/push/finish",
        scope: AdminScope::Secrets,
        summary: "Forget the Token and the EncodingAESKey before: the new ones are in WeChat's console.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.app(&self.app).await?;
        Ok(PushReply::of(admin, &found.1.appid, admin.finish_push(&found).await?))
    }
}

/// An app that is to take no pushes any more.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemovePush {
    /// WeChat's id of the mini-program, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
}

impl Operation for RemovePush {
    type Reply = ();
    const ROUTE: Route = Route {
        id: "removePush",
        method: Method::Delete,
        path: "/apps/{app}/push",
        scope: AdminScope::Secrets,
        summary: "Take no pushes of a mini-program any more, and forget token and keys.",
    };
    const MATCHES: bool = true;

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.app(&self.app).await?;
        admin.remove_push(&found, unchanged(admin, &found.1.appid)).await
    }
}
