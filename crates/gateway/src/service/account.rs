//! What a user who is logged in does with their own account: look at it, fill it in, look at its devices, log out.

use std::sync::Arc;

use wxgate_domain::{EndReason, OpenedSession, Profile, SessionId, SessionState, UserId, UserStatus};
use wxgate_storage::{LiveSession, RefreshSessionError, Storage, StorageError};
use wxgate_token::Claims;

use super::access_tokens::AccessTokens;
use super::codes::Outcome;
use super::directory::{ActiveApp, Directory, DirectoryError, KnownTenant};
use super::login::{Attempt, LoginError, Logins, Purpose};
use super::merge_tokens::MergeTokens;
use super::revoked::Revoked;

/// Serves users who are logged in.
#[derive(Clone)]
pub(crate) struct Accounts {
    pub(crate) storage: Storage,
    pub(crate) directory: Directory,
    pub(crate) logins: Arc<Logins>,
    pub(crate) merge_tokens: MergeTokens,
    pub(crate) access_tokens: AccessTokens,
    pub(crate) revoked: Revoked,
}

/// Whoever holds a user's access token, and whose session goes on.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) app: Arc<ActiveApp>,
    pub(crate) session: OpenedSession,
}

/// Which sessions a logout ends.
#[derive(Clone, Debug)]
pub(crate) enum LogoutScope {
    /// This one.
    This,
    /// All others of the user.
    Others,
    /// All of the user; a fresh login proves that it is the user who asks.
    All(Attempt),
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("the token is no user's")]
    NoUser,
    #[error("the session is over")]
    SessionEnded,
    #[error("the user is blocked")]
    UserBlocked,
    #[error("no such session of this user")]
    NoSession,
    #[error(transparent)]
    App(#[from] DirectoryError),
    #[error("the code proves nothing: {0}")]
    StepUp(#[from] LoginError),
    #[error("too much to write")]
    Overloaded,
    #[error("{0}")]
    Storage(StorageError),
}

impl Accounts {
    /// The user of a verified token. The session's row is read: a token outlives a logout by minutes, this must not.
    pub(crate) async fn signed_in(&self, claims: &Claims, tenant: &KnownTenant) -> Result<SignedIn, AccountError> {
        let (Some(session), Some(appid), Some(user)) = (claims.sid, claims.app(), claims.user()) else {
            return Err(AccountError::NoUser);
        };
        let storage = self.storage.tenant(tenant.id());
        let Some(session) = storage.live_session(session).await? else {
            let blocked = storage.user(user).await?.is_some_and(|user| user.status == UserStatus::Blocked);
            return Err(if blocked { AccountError::UserBlocked } else { AccountError::SessionEnded });
        };
        let app = self.directory.active_app(&appid).await?;
        // The token may be older than a merge.
        if app.app.id != session.app || !storage.merges().is_one_user(user, session.user.id).await? {
            return Err(AccountError::NoUser);
        }
        Ok(SignedIn { app, session })
    }

    /// Lays what the user says of themself over what is stored; the profile as it is then.
    pub(crate) async fn fill_in(&self, who: &SignedIn, profile: &Profile) -> Result<Profile, AccountError> {
        let stored = &who.session.user.profile;
        let Some(merged) = stored.merged(profile) else { return Ok(stored.clone()) };
        self.storage.tenant(who.app.tenant.id()).update_profile(who.session.user.id, profile).await?;
        Ok(merged)
    }

    /// The user's live sessions, newest first; at most as many of each mini-program as an identity may have.
    pub(crate) async fn sessions(&self, who: &SignedIn) -> Result<Vec<LiveSession>, AccountError> {
        let policy = &who.app.tenant.tenant.policy;
        let now = self.logins.clock.now();
        let mut sessions = self.storage.tenant(who.app.tenant.id()).live_sessions(who.session.user.id).await?;
        sessions.retain(|session| {
            let last = session.refreshed_at.unwrap_or(session.opened_at);
            now < SessionState::expires_at(session.opened_at, last, policy)
        });
        Ok(sessions)
    }

    /// Ends one of the user's sessions.
    pub(crate) async fn end(&self, who: &SignedIn, session: SessionId) -> Result<(), AccountError> {
        let ended = self.end_all(who, &[session]).await?;
        if ended == 1 { Ok(()) } else { Err(AccountError::NoSession) }
    }

    /// Logs out; how many sessions ended.
    pub(crate) async fn logout(&self, who: &SignedIn, scope: LogoutScope) -> Result<usize, AccountError> {
        let own = who.session.id;
        match scope {
            LogoutScope::This => self.end_all(who, &[own]).await,
            LogoutScope::Others => self.end_all_but(who, Some(own)).await,
            LogoutScope::All(attempt) => {
                self.step_up(who, attempt).await?;
                self.end_all_but(who, None).await
            }
        }
    }

    /// Proves that it is the user who asks, not a service that was handed their token: a fresh code of `wx.login` must be
    /// the same account's.
    pub(crate) async fn step_up(&self, who: &SignedIn, attempt: Attempt) -> Result<(), AccountError> {
        let purpose = Purpose::StepUp { openid: who.session.openid.clone(), session: who.session.id };
        let fresh = self.logins.session(&who.app, Attempt { purpose, ..attempt }).await?;
        // The account may have become another user's meanwhile.
        if fresh.user.id == who.session.user.id { Ok(()) } else { Err(LoginError::OtherUser.into()) }
    }

    /// The account of another code, which becomes this user's if it is nobody's yet.
    pub(super) async fn other_account(
        &self,
        who: &SignedIn,
        app: &Arc<ActiveApp>,
        attempt: Attempt,
        link_to: Option<UserId>,
    ) -> Outcome {
        let purpose = Purpose::OtherAccount { link_to, session: who.session.id };
        self.logins.session(app, Attempt { purpose, ..attempt }).await
    }

    /// A user of many apps may have more sessions than are told at once.
    async fn end_all_but(&self, who: &SignedIn, kept: Option<SessionId>) -> Result<usize, AccountError> {
        let storage = self.storage.tenant(who.app.tenant.id());
        let mut ended = 0;
        loop {
            let live = storage.live_sessions(who.session.user.id).await?;
            let others: Vec<_> = live.into_iter().map(|live| live.id).filter(|id| Some(*id) != kept).collect();
            let now = self.end_all(who, &others).await?;
            if now == 0 {
                return Ok(ended);
            }
            ended += now;
        }
    }

    async fn end_all(&self, who: &SignedIn, sessions: &[SessionId]) -> Result<usize, AccountError> {
        let storage = self.storage.tenant(who.app.tenant.id());
        let ended = storage.end_sessions(sessions, Some(who.session.user.id), EndReason::Logout).await?;
        if ended > 0 {
            self.revoked.settled(&self.storage).await;
        }
        Ok(ended)
    }
}

impl From<StorageError> for AccountError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Busy | StorageError::Unavailable { .. } => Self::Overloaded,
            error => Self::Storage(error),
        }
    }
}

impl From<RefreshSessionError> for AccountError {
    fn from(error: RefreshSessionError) -> Self {
        match error {
            RefreshSessionError::Overloaded => Self::Overloaded,
            RefreshSessionError::Refused(_) => Self::SessionEnded,
            RefreshSessionError::Storage(error) => error.into(),
        }
    }
}
