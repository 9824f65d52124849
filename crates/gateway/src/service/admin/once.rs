//! Creations that happen once, however often they are asked for.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use wxgate_domain::TenantId;
use wxgate_storage::{Creation, Tx};

use super::{Admin, AdminError};

/// How often, and how many times, an answer is looked for that somebody else is about to give.
const EVERY: Duration = Duration::from_millis(25);
const LOOKS: u32 = 120;

impl Admin {
    /// What was answered when this was asked for before. Whoever asks while the other is still at work waits for it.
    ///
    /// # Errors
    /// [`AdminError::KeyReused`] if something else was asked for; [`AdminError::AnswerLost`] if the process ended between
    /// the creation and its answer.
    pub(crate) async fn replay(&self) -> Result<Option<Value>, AdminError> {
        let Some(creation) = &self.caller.creation else { return Ok(None) };
        for _ in 0..LOOKS {
            let Some(before) = self.storage.creations().find(creation).await? else { return Ok(None) };
            if before.request != creation.request {
                return Err(AdminError::KeyReused);
            }
            if let Some(reply) = before.reply {
                return serde_json::from_str(&reply).map(Some).map_err(|_| AdminError::AnswerLost);
            }
            tokio::time::sleep(EVERY).await;
        }
        Err(AdminError::AnswerLost)
    }

    /// Notes the creation in its own transaction. Of two at once the second fails here.
    pub(super) async fn note(&self, tx: &Tx, tenant: Option<TenantId>) -> Result<(), AdminError> {
        let Some(creation) = &self.caller.creation else { return Ok(()) };
        if !self.noted.load(Ordering::Relaxed) {
            tx.note(tenant, creation).await?;
            self.noted.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Remembers what was answered, without its secret: that is told once.
    pub(crate) async fn remember(&self, reply: &Value) {
        let Some(creation) = self.noted() else { return };
        let mut reply = reply.clone();
        if let Value::Object(fields) = &mut reply {
            fields.remove("secret");
        }
        if let Err(error) = self.storage.creations().answered(creation, reply.to_string()).await {
            tracing::warn!(error.source = %error, "an answer was not remembered; whoever asks again is told so");
        }
    }

    /// After a failure: forgets our own creation if it came to nothing after it was noted, so that it may be asked for
    /// again; else what somebody else was answered who asked for the same at the same time.
    ///
    /// # Errors
    /// As [`Admin::replay`].
    pub(crate) async fn replay_instead(&self) -> Result<Option<Value>, AdminError> {
        let Some(creation) = self.noted() else { return self.replay().await };
        self.storage.creations().forget(creation).await?;
        Ok(None)
    }

    fn noted(&self) -> Option<&Creation> {
        self.caller.creation.as_ref().filter(|_| self.noted.load(Ordering::Relaxed))
    }
}
