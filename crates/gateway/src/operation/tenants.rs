//! Tenants.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, MergePolicy, SigningAlgorithm, Slug, Tenant, TenantPolicy, TenantStatus};

use super::jobs::JobReply;
use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListTenants>();
    visitor.visit::<AddTenant>();
    visitor.visit::<ShowTenant>();
    visitor.visit::<ChangeTenant>();
    visitor.visit::<SuspendTenant>();
    visitor.visit::<ResumeTenant>();
    visitor.visit::<DeleteTenant>();
}

/// A tenant, as operators see it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TenantReply {
    /// Our id of it.
    pub(crate) id: String,
    /// Its name in addresses; never changed, never used again.
    #[schema(value_type = String)]
    pub(crate) slug: Slug,
    /// Its name for people.
    pub(crate) name: String,
    /// `active`, `suspended` or `deleting`.
    #[schema(value_type = String)]
    pub(crate) status: TenantStatus,
    /// The `iss` of its tokens.
    pub(crate) issuer: String,
    #[schema(value_type = Object)]
    pub(crate) policy: TenantPolicy,
    /// Seconds since 1970.
    pub(crate) created_at: i64,
}

impl TenantReply {
    /// What is told of a tenant.
    pub(crate) fn of(tenant: Tenant, admin: &Admin) -> Self {
        Self {
            id: tenant.id.to_string(),
            issuer: admin.issuer(&tenant.slug),
            slug: tenant.slug,
            name: tenant.name,
            status: tenant.status,
            policy: tenant.policy,
            created_at: tenant.created_at.seconds(),
        }
    }
}

/// The tenants, by slug; a tenant's admin sees their own.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListTenants {
    /// How many at most: 1 to 500, else 100.
    #[serde(default)]
    #[schema(value_type = u16, minimum = 1, maximum = 500)]
    pub(crate) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    pub(crate) cursor: Option<String>,
}

impl Operation for ListTenants {
    type Reply = Page<TenantReply>;
    const ROUTE: Route = Route {
        id: "listTenants",
        method: Method::Get,
        path: "/tenants",
        scope: AdminScope::Read,
        summary: "List the tenants.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenants = admin.tenants(None).await?.into_iter().map(|tenant| TenantReply::of(tenant, admin)).collect();
        Ok(Page::of(tenants, self.cursor.as_deref(), self.limit, |tenant| tenant.slug.to_string()))
    }
}

/// A tenant to be created, with its keys. Operators only.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddTenant {
    /// Its name in addresses: a-z, 0-9 and hyphens, at most 62. It can never be changed or reused.
    #[schema(value_type = String)]
    pub(crate) slug: Slug,
    /// Its name for people; the slug if left out.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What it tunes; the defaults if left out.
    #[command(flatten)]
    #[serde(default)]
    pub(crate) policy: TenantPolicyChange,
}

impl Operation for AddTenant {
    type Reply = TenantReply;
    const ROUTE: Route = Route {
        id: "addTenant",
        method: Method::Create,
        path: "/tenants",
        scope: AdminScope::Write,
        summary: "Create a tenant with its keys.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let name = self.name.unwrap_or_else(|| self.slug.to_string());
        let policy = self.policy.apply(&TenantPolicy::default());
        admin.add_tenant(self.slug, (name, policy), |tenant| TenantReply::of(tenant, admin)).await
    }
}

/// One tenant.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowTenant {
    /// Its slug or id.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
}

impl Operation for ShowTenant {
    type Reply = TenantReply;
    const ROUTE: Route = Route {
        id: "showTenant",
        method: Method::Get,
        path: "/tenants/{tenant}",
        scope: AdminScope::Read,
        summary: "Show a tenant.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        Ok(TenantReply::of(admin.tenant(&self.tenant).await?, admin))
    }
}

/// What is to be changed of a tenant; what is left out stays.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeTenant {
    /// Its slug or id.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// Its name for people.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What it tunes.
    #[command(flatten)]
    #[serde(default)]
    pub(crate) policy: TenantPolicyChange,
}

impl Operation for ChangeTenant {
    type Reply = TenantReply;
    const ROUTE: Route = Route {
        id: "changeTenant",
        method: Method::Patch,
        path: "/tenants/{tenant}",
        scope: AdminScope::Write,
        summary: "Change the name of a tenant or what it tunes.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let Self { tenant, name, policy } = self;
        let change = |before: Tenant| {
            admin.must_match(&TenantReply::of(before.clone(), admin))?;
            Ok((name.unwrap_or(before.name), policy.apply(&before.policy)))
        };
        Ok(TenantReply::of(admin.change_tenant(&tenant, change).await?, admin))
    }
}

/// A tenant that is to serve nothing: no login, no refresh, no token.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuspendTenant {
    /// Its slug or id.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
}

impl Operation for SuspendTenant {
    type Reply = TenantReply;
    const ROUTE: Route = Route {
        id: "suspendTenant",
        method: Method::Post,
        path: "/tenants/{tenant}/suspend",
        scope: AdminScope::Write,
        summary: "Serve nothing of a tenant.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        Ok(TenantReply::of(admin.set_tenant_status(&self.tenant, TenantStatus::Suspended).await?, admin))
    }
}

/// A suspended tenant that is to be served again.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResumeTenant {
    /// Its slug or id.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
}

impl Operation for ResumeTenant {
    type Reply = TenantReply;
    const ROUTE: Route = Route {
        id: "resumeTenant",
        method: Method::Post,
        path: "/tenants/{tenant}/resume",
        scope: AdminScope::Write,
        summary: "Serve a suspended tenant again.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        Ok(TenantReply::of(admin.set_tenant_status(&self.tenant, TenantStatus::Active).await?, admin))
    }
}

/// A suspended tenant that is to be deleted with everything of its. Operators only. There is no way back: its keys are
/// destroyed at once, and its name is never used again.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteTenant {
    /// Its slug or id.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
}

impl Operation for DeleteTenant {
    type Reply = JobReply;
    const ROUTE: Route = Route {
        id: "deleteTenant",
        method: Method::Delete,
        path: "/tenants/{tenant}",
        scope: AdminScope::Write,
        summary: "Delete a suspended tenant with everything of its.",
    };
    const MATCHES: bool = true;

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let still = |tenant| admin.must_match(&TenantReply::of(tenant, admin));
        Ok(admin.delete_tenant(&self.tenant, still).await?.into())
    }
}

/// What is to be changed of what a tenant tunes; what is left out stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantPolicyChange {
    /// How the next signing key signs: ES256, EdDSA or RS256.
    #[arg(long, value_name = "A")]
    #[schema(value_type = Option<String>)]
    pub(crate) algorithm: Option<SigningAlgorithm>,
    /// How long an access token lives, 60 to 86400. A tenth of it is taken off at random.
    #[arg(long, value_name = "N")]
    pub(crate) access_token_seconds: Option<u32>,
    /// How long a session lives without a refresh, an hour to a year.
    #[arg(long, value_name = "N")]
    pub(crate) refresh_idle_seconds: Option<u32>,
    /// How long a session lives at most, an hour to two years.
    #[arg(long, value_name = "N")]
    pub(crate) refresh_absolute_seconds: Option<u32>,
    /// How long the refresh token before still gets the same answer, 0 to 60.
    #[arg(long, value_name = "N")]
    pub(crate) refresh_grace_seconds: Option<u32>,
    /// Live sessions of one user in one app, 1 to 100.
    #[arg(long, value_name = "N")]
    pub(crate) max_sessions: Option<u32>,
    /// How far the watermark of user data may be from now, 60 to 86400.
    #[arg(long, value_name = "N")]
    pub(crate) user_data_window_seconds: Option<u32>,
    /// How long a signing key signs before the next one takes over, 2 to 365.
    #[arg(long, value_name = "N")]
    pub(crate) signing_key_days: Option<u32>,
    /// For how many days the audit log is kept, 30 to 3650.
    #[arg(long, value_name = "N")]
    pub(crate) audit_days: Option<u32>,
    /// What happens when the unionid of one user appears with another one's login: manual waits for a decision, oldest
    /// joins the younger user to the older one at once.
    #[arg(long, value_name = "POLICY", value_parser = merge_policy)]
    #[schema(value_type = Option<String>)]
    pub(crate) merge: Option<MergePolicy>,
    /// For how many days a phone number stays with its user after somebody else proved to have it and asked for it, 1 to 90.
    #[arg(long, value_name = "N")]
    pub(crate) phone_move_days: Option<u32>,
}

impl TenantPolicyChange {
    /// The policy with what is to be changed.
    pub(crate) fn apply(self, policy: &TenantPolicy) -> TenantPolicy {
        TenantPolicy {
            version: policy.version,
            algorithm: self.algorithm.unwrap_or(policy.algorithm),
            access_token_seconds: self.access_token_seconds.unwrap_or(policy.access_token_seconds),
            refresh_idle_seconds: self.refresh_idle_seconds.unwrap_or(policy.refresh_idle_seconds),
            refresh_absolute_seconds: self.refresh_absolute_seconds.unwrap_or(policy.refresh_absolute_seconds),
            refresh_grace_seconds: self.refresh_grace_seconds.unwrap_or(policy.refresh_grace_seconds),
            max_sessions: self.max_sessions.unwrap_or(policy.max_sessions),
            signing_key_days: self.signing_key_days.unwrap_or(policy.signing_key_days),
            audit_days: self.audit_days.unwrap_or(policy.audit_days),
            merge: self.merge.unwrap_or(policy.merge),
            phone_move_days: self.phone_move_days.unwrap_or(policy.phone_move_days),
            user_data_window_seconds: self.user_data_window_seconds.unwrap_or(policy.user_data_window_seconds),
        }
    }

    /// Whether nothing is to be changed.
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

fn merge_policy(word: &str) -> Result<MergePolicy, &'static str> {
    MergePolicy::from_word(word).ok_or("must be manual or oldest")
}
