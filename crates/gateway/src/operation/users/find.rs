//! Finding a user by what must stand in no address.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, Slug};

use super::UserReply;
use crate::operation::secret_text::SecretText;
use crate::operation::{Method, Operation, Page, Route};
use crate::service::admin::{Admin, AdminError};

/// Whoever has a phone number, one user at most. It is asked for in a body, since addresses reach logs, and each look is
/// written down. A number that WeChat does not vouch for finds nobody.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FindUser {
    /// The tenant's slug or id; a tenant's key may leave it out.
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// The number with a plus and its country code, such as `+8613800138000`.
    #[schema(value_type = String)]
    pub(crate) phone: SecretText,
}

impl Operation for FindUser {
    type Reply = Page<UserReply>;
    const ROUTE: Route = Route {
        id: "findUser",
        method: Method::Post,
        path: "/users/find",
        scope: AdminScope::Read,
        summary: "Find a user by their phone number.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant_or_own(self.tenant.as_ref()).await?;
        let number = self.phone.expose().parse().map_err(|_| AdminError::PhoneShape)?;
        let found = admin.find_user_by_phone(&tenant, &number).await?;
        let items = found.into_iter().map(|person| UserReply::of(person, &tenant)).collect();
        Ok(Page { items, next_cursor: None })
    }
}
