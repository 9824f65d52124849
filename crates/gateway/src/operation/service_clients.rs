//! Service clients: downstream services with a secret of their own.

mod policy;

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{
    AdminScope, ClientSecret, ServiceClient, ServiceClientId, ServiceClientPolicy, Slug, Tenant, Timestamp,
};

use super::secret_text::SecretText;
use super::{Limit, Method, Operation, Page, Route, Visitor, overlap};
use crate::service::admin::{Admin, AdminError};

pub(crate) use policy::ClientPolicyChange;

/// Every operation on service clients.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListServiceClients>();
    visitor.visit::<AddServiceClient>();
    visitor.visit::<ShowServiceClient>();
    visitor.visit::<ChangeServiceClient>();
    visitor.visit::<RotateServiceClient>();
    visitor.visit::<RemoveServiceClient>();
}

/// A service client, without its secret. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServiceClientReply {
    /// Its id, `svc_...`.
    #[schema(value_type = String)]
    pub(crate) id: ServiceClientId,
    /// The slug of its tenant.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// Its name for people, unique in the tenant.
    pub(crate) name: String,
    /// What it may do.
    #[schema(value_type = Object)]
    pub(crate) policy: ServiceClientPolicy,
    /// Until when the secret before the present one counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) previous_until: Option<i64>,
    pub(crate) created_at: i64,
}

impl ServiceClientReply {
    fn of(tenant: &Slug, client: ServiceClient) -> Self {
        Self {
            id: client.id,
            tenant: tenant.clone(),
            name: client.name,
            policy: client.policy,
            previous_until: client.previous_until.map(Timestamp::seconds),
            created_at: client.created_at.seconds(),
        }
    }
}

/// A service client with a new secret. It is told here and never again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MadeServiceClient {
    #[serde(flatten)]
    pub(crate) client: ServiceClientReply,
    /// `wxs_...`; absent when the same creation is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false, required = false)]
    pub(crate) secret: Option<SecretText>,
}

impl MadeServiceClient {
    fn of(tenant: &Slug, client: ServiceClient, secret: &ClientSecret) -> Self {
        Self { client: ServiceClientReply::of(tenant, client), secret: Some(SecretText::telling(secret.expose())) }
    }
}

/// The service clients, by id.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListServiceClients {
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

impl Operation for ListServiceClients {
    type Reply = Page<ServiceClientReply>;
    const ROUTE: Route = Route {
        id: "listServiceClients",
        method: Method::Get,
        path: "/service-clients",
        scope: AdminScope::Read,
        summary: "List the service clients.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.within(self.tenant.as_ref()).await?;
        let clients = admin.storage.service_clients();
        let found = clients.page(tenant, self.cursor.as_deref(), self.limit.and_one()).await?;
        let slugs = admin.slugs(found.iter().map(|client| client.tenant)).await?;
        let told = |client: ServiceClient| Some(ServiceClientReply::of(slugs.get(&client.tenant)?, client));
        Ok(Page::begun(found.into_iter().filter_map(told), self.limit, |client| client.id.to_string()))
    }
}

/// A service client to be added.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddServiceClient {
    /// The tenant that it belongs to: its slug or id.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// Its name for people, unique in the tenant.
    pub(crate) name: String,
    /// What it may do: nothing that is not named.
    #[command(flatten)]
    #[serde(default)]
    pub(crate) policy: ClientPolicyChange,
}

impl Operation for AddServiceClient {
    type Reply = MadeServiceClient;
    const ROUTE: Route = Route {
        id: "addServiceClient",
        method: Method::Create,
        path: "/service-clients",
        scope: AdminScope::Secrets,
        summary: "Add a service client and make its secret.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant(&self.tenant).await?;
        let policy = self.policy.apply(ServiceClientPolicy::default());
        let made = |client, secret| MadeServiceClient::of(&tenant.slug, client, &secret);
        admin.add_service_client(&tenant, (&self.name, policy), made).await
    }
}

/// One service client.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowServiceClient {
    /// Its id.
    #[schema(value_type = String)]
    pub(crate) id: ServiceClientId,
}

impl Operation for ShowServiceClient {
    type Reply = ServiceClientReply;
    const ROUTE: Route = Route {
        id: "showServiceClient",
        method: Method::Get,
        path: "/service-clients/{id}",
        scope: AdminScope::Read,
        summary: "Show a service client.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (tenant, client) = admin.service_client(&self.id).await?;
        Ok(ServiceClientReply::of(&tenant.slug, client))
    }
}

/// What is to be changed of a service client; what is left out stays.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeServiceClient {
    /// Its id.
    #[schema(value_type = String)]
    pub(crate) id: ServiceClientId,
    /// Its name for people, unique in the tenant.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What it may do.
    #[command(flatten)]
    #[serde(default)]
    pub(crate) policy: ClientPolicyChange,
}

impl Operation for ChangeServiceClient {
    type Reply = ServiceClientReply;
    const ROUTE: Route = Route {
        id: "changeServiceClient",
        method: Method::Patch,
        path: "/service-clients/{id}",
        scope: AdminScope::Write,
        summary: "Change the name of a service client or what it may do.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.service_client(&self.id).await?;
        let slug = &found.0.slug;
        let change = |before: ServiceClient| {
            admin.must_match(&ServiceClientReply::of(slug, before.clone()))?;
            Ok((self.name.unwrap_or(before.name), self.policy.apply(before.policy)))
        };
        Ok(ServiceClientReply::of(slug, admin.change_service_client(&found, change).await?))
    }
}

/// A service client that is to have a new secret. The one in use still counts for a while.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateServiceClient {
    /// Its id.
    #[schema(value_type = String)]
    pub(crate) id: ServiceClientId,
    /// How many hours the secret in use still counts, 0 to 168; 0 ends it at once.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(0..=i64::from(overlap::MAX)))]
    #[serde(default = "overlap::a_day")]
    #[schema(maximum = 168)]
    pub(crate) overlap_hours: u16,
}

impl Operation for RotateServiceClient {
    type Reply = MadeServiceClient;
    const ROUTE: Route = Route {
        id: "rotateServiceClient",
        method: Method::Create,
        path: "/service-clients/{id}/rotate",
        scope: AdminScope::Secrets,
        summary: "Make a new secret for a service client.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let overlap = overlap::of_hours(self.overlap_hours)?;
        let made = |tenant: &Tenant, client, secret| MadeServiceClient::of(&tenant.slug, client, &secret);
        admin.rotate_service_client(&self.id, overlap, made).await
    }
}

/// A service client to be removed. Introspection and forward auth refuse its tokens within two seconds.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveServiceClient {
    /// Its id.
    #[schema(value_type = String)]
    pub(crate) id: ServiceClientId,
}

impl Operation for RemoveServiceClient {
    type Reply = ();
    const ROUTE: Route = Route {
        id: "removeServiceClient",
        method: Method::Delete,
        path: "/service-clients/{id}",
        scope: AdminScope::Write,
        summary: "Remove a service client.",
    };
    const MATCHES: bool = true;

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.service_client(&self.id).await?;
        let still = |client| admin.must_match(&ServiceClientReply::of(&found.0.slug, client));
        admin.remove_service_client(&found, still).await
    }
}
