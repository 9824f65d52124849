//! Merges: two users who became one, and who may be one.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, CandidateState, MergeCandidateId, MergeId, Slug, Tenant, UserId};
use wxgate_storage::{Merge, MergeCandidate};

use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListMerges>();
    visitor.visit::<MergeUsers>();
    visitor.visit::<UndoMerge>();
    visitor.visit::<ListMergeCandidates>();
    visitor.visit::<DismissMergeCandidate>();
}

/// A merge, as operators see it. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MergeReply {
    /// By which it is undone.
    pub(crate) id: String,
    /// The tenant's slug.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// The user who is gone. Their id leads to `user`.
    pub(crate) gone: String,
    /// Who they are now.
    pub(crate) user: String,
    /// `unionid`, `proof` or `operator`.
    pub(crate) cause: String,
    pub(crate) at: i64,
    /// Until when it can be undone.
    pub(crate) undo_until: i64,
}

impl MergeReply {
    fn of(merge: &Merge, tenant: &Tenant) -> Self {
        Self {
            id: merge.id.to_string(),
            tenant: tenant.slug.clone(),
            gone: merge.gone.to_string(),
            user: merge.user.to_string(),
            cause: merge.cause.to_string(),
            at: merge.at.seconds(),
            undo_until: merge.undo_until.seconds(),
        }
    }
}

/// The merges of a tenant that were not undone, newest first.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListMerges {
    /// The tenant's slug or id; a tenant's key may leave it out.
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// How many at most: 1 to 500, else 100.
    #[serde(default)]
    #[schema(value_type = u16, minimum = 1, maximum = 500)]
    pub(crate) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    pub(crate) cursor: Option<String>,
}

impl Operation for ListMerges {
    type Reply = Page<MergeReply>;
    const ROUTE: Route = Route {
        id: "listMerges",
        method: Method::Get,
        path: "/merges",
        scope: AdminScope::Read,
        summary: "List who became whom.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant_or_own(self.tenant.as_ref()).await?;
        let before = self.cursor.map(|cursor| cursor.parse()).transpose().map_err(|_| AdminError::Cursor)?;
        let found = admin.storage.tenant(tenant.id).merges().page(before, self.limit.and_one()).await?;
        let told = found.iter().map(|merge| MergeReply::of(merge, &tenant));
        Ok(Page::begun(told, self.limit, |merge| merge.id.clone()))
    }
}

/// Two users who are one person. Accounts, sessions, unionids and phone number of the one move to the other, who stays.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MergeUsers {
    /// The tenant; a tenant's key may leave it out.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// The user who goes.
    #[arg(value_name = "ID")]
    #[schema(value_type = String)]
    pub(crate) user: UserId,
    /// The user who stays.
    #[arg(value_name = "INTO")]
    #[schema(value_type = String)]
    pub(crate) into: UserId,
    /// Forget what another system calls the user who goes, where it calls the other one something else. Else such two
    /// are not merged.
    #[arg(long)]
    #[serde(default)]
    pub(crate) drop_external_id: bool,
}

impl Operation for MergeUsers {
    type Reply = MergeReply;
    const ROUTE: Route = Route {
        id: "mergeUsers",
        method: Method::Create,
        path: "/merges",
        scope: AdminScope::Write,
        summary: "Make one user of two.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant_or_own(self.tenant.as_ref()).await?;
        let told = |merge: &Merge| MergeReply::of(merge, &tenant);
        admin.merge_users(&tenant, [self.user, self.into], self.drop_external_id, told).await
    }
}

/// A merge that was a mistake, at most seven days ago.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UndoMerge {
    /// The tenant; a tenant's key may leave it out.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// The merge's id.
    #[arg(value_name = "ID")]
    #[schema(value_type = String)]
    pub(crate) merge: MergeId,
}

/// Two users again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct UnmergedReply {
    /// The user who is back. Their sessions are over.
    pub(crate) user: String,
    /// The user whom they had been part of.
    pub(crate) from: String,
}

impl Operation for UndoMerge {
    type Reply = UnmergedReply;
    const ROUTE: Route = Route {
        id: "undoMerge",
        method: Method::Post,
        path: "/merges/{merge}/undo",
        scope: AdminScope::Write,
        summary: "Make two users of one again.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant_or_own(self.tenant.as_ref()).await?;
        let parted = admin.undo_merge(&tenant, self.merge).await?;
        Ok(UnmergedReply { user: parted.user.to_string(), from: parted.from.to_string() })
    }
}

/// Two users who may be one person.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MergeCandidateReply {
    pub(crate) id: String,
    /// The tenant's slug.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// The older one.
    pub(crate) user: String,
    /// The younger one.
    pub(crate) other: String,
    /// What says so: `unionid`, `unionid_changed` or `union_group`.
    pub(crate) cause: String,
    /// Seconds since 1970.
    pub(crate) created_at: i64,
}

impl MergeCandidateReply {
    fn of(candidate: &MergeCandidate, tenant: &Tenant) -> Self {
        let [user, other] = candidate.users;
        Self {
            id: candidate.id.to_string(),
            tenant: tenant.slug.clone(),
            user: user.to_string(),
            other: other.to_string(),
            cause: candidate.cause.to_string(),
            created_at: candidate.created_at.seconds(),
        }
    }
}

/// The users of a tenant of whom nobody has decided whether they are one, oldest first.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListMergeCandidates {
    /// The tenant's slug or id; a tenant's key may leave it out.
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// How many at most: 1 to 500, else 100.
    #[serde(default)]
    #[schema(value_type = u16, minimum = 1, maximum = 500)]
    pub(crate) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    pub(crate) cursor: Option<String>,
}

impl Operation for ListMergeCandidates {
    type Reply = Page<MergeCandidateReply>;
    const ROUTE: Route = Route {
        id: "listMergeCandidates",
        method: Method::Get,
        path: "/merge-candidates",
        scope: AdminScope::Read,
        summary: "List who may be whom.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant_or_own(self.tenant.as_ref()).await?;
        let after = self.cursor.map(|cursor| cursor.parse()).transpose().map_err(|_| AdminError::Cursor)?;
        let candidates = admin.storage.tenant(tenant.id).merge_candidates();
        let found = candidates.page(CandidateState::Open, after, self.limit.and_one()).await?;
        let told = found.iter().map(|candidate| MergeCandidateReply::of(candidate, &tenant));
        Ok(Page::begun(told, self.limit, |candidate| candidate.id.clone()))
    }
}

/// Two users who are two people.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DismissMergeCandidate {
    /// The tenant; a tenant's key may leave it out.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// The candidate's id.
    #[arg(value_name = "ID")]
    #[schema(value_type = String)]
    pub(crate) candidate: MergeCandidateId,
}

impl Operation for DismissMergeCandidate {
    type Reply = ();
    const ROUTE: Route = Route {
        id: "dismissMergeCandidate",
        method: Method::Post,
        path: "/merge-candidates/{candidate}/dismiss",
        scope: AdminScope::Write,
        summary: "Say that two users are two people. Nobody asks about them again.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant_or_own(self.tenant.as_ref()).await?;
        admin.dismiss_candidate(&tenant, self.candidate).await
    }
}
