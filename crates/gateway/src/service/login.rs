//! A login: one code, one exchange with WeChat, one session, tokens.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use wxgate_crypto::Digest;
use wxgate_crypto::user_data::Failure;
use wxgate_domain::{Clock, LoginCode, NewSession, OpenedSession, Timestamp};
use wxgate_storage::{OpenSessionError, Storage, StorageError};
use wxgate_token::IssueError;
use wxgate_wechat_client::{BadResponse, Client, ExchangeError, RejectedClass, SecretSlot};

use super::codes::{Admission, Codes, Lead, Outcome};
use super::directory::ActiveApp;
use super::limits::Limits;
use super::tokens::{Issued, Tokens};
use super::user_data::{UserData, UserDataRequest};
use crate::metrics::Metrics;

/// What a whole exchange may take: a second in the queue, two with WeChat, a second to commit, and one to spare.
const BUDGET: Duration = Duration::from_secs(5);

/// Logs users in.
#[derive(Clone)]
pub(crate) struct Logins {
    pub(crate) clock: Clock,
    pub(crate) storage: Storage,
    pub(crate) wechat: Client,
    pub(crate) codes: Arc<Codes>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) tokens: Tokens,
    pub(crate) user_data: UserData,
    pub(crate) metrics: Arc<Metrics>,
    /// The process's runtime, which outlives any connection.
    pub(crate) runtime: Handle,
    /// The exchanges under way, to be waited for when the process stops.
    pub(crate) tasks: TaskTracker,
}

/// One request to log in.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) code: LoginCode,
    /// Digest of the whole body: only an identical request may share another's answer.
    pub(crate) body: Digest,
    /// Network and user agent, which make a repeated request the same client's.
    pub(crate) client: Digest,
    /// What address limits count.
    pub(crate) address: IpAddr,
    /// Digest of an Idempotency-Key.
    pub(crate) idempotency_key: Option<Digest>,
}

/// A login that succeeded.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) session: Arc<OpenedSession>,
    pub(crate) tokens: Issued,
    /// The decrypted data, if some was sent.
    pub(crate) user_data: Option<Result<Map<String, Value>, Failure>>,
}

impl Logins {
    /// Logs in whoever owns the code. A valid code always opens a session; the user data answers for itself.
    pub(crate) async fn login(
        &self,
        app: &Arc<ActiveApp>,
        attempt: Attempt,
        data: Option<UserDataRequest>,
    ) -> Result<Login, LoginError> {
        let login = self.answered(app, attempt, data).await;
        self.metrics.login(login.as_ref().err().map_or("success", LoginError::outcome));
        login
    }

    async fn answered(
        &self,
        app: &Arc<ActiveApp>,
        attempt: Attempt,
        data: Option<UserDataRequest>,
    ) -> Result<Login, LoginError> {
        let mut session = self.session(app, attempt).await?;
        let user_data = match data {
            Some(data) => Some(self.user_data.open(app, &mut session, &data).await?),
            None => None,
        };
        let tokens = self.tokens.issue(app, &session, self.clock.now()).await?;
        Ok(Login { session, tokens, user_data })
    }

    /// The session of this code: opened now, being opened by a twin of this request, or opened a moment ago.
    async fn session(&self, app: &Arc<ActiveApp>, attempt: Attempt) -> Outcome {
        match self.codes.admit(app.tenant.id(), app.app.id, &attempt, self.clock.now()) {
            Admission::Lead(lead) => {
                let wait = lead.follow();
                if let Err(wait) = self.limits.app(&app.app, attempt.address) {
                    let limited = LoginError::RateLimited { retry_after: wait.0 };
                    lead.release(limited.clone());
                    return Err(limited);
                }
                self.tasks.spawn_on(self.clone().exchange(app.clone(), attempt, lead), &self.runtime);
                wait.outcome().await
            }
            Admission::Follow(wait) => wait.outcome().await,
            Admission::Replay(session) => {
                let session = self.storage.tenant(app.tenant.id()).replay_session(session).await?;
                session.map(Arc::new).ok_or(LoginError::CodeUsed)
            }
            Admission::Used => Err(LoginError::CodeUsed),
            Admission::Full => Err(LoginError::Overloaded),
        }
    }

    /// Runs to its end whoever still listens: WeChat consumes the code at the first byte of the exchange.
    async fn exchange(self, app: Arc<ActiveApp>, attempt: Attempt, lead: Lead) {
        let opened = tokio::time::timeout(BUDGET, self.open(&app, &attempt.code)).await;
        let outcome = opened.unwrap_or(Err(LoginError::Timeout)).map(Arc::new);
        self.limits.judge(app.app.id, attempt.address, outcome.as_ref().err());
        lead.settle(outcome, self.clock.now());
    }

    /// The login itself: network first, then one group-committed write.
    async fn open(&self, app: &ActiveApp, code: &LoginCode) -> Result<OpenedSession, LoginError> {
        let exchanged = self.wechat.code_to_session(&app.app.appid, &app.credential, code).await;
        self.metrics.wechat_call("jscode2session", &exchanged);
        let exchanged = exchanged.inspect_err(|error| error.alert(app))?;
        if exchanged.slot == SecretSlot::Previous {
            tracing::warn!(wechat.appid = %app.app.appid, "WeChat accepts only the previous AppSecret of this app");
        }
        self.limits
            .openid(&app.app, &exchanged.identity.openid)
            .map_err(|wait| LoginError::RateLimited { retry_after: wait.0 })?;
        let new = NewSession::of(&app.app, app.tenant.sessions_epoch(), exchanged.identity, self.clock.now());
        Ok(self.storage.tenant(app.tenant.id()).open_session(new).await?)
    }
}

/// Tells the operator what only the operator can mend.
trait Alert {
    fn alert(&self, app: &ActiveApp);
}

impl Alert for ExchangeError {
    fn alert(&self, app: &ActiveApp) {
        if let Self::Rejected(rejected) = self
            && rejected.class == RejectedClass::Misconfigured
        {
            let rid = rejected.rid.as_ref().map(ToString::to_string).unwrap_or_default();
            tracing::error!(wechat.appid = %app.app.appid, wechat.errcode = rejected.errcode, wechat.rid = rid, "WeChat refuses this app; check its appid, AppSecret and console settings");
        }
    }
}

/// Why a login did not happen. Shared between the callers of one code, so it can be cloned.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("WeChat does not know the code")]
    CodeRejected,
    #[error("the code was used")]
    CodeUsed,
    #[error("the user is blocked")]
    UserBlocked,
    #[error("too many requests")]
    RateLimited { retry_after: u32 },
    #[error("WeChat's daily quota is used up")]
    QuotaExhausted { retry_after: u32 },
    #[error("the app is not authorised to the platform")]
    NotAuthorized,
    #[error("WeChat refuses the app, errcode {errcode}")]
    Misconfigured { errcode: i64 },
    #[error("WeChat is busy")]
    Busy,
    #[error("WeChat did not answer in time")]
    Timeout,
    #[error("WeChat cannot be reached")]
    Unavailable,
    #[error("WeChat's answer made no sense: {0}")]
    BadResponse(BadResponse),
    #[error("too much to do")]
    Overloaded,
    #[error("{0}")]
    Internal(Arc<str>),
}

impl LoginError {
    /// Whether the code may be sent again: it never reached WeChat, or WeChat asked for patience.
    pub(crate) fn leaves_code_unused(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::QuotaExhausted { .. }
                | Self::Unavailable
                | Self::NotAuthorized
                | Self::Misconfigured { .. }
        )
    }

    /// The outcome's name in metrics.
    fn outcome(&self) -> &'static str {
        match self {
            Self::CodeRejected => "code_invalid",
            Self::CodeUsed => "code_used",
            Self::UserBlocked => "user_blocked",
            Self::RateLimited { .. } => "rate_limited",
            Self::QuotaExhausted { .. } => "quota_exhausted",
            Self::NotAuthorized => "not_authorized",
            Self::Misconfigured { .. } => "misconfigured",
            Self::Busy => "upstream_busy",
            Self::Timeout => "upstream_timeout",
            Self::Unavailable => "upstream_unavailable",
            Self::BadResponse(_) => "upstream_bad_response",
            Self::Overloaded => "overloaded",
            Self::Internal(_) => "internal",
        }
    }

    fn internal(error: &dyn std::error::Error) -> Self {
        Self::Internal(error.to_string().into())
    }
}

impl From<ExchangeError> for LoginError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Timeout => Self::Timeout,
            ExchangeError::Unavailable => Self::Unavailable,
            ExchangeError::Overloaded => Self::Overloaded,
            ExchangeError::BadResponse(what) => Self::BadResponse(what),
            ExchangeError::Rejected(rejected) => match rejected.class {
                RejectedClass::Busy => Self::Busy,
                RejectedClass::CodeInvalid => Self::CodeRejected,
                RejectedClass::CodeUsed => Self::CodeUsed,
                RejectedClass::UserBlocked => Self::UserBlocked,
                RejectedClass::RateLimited => Self::RateLimited { retry_after: 60 },
                RejectedClass::QuotaExhausted => {
                    Self::QuotaExhausted { retry_after: until_midnight_in_beijing(Clock::System.now()) }
                }
                RejectedClass::NotAuthorized => Self::NotAuthorized,
                RejectedClass::Misconfigured => Self::Misconfigured { errcode: rejected.errcode },
            },
        }
    }
}

impl From<OpenSessionError> for LoginError {
    fn from(error: OpenSessionError) -> Self {
        match error {
            OpenSessionError::UserBlocked => Self::UserBlocked,
            OpenSessionError::Overloaded => Self::Overloaded,
            OpenSessionError::Storage(error) => error.into(),
        }
    }
}

impl From<StorageError> for LoginError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Busy => Self::Overloaded,
            error => Self::internal(&error),
        }
    }
}

impl From<IssueError> for LoginError {
    fn from(error: IssueError) -> Self {
        Self::internal(&error)
    }
}

/// Seconds until WeChat's daily quotas begin anew.
fn until_midnight_in_beijing(now: Timestamp) -> u32 {
    const DAY: i64 = 86_400;
    let of_day = (now.seconds() + 8 * 3_600).rem_euclid(DAY);
    u32::try_from(DAY - of_day).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_begin_anew_at_midnight_in_beijing() {
        // 2026-11-22T15:59:59Z is one second before midnight there.
        assert_eq!(until_midnight_in_beijing(Timestamp::from_millis(1_795_363_199_000)), 1);
        assert_eq!(until_midnight_in_beijing(Timestamp::from_millis(1_795_363_200_000)), 86_400);
    }
}
