//! Union groups: Open Platform accounts, inside which a unionid means one person.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, Slug, Tenant, WechatAppid};
use wxgate_storage::{UnionGroup, UnionReport};

use super::jobs::JobReply;
use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListUnionGroups>();
    visitor.visit::<AddUnionGroup>();
    visitor.visit::<ShowUnionGroup>();
    visitor.visit::<RenameUnionGroup>();
    visitor.visit::<RemoveUnionGroup>();
    visitor.visit::<ReportUnionGroup>();
    visitor.visit::<JoinUnionGroup>();
}

/// A union group, as operators see it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct UnionGroupReply {
    /// Our id of it.
    pub(crate) id: String,
    /// Its name for people, unique in the tenant.
    pub(crate) name: String,
    /// The slug of the tenant that owns it.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// Seconds since 1970.
    pub(crate) created_at: i64,
}

impl UnionGroupReply {
    fn of(tenant: &Slug, group: &UnionGroup) -> Self {
        Self {
            id: group.id.to_string(),
            name: group.name.clone(),
            tenant: tenant.clone(),
            created_at: group.created_at.seconds(),
        }
    }
}

/// The union groups, oldest first.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListUnionGroups {
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

impl Operation for ListUnionGroups {
    type Reply = Page<UnionGroupReply>;
    const ROUTE: Route = Route {
        id: "listUnionGroups",
        method: Method::Get,
        path: "/union-groups",
        scope: AdminScope::Read,
        summary: "List the union groups.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.within(self.tenant.as_ref()).await?;
        let after = self.cursor.map(|cursor| cursor.parse()).transpose().map_err(|_| AdminError::Cursor)?;
        let found = admin.storage.union_groups().page(tenant, after, self.limit.and_one()).await?;
        let slugs = admin.slugs(found.iter().map(|group| group.tenant)).await?;
        let told = |group: &UnionGroup| Some(UnionGroupReply::of(slugs.get(&group.tenant)?, group));
        Ok(Page::begun(found.iter().filter_map(told), self.limit, |group| group.id.clone()))
    }
}

/// A union group to be created. Users of its apps who share a unionid are one user.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddUnionGroup {
    /// The tenant that owns it: its slug or id.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// Its name, unique in the tenant.
    pub(crate) name: String,
}

impl Operation for AddUnionGroup {
    type Reply = UnionGroupReply;
    const ROUTE: Route = Route {
        id: "addUnionGroup",
        method: Method::Create,
        path: "/union-groups",
        scope: AdminScope::Write,
        summary: "Create a union group.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant(&self.tenant).await?;
        admin.add_union_group(&tenant, &self.name, |group| UnionGroupReply::of(&tenant.slug, &group)).await
    }
}

/// The group of a name or id, among those of a tenant or all.
async fn found(admin: &Admin, tenant: Option<&Slug>, group: &str) -> Result<(Tenant, UnionGroup), AdminError> {
    let tenant = match tenant {
        Some(named) => Some(admin.tenant(named).await?),
        None => None,
    };
    admin.union_group(tenant.as_ref(), group).await
}

/// One union group.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowUnionGroup {
    /// Its id; or its name, where the tenant is named too.
    pub(crate) group: String,
    /// The tenant that owns it: its slug or id.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
}

impl Operation for ShowUnionGroup {
    type Reply = UnionGroupReply;
    const ROUTE: Route = Route {
        id: "showUnionGroup",
        method: Method::Get,
        path: "/union-groups/{group}",
        scope: AdminScope::Read,
        summary: "Show a union group.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (tenant, group) = found(admin, self.tenant.as_ref(), &self.group).await?;
        Ok(UnionGroupReply::of(&tenant.slug, &group))
    }
}

/// A union group that is to have another name.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameUnionGroup {
    /// Its id; or its name, where the tenant is named too.
    pub(crate) group: String,
    /// Its new name, unique in the tenant.
    pub(crate) name: String,
    /// The tenant that owns it: its slug or id.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
}

impl Operation for RenameUnionGroup {
    type Reply = UnionGroupReply;
    const ROUTE: Route = Route {
        id: "renameUnionGroup",
        method: Method::Patch,
        path: "/union-groups/{group}",
        scope: AdminScope::Write,
        summary: "Give a union group another name.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = found(admin, self.tenant.as_ref(), &self.group).await?;
        let slug = &found.0.slug;
        let change = |before: &UnionGroup| {
            admin.must_match(&UnionGroupReply::of(slug, before))?;
            Ok(self.name)
        };
        Ok(UnionGroupReply::of(slug, &admin.rename_union_group(&found, change).await?))
    }
}

/// A union group to be removed, once no app and nobody is in it.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveUnionGroup {
    /// Its id; or its name, where the tenant is named too.
    pub(crate) group: String,
    /// The tenant that owns it: its slug or id.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
}

impl Operation for RemoveUnionGroup {
    type Reply = ();
    const ROUTE: Route = Route {
        id: "removeUnionGroup",
        method: Method::Delete,
        path: "/union-groups/{group}",
        scope: AdminScope::Write,
        summary: "Remove a union group that nothing is in.",
    };
    const MATCHES: bool = true;

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = found(admin, self.tenant.as_ref(), &self.group).await?;
        let still = |group: &UnionGroup| admin.must_match(&UnionGroupReply::of(&found.0.slug, group));
        admin.remove_union_group(&found, still).await
    }
}

/// A mini-program that may be bound to a union group.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportUnionGroup {
    /// The group's id; or its name, where the tenant is named too.
    pub(crate) group: String,
    /// The mini-program's appid.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
    /// The tenant that owns both: its slug or id.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
}

/// What would become of a mini-program's users in a union group. Nothing was changed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct UnionReportReply {
    /// The mini-program's accounts.
    pub(crate) identities: u64,
    /// Those of them whose unionid WeChat has told so far.
    pub(crate) with_unionid: u64,
    /// Those whose unionid is another one than WeChat told before, and nobody's in the group: they stay apart.
    pub(crate) changed: u64,
    /// Those whose user would be found by their unionid from then on.
    pub(crate) joining: u64,
    /// Those whose user is found by it already.
    pub(crate) joined: u64,
    /// Those whose unionid is another user's in the group: each would be a merge candidate.
    pub(crate) candidates: u64,
    /// Some of these pairs, at most ten.
    pub(crate) samples: Vec<UnionSample>,
}

/// Two users who would be a merge candidate.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct UnionSample {
    /// The user in the mini-program.
    pub(crate) user: String,
    /// Who has the unionid in the group.
    pub(crate) other: String,
}

impl From<UnionReport> for UnionReportReply {
    fn from(report: UnionReport) -> Self {
        let sample = |[user, other]: [wxgate_domain::UserId; 2]| UnionSample {
            user: user.to_string(),
            other: other.to_string(),
        };
        Self {
            identities: report.identities,
            with_unionid: report.with_unionid,
            changed: report.changed,
            joining: report.joining,
            joined: report.joined,
            candidates: report.candidates,
            samples: report.samples.into_iter().map(sample).collect(),
        }
    }
}

impl Operation for ReportUnionGroup {
    type Reply = UnionReportReply;
    const ROUTE: Route = Route {
        id: "reportUnionGroup",
        method: Method::Get,
        path: "/union-groups/{group}/report",
        scope: AdminScope::Read,
        summary: "Count what binding a mini-program to a union group would do, without doing it.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (tenant, group) = found(admin, self.tenant.as_ref(), &self.group).await?;
        let app = admin.app_of(&tenant, &self.app).await?;
        Ok(admin.storage.tenant(tenant.id).union_report(group.id, app.id).await?.into())
    }
}

/// A mini-program that is to be bound to a union group while it serves.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JoinUnionGroup {
    /// The group's id; or its name, where the tenant is named too.
    pub(crate) group: String,
    /// The mini-program's appid.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
    /// The tenant that owns both: its slug or id.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
}

impl Operation for JoinUnionGroup {
    type Reply = JobReply;
    const ROUTE: Route = Route {
        id: "joinUnionGroup",
        method: Method::Post,
        path: "/union-groups/{group}/join",
        scope: AdminScope::Write,
        summary: "Bind a mini-program to a union group: its users are joined in the background, then it is bound.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = found(admin, self.tenant.as_ref(), &self.group).await?;
        let app = admin.app_of(&found.0, &self.app).await?;
        Ok(admin.join_union_group(&found, &app).await?.into())
    }
}
