//! Users who are to be forgotten, because they or WeChat say so.

use wxgate_domain::{EraseCause, TenantId, UserId};
use wxgate_storage::{NewAuditEntry, StorageError};

use super::account::{AccountError, Accounts, SignedIn};
use super::again::again_if_busy;
use super::login::Attempt;

impl Accounts {
    /// Erases whoever asks; a fresh login proves that it is the user, and goes with the rest.
    pub(crate) async fn erase(&self, who: &SignedIn, attempt: Attempt) -> Result<(), AccountError> {
        self.step_up(who, attempt).await?;
        let (tenant, user) = (who.app.tenant.id(), who.session.user.id);
        match again_if_busy!(self.try_to_erase(tenant, user)) {
            // Somebody else did it a moment ago.
            Err(StorageError::NotFound) => {}
            outcome => outcome?,
        }
        self.revoked.settled(&self.storage).await;
        Ok(())
    }

    async fn try_to_erase(&self, tenant: TenantId, user: UserId) -> Result<(), StorageError> {
        let tx = self.storage.begin().await?;
        tx.tenant(tenant).users().erase(user, EraseCause::User).await?;
        tx.audit(Some(tenant)).record(&entry(user)).await?;
        tx.commit().await
    }
}

/// What is written down. Who it was is no longer known to anybody.
fn entry(user: UserId) -> NewAuditEntry {
    NewAuditEntry {
        actor: "user".to_owned(),
        action: "user.erase".to_owned(),
        target: user.to_string(),
        outcome: "done".to_owned(),
        ..NewAuditEntry::default()
    }
}
