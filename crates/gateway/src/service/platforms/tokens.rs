//! A platform's tokens and those of its apps: used from memory, shared through the database, fetched by one node at a time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use uuid::Uuid;
use wxgate_crypto::Secret;
use wxgate_domain::{Platform, TenantId, Timestamp, WechatAppid};
use wxgate_storage::{LeasedToken, NextToken, StoredToken};
use wxgate_wechat_client::{AccessToken, CallError, Component, LastingToken, RefreshToken, RefusedClass};

use super::{PlatformError, Platforms};

/// A token that lives no longer than this is not used any more.
const LEAST: Duration = Duration::from_secs(30);

/// Tokens are replaced so long before their end: at 1 h 50 min of their two hours.
pub(super) const EARLY: Duration = Duration::from_mins(10);

/// How often, and how many times, it is looked whether another node has fetched what it is fetching.
const AGAIN: Duration = Duration::from_millis(100);
const TIMES: u32 = 30;

/// How long nobody fetches after a failure that says nothing of time.
const PAUSE: Duration = Duration::from_secs(2);

/// A token in memory.
#[derive(Debug)]
pub(crate) struct Held {
    pub(super) token: AccessToken,
    /// The end of its life.
    pub(super) until: Timestamp,
}

/// An app's next token, and the refresh token to keep, if there is another one.
type NewToken = (LastingToken, Option<Secret<String>>);

impl Held {
    /// The platform whose token this is, for a call.
    pub(super) fn component<'a>(&'a self, platform: &'a Platform) -> Component<'a> {
        Component { appid: &platform.appid, token: &self.token }
    }
}

impl Platforms {
    /// The platform's own token.
    pub(super) async fn component_token(&self, platform: &Arc<Platform>) -> Result<Arc<Held>, PlatformError> {
        self.token(platform, LeasedToken::Platform(platform.id)).await
    }

    /// The token of an app under the platform.
    pub(super) async fn app_token(
        &self,
        platform: &Arc<Platform>,
        appid: &WechatAppid,
    ) -> Result<Arc<Held>, PlatformError> {
        self.token(platform, LeasedToken::App(platform.id, appid.clone())).await
    }

    /// Whether a call with this token is worth another try with the next one: WeChat called the token dead, and it is let go.
    pub(super) async fn was_dead<T>(&self, platform: &Platform, held: &Held, result: &Result<T, CallError>) -> bool {
        let is_dead = result.as_ref().is_err_and(CallError::token_is_dead);
        if is_dead {
            self.bury(&LeasedToken::Platform(platform.id), held).await;
        }
        is_dead
    }

    /// Lets go of a token that WeChat called dead.
    pub(super) async fn bury(&self, of: &LeasedToken, held: &Held) {
        self.dead.insert(held.token.digest(), ());
        self.held.invalidate(of).await;
    }

    /// Fetches the next token if the present one ends soon, and says why if that failed.
    pub(super) async fn renew(&self, platform: Arc<Platform>, of: LeasedToken) -> Result<(), PlatformError> {
        let next = self.obtain(platform, of.clone(), EARLY).await?;
        self.held.insert(of, next).await;
        Ok(())
    }

    async fn token(&self, platform: &Arc<Platform>, of: LeasedToken) -> Result<Arc<Held>, PlatformError> {
        if let Some(held) = self.held.get(&of).await {
            if self.lives(&held, LEAST) {
                return Ok(held);
            }
            self.held.invalidate(&of).await;
        }
        // What was begun is brought to its end, whoever leaves: WeChat may have answered already.
        let (platforms, platform, leased) = (self.clone(), platform.clone(), of.clone());
        let obtained = async {
            let task = self.tasks.spawn(async move { platforms.obtain(platform, leased, LEAST).await });
            task.await.unwrap_or(Err(PlatformError::Busy))
        };
        let held = Box::pin(self.held.try_get_with(of, obtained)).await;
        held.map_err(|error: Arc<PlatformError>| error.as_ref().clone())
    }

    fn lives(&self, held: &Held, least: Duration) -> bool {
        held.until > self.clock.now().plus(least) && !self.dead.contains_key(&held.token.digest())
    }

    /// The stored token if it lives for `least` more, else the next one: fetched here, or by another node.
    async fn obtain(
        &self,
        platform: Arc<Platform>,
        of: LeasedToken,
        least: Duration,
    ) -> Result<Arc<Held>, PlatformError> {
        for _ in 0..TIMES {
            let stored = self.stored(platform.tenant, &of).await?;
            if let Some(held) = self.living(&stored, least) {
                return Ok(held);
            }
            if let Some((error, until)) = self.failed.get(&of)
                && self.clock.now() < until
            {
                return Err(error);
            }
            let owner = Uuid::from_bytes(self.random.bytes());
            if self.storage.tenant(platform.tenant).platforms().lease(&of, owner).await? {
                if let Some(held) = self.leased(&platform, &of, (owner, least)).await? {
                    return Ok(held);
                }
                continue;
            }
            tokio::time::sleep(AGAIN).await;
        }
        Err(PlatformError::Busy)
    }

    /// Fetches the next token under a lease. `None` if somebody else had the lease in the end.
    async fn leased(
        &self,
        platform: &Arc<Platform>,
        of: &LeasedToken,
        (owner, least): (Uuid, Duration),
    ) -> Result<Option<Arc<Held>>, PlatformError> {
        let rows = self.storage.tenant(platform.tenant).platforms();
        // Another node may have stored one between our look and our lease.
        let stored = self.stored(platform.tenant, of).await?;
        if let Some(held) = self.living(&stored, least) {
            rows.release(of, owner).await?;
            return Ok(Some(held));
        }
        let asked_at = self.clock.now();
        match self.fetch(platform, of, stored).await {
            Ok((next, refresh_token)) => {
                let until = asked_at.plus(next.expires_in);
                let token = Secret::new(next.token.expose().to_owned());
                let stored = NextToken { token: &token, expires_at: until, refresh_token: refresh_token.as_ref() };
                let kept = rows.keep_token(of, owner, &stored).await?;
                Ok(kept.then(|| Arc::new(Held { token: next.token, until })))
            }
            Err(error) => {
                self.failed.insert(of.clone(), (error.clone(), self.clock.now().plus(pause(&error))));
                tell_operator(platform, of, &error);
                rows.release(of, owner).await?;
                Err(error)
            }
        }
    }

    async fn fetch(
        &self,
        platform: &Arc<Platform>,
        of: &LeasedToken,
        stored: StoredToken,
    ) -> Result<(LastingToken, Option<Secret<String>>), PlatformError> {
        match of {
            LeasedToken::Platform(id) => {
                let (secret, ticket) = self.storage.tenant(platform.tenant).platforms().secrets(*id).await?;
                let ticket = ticket.ok_or(PlatformError::NoTicket)?;
                Ok((self.wechat.component_token(&platform.appid, &secret, &ticket).await?, None))
            }
            LeasedToken::App(_, appid) => {
                let refresh_token = stored.refresh_token.ok_or(PlatformError::NotGranted)?;
                self.fetch_for_app(platform, appid, refresh_token).await
            }
        }
    }

    /// On the heap: it asks for the platform's own token, which is fetched by the same way.
    fn fetch_for_app<'a>(
        &'a self,
        platform: &'a Arc<Platform>,
        appid: &'a WechatAppid,
        refresh_token: Secret<String>,
    ) -> BoxFuture<'a, Result<NewToken, PlatformError>> {
        Box::pin(async move {
            let mut refresh_token = RefreshToken::parse(refresh_token.expose()).ok_or(PlatformError::NotGranted)?;
            let (mut again, mut look) = (true, true);
            loop {
                let held = self.component_token(platform).await?;
                let component = held.component(platform);
                let result = self.wechat.authorizer_token(&component, appid, &refresh_token).await;
                if self.was_dead(platform, &held, &result).await && std::mem::take(&mut again) {
                    continue;
                }
                let is_unknown = matches!(&result, Err(CallError::Refused(refused)) if refused.is_of_refresh_token());
                if is_unknown && std::mem::take(&mut look) {
                    // WeChat gave another one, and the answer was lost before it was kept.
                    let listed = self.listed(platform, appid).await?;
                    let listed = listed.and_then(|grant| RefreshToken::parse(grant.refresh_token.expose()));
                    if let Some(listed) = listed.filter(|listed| listed.expose() != refresh_token.expose()) {
                        refresh_token = listed;
                        continue;
                    }
                }
                let (token, next) = result?;
                return Ok((token, Some(Secret::new(next.expose().to_owned()))));
            }
        })
    }

    async fn stored(&self, tenant: TenantId, of: &LeasedToken) -> Result<StoredToken, PlatformError> {
        let stored = self.storage.tenant(tenant).platforms().token(of).await;
        stored.map_err(|error| match (error, of) {
            (wxgate_storage::StorageError::NotFound, LeasedToken::App(..)) => PlatformError::NotGranted,
            (wxgate_storage::StorageError::NotFound, LeasedToken::Platform(_)) => PlatformError::Unknown,
            (error, _) => error.into(),
        })
    }

    fn living(&self, stored: &StoredToken, least: Duration) -> Option<Arc<Held>> {
        let (token, until) = stored.token.as_ref()?;
        let held = Held { token: AccessToken::parse(token.expose().clone())?, until: *until };
        self.lives(&held, least).then(|| Arc::new(held))
    }
}

/// How long nobody tries again.
fn pause(error: &PlatformError) -> Duration {
    match error {
        PlatformError::Call(CallError::Refused(refused)) => refused.back_off().unwrap_or(PAUSE),
        _ => PAUSE,
    }
}

/// Tells the operator what only the operator can mend.
fn tell_operator(platform: &Platform, of: &LeasedToken, error: &PlatformError) {
    let app = if let LeasedToken::App(_, appid) = of { appid.as_str() } else { "" };
    match error {
        PlatformError::Call(CallError::Refused(refused)) if refused.class != RefusedClass::Busy => {
            let (errcode, meaning) = (refused.errcode, refused.meaning());
            tracing::error!(wechat.platform = %platform.appid, wechat.appid = app, wechat.errcode = errcode, meaning, "WeChat refuses this platform a token");
        }
        error => {
            tracing::warn!(wechat.platform = %platform.appid, wechat.appid = app, error.source = %error, "a platform's token could not be fetched");
        }
    }
}
