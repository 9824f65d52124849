//! Refreshing a session: one turn, one winner.
//!
//! A refresh is one job of the group commit (`group_commit.rs`). [`TenantScope::refresh_session`] prepares it, `turns.rs`
//! does a batch of them inside a transaction, `plan.rs` lets the domain decide each one against what those before it
//! changed, `statements.rs` has the statements.

mod plan;
mod statements;
mod turns;

use wxgate_domain::{
    AppId, EndReason, Presenter, RefreshToken, RefreshedSession, SessionId, TenantId, TenantPolicy, Timestamp,
};

use crate::error::StorageError;
use crate::group_commit::NotWritten;
use crate::keys::RefreshKeys;
use crate::listeners::Listener;
use crate::scope::TenantScope;
use crate::sessions::{Answer, Job};

pub(crate) use plan::Turned;
pub(crate) use turns::Turns;

/// A refresh token that is presented, its MAC checked.
#[derive(Clone, Debug)]
pub struct RefreshRequest<'a> {
    /// What it says.
    pub token: RefreshToken,
    /// The keys that its MAC was checked with.
    pub keys: &'a RefreshKeys,
    /// The app that the client says it is, where it must say so.
    pub app: Option<AppId>,
    /// What stands for the network of whoever presents it. Kept as a keyed digest only.
    pub network: &'a [u8],
    /// What stands for the user agent. Kept as a keyed digest only.
    pub agent: &'a [u8],
    /// The tenant's policy.
    pub policy: &'a TenantPolicy,
}

/// Why a session was not refreshed although the database answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRefreshed {
    /// The tenant has no such session.
    Unknown,
    /// The session is another app's.
    OtherApp,
    /// The session was over already.
    Ended(EndReason),
    /// The session ended now, because of this request.
    EndedNow(EndReason, SessionId),
    /// The user is blocked.
    UserBlocked,
    /// The app is disabled or the tenant suspended.
    AppDisabled,
}

/// Why a session was not refreshed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshSessionError {
    /// The session's state forbids it.
    #[error("the session was not refreshed: {0:?}")]
    Refused(NotRefreshed),
    /// Too much to write, see [`OpenSessionError::Overloaded`](crate::OpenSessionError::Overloaded). Nothing was written.
    #[error("too many writes at once")]
    Overloaded,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<NotWritten> for RefreshSessionError {
    fn from(reason: NotWritten) -> Self {
        match reason {
            NotWritten::Overloaded => Self::Overloaded,
            NotWritten::Storage(error) => Self::Storage(error),
        }
    }
}

/// A refresh that is ready to be written.
#[derive(Debug)]
pub(crate) struct RefreshJob {
    tenant: TenantId,
    session: SessionId,
    generation: u32,
    app: Option<AppId>,
    presenter: Presenter,
    /// The number of the key that MACs the next turn's token.
    mac_key: u32,
    policy: TenantPolicy,
    /// The time where no database server tells it.
    now: Timestamp,
    listener: Option<Listener>,
}

impl RefreshJob {
    /// The session that it is about.
    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    /// Whose it must be.
    pub(crate) fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The tenant, if its services want to be told of something.
    pub(crate) fn listener(&self) -> Option<&Listener> {
        self.listener.as_ref()
    }
}

impl TenantScope {
    /// Moves a session on to its next turn, or answers its present turn again, or ends it: as
    /// [`SessionState::decide`](wxgate_domain::SessionState::decide) says. Returns after the commit.
    ///
    /// Dropping the future cancels nothing: a job that was queued is written, and whoever asks again inside the window
    /// gets the same turn.
    ///
    /// # Errors
    /// [`RefreshSessionError`]; [`StorageError::NotFound`] if the keys are another tenant's or the token's is not among them.
    pub async fn refresh_session(&self, request: &RefreshRequest<'_>) -> Result<RefreshedSession, RefreshSessionError> {
        let core = &self.storage.core;
        let keys = request.keys.of(self.tenant).ok_or(StorageError::NotFound)?;
        let key = keys.mac_key(request.token.mac_key).ok_or(StorageError::NotFound)?;
        let digest = |label, of: &[u8]| -> [u8; 8] {
            let digest = key.digest(label, &[of]);
            digest.as_bytes().first_chunk().copied().unwrap_or_default()
        };
        let job = RefreshJob {
            tenant: self.tenant,
            session: request.token.session,
            generation: request.token.generation,
            app: request.app,
            presenter: Presenter::new(digest("network", request.network), digest("user agent", request.agent)),
            mac_key: keys.refresh_mac.0,
            policy: request.policy.clone(),
            now: core.clock.now(),
            listener: Listener::with(keys),
        };
        let batcher = self.storage.sessions().ok_or(RefreshSessionError::Overloaded)?;
        match batcher.submit(self.tenant, job.session, Job::Refresh(job)).await? {
            Answer::Refreshed(refreshed) => {
                let (session, phone) = refreshed.map_err(RefreshSessionError::Refused)?;
                Ok(RefreshedSession { phone: core.open_phone(phone).await?, ..session })
            }
            _ => Err(StorageError::inconsistent("session", "generation").into()),
        }
    }
}
