//! `wxgate job`: work in the background, and how far it is.

use std::time::Duration;

use clap::{Args, Subcommand};
use wxgate_domain::{JobId, JobState, NodeId, Slug, Timestamp};

use super::admin::AdminArgs;
use super::door::Door;
use super::progress::Progress;
use super::{Failure, print};
use crate::operation::Limit;
use crate::operation::jobs::{JobReply, ListJobs, ShowJob};
use crate::service::jobs::Jobs;

/// How often a job that another process does is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Jobs: what goes on in the background, done by the gateways that run.
#[derive(Debug, Args)]
pub(super) struct JobCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the jobs, newest first.
    #[command(after_help = "Example:\n  wxgate job list --tenant acme")]
    List {
        /// Of this tenant alone.
        #[arg(long)]
        tenant: Option<Slug>,
    },
    /// Show how far a job is.
    #[command(after_help = "Example:\n  wxgate job show 01990000-0000-7000-8000-000000000000")]
    Show(ShowJob),
    /// Wait for the end of a job. On the database directly, do it here if nobody does it.
    #[command(after_help = "Example:\n  wxgate job watch 01990000-0000-7000-8000-000000000000")]
    Watch(ShowJob),
}

impl JobCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::List { tenant } => {
                let jobs = jobs_of(&door, tenant.as_ref()).await?;
                if self.admin.json {
                    print::json(&jobs);
                } else {
                    let rows: Vec<_> = jobs.iter().map(cells).collect();
                    print::table(["ID", "KIND", "TENANT", "STATE", "DONE", "LAST MOVED"], &rows);
                }
            }
            Action::Show(show) => self.admin.tell_job(&door.call(show).await?),
            Action::Watch(ShowJob { job }) => {
                let job = self.admin.watch(&door, job).await?;
                self.admin.tell_job(&job);
            }
        }
        door.close().await;
        Ok(())
    }
}

impl AdminArgs {
    /// Sees a job to its end, with a bar on a terminal: on the database by doing it, if nobody does; else by looking.
    pub(super) async fn watch(&self, door: &Door, id: JobId) -> Result<JobReply, Failure> {
        let mut job = door.call(ShowJob { job: id }).await?;
        let progress = Progress::new(&job.kind, !self.json);
        while job.state == JobState::Open {
            if let Door::Database(admin) = door {
                let node = NodeId::new(admin.clock.now(), &admin.random);
                let jobs = Jobs { storage: admin.storage.clone(), node };
                jobs.finish(id, |job| progress.is_at(job.done, job.total)).await?;
            }
            job = door.call(ShowJob { job: id }).await?;
            progress.is_at(job.done, job.total);
            if job.rests_until.is_some() {
                break;
            }
            if job.state == JobState::Open {
                tokio::time::sleep(LOOK).await;
            }
        }
        progress.ends();
        Ok(job)
    }

    /// On the database, does what is open of a tenant: perhaps no gateway runs that would. Tells people what was done.
    pub(super) async fn finish_jobs(&self, door: &Door, tenant: &Slug) -> Result<(), Failure> {
        if let Door::Gateway(_) = door {
            return Ok(());
        }
        for job in jobs_of(door, Some(tenant)).await?.iter().filter(|job| job.state == JobState::Open) {
            let job = self.watch(door, job.id).await?;
            self.gone(|| ended(&job));
        }
        Ok(())
    }

    pub(super) fn tell_job(&self, job: &JobReply) {
        if self.json {
            print::json(job);
        } else {
            print::fields(job);
        }
    }
}

/// The jobs of one tenant, or of all.
async fn jobs_of(door: &Door, tenant: Option<&Slug>) -> Result<Vec<JobReply>, Failure> {
    let next = |cursor: Option<String>| {
        let cursor = cursor.and_then(|cursor| cursor.parse().ok());
        ListJobs { tenant: tenant.cloned(), limit: Limit::MOST, cursor }
    };
    door.all(next).await
}

/// How a job came out, for people.
pub(super) fn ended(job: &JobReply) -> String {
    let what = job.appid.as_ref().map_or_else(|| job.kind.clone(), |appid| format!("app {appid}"));
    match (job.state, &job.appid) {
        (JobState::Open, _) => format!("{what}: goes on; `wxgate job watch {}`", job.id),
        (JobState::Done, Some(_)) => format!("{what}: removed, {} account(s)", job.done),
        (JobState::Done, None) => format!("{what}: done, {} of {}", job.done, job.total),
    }
}

fn cells(job: &JobReply) -> [String; 6] {
    let tenant = job.slug.as_ref().map(ToString::to_string).or(job.tenant_id.map(|tenant| tenant.to_string()));
    [
        job.id.to_string(),
        job.kind.clone(),
        tenant.unwrap_or_else(|| "(all)".to_owned()),
        job.state.as_str().to_owned(),
        format!("{} of {}", job.done, job.total),
        Timestamp::from_millis(job.updated_at * 1_000).to_rfc3339(),
    ]
}
