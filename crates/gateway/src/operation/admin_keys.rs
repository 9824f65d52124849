//! Admin keys.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminKey, AdminKeyId, AdminKeySecret, AdminScope, Slug, TenantId, Timestamp};
use wxgate_storage::NewAdminKey;

use super::secret_text::SecretText;
use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListAdminKeys>();
    visitor.visit::<AddAdminKey>();
    visitor.visit::<RemoveAdminKey>();
}

/// An admin key, without its secret. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AdminKeyReply {
    /// Our id of it; the audit log says `key:` and this.
    pub(crate) id: String,
    /// The id of the one tenant that it is for; absent for an operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) tenant_id: Option<String>,
    /// Its name for people.
    pub(crate) name: String,
    /// `read`, `write`, `secrets`.
    #[schema(value_type = Vec<String>)]
    pub(crate) scopes: Vec<AdminScope>,
    pub(crate) created_at: i64,
    /// From when on it counts no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) expires_at: Option<i64>,
    /// When it was last used, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) last_used_at: Option<i64>,
}

impl From<AdminKey> for AdminKeyReply {
    fn from(key: AdminKey) -> Self {
        Self {
            id: key.id.to_string(),
            tenant_id: key.tenant.map(|tenant: TenantId| tenant.to_string()),
            name: key.name,
            scopes: key.scopes.iter().collect(),
            created_at: key.created_at.seconds(),
            expires_at: key.expires_at.map(Timestamp::seconds),
            last_used_at: key.last_used_at.map(Timestamp::seconds),
        }
    }
}

/// The admin keys, oldest first.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListAdminKeys {
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

impl Operation for ListAdminKeys {
    type Reply = Page<AdminKeyReply>;
    const ROUTE: Route = Route {
        id: "listAdminKeys",
        method: Method::Get,
        path: "/admin-keys",
        scope: AdminScope::Read,
        summary: "List the admin keys.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = match &self.tenant {
            Some(named) => Some(admin.tenant(named).await?),
            None => None,
        };
        let keys = admin.admin_keys(tenant.as_ref()).await?.into_iter().map(AdminKeyReply::from).collect();
        Ok(Page::of(keys, self.cursor.as_deref(), self.limit, |key: &AdminKeyReply| key.id.clone()))
    }
}

/// A key to be made, for an operator or for one tenant's admin.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddAdminKey {
    /// Its name for people.
    pub(crate) name: String,
    /// The one tenant that it is for: its slug or id. An operator's key is for none in particular.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// What it allows: read, write, secrets. Give it once for each; read alone if left out.
    #[arg(long = "scope", value_name = "SCOPE", default_value = "read")]
    #[serde(default = "reading")]
    #[schema(value_type = Vec<String>)]
    pub(crate) scopes: Vec<AdminScope>,
    /// For how many days it counts, 1 to 3650; for ever if left out.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=3650))]
    #[schema(minimum = 1, maximum = 3650)]
    pub(crate) expires_in_days: Option<u16>,
}

fn reading() -> Vec<AdminScope> {
    vec![AdminScope::Read]
}

/// A key that was made. Its secret is told here and never again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MadeAdminKey {
    #[serde(flatten)]
    pub(crate) key: AdminKeyReply,
    /// `wxa_...`; absent when the same creation is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false, required = false)]
    pub(crate) secret: Option<SecretText>,
}

impl Operation for AddAdminKey {
    type Reply = MadeAdminKey;
    const ROUTE: Route = Route {
        id: "addAdminKey",
        method: Method::Create,
        path: "/admin-keys",
        scope: AdminScope::Secrets,
        summary: "Make an admin key.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = match &self.tenant {
            Some(named) => Some(admin.tenant(named).await?.id),
            None => admin.caller.tenant,
        };
        let life = |days: u16| std::time::Duration::from_hours(24 * u64::from(days));
        if self.expires_in_days.is_some_and(|days| !(1..=3_650).contains(&days)) {
            return Err(AdminError::KeyShape);
        }
        let expires_at = self.expires_in_days.map(|days| admin.clock.now().plus(life(days)));
        let new = NewAdminKey { tenant, name: self.name, scopes: self.scopes.into_iter().collect(), expires_at };
        let made = |key: AdminKey, secret: AdminKeySecret| MadeAdminKey {
            key: key.into(),
            secret: Some(SecretText::telling(secret.expose())),
        };
        admin.add_admin_key(new, made).await
    }
}

/// A key that is to count no more.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveAdminKey {
    /// Its id.
    #[schema(value_type = String)]
    pub(crate) id: AdminKeyId,
}

impl Operation for RemoveAdminKey {
    type Reply = ();
    const ROUTE: Route = Route {
        id: "removeAdminKey",
        method: Method::Delete,
        path: "/admin-keys/{id}",
        scope: AdminScope::Secrets,
        summary: "Remove an admin key, which counts no more at once.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        admin.remove_admin_key(self.id).await.map(|_| ())
    }
}
