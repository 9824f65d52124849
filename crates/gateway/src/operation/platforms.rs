//! Third-party platforms, and the mini-programs under them.

mod apps;
mod authorizations;
mod push;

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_crypto::push::PushKeys;
use wxgate_domain::{AdminScope, Platform, Slug, Timestamp, WechatAppid};

use super::push_renewal::told;
use super::secret_text::SecretText;
use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError, PlatformToAdd};

pub(crate) use apps::{AttachPlatformApp, ListPlatformApps, PlatformAppReply};
pub(crate) use authorizations::{FinishAuthorization, StartAuthorization};
pub(crate) use push::{FinishPlatformPush, RotatePlatformPush};

/// Every operation on platforms.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListPlatforms>();
    visitor.visit::<AddPlatform>();
    visitor.visit::<ShowPlatform>();
    visitor.visit::<RemovePlatform>();
    visitor.visit::<SetPlatformSecret>();
    visitor.visit::<RotatePlatformPush>();
    visitor.visit::<FinishPlatformPush>();
    visitor.visit::<StartTickets>();
    visitor.visit::<StartAuthorization>();
    visitor.visit::<FinishAuthorization>();
    visitor.visit::<ListPlatformApps>();
    visitor.visit::<AttachPlatformApp>();
}

/// A third-party platform, as operators see it. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PlatformReply {
    /// WeChat's id of it.
    #[schema(value_type = String)]
    pub(crate) appid: WechatAppid,
    /// The slug of its tenant.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// Its name for people.
    pub(crate) name: String,
    /// Where WeChat pushes to: the address to enter in WeChat's console as "authorization event URL".
    pub(crate) push_url: String,
    /// Where WeChat tells of the users of its mini-programs: the address to enter as "message and event URL". WeChat puts a
    /// mini-program's appid in the place of `$APPID$`.
    pub(crate) message_url: String,
    /// When WeChat wrote the newest ticket; absent before the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) ticket_at: Option<i64>,
    /// Until when its token lives; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) token_until: Option<i64>,
    /// Whether pushes that the Token before the present one signed are still read.
    pub(crate) has_previous_token: bool,
    /// Whether pushes are still read under the EncodingAESKey before the present one.
    pub(crate) has_previous_key: bool,
    pub(crate) created_at: i64,
}

impl PlatformReply {
    fn of(admin: &Admin, tenant: &Slug, platform: Platform) -> Self {
        Self {
            push_url: format!("{}/wechat/platform/{}", admin.public_url, platform.appid),
            message_url: format!("{}/wechat/push/$APPID$", admin.public_url),
            appid: platform.appid,
            tenant: tenant.clone(),
            name: platform.name,
            ticket_at: platform.ticket_at.map(Timestamp::seconds),
            token_until: platform.token_until.map(Timestamp::seconds),
            has_previous_token: platform.has_previous_token,
            has_previous_key: platform.has_previous_key,
            created_at: platform.created_at.seconds(),
        }
    }
}

/// What is entered in WeChat's console so that only WeChat pushes: what was made just now, told here and never again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TellingKeys {
    /// The Token of pushes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false)]
    pub(crate) push_token: Option<SecretText>,
    /// The EncodingAESKey.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false)]
    pub(crate) encoding_aes_key: Option<SecretText>,
}

impl TellingKeys {
    /// Those of a platform's keys that were made; `None` if none was.
    fn of(keys: &PushKeys, token: bool, key: bool) -> Option<Self> {
        let (push_token, encoding_aes_key) = told(keys, token, key);
        (token || key).then_some(Self { push_token, encoding_aes_key })
    }
}

/// A platform with the keys of its pushes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MadePlatform {
    #[serde(flatten)]
    pub(crate) platform: PlatformReply,
    /// Absent when the same creation is repeated, and where nothing was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) secret: Option<TellingKeys>,
}

/// The platforms, by appid.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListPlatforms {
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

impl Operation for ListPlatforms {
    type Reply = Page<PlatformReply>;
    const ROUTE: Route = Route {
        id: "listPlatforms",
        method: Method::Get,
        path: "/platforms",
        scope: AdminScope::Read,
        summary: "List the third-party platforms.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.within(self.tenant.as_ref()).await?;
        let platforms = admin.storage.platforms();
        let found = platforms.page(tenant, self.cursor.as_deref(), self.limit.and_one()).await?;
        let slugs = admin.slugs(found.iter().map(|platform| platform.tenant)).await?;
        let told = |platform: Platform| Some(PlatformReply::of(admin, slugs.get(&platform.tenant)?, platform));
        Ok(Page::begun(found.into_iter().filter_map(told), self.limit, |platform| platform.appid.to_string()))
    }
}

/// A platform to be added. Its pushes begin when WeChat's console knows its address and keys.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddPlatform {
    /// The tenant that owns it, and whose mini-programs it acts for: its slug or id.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// WeChat's id of it.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) appid: WechatAppid,
    /// Its name for people; the appid if left out.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Its secret: 1 to 128 visible ASCII characters. No answer ever shows it.
    #[arg(skip)]
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 128)]
    pub(crate) secret: SecretText,
    /// The token of its pushes, if WeChat's console has one already. Else one is made.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) push_token: Option<SecretText>,
    /// The EncodingAESKey of its pushes, if WeChat's console has one already: 43 characters. Else one is made.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) encoding_aes_key: Option<SecretText>,
}

impl Operation for AddPlatform {
    type Reply = MadePlatform;
    const ROUTE: Route = Route {
        id: "addPlatform",
        method: Method::Create,
        path: "/platforms",
        scope: AdminScope::Secrets,
        summary: "Add a third-party platform to a tenant; for operators.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant(&self.tenant).await?;
        let name = self.name.unwrap_or_else(|| self.appid.to_string());
        let secret = self.secret.parse()?;
        let (push_token, aes_key) = (self.push_token.as_ref(), self.encoding_aes_key.as_ref());
        let add = PlatformToAdd { appid: self.appid, name, secret, push_token, aes_key };
        let made = |platform: Platform, keys: PushKeys| MadePlatform {
            platform: PlatformReply::of(admin, &tenant.slug, platform),
            secret: TellingKeys::of(&keys, true, true),
        };
        admin.add_platform(&tenant, add, made).await
    }
}

/// One platform.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowPlatform {
    /// WeChat's id of it.
    #[schema(value_type = String)]
    pub(crate) platform: WechatAppid,
}

impl Operation for ShowPlatform {
    type Reply = PlatformReply;
    const ROUTE: Route = Route {
        id: "showPlatform",
        method: Method::Get,
        path: "/platforms/{platform}",
        scope: AdminScope::Read,
        summary: "Show a third-party platform, its newest ticket and its token's end.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (tenant, platform) = admin.platform(&self.platform).await?;
        Ok(PlatformReply::of(admin, &tenant.slug, platform))
    }
}

/// A platform to be removed. It must act for no mini-program.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemovePlatform {
    /// WeChat's id of it.
    #[schema(value_type = String)]
    pub(crate) platform: WechatAppid,
}

impl Operation for RemovePlatform {
    type Reply = ();
    const ROUTE: Route = Route {
        id: "removePlatform",
        method: Method::Delete,
        path: "/platforms/{platform}",
        scope: AdminScope::Write,
        summary: "Remove a third-party platform that acts for no mini-program.",
    };
    const MATCHES: bool = true;

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.platform(&self.platform).await?;
        let still = |platform| admin.must_match(&PlatformReply::of(admin, &found.0.slug, platform));
        admin.remove_platform(&found, still).await
    }
}

/// A new secret of a platform.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPlatformSecret {
    /// WeChat's id of it.
    #[schema(value_type = String)]
    pub(crate) platform: WechatAppid,
    /// The new secret: 1 to 128 visible ASCII characters. No answer ever shows it.
    #[arg(skip)]
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 128)]
    pub(crate) secret: SecretText,
}

impl Operation for SetPlatformSecret {
    type Reply = PlatformReply;
    const ROUTE: Route = Route {
        id: "setPlatformSecret",
        method: Method::Put,
        path: "/platforms/{platform}/secret",
        scope: AdminScope::Secrets,
        summary: "Take a new secret of a third-party platform.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.platform(&self.platform).await?;
        let still = |platform| admin.must_match(&PlatformReply::of(admin, &found.0.slug, platform));
        let platform = admin.set_platform_secret(&found, &self.secret.parse()?, still).await?;
        Ok(PlatformReply::of(admin, &found.0.slug, platform))
    }
}

/// A platform to which WeChat is to push tickets again.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartTickets {
    /// WeChat's id of it.
    #[schema(value_type = String)]
    pub(crate) platform: WechatAppid,
}

impl Operation for StartTickets {
    type Reply = PlatformReply;
    const ROUTE: Route = Route {
        id: "startTickets",
        method: Method::Post,
        path: "/platforms/{platform}/tickets",
        scope: AdminScope::Write,
        summary: "Have WeChat push tickets again.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (tenant, platform) = admin.platform(&self.platform).await?;
        admin.start_tickets(&platform).await?;
        Ok(PlatformReply::of(admin, &tenant.slug, platform))
    }
}
