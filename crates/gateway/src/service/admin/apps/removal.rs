//! The removal of a mini-program: it serves nothing more at once, and the job removes what there is of it.

use wxgate_domain::{App, Job, Task, Tenant};
use wxgate_storage::{AudienceUse, Tx};

use super::super::{Admin, AdminError, Event};

impl Admin {
    /// Removes a mini-program with its sessions and identities. Its users stay, and so does the memory of its appid.
    /// `still` gets it as it is, locked, and may refuse.
    pub(crate) async fn remove_app(
        &self,
        (tenant, app): &(Tenant, App),
        still: impl FnOnce(App) -> Result<(), AdminError>,
    ) -> Result<Job, AdminError> {
        let tx = self.storage.begin().await?;
        still(tx.tenant(tenant.id).apps().current(&app.appid).await?)?;
        let job = begin(&tx, app).await?;
        self.commit(tx, Event::of(tenant.id, "app.remove", &app.appid)).await?;
        Ok(job)
    }
}

/// Begins to remove an app, unless something else names it.
pub(in crate::service::admin) async fn begin(tx: &Tx, app: &App) -> Result<Job, AdminError> {
    unnamed(app, tx.tenant(app.tenant).apps().retire(&app.appid).await?)?;
    let task = Task::AppRemoval { app: app.id, appid: app.appid.clone() };
    Ok(tx.jobs().add(Some(app.tenant), task).await?)
}

fn unnamed(app: &App, named_by: Vec<AudienceUse>) -> Result<(), AdminError> {
    if named_by.is_empty() { Ok(()) } else { Err(AdminError::AudienceInUse(app.appid.to_string(), named_by)) }
}
