//! Jobs: work that outlives its request.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, Job, JobId, JobState, Slug, Task, TenantId, Timestamp, WechatAppid};

use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListJobs>();
    visitor.visit::<ShowJob>();
}

/// Work in the background. Times are seconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct JobReply {
    /// Our id of it.
    #[schema(value_type = String)]
    pub(crate) id: JobId,
    /// The id of the tenant that it belongs to; absent for the operators'.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false)]
    pub(crate) tenant_id: Option<TenantId>,
    /// `tenant_deletion`, `app_removal`, `rewrap`, `reseal`, `redigest` or `union_join`.
    pub(crate) kind: String,
    /// The slug of the tenant that is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false)]
    pub(crate) slug: Option<Slug>,
    /// The appid of the mini-program that is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false)]
    pub(crate) appid: Option<WechatAppid>,
    /// `open` or `done`.
    #[schema(value_type = String)]
    pub(crate) state: JobState,
    /// How much is done.
    pub(crate) done: u64,
    /// How much there is to do; 0 before anybody has looked.
    pub(crate) total: u64,
    /// Why it did not get on the last time. It is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) error: Option<String>,
    /// When it goes on, if it rests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) rests_until: Option<i64>,
    pub(crate) created_at: i64,
    /// When it last got on.
    pub(crate) updated_at: i64,
}

impl From<Job> for JobReply {
    fn from(job: Job) -> Self {
        let kind = job.task.kind().to_owned();
        let (slug, appid) = match job.task {
            Task::TenantDeletion { slug, .. } => (Some(slug), None),
            Task::AppRemoval { appid, .. } => (None, Some(appid)),
            Task::Rewrap {} | Task::Reseal {} | Task::Redigest {} | Task::UnionJoin { .. } => (None, None),
        };
        Self {
            id: job.id,
            tenant_id: job.tenant,
            kind,
            slug,
            appid,
            state: job.state,
            done: job.done,
            total: job.total,
            error: job.error,
            rests_until: job.rests_until.map(Timestamp::seconds),
            created_at: job.created_at.seconds(),
            updated_at: job.updated_at.seconds(),
        }
    }
}

/// The jobs, newest first. They are forgotten thirty days after their end.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListJobs {
    /// Of this tenant alone: its slug or id.
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// How many at most: 1 to 500, else 100.
    #[serde(default)]
    #[schema(value_type = u16, minimum = 1, maximum = 500)]
    pub(crate) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    #[schema(value_type = Option<String>)]
    pub(crate) cursor: Option<JobId>,
}

impl Operation for ListJobs {
    type Reply = Page<JobReply>;
    const ROUTE: Route = Route {
        id: "listJobs",
        method: Method::Get,
        path: "/jobs",
        scope: AdminScope::Read,
        summary: "List the jobs, newest first.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = match &self.tenant {
            Some(named) => Some(admin.tenant(named).await?.id),
            None => None,
        };
        let limit = self.limit.get();
        let mut jobs = admin.jobs(tenant, self.cursor, limit as u64 + 1).await?;
        let more = jobs.len() > limit;
        jobs.truncate(limit);
        let next_cursor = jobs.last().filter(|_| more).map(|job| job.id.to_string());
        Ok(Page { items: jobs.into_iter().map(JobReply::from).collect(), next_cursor })
    }
}

/// One job.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowJob {
    /// Its id.
    #[schema(value_type = String)]
    pub(crate) job: JobId,
}

impl Operation for ShowJob {
    type Reply = JobReply;
    const ROUTE: Route = Route {
        id: "showJob",
        method: Method::Get,
        path: "/jobs/{job}",
        scope: AdminScope::Read,
        summary: "Show how far a job is.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        Ok(admin.job(self.job).await?.into())
    }
}
