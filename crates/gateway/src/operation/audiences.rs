//! Audiences: names of services, each owned by one tenant.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, Audience, Slug};
use wxgate_storage::OwnedAudience;

use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListAudiences>();
    visitor.visit::<AddAudience>();
    visitor.visit::<RemoveAudience>();
}

/// An audience, as operators see it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AudienceReply {
    /// Its name, the `aud` of tokens.
    #[schema(value_type = String)]
    pub(crate) name: Audience,
    /// The slug of the tenant that owns it.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// Seconds since 1970.
    pub(crate) created_at: i64,
}

impl AudienceReply {
    fn of(tenant: &Slug, audience: OwnedAudience) -> Self {
        Self { name: audience.name, tenant: tenant.clone(), created_at: audience.created_at.seconds() }
    }
}

/// The registered audiences, by name. The appid of an app is an audience of its tenant too and does not stand here.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListAudiences {
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

impl Operation for ListAudiences {
    type Reply = Page<AudienceReply>;
    const ROUTE: Route = Route {
        id: "listAudiences",
        method: Method::Get,
        path: "/audiences",
        scope: AdminScope::Read,
        summary: "List the audiences.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.within(self.tenant.as_ref()).await?;
        let found = admin.storage.audiences().page(tenant, self.cursor.as_deref(), self.limit.and_one()).await?;
        let slugs = admin.slugs(found.iter().map(|audience| audience.tenant)).await?;
        let told = |audience: OwnedAudience| Some(AudienceReply::of(slugs.get(&audience.tenant)?, audience));
        Ok(Page::begun(found.into_iter().filter_map(told), self.limit, |audience| audience.name.to_string()))
    }
}

/// An audience to be registered for a tenant. No other tenant's tokens can ever be for it. Operators only.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddAudience {
    /// The tenant that owns it: its slug or id.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// Its name: 1 to 200 visible ASCII characters, such as `orders` or the address of an API.
    #[schema(value_type = String)]
    pub(crate) name: Audience,
}

impl Operation for AddAudience {
    type Reply = AudienceReply;
    const ROUTE: Route = Route {
        id: "addAudience",
        method: Method::Create,
        path: "/audiences",
        scope: AdminScope::Write,
        summary: "Register an audience for a tenant.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant(&self.tenant).await?;
        admin.add_audience(&tenant, &self.name, |audience| AudienceReply::of(&tenant.slug, audience)).await
    }
}

/// An audience to be removed, once nothing names it any more. Operators only.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveAudience {
    /// Its name.
    #[schema(value_type = String)]
    pub(crate) name: Audience,
}

impl Operation for RemoveAudience {
    type Reply = ();
    const ROUTE: Route = Route {
        id: "removeAudience",
        method: Method::Delete,
        path: "/audiences/{name}",
        scope: AdminScope::Write,
        summary: "Remove an audience that nothing names.",
    };
    const MATCHES: bool = true;

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let still = |tenant: &Slug, audience| admin.must_match(&AudienceReply::of(tenant, audience));
        admin.remove_audience(&self.name, still).await
    }
}
