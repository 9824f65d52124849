//! WeChat's access_token of each app: fetched once for all who need it, replaced before it ends, and once more when WeChat
//! says that it is dead. Logins by code never come here.
//!
//! Source: WeChat, "API: getStableAccessToken" and "Get access_token".

mod error;
mod holder;
mod pause;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wxgate_crypto::{Digest, Random};
use wxgate_domain::{AppId, AppSecrets, Clock, Credential, TenantId, Timestamp, TokenSource};
use wxgate_storage::{Report, Storage};
use wxgate_wechat_client::{Access, CallError, Client, IssuedToken, Refused, RefusedClass, SecretSlot, TokenMode};

use self::holder::{Follower, Holder, Lead, Standing};
use super::directory::{ActiveApp, Directory};
use super::platforms::Platforms;
use super::signed_calls;
use crate::metrics::Metrics;

pub(crate) use self::error::{ReportError, TokenCallError};
pub(crate) use self::holder::Held;

/// Apps whose tokens are held at once; the least used go first. A token that went is fetched again when it is needed.
const HELD: u64 = 20_000;

/// An app that nobody called for so long is forgotten: its token has ended.
const FORGOTTEN: Duration = Duration::from_hours(2);

/// How long a caller waits for a fetch. The client gives up on WeChat earlier.
const WAIT: Duration = Duration::from_secs(4);

/// What a fetch may take, whatever it waits for.
const BUDGET: Duration = Duration::from_secs(10);

/// How often tokens are looked at that may be due.
const EVERY: Duration = Duration::from_secs(1);

/// Fetches that a look begins at most, so that many apps that are due at once do not come over WeChat together.
const AT_ONCE: usize = 64;

/// Holds the access_tokens of all apps.
#[derive(Clone)]
pub(crate) struct AccessTokens {
    pub(super) clock: Clock,
    random: Random,
    wechat: Client,
    /// Has the tokens of apps that authorised a third-party platform.
    platforms: Platforms,
    directory: Directory,
    pub(super) storage: Storage,
    pub(super) metrics: Arc<Metrics>,
    /// Fetches under way, which outlive those who wait for them.
    tasks: TaskTracker,
    holders: Cache<(TenantId, AppId), Arc<Holder>>,
}

/// What became of a token that somebody called dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// WeChat says so too: there is another one.
    Replaced,
    /// It works.
    Alive,
    /// It is not the one in use.
    NotCurrent,
}

impl AccessTokens {
    /// Holds no token yet.
    pub(crate) fn new(
        (clock, random): (Clock, Random),
        (storage, directory): (Storage, Directory),
        (wechat, platforms): (Client, Platforms),
        metrics: Arc<Metrics>,
        tasks: TaskTracker,
    ) -> Self {
        let holders = Cache::builder().max_capacity(HELD).time_to_idle(FORGOTTEN).build();
        Self { clock, random, wechat, platforms, directory, storage, metrics, tasks, holders }
    }

    /// Makes a call with the app's token, signed and encrypted if the app has keys for that. If WeChat says that the token is
    /// dead, the call is made once more with another.
    ///
    /// Where the future must be `Send`, in a task say, `call` owns what it uses: `async move |access: Access<'_>| ...` over
    /// clones. With references captured the compiler does not see that it is.
    ///
    /// # Errors
    /// [`TokenCallError`]: there is no token to be had, or the call failed.
    pub(crate) async fn call<T>(
        &self,
        app: &Arc<ActiveApp>,
        call: impl AsyncFn(Access<'_>) -> Result<T, CallError>,
    ) -> Result<T, TokenCallError> {
        let held = self.token(app).await?;
        let mut result = self.make(app, &held, &call).await;
        if result.as_ref().is_err_and(CallError::token_is_dead) && self.bury(app, &held) {
            let held = self.token(app).await?;
            result = self.make(app, &held, &call).await;
        }
        result.map_err(|error| TokenCallError::of_call(error, self.clock.now()))
    }

    async fn make<T>(
        &self,
        app: &ActiveApp,
        held: &Held,
        call: &impl AsyncFn(Access<'_>) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let plain = Access::plain(&app.app.appid, &held.token);
        signed_calls::make(app.signed_calls.as_ref(), plain, self.clock.now(), call).await
    }

    /// The app's token: the one at hand, or the one that is being fetched.
    ///
    /// # Errors
    /// [`TokenCallError::Unavailable`].
    pub(crate) async fn token(&self, app: &Arc<ActiveApp>) -> Result<Arc<Held>, TokenCallError> {
        if app.app.credential.component().is_some_and(|component| component.withdrawn_at.is_some()) {
            // Whatever token is held, here or at another node, was taken back.
            return Err(TokenCallError::Call(Refused::not_authorized().into()));
        }
        let holder = self.holder(app);
        let follower = match holder.claim(&app.app.credential, self.clock.now()) {
            Standing::Held(held) => return Ok(held),
            Standing::Follow(follower) => follower,
            Standing::Lead(lead, follower) => {
                self.tasks.spawn(self.clone().fetch(app.clone(), lead));
                follower
            }
            Standing::Paused(wait) => return Err(TokenCallError::unavailable(wait)),
        };
        arrived(follower).await
    }

    /// Lets go of a token that WeChat called dead; whether another may be had. Whoever comes with a token that is not held
    /// any more takes the one that is.
    fn bury(&self, app: &ActiveApp, dead: &Held) -> bool {
        let buried = self.holder(app).bury(&dead.token.digest(), self.clock.now());
        self.platforms.note_dead(dead.token.digest());
        if buried {
            tracing::info!(wechat.appid = %app.app.appid, "WeChat calls the app's access_token dead; another is fetched");
        }
        buried
    }

    /// Looks into a report that the token of this digest is dead: only the present one, once a minute at all nodes together.
    /// WeChat is asked first. If it says so too, here or at another node, another token is fetched.
    ///
    /// # Errors
    /// [`ReportError`]: too soon, WeChat does not say, or there is no other token to be had.
    pub(crate) async fn look_into(&self, app: &Arc<ActiveApp>, digest: &Digest) -> Result<Verdict, ReportError> {
        let Some(held) = self.holder(app).held(digest) else { return Ok(Verdict::NotCurrent) };
        let reports = self.storage.tenant(app.tenant.id()).access_tokens();
        match reports.report(app.app.id, digest).await? {
            Report::TooSoon(left) => return Err(ReportError::TooSoon(left)),
            Report::LookInto => match self.wechat.check_token(&Access::plain(&app.app.appid, &held.token)).await {
                Ok(()) => return Ok(Verdict::Alive),
                Err(error) if error.token_is_dead() => reports.note_dead(app.app.id, digest).await?,
                Err(error) => return Err(TokenCallError::of_call(error, self.clock.now()).into()),
            },
            Report::KnownDead => {}
        }
        if !self.bury(app, &held) {
            // WeChat called it dead before, and gave it again.
            return Err(TokenCallError::still_dead().into());
        }
        self.token(app).await?;
        Ok(Verdict::Replaced)
    }

    fn holder(&self, app: &ActiveApp) -> Arc<Holder> {
        self.holders.get_with((app.tenant.id(), app.app.id), Arc::default)
    }

    /// Fetches a token, whoever still waits for it. If this dies, the lead says so.
    async fn fetch(self, app: Arc<ActiveApp>, lead: Lead) {
        let fetched = async {
            match (&app.credential, app.app.policy.access_token) {
                (Credential::AppSecret(secrets), TokenSource::Stable) => self.stable(&app, secrets).await,
                (Credential::AppSecret(secrets), TokenSource::Legacy) => {
                    self.shared(&app, secrets, lead.unwanted()).await
                }
                // The platform has it, and shares it between nodes itself.
                (Credential::Component { platform }, _) => {
                    let asked_at = self.clock.now();
                    let of = (platform, &app.app.appid);
                    self.platforms.issued(app.tenant.id(), of).await.map(|issued| self.held(issued, asked_at))
                }
            }
        };
        let fetched = tokio::time::timeout(BUDGET, fetched).await.unwrap_or(Err(CallError::Timeout));
        let now = self.clock.now();
        match fetched {
            Ok(held) => lead.settle(&held, now),
            Err(error) => {
                tell_operator(&app, &error);
                lead.fail(&error, &app.app.credential, now);
            }
        }
    }

    /// The token that is the same for all who ask. Never forced: that would take it away from them.
    async fn stable(&self, app: &ActiveApp, secrets: &AppSecrets) -> Result<Arc<Held>, CallError> {
        let asked_at = self.clock.now();
        let issued = self.wechat.stable_token(&app.app.appid, secrets, TokenMode::Normal).await?;
        self.note_slot(app, issued.slot);
        Ok(self.held(issued, asked_at))
    }

    /// A token with the moments at which it is replaced and no longer used.
    fn held(&self, issued: IssuedToken, asked_at: Timestamp) -> Arc<Held> {
        Arc::new(Held::new(issued.token, (asked_at, issued.expires_in), self.random.fraction()))
    }

    fn note_slot(&self, app: &ActiveApp, slot: SecretSlot) {
        if slot == SecretSlot::Previous {
            self.metrics.previous_secret.inc();
            tracing::warn!(wechat.appid = %app.app.appid, "WeChat accepts only the previous AppSecret of this app");
        }
    }

    /// Replaces tokens in good time, until the process stops. Only those that somebody used since they were fetched.
    pub(crate) async fn keep(self, stopping: CancellationToken) {
        let mut interval = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = interval.tick() => self.refresh_due(),
            }
        }
    }

    /// Begins to fetch the tokens that are due.
    fn refresh_due(&self) {
        let now = self.clock.now();
        let due = self.holders.iter().filter_map(|(app, holder)| Some((*app, holder.due(now)?)));
        for ((tenant, app), lead) in due.take(AT_ONCE) {
            let tokens = self.clone();
            self.tasks.spawn(async move {
                match tokens.directory.active_app_of(tenant, app).await {
                    Ok(active) => tokens.fetch(active, lead).await,
                    // Not served any more, or not to be read now: what is held goes on until its end.
                    Err(_) => lead.postpone(tokens.clock.now()),
                }
            });
        }
    }
}

/// What a fetch under way brought. Nobody waits longer than [`WAIT`], whatever became of it.
async fn arrived(follower: Follower) -> Result<Arc<Held>, TokenCallError> {
    match tokio::time::timeout(WAIT, follower.outcome()).await {
        Ok(Ok(held)) => Ok(held),
        Ok(Err(wait)) => Err(TokenCallError::unavailable(wait)),
        Err(_) => Err(TokenCallError::unavailable(EVERY)),
    }
}

/// Tells the operator what only the operator can mend, with the numbers that clients never see.
fn tell_operator(app: &ActiveApp, error: &CallError) {
    let CallError::Refused(refused) = error else { return };
    let (appid, errcode, meaning) = (&app.app.appid, refused.errcode, refused.meaning());
    let rid = refused.rid.as_ref().map_or("", |rid| rid.as_str());
    let address = refused.our_address.map(|address| address.to_string()).unwrap_or_default();
    match refused.class {
        RefusedClass::AddressRefused => {
            tracing::error!(wechat.appid = %appid, wechat.errcode = errcode, wechat.rid = rid, wechat.our_address = address, meaning, "WeChat gives no access_token of this app to our address; logins by code go on");
        }
        RefusedClass::Busy | RefusedClass::RateLimited => {}
        _ => {
            tracing::error!(wechat.appid = %appid, wechat.errcode = errcode, wechat.rid = rid, meaning, "WeChat gives no access_token of this app; logins by code may go on");
        }
    }
}

#[cfg(test)]
mod tests;
