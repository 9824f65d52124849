//! Creations that happen once, however often they are asked for.

use serde::Serialize;
use serde_json::Value;
use wxgate_storage::Tx;

use super::caller::without_secrets;
use super::{Admin, AdminError, Event};

impl Admin {
    /// What was answered when this was asked for before.
    ///
    /// # Errors
    /// [`AdminError::KeyReused`] if something else was asked for.
    pub(crate) async fn replay(&self) -> Result<Option<Value>, AdminError> {
        let Some(creation) = &self.caller.creation else { return Ok(None) };
        let Some(before) = self.storage.creations().find(creation).await? else { return Ok(None) };
        if before.request == creation.request { Ok(Some(before.reply)) } else { Err(AdminError::KeyReused) }
    }

    /// Commits a creation, and with it what is told of it, so that whoever asks again gets the same answer, whatever happens
    /// to this process. Not its secret: that is told once. Of two at once the second fails here.
    pub(super) async fn commit_told<R: Serialize>(&self, tx: Tx, event: Event, reply: R) -> Result<R, AdminError> {
        if let Some(creation) = &self.caller.creation {
            tx.note(event.tenant, creation, &without_secrets(&reply)).await?;
        }
        self.commit(tx, event).await?;
        Ok(reply)
    }
}
