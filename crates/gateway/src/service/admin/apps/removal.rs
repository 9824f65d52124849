//! The removal of a mini-program: first it serves nothing more, then its identities go, some at a time, then itself.
//!
//! What was begun and not ended is begun again by the same move.

use wxgate_domain::{App, Tenant};
use wxgate_storage::{AudienceUse, StorageError};

use super::super::{Admin, AdminError, Event};

/// How often the last step is tried while logins that were under way still come in.
const ATTEMPTS: usize = 10;

impl Admin {
    /// Removes a mini-program with its sessions and identities. Its users stay, and so does the memory of its appid.
    pub(crate) async fn remove_app(&self, (tenant, app): &(Tenant, App)) -> Result<(), AdminError> {
        let tx = self.storage.begin().await?;
        unnamed(app, tx.tenant(tenant.id).apps().retire(&app.appid).await?)?;
        self.commit(tx, Event::of(tenant.id, "app.retire", &app.appid)).await?;
        for _ in 0..ATTEMPTS {
            self.remove_identities(tenant, app).await?;
            let tx = self.storage.begin().await?;
            match tx.tenant(tenant.id).apps().remove(&app.appid).await {
                Ok(named_by) => {
                    unnamed(app, named_by)?;
                    return self.commit(tx, Event::of(tenant.id, "app.remove", &app.appid)).await;
                }
                Err(StorageError::Busy) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StorageError::Busy.into())
    }

    async fn remove_identities(&self, tenant: &Tenant, app: &App) -> Result<(), AdminError> {
        loop {
            let tx = self.storage.begin().await?;
            let removed = tx.tenant(tenant.id).apps().remove_identities(&app.appid).await?;
            tx.commit().await?;
            if removed == 0 {
                return Ok(());
            }
        }
    }
}

fn unnamed(app: &App, named_by: Vec<AudienceUse>) -> Result<(), AdminError> {
    if named_by.is_empty() { Ok(()) } else { Err(AdminError::AudienceInUse(app.appid.to_string(), named_by)) }
}
