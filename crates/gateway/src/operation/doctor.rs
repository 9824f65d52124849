//! An examination of the installation.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::AdminScope;

use super::{Method, Operation, Route, Visitor};
use crate::service::admin::{Admin, AdminError, Finding};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<Examine>();
}

/// Look at database, clock, keys, audit logs and every app. It asks WeChat twice for each app.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Examine {}

/// What was found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Findings {
    /// One after another, what is well too.
    pub(crate) findings: Vec<Finding>,
}

impl Operation for Examine {
    type Reply = Findings;
    const ROUTE: Route = Route {
        id: "examine",
        method: Method::Post,
        path: "/doctor",
        scope: AdminScope::Read,
        summary: "Say what is well, what could be better and what is wrong.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        Ok(Findings { findings: admin.examine().await? })
    }
}
