//! A login: one code, one exchange with WeChat, one session, tokens.

mod error;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio_util::task::TaskTracker;
use wxgate_crypto::Digest;
use wxgate_crypto::user_data::Failure;
use wxgate_domain::{
    Clock, Credential, LoginCode, MergePolicy, NewSession, OpenId, OpenedSession, SecretFingerprint, SessionId,
    TenantId, UserId, WechatAppid, WechatIdentity,
};
use wxgate_storage::{Storage, StorageError};
use wxgate_wechat_client::{Client, ExchangeError, PhoneCode, RejectedClass, SecretSlot};

use super::codes::{Admission, Codes, Lead, Outcome};
use super::directory::ActiveApp;
use super::limits::{Counted, Limits};
use super::merge;
use super::phone::{CodeError, Given, PhoneError, Phones, Terms};
use super::platforms::Platforms;
use super::tokens::{Issued, Tokens, Turn};
use super::user_data::{UserData, UserDataRequest};
use crate::metrics::Metrics;

pub(crate) use error::LoginError;

/// What a whole exchange may take: a second in the queue, two with WeChat, a second to commit, and one to spare.
const BUDGET: Duration = Duration::from_secs(5);

/// Logs users in. Shared as one, for each exchange holds it.
pub(crate) struct Logins {
    pub(crate) clock: Clock,
    pub(crate) storage: Storage,
    pub(crate) wechat: Client,
    /// Logs in the users of apps that authorised a third-party platform.
    pub(crate) platforms: Platforms,
    pub(crate) codes: Arc<Codes>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) tokens: Tokens,
    pub(crate) user_data: UserData,
    pub(crate) phones: Phones,
    pub(crate) metrics: Arc<Metrics>,
    /// The exchanges under way, which outlive their connections and are waited for when the process stops.
    pub(crate) tasks: TaskTracker,
}

/// One request to log in.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) code: LoginCode,
    /// Digest of method, path and body: only an identical request may share another's answer.
    pub(crate) request: Digest,
    /// Network and user agent, which make a repeated request the same client's.
    pub(crate) client: Digest,
    /// What address limits count.
    pub(crate) address: IpAddr,
    /// Digest of an Idempotency-Key.
    pub(crate) idempotency_key: Option<Digest>,
    pub(crate) purpose: Purpose,
}

/// What a code is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Log in.
    Login,
    /// Prove to this session that it is still its user who asks: the code must be this account's.
    StepUp { openid: OpenId, session: SessionId },
    /// Prove to this session that another account is its user's too. It becomes theirs if it is nobody's yet, where one is
    /// named.
    OtherAccount { link_to: Option<UserId>, session: SessionId },
}

/// A login that succeeded.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) session: Arc<OpenedSession>,
    pub(crate) tokens: Issued,
    /// The decrypted data, if some was sent.
    pub(crate) user_data: Option<Result<Map<String, Value>, Failure>>,
    /// What became of the phone code, if one was sent.
    pub(crate) phone: Option<Result<Given, PhoneError>>,
}

impl Logins {
    /// Logs in whoever owns the code. A valid code always opens a session; the user data answers for itself.
    pub(crate) async fn login(
        self: &Arc<Self>,
        app: &Arc<ActiveApp>,
        attempt: Attempt,
        data: Option<UserDataRequest>,
    ) -> Result<Login, LoginError> {
        self.login_with_phone(app, attempt, data, None).await
    }

    /// The same with what the phone button gave, which answers for itself too.
    pub(crate) async fn login_with_phone(
        self: &Arc<Self>,
        app: &Arc<ActiveApp>,
        attempt: Attempt,
        data: Option<UserDataRequest>,
        phone_code: Option<&str>,
    ) -> Result<Login, LoginError> {
        let login = self.answered(app, attempt, data, phone_code).await;
        self.metrics.login(login.as_ref().err().map_or("success", LoginError::outcome));
        login
    }

    async fn answered(
        self: &Arc<Self>,
        app: &Arc<ActiveApp>,
        attempt: Attempt,
        data: Option<UserDataRequest>,
        phone_code: Option<&str>,
    ) -> Result<Login, LoginError> {
        let mut session = self.session(app, attempt).await?;
        // On the heap, here and below, is what few logins do: the future of every login need not have room for it.
        let user_data = match data {
            Some(data) => Some(Box::pin(self.user_data.open(app, &mut session, &data)).await?),
            None => None,
        };
        let phone = match phone_code {
            Some(code) => Some(Box::pin(self.phone(app, &mut session, code)).await),
            None => None,
        };
        let tokens = self.tokens.issue(app, Turn::first(&session, app), None, self.clock.now()).await?;
        Ok(Login { session, tokens, user_data, phone })
    }

    /// Binds the number of a phone code. The login's own code proves that it is the user who asks.
    async fn phone(
        &self,
        app: &Arc<ActiveApp>,
        session: &mut Arc<OpenedSession>,
        code: &str,
    ) -> Result<Given, PhoneError> {
        let code = PhoneCode::parse(code).ok_or(CodeError::Rejected)?;
        let given = self.phones.bind_code(app, session, &code, Terms { stepped_up: true, moves: false }).await?;
        Arc::make_mut(session).phone = Some(given.phone.clone());
        Ok(given)
    }

    /// The session of this code: opened now, being opened by a twin of this request, or opened a moment ago. Only for
    /// requests: the exchange is a task of the thread that serves HTTP, which is woken once for a whole batch.
    pub(crate) async fn session(self: &Arc<Self>, app: &Arc<ActiveApp>, attempt: Attempt) -> Outcome {
        match self.codes.admit(app.tenant.id(), app.app.id, &attempt, self.clock.now()) {
            Admission::Lead(lead) => {
                let wait = lead.follow();
                match self.limits.app(&app.app, attempt.address) {
                    Ok(counted) => {
                        self.tasks.spawn_local(self.clone().exchange(app.clone(), attempt, lead, counted));
                    }
                    Err(wait) => lead.release(LoginError::RateLimited { retry_after: wait.0 }),
                }
                wait.outcome().await
            }
            Admission::Follow(wait) => wait.outcome().await,
            Admission::Replay(session) => {
                let session = Box::pin(self.storage.tenant(app.tenant.id()).replay_session(session)).await?;
                session.map(Arc::new).ok_or(LoginError::CodeUsed)
            }
            Admission::Refused(error) => Err(error),
            Admission::Used => Err(LoginError::CodeUsed),
            Admission::Full => Err(LoginError::Overloaded),
        }
    }

    /// Runs to its end whoever still listens: WeChat consumes the code at the first byte of the exchange.
    async fn exchange(self: Arc<Self>, app: Arc<ActiveApp>, attempt: Attempt, lead: Lead, counted: Counted) {
        let opened = tokio::time::timeout(BUDGET, self.open(&app, &attempt)).await;
        let outcome = opened.unwrap_or(Err(LoginError::Timeout)).map(Arc::new);
        counted.judge(outcome.as_ref().err());
        lead.settle(outcome, self.clock.now());
    }

    /// The login itself: network first, then one group-committed write.
    async fn open(&self, app: &ActiveApp, attempt: &Attempt) -> Result<OpenedSession, LoginError> {
        let identity = self.identity(app, &attempt.code).await?;
        if let Purpose::StepUp { openid, .. } = &attempt.purpose
            && *openid != identity.openid
        {
            return Err(LoginError::OtherUser);
        }
        let makes_nobody = matches!(attempt.purpose, Purpose::OtherAccount { link_to: None, .. });
        if makes_nobody && !self.is_somebodys(app, &identity).await? {
            return Err(LoginError::OtherUser);
        }
        self.limits
            .openid(&app.app, &identity.openid)
            .map_err(|wait| LoginError::TooManySessions { retry_after: wait.0 })?;
        let mut new = NewSession::of(&app.app, &app.tenant.tenant, identity, self.clock.now());
        new.is_proof = attempt.purpose != Purpose::Login;
        if let Purpose::OtherAccount { link_to, .. } = attempt.purpose {
            new.link_to = link_to;
        }
        let opened = self.storage.tenant(app.tenant.id()).open_session(new).await?;
        match app.tenant.tenant.policy.merge {
            // Who proves who they are is not made somebody else by that.
            _ if attempt.purpose != Purpose::Login => Ok(opened),
            MergePolicy::Oldest => Ok(Box::pin(merge::join_oldest(&self.storage, app.tenant.id(), opened)).await),
            MergePolicy::Manual => Ok(opened),
        }
    }

    /// Whether a user has this account, or another one with its unionid.
    async fn is_somebodys(&self, app: &ActiveApp, identity: &WechatIdentity) -> Result<bool, StorageError> {
        let users = self.storage.tenant(app.tenant.id()).users();
        if users.of_openid(&app.app.appid, &identity.openid).await?.is_some() {
            return Ok(true);
        }
        match &identity.unionid {
            Some(unionid) => Ok(!users.of_unionid(unionid).await?.is_empty()),
            None => Ok(false),
        }
    }

    /// Who owns the code, as WeChat says.
    async fn identity(&self, app: &ActiveApp, code: &LoginCode) -> Result<WechatIdentity, LoginError> {
        let identity = match &app.credential {
            Credential::AppSecret(secrets) => {
                let exchanged = self.wechat.code_to_session(&app.app.appid, secrets, code).await;
                exchanged.map(|exchanged| {
                    self.note_secret(app, exchanged.slot);
                    exchanged.identity
                })
            }
            Credential::Component { platform } => Box::pin(self.platforms.code_to_session(app, platform, code)).await?,
        };
        let identity = identity.inspect_err(|error| tell_operator(app, error));
        identity.map_err(|error| LoginError::of_exchange(error, self.clock.now()))
    }
}

impl Logins {
    /// Notes what the exchange says about the app's secret, beside the login and only where it is news.
    fn note_secret(&self, app: &ActiveApp, slot: SecretSlot) {
        let Some(secret) = app.app.credential.secret() else { return };
        let is_accepted = slot == SecretSlot::Current;
        if !is_accepted {
            self.metrics.previous_secret.inc();
            tracing::warn!(wechat.appid = %app.app.appid, "WeChat accepts only the previous AppSecret of this app");
        }
        if secret.state.replaced(is_accepted) == secret.state || app.secret_noted.swap(true, Ordering::Relaxed) {
            return;
        }
        let (storage, tenant, appid) = (self.storage.clone(), app.tenant.id(), app.app.appid.clone());
        let seen = secret.fingerprint.clone();
        self.tasks.spawn(async move {
            if let Err(error) = note_secret(&storage, tenant, &appid, &seen, is_accepted).await {
                tracing::warn!(wechat.appid = %appid, error.source = %error, "what WeChat said about an AppSecret was not noted; a later login will say it again");
            }
        });
    }
}

async fn note_secret(
    storage: &Storage,
    tenant: TenantId,
    appid: &WechatAppid,
    seen: &SecretFingerprint,
    is_accepted: bool,
) -> Result<(), StorageError> {
    let tx = storage.begin().await?;
    tx.tenant(tenant).apps().note_secret(appid, seen, is_accepted).await?;
    tx.commit().await
}

/// Tells the operator what only the operator can mend, with the numbers that clients never see.
fn tell_operator(app: &ActiveApp, error: &ExchangeError) {
    let ExchangeError::Rejected(rejected) = error else { return };
    let (appid, errcode) = (&app.app.appid, rejected.errcode);
    let rid = rejected.rid.as_ref().map_or("", |rid| rid.as_str());
    if rejected.class == RejectedClass::Misconfigured {
        let meaning = rejected.meaning();
        tracing::error!(wechat.appid = %appid, wechat.errcode = errcode, wechat.rid = rid, meaning, "WeChat refuses this app");
    } else if rejected.is_mock_code {
        tracing::warn!(wechat.appid = %appid, wechat.errcode = errcode, "a mock code of the developer tools was sent; log in there with a real appid");
    }
}
