//! Ending sessions: logout, kick, revocation.

use wxgate_domain::{EndReason, SessionId, TenantId, Timestamp, UserId};

use crate::error::StorageError;
use crate::listeners::Listener;
use crate::refresh_session::RefreshSessionError;
use crate::scope::TenantScope;
use crate::sessions::{Answer, Job};

/// Most sessions that one job ends; callers with more send several.
const MOST: usize = 256;

/// Sessions of one tenant that are to end, ready to be written.
#[derive(Debug)]
pub(crate) struct EndJob {
    pub(crate) tenant: TenantId,
    pub(crate) sessions: Vec<SessionId>,
    /// Whose they must be; others are left alone.
    pub(crate) user: Option<UserId>,
    pub(crate) reason: EndReason,
    pub(crate) now: Timestamp,
    pub(crate) listener: Option<Listener>,
}

impl TenantScope {
    /// Ends sessions, and tells the tenant's feed and its services. How many ended: those that are another user's or tenant's, or over
    /// already, stay as they are. Returns after the commit; a part of the queue is kept free for this.
    ///
    /// # Errors
    /// [`RefreshSessionError::Overloaded`] or [`RefreshSessionError::Storage`]; what was committed before stays.
    pub async fn end_sessions(
        &self,
        sessions: &[SessionId],
        user: Option<UserId>,
        reason: EndReason,
    ) -> Result<usize, RefreshSessionError> {
        let batcher = self.storage.sessions().ok_or(RefreshSessionError::Overloaded)?;
        let listener = self.storage.core.listener(self.tenant).await?;
        let mut ended = 0;
        for sessions in sessions.chunks(MOST) {
            let now = self.storage.core.clock.now();
            let (tenant, listener) = (self.tenant, listener.clone());
            let job = EndJob { tenant, sessions: sessions.to_vec(), user, reason, now, listener };
            let lane = sessions.first().copied();
            match batcher.submit_urgent(self.tenant, lane, Job::End(job)).await? {
                Answer::Ended(now) => ended += now,
                _ => return Err(StorageError::inconsistent("session", "ended_at").into()),
            }
        }
        Ok(ended)
    }
}
