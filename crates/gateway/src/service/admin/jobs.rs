//! Jobs, as whoever asked for them sees them.

use wxgate_domain::{Job, JobId, TenantId};

use super::{Admin, AdminError};

impl Admin {
    /// The job of this id, if it exists for the caller.
    pub(crate) async fn job(&self, id: JobId) -> Result<Job, AdminError> {
        let found = self.storage.jobs().find(id).await?;
        found.filter(|job| self.sees_job(job)).ok_or(AdminError::NoJob(id))
    }

    /// The jobs that exist for the caller, or those of one tenant, newest first, from after `before` on.
    pub(crate) async fn jobs(
        &self,
        tenant: Option<TenantId>,
        before: Option<JobId>,
        limit: u64,
    ) -> Result<Vec<Job>, AdminError> {
        Ok(self.storage.jobs().list(tenant.or(self.caller.tenant), before, limit).await?)
    }

    fn sees_job(&self, job: &Job) -> bool {
        self.caller.tenant.is_none_or(|own| job.tenant == Some(own))
    }
}
