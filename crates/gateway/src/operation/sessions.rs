//! Sessions.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, SessionId, Slug, Timestamp, UserId};

use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListSessions>();
    visitor.visit::<EndSession>();
}

/// A live session: one login on one device.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SessionReply {
    /// `sid` of its access tokens.
    pub(crate) id: String,
    /// The mini-program that was logged in to.
    pub(crate) appid: String,
    /// Seconds since 1970.
    pub(crate) opened_at: i64,
    /// When it was refreshed last, in seconds since 1970; absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) refreshed_at: Option<i64>,
}

/// The live sessions of a user, oldest first, the newest thousand. Those that idled for too long may still be among them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListSessions {
    /// The tenant's slug or id; a tenant's key may leave it out.
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// The user's id.
    #[schema(value_type = String)]
    pub(crate) user: UserId,
    /// How many at most: 1 to 500, else 100.
    #[serde(default)]
    #[schema(value_type = u16, minimum = 1, maximum = 500)]
    pub(crate) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    pub(crate) cursor: Option<String>,
}

impl Operation for ListSessions {
    type Reply = Page<SessionReply>;
    const ROUTE: Route = Route {
        id: "listSessions",
        method: Method::Get,
        path: "/sessions",
        scope: AdminScope::Read,
        summary: "List the live sessions of a user.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant_or_own(self.tenant.as_ref()).await?;
        let mut sessions = admin.sessions(&tenant, self.user).await?;
        sessions.sort_by_key(|session| session.id);
        let told = sessions.into_iter().map(|session| SessionReply {
            id: session.id.to_string(),
            appid: session.appid.to_string(),
            opened_at: session.opened_at.seconds(),
            refreshed_at: session.refreshed_at.map(Timestamp::seconds),
        });
        Ok(Page::of(told.collect(), self.cursor.as_deref(), self.limit, |session| session.id.clone()))
    }
}

/// A session that is to end now.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndSession {
    /// The tenant; a tenant's key may leave it out.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// The session's id, which is `sid` of the access token.
    #[arg(value_name = "SID")]
    #[schema(value_type = String)]
    pub(crate) sid: SessionId,
}

impl Operation for EndSession {
    type Reply = ();
    const ROUTE: Route = Route {
        id: "endSession",
        method: Method::Delete,
        path: "/sessions/{sid}",
        scope: AdminScope::Write,
        summary: "End a session.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant_or_own(self.tenant.as_ref()).await?;
        admin.end_session(&tenant, self.sid).await
    }
}
