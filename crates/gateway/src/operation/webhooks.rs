//! Webhooks: where a tenant's services are told of what happens.

pub(crate) mod deliveries;

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_crypto::WebhookSecret;
use wxgate_domain::{AdminScope, EventKinds, Slug, Tenant, Timestamp, Webhook, WebhookId, WebhookStatus, WebhookUrl};
use wxgate_storage::NewWebhook;

use super::secret_text::SecretText;
use super::{Limit, Method, Operation, Page, Route, Visitor, overlap};
use crate::service::admin::{Admin, AdminError};

/// Every operation on webhooks.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListWebhooks>();
    visitor.visit::<AddWebhook>();
    visitor.visit::<ShowWebhook>();
    visitor.visit::<ChangeWebhook>();
    visitor.visit::<RotateWebhook>();
    visitor.visit::<RemoveWebhook>();
    visitor.visit::<deliveries::ListDeliveries>();
    visitor.visit::<deliveries::ReplayDeliveries>();
}

/// A webhook, without its secret. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct WebhookReply {
    #[schema(value_type = String)]
    pub(crate) id: WebhookId,
    /// The slug of its tenant.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// Its name for people, unique in the tenant.
    pub(crate) name: String,
    /// Where requests go.
    #[schema(value_type = String)]
    pub(crate) url: WebhookUrl,
    /// The kinds of events that it is told of; `*` is all of them.
    #[schema(value_type = Vec<String>)]
    pub(crate) events: EventKinds,
    /// `enabled`; `disabled` by an operator; or `gone`, disabled because the receiver answered 410.
    #[schema(value_type = String)]
    pub(crate) status: WebhookStatus,
    /// Until when requests are signed with the secret before the present one as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) previous_until: Option<i64>,
    pub(crate) created_at: i64,
}

impl WebhookReply {
    fn of(tenant: &Slug, webhook: Webhook) -> Self {
        Self {
            id: webhook.id,
            tenant: tenant.clone(),
            name: webhook.name,
            url: webhook.url,
            events: webhook.events,
            status: webhook.status,
            previous_until: webhook.previous_until.map(Timestamp::seconds),
            created_at: webhook.created_at.seconds(),
        }
    }
}

/// A webhook, and how it goes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ShownWebhook {
    #[serde(flatten)]
    pub(crate) webhook: WebhookReply,
    /// Events that are still to be told.
    pub(crate) waiting: u64,
    /// Events that were given up within the last week.
    pub(crate) failed: u64,
    /// Since when the receiver has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) failing_since: Option<i64>,
}

/// A webhook with a new secret. It is told here and never again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MadeWebhook {
    #[serde(flatten)]
    pub(crate) webhook: WebhookReply,
    /// `whsec_...`; absent when the same creation is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false, required = false)]
    pub(crate) secret: Option<SecretText>,
}

impl MadeWebhook {
    fn of(tenant: &Slug, webhook: Webhook, secret: &WebhookSecret) -> Self {
        let secret = Some(SecretText::telling(secret.to_text().expose()));
        Self { webhook: WebhookReply::of(tenant, webhook), secret }
    }
}

/// The webhooks, by id.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListWebhooks {
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

impl Operation for ListWebhooks {
    type Reply = Page<WebhookReply>;
    const ROUTE: Route = Route {
        id: "listWebhooks",
        method: Method::Get,
        path: "/webhooks",
        scope: AdminScope::Read,
        summary: "List the webhooks.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.within(self.tenant.as_ref()).await?;
        let after = self.cursor.map(|cursor| cursor.parse()).transpose().map_err(|_| AdminError::Cursor)?;
        let found = admin.storage.webhooks().page(tenant, after, self.limit.and_one()).await?;
        let slugs = admin.slugs(found.iter().map(|webhook| webhook.tenant)).await?;
        let told = |webhook: Webhook| Some(WebhookReply::of(slugs.get(&webhook.tenant)?, webhook));
        Ok(Page::begun(found.into_iter().filter_map(told), self.limit, |webhook| webhook.id.to_string()))
    }
}

/// A webhook to be added.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddWebhook {
    /// The tenant whose events it is told of: its slug or id.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// Its name for people, unique in the tenant.
    pub(crate) name: String,
    /// Where requests go: an https address, or an http one inside networks that the operator allows.
    #[arg(id = "to", value_name = "ADDRESS")]
    #[schema(value_type = String)]
    pub(crate) url: WebhookUrl,
    /// A kind of event that it is told of, such as user.erased; as often as needed. Else all kinds.
    #[arg(long = "event", value_name = "KIND")]
    #[serde(default)]
    #[schema(required = false)]
    pub(crate) events: Vec<String>,
}

impl Operation for AddWebhook {
    type Reply = MadeWebhook;
    const ROUTE: Route = Route {
        id: "addWebhook",
        method: Method::Create,
        path: "/webhooks",
        scope: AdminScope::Secrets,
        summary: "Add a webhook and make its secret.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant(&self.tenant).await?;
        let events = if self.events.is_empty() { EventKinds::EVERY } else { kinds(&self.events)? };
        let new = NewWebhook { name: self.name, url: self.url, events, status: WebhookStatus::Enabled };
        admin.add_webhook(&tenant, new, |webhook, secret| MadeWebhook::of(&tenant.slug, webhook, &secret)).await
    }
}

fn kinds(words: &[String]) -> Result<EventKinds, AdminError> {
    EventKinds::of_words(words.iter().map(String::as_str)).map_err(|_| AdminError::EventKind)
}

/// One webhook.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowWebhook {
    /// Its id.
    #[schema(value_type = String)]
    pub(crate) id: WebhookId,
}

impl Operation for ShowWebhook {
    type Reply = ShownWebhook;
    const ROUTE: Route = Route {
        id: "showWebhook",
        method: Method::Get,
        path: "/webhooks/{id}",
        scope: AdminScope::Read,
        summary: "Show a webhook and how it goes.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (tenant, webhook) = admin.webhook(self.id).await?;
        let receipts = admin.storage.tenant(tenant.id).receipts();
        let counts = receipts.counts(webhook.id).await?;
        let course = receipts.course(webhook.id).await?;
        Ok(ShownWebhook {
            webhook: WebhookReply::of(&tenant.slug, webhook),
            waiting: counts.waiting,
            failed: counts.failed,
            failing_since: course.and_then(|course| course.failing_since).map(Timestamp::seconds),
        })
    }
}

/// What is to be changed of a webhook; what is left out stays. What waits for it is tried at once.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeWebhook {
    /// Its id.
    #[schema(value_type = String)]
    pub(crate) id: WebhookId,
    /// Its name for people, unique in the tenant.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Where requests go.
    #[arg(id = "to", long = "to", value_name = "ADDRESS")]
    #[schema(value_type = Option<String>)]
    pub(crate) url: Option<WebhookUrl>,
    /// A kind of event that it is told of, instead of those before; as often as needed, `*` for all.
    #[arg(long = "event", value_name = "KIND")]
    pub(crate) events: Option<Vec<String>>,
    /// Whether it is told of anything. What happens while it is not, it never hears of.
    #[arg(long)]
    pub(crate) enabled: Option<bool>,
}

impl Operation for ChangeWebhook {
    type Reply = WebhookReply;
    const ROUTE: Route = Route {
        id: "changeWebhook",
        method: Method::Patch,
        path: "/webhooks/{id}",
        scope: AdminScope::Write,
        summary: "Change the name, address or events of a webhook, or disable or enable it.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.webhook(self.id).await?;
        let slug = &found.0.slug;
        let change = |before: Webhook| {
            admin.must_match(&WebhookReply::of(slug, before.clone()))?;
            Ok(NewWebhook {
                name: self.name.unwrap_or(before.name),
                url: self.url.unwrap_or(before.url),
                events: self.events.as_deref().map_or(Ok(before.events), kinds)?,
                status: match self.enabled {
                    Some(true) => WebhookStatus::Enabled,
                    Some(false) => WebhookStatus::Disabled,
                    None => before.status,
                },
            })
        };
        Ok(WebhookReply::of(slug, admin.change_webhook(&found, change).await?))
    }
}

/// A webhook that is to have a new secret. For a while requests are signed with the one in use as well.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateWebhook {
    /// Its id.
    #[schema(value_type = String)]
    pub(crate) id: WebhookId,
    /// How many hours requests are signed with both, 0 to 168; 0 ends the one in use at once.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(0..=i64::from(overlap::MAX)))]
    #[serde(default = "overlap::a_day")]
    #[schema(maximum = 168)]
    pub(crate) overlap_hours: u16,
}

impl Operation for RotateWebhook {
    type Reply = MadeWebhook;
    const ROUTE: Route = Route {
        id: "rotateWebhook",
        method: Method::Create,
        path: "/webhooks/{id}/rotate",
        scope: AdminScope::Secrets,
        summary: "Make a new secret for a webhook.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let overlap = overlap::of_hours(self.overlap_hours)?;
        let made = |tenant: &Tenant, webhook, secret| MadeWebhook::of(&tenant.slug, webhook, &secret);
        admin.rotate_webhook(self.id, overlap, made).await
    }
}

/// A webhook to be removed, and with it what was still to be told of it.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveWebhook {
    /// Its id.
    #[schema(value_type = String)]
    pub(crate) id: WebhookId,
}

impl Operation for RemoveWebhook {
    type Reply = ();
    const ROUTE: Route = Route {
        id: "removeWebhook",
        method: Method::Delete,
        path: "/webhooks/{id}",
        scope: AdminScope::Write,
        summary: "Remove a webhook.",
    };
    const MATCHES: bool = true;

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.webhook(self.id).await?;
        let still = |webhook| admin.must_match(&WebhookReply::of(&found.0.slug, webhook));
        admin.remove_webhook(&found, still).await
    }
}
