//! The state of tenants as one document: what `wxgate export` writes and `wxgate apply` brings about.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{
    AdminScope, AppPolicy, Audience, EventKinds, PolicyName, PushMode, Scope, ServiceClientId, ServiceClientPolicy,
    Slug, TenantPolicy, WebhookId, WebhookUrl, WechatAppid,
};

use super::secret_text::SecretText;
use super::{Method, Operation, Route, Visitor};
use crate::service::admin::{Admin, AdminError, Applied, MadeClient, MadeHook, MadePush, Planned};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ExportState>();
    visitor.visit::<ApplyState>();
}

/// A tenant with everything that is set up for it. What is left out has its default, save where another thing is said.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantState {
    /// Its name in addresses.
    #[schema(value_type = String)]
    pub(crate) slug: Slug,
    /// Its name for people; the slug if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Whether it serves nothing. Left out: as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) suspended: Option<bool>,
    /// The names of its union groups.
    #[serde(default)]
    pub(crate) union_groups: Vec<String>,
    /// The audiences that it owns.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub(crate) audiences: Vec<Audience>,
    /// What it tunes.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) policy: TenantPolicy,
    #[serde(default)]
    pub(crate) apps: Vec<AppState>,
    #[serde(default)]
    pub(crate) forward_auth: Vec<ForwardAuthState>,
    #[serde(default)]
    pub(crate) service_clients: Vec<ServiceClientState>,
    #[serde(default)]
    pub(crate) webhooks: Vec<WebhookState>,
}

/// A mini-program.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppState {
    /// WeChat's id of it.
    #[schema(value_type = String)]
    pub(crate) appid: WechatAppid,
    /// Its name for people; the appid if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Its AppSecret, which a new app needs. Left out: the one that it has. No answer ever shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) secret: Option<SecretText>,
    /// The appid of the third-party platform that acts for it instead of an AppSecret. Only an authorisation changes this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) platform: Option<WechatAppid>,
    /// Whether it serves nothing. Left out: as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disabled: Option<bool>,
    /// The name of the union group that it is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) union_group: Option<String>,
    /// What it tunes.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) policy: AppPolicy,
    /// How it takes WeChat's message pushes. Left out: it takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) push: Option<PushState>,
}

/// How a mini-program takes WeChat's message pushes. Of pushes that are new, what is left out is made by the gateway and told
/// once; of others it stays. What is given in place of another counts beside that until `finishPush`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PushState {
    /// `plain`, `compatible` or `safe`; safe if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) mode: Option<PushMode>,
    /// The Token. No answer ever shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) token: Option<SecretText>,
    /// The EncodingAESKey. No answer ever shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) encoding_aes_key: Option<SecretText>,
}

/// A forward-auth policy.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForwardAuthState {
    /// Its name; all tenants share the names.
    #[schema(value_type = String)]
    pub(crate) name: PolicyName,
    /// Whom tokens must be for.
    #[schema(value_type = String)]
    pub(crate) audience: Audience,
    /// What tokens must allow.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub(crate) scopes: Vec<Scope>,
}

/// A service client. Its secret is made by the gateway and told once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceClientState {
    /// Its name for people, unique in the tenant.
    pub(crate) name: String,
    /// What it may do.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) policy: ServiceClientPolicy,
}

/// A webhook.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookState {
    /// Its name for people, unique in the tenant.
    pub(crate) name: String,
    /// Where requests go.
    #[schema(value_type = String)]
    pub(crate) url: WebhookUrl,
    /// The kinds of events that it is told of; `*`, which is all of them, if left out.
    #[serde(default = "EventKinds::every")]
    #[schema(value_type = Vec<String>, required = false)]
    pub(crate) events: EventKinds,
    /// Its secret, `whsec_...`. Left out: the one that it has; that of a new one is made by the gateway and told once. Another
    /// one counts beside the one before for a day. No answer ever shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) secret: Option<SecretText>,
    /// Whether it is told of nothing. Left out: as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disabled: Option<bool>,
}

/// The state of tenants.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateReply {
    pub(crate) tenants: Vec<TenantState>,
}

/// The state of one tenant, or of all that exist for the key; without secrets.
#[derive(Debug, clap::Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportState {
    /// Of this tenant alone: its slug or id.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
}

impl Operation for ExportState {
    type Reply = StateReply;
    const ROUTE: Route = Route {
        id: "exportState",
        method: Method::Get,
        path: "/state",
        scope: AdminScope::Read,
        summary: "Show what is set up as one document.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        Ok(StateReply { tenants: admin.state(self.tenant.as_ref()).await? })
    }
}

/// What is to be set up, in at most 4 MiB. Tenants that it does not name are left alone. Operators only.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyState {
    pub(crate) tenants: Vec<TenantState>,
    /// Remove what the named tenants have and the document does not name.
    #[serde(default)]
    pub(crate) prune: bool,
    /// Only tell what would be done.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AppliedReply {
    /// In the order in which it is done.
    pub(crate) plan: Vec<Planned>,
    /// Whether it was done.
    pub(crate) applied: bool,
    /// The service clients that were made, with the secrets that are told here and never again.
    pub(crate) service_clients: Vec<MadeClientReply>,
    /// The webhooks that were made without a secret of the document's, with the secrets that are told here and never again.
    pub(crate) webhooks: Vec<MadeHookReply>,
    /// The pushes that were set up with something made for them, which is told here and never again.
    pub(crate) pushes: Vec<MadePushReply>,
}

/// What is to be entered in WeChat's console for a mini-program, as far as it was made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MadePushReply {
    /// The slug of its tenant.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    #[schema(value_type = String)]
    pub(crate) appid: WechatAppid,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false)]
    pub(crate) token: Option<SecretText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false)]
    pub(crate) encoding_aes_key: Option<SecretText>,
}

impl From<MadePush> for MadePushReply {
    fn from(made: MadePush) -> Self {
        let MadePush { tenant, appid, token, key } = made;
        let token = token.map(|token| SecretText::telling(token.expose()));
        Self { tenant, appid, token, encoding_aes_key: key.map(|key| SecretText::telling(key.expose())) }
    }
}

/// A webhook whose secret was made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MadeHookReply {
    /// The slug of its tenant.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    pub(crate) name: String,
    #[schema(value_type = String)]
    pub(crate) id: WebhookId,
    /// `whsec_...`.
    #[schema(value_type = String)]
    pub(crate) secret: SecretText,
}

impl From<MadeHook> for MadeHookReply {
    fn from(made: MadeHook) -> Self {
        let MadeHook { tenant, webhook, secret } = made;
        Self { tenant, name: webhook.name, id: webhook.id, secret: SecretText::telling(secret.to_text().expose()) }
    }
}

/// A service client that was made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MadeClientReply {
    /// The slug of its tenant.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    pub(crate) name: String,
    #[schema(value_type = String)]
    pub(crate) id: ServiceClientId,
    /// `wxs_...`.
    #[schema(value_type = String)]
    pub(crate) secret: SecretText,
}

impl From<MadeClient> for MadeClientReply {
    fn from(made: MadeClient) -> Self {
        let MadeClient { tenant, client, secret } = made;
        Self { tenant, name: client.name, id: client.id, secret: SecretText::telling(secret.expose()) }
    }
}

impl Operation for ApplyState {
    type Reply = AppliedReply;
    const ROUTE: Route = Route {
        id: "applyState",
        method: Method::Post,
        path: "/state/apply",
        scope: AdminScope::Secrets,
        summary: "Bring about what a document says, in one transaction.",
    };
    const MAX_BODY: usize = 4 * 1024 * 1024;

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let Applied { plan, clients, hooks, pushes } =
            admin.apply_state(self.tenants, self.prune, self.dry_run).await?;
        let service_clients = clients.into_iter().map(MadeClientReply::from).collect();
        let webhooks = hooks.into_iter().map(MadeHookReply::from).collect();
        let pushes = pushes.into_iter().map(MadePushReply::from).collect();
        Ok(AppliedReply { plan, applied: !self.dry_run, service_clients, webhooks, pushes })
    }
}
