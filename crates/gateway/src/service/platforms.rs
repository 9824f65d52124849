//! Third-party platforms: what WeChat pushes to them, their tokens, and the apps that authorised them.
//!
//! Source: WeChat, "Third-party platform". All that must not be lost is in the database before anything is built upon it:
//! the newest ticket, the code of an authorisation until it was exchanged, and every refresh token.

mod authorizations;
mod error;
mod events;
mod keep;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use wxgate_crypto::{Digest, Random};
use wxgate_domain::{Clock, LoginCode, Platform, TenantId, Timestamp, WechatAppid, WechatIdentity};
use wxgate_storage::{LeasedToken, Storage};
use wxgate_wechat_client::{CallError, Client, Component, ComponentLoginError, ExchangeError, IssuedToken, SecretSlot};

pub(crate) use self::error::{AuthorizationError, PlatformError, PlatformPushError};
pub(crate) use self::events::PlatformPush;
use self::tokens::Held;
use super::directory::ActiveApp;
use super::login::LoginError;

/// How long what is shared with other nodes is believed without asking the database again.
const BELIEVED: Duration = Duration::from_secs(15);

/// Platforms and tokens that are remembered at once.
const REMEMBERED: u64 = 20_000;

/// Tokens that WeChat called dead, remembered for longer than they would have lived.
const DEAD: Duration = Duration::from_hours(3);

/// Codes of authorisations that are exchanged at once as their events come.
const SETTLING: usize = 64;

/// Acts for apps that authorised a third-party platform. Clones share everything.
#[derive(Clone)]
pub(crate) struct Platforms {
    clock: Clock,
    random: Random,
    storage: Storage,
    wechat: Client,
    /// What goes on when whoever asked for it has left, and is waited for when the process stops.
    tasks: TaskTracker,
    known: Cache<WechatAppid, Arc<Platform>>,
    held: moka::future::Cache<LeasedToken, Arc<Held>>,
    dead: Cache<Digest, ()>,
    /// Fetches that failed, and until when nobody tries again.
    failed: Cache<LeasedToken, (PlatformError, Timestamp)>,
    /// Codes that events brought and that are being exchanged.
    settling: Arc<Semaphore>,
}

impl Platforms {
    /// Platforms over these rows and this WeChat.
    pub(crate) fn new((clock, random): (Clock, Random), storage: Storage, wechat: Client, tasks: TaskTracker) -> Self {
        Self {
            clock,
            random,
            storage,
            wechat,
            tasks,
            known: Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED).build(),
            held: moka::future::Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED).build(),
            dead: Cache::builder().max_capacity(REMEMBERED).time_to_live(DEAD).build(),
            failed: Cache::builder().max_capacity(REMEMBERED).time_to_live(DEAD).build(),
            settling: Arc::new(Semaphore::new(SETTLING)),
        }
    }

    /// Exchanges a login code of an app through its platform. If WeChat calls the platform's token dead, the code was not
    /// looked at, and is sent once more with another token. What WeChat answered is inside.
    ///
    /// # Errors
    /// [`LoginError`]: nothing was exchanged; [`LoginError::NotAuthorized`] if the app withdrew.
    pub(crate) async fn code_to_session(
        &self,
        app: &ActiveApp,
        platform: &WechatAppid,
        code: &LoginCode,
    ) -> Result<Result<WechatIdentity, ExchangeError>, LoginError> {
        if app.app.credential.component().is_some_and(|component| component.withdrawn_at.is_some()) {
            return Err(LoginError::NotAuthorized);
        }
        let platform = self.known(app.tenant.id(), platform).await.map_err(|error| no_token(&error))?;
        let mut tries = 0;
        loop {
            let held = self.component_token(&platform).await.map_err(|error| no_token(&error))?;
            let component = Component { appid: &platform.appid, token: &held.token };
            let exchanged = self.wechat.component_code_to_session(&component, &app.app.appid, code).await;
            match exchanged {
                Ok(identity) => return Ok(Ok(identity)),
                Err(ComponentLoginError::TokenDead(rejected)) => {
                    self.bury(&LeasedToken::Platform(platform.id), &held).await;
                    tries += 1;
                    if tries == 2 {
                        tracing::error!(wechat.appid = %platform.appid, wechat.errcode = rejected.errcode, "WeChat calls every token of this platform dead");
                        return Err(LoginError::Unavailable);
                    }
                }
                Err(ComponentLoginError::Exchange(error)) => return Ok(Err(error)),
            }
        }
    }

    /// The token for calls in the name of an app that a platform acts for.
    ///
    /// # Errors
    /// [`CallError`], as WeChat would put it.
    pub(crate) async fn issued(
        &self,
        tenant: TenantId,
        (platform, appid): (&WechatAppid, &WechatAppid),
    ) -> Result<IssuedToken, CallError> {
        let platform = self.known(tenant, platform).await?;
        let held = self.app_token(&platform, appid).await?;
        let expires_in = held.until.since(self.clock.now());
        Ok(IssuedToken { token: held.token.clone(), expires_in, slot: SecretSlot::Current })
    }

    /// Takes note that WeChat called the token of such an app dead, so that the one that is stored is not used again.
    pub(crate) fn note_dead(&self, token: Digest) {
        self.dead.insert(token, ());
    }

    /// The tenant's platform of this appid.
    async fn known(&self, tenant: TenantId, appid: &WechatAppid) -> Result<Arc<Platform>, PlatformError> {
        let known = if let Some(known) = self.known.get(appid) {
            known
        } else {
            let found = self.storage.platforms().find(appid).await?.ok_or(PlatformError::Unknown)?;
            let found = Arc::new(found);
            self.known.insert(appid.clone(), found.clone());
            found
        };
        // Nobody acts through the platform of somebody else.
        if known.tenant == tenant { Ok(known) } else { Err(PlatformError::Unknown) }
    }
}

/// Without the platform's token nothing is sent, and the code is as good as before.
fn no_token(error: &PlatformError) -> LoginError {
    match error {
        PlatformError::Call(CallError::Refused(refused)) => LoginError::Misconfigured { errcode: refused.errcode },
        PlatformError::Storage(error) => error.clone().into(),
        PlatformError::Unknown
        | PlatformError::NoTicket
        | PlatformError::NotGranted
        | PlatformError::Busy
        | PlatformError::Call(_) => LoginError::Unavailable,
    }
}
