//! Forward-auth policies: what a proxy may ask of a token, by name.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, Audience, ForwardAuthPolicy, PolicyName, Scope, Slug};
use wxgate_storage::NewForwardAuthPolicy;

use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListPolicies>();
    visitor.visit::<AddPolicy>();
    visitor.visit::<ShowPolicy>();
    visitor.visit::<ChangePolicy>();
    visitor.visit::<RemovePolicy>();
}

/// A forward-auth policy, as operators see it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PolicyReply {
    /// Its name: proxies ask `/forward-auth/{name}`.
    #[schema(value_type = String)]
    pub(crate) name: PolicyName,
    /// The slug of the tenant whose tokens count.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// Whom tokens must be for.
    #[schema(value_type = String)]
    pub(crate) audience: Audience,
    /// What tokens must allow.
    #[schema(value_type = Vec<String>)]
    pub(crate) scopes: Vec<Scope>,
    /// Seconds since 1970.
    pub(crate) created_at: i64,
}

impl PolicyReply {
    fn of(tenant: &Slug, policy: ForwardAuthPolicy) -> Self {
        Self {
            name: policy.name,
            tenant: tenant.clone(),
            audience: policy.audience,
            scopes: policy.scopes,
            created_at: policy.created_at.seconds(),
        }
    }
}

/// The forward-auth policies, by name.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListPolicies {
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

impl Operation for ListPolicies {
    type Reply = Page<PolicyReply>;
    const ROUTE: Route = Route {
        id: "listPolicies",
        method: Method::Get,
        path: "/policies",
        scope: AdminScope::Read,
        summary: "List the forward-auth policies.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.within(self.tenant.as_ref()).await?;
        let policies = admin.storage.forward_auth_policies();
        let found = policies.page(tenant, self.cursor.as_deref(), self.limit.and_one()).await?;
        let slugs = admin.slugs(found.iter().map(|policy| policy.tenant)).await?;
        let told = |policy: ForwardAuthPolicy| Some(PolicyReply::of(slugs.get(&policy.tenant)?, policy));
        Ok(Page::begun(found.into_iter().filter_map(told), self.limit, |policy| policy.name.to_string()))
    }
}

/// A forward-auth policy to be added. Proxies name it in their address: `/forward-auth/{name}`.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddPolicy {
    /// The tenant whose tokens count: its slug or id.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// Its name: a-z, 0-9 and hyphens, at most 64. All tenants share the names.
    #[schema(value_type = String)]
    pub(crate) name: PolicyName,
    /// Whom tokens must be for: an audience of the tenant, or the appid of one of its apps.
    #[arg(long, value_name = "AUD")]
    #[schema(value_type = String)]
    pub(crate) audience: Audience,
    /// What tokens must allow; give it once for each word, at most 20.
    #[arg(long = "scope", value_name = "S")]
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub(crate) scopes: Vec<Scope>,
}

impl Operation for AddPolicy {
    type Reply = PolicyReply;
    const ROUTE: Route = Route {
        id: "addPolicy",
        method: Method::Create,
        path: "/policies",
        scope: AdminScope::Write,
        summary: "Add a forward-auth policy.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant(&self.tenant).await?;
        let new = NewForwardAuthPolicy { name: self.name, audience: self.audience, scopes: self.scopes };
        admin.add_forward_auth_policy(&tenant, new, |policy| PolicyReply::of(&tenant.slug, policy)).await
    }
}

/// One forward-auth policy.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowPolicy {
    /// Its name.
    #[schema(value_type = String)]
    pub(crate) name: PolicyName,
}

impl Operation for ShowPolicy {
    type Reply = PolicyReply;
    const ROUTE: Route = Route {
        id: "showPolicy",
        method: Method::Get,
        path: "/policies/{name}",
        scope: AdminScope::Read,
        summary: "Show a forward-auth policy.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (tenant, policy) = admin.forward_auth_policy(&self.name).await?;
        Ok(PolicyReply::of(&tenant.slug, policy))
    }
}

/// What a forward-auth policy is to ask for instead; what is left out stays.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePolicy {
    /// Its name, which stays.
    #[schema(value_type = String)]
    pub(crate) name: PolicyName,
    /// Whom tokens must be for.
    #[arg(long, value_name = "AUD")]
    #[schema(value_type = Option<String>)]
    pub(crate) audience: Option<Audience>,
    /// What tokens must allow, instead of all before; give it once for each word, at most 20.
    #[arg(long = "scope", value_name = "S")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) scopes: Option<Vec<Scope>>,
}

impl Operation for ChangePolicy {
    type Reply = PolicyReply;
    const ROUTE: Route = Route {
        id: "changePolicy",
        method: Method::Patch,
        path: "/policies/{name}",
        scope: AdminScope::Write,
        summary: "Change what a forward-auth policy asks for.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.forward_auth_policy(&self.name).await?;
        let slug = &found.0.slug;
        let change = |before: ForwardAuthPolicy| {
            admin.must_match(&PolicyReply::of(slug, before.clone()))?;
            Ok((self.audience.unwrap_or(before.audience), self.scopes.unwrap_or(before.scopes)))
        };
        Ok(PolicyReply::of(slug, admin.change_forward_auth_policy(&found, change).await?))
    }
}

/// A forward-auth policy to be removed. Proxies that still name it are refused.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemovePolicy {
    /// Its name.
    #[schema(value_type = String)]
    pub(crate) name: PolicyName,
}

impl Operation for RemovePolicy {
    type Reply = ();
    const ROUTE: Route = Route {
        id: "removePolicy",
        method: Method::Delete,
        path: "/policies/{name}",
        scope: AdminScope::Write,
        summary: "Remove a forward-auth policy.",
    };
    const MATCHES: bool = true;

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.forward_auth_policy(&self.name).await?;
        let still = |policy| admin.must_match(&PolicyReply::of(&found.0.slug, policy));
        admin.remove_forward_auth_policy(&found, still).await
    }
}
