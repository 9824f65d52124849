//! An app's way under a platform: an admin starts it, the app's own administrator agrees in WeChat, and a code comes back,
//! with the browser (our state beside it) and with WeChat's event (our pre-auth code beside it). Without either of ours
//! nothing is attached: what came is parked, and an operator decides.

use std::sync::Arc;
use std::time::Duration;

use wxgate_crypto::{Digest, Secret, encoding};
use wxgate_domain::{AdminKeyId, AdminScope, Platform, PlatformApp, PlatformAppState, WechatAppid};
use wxgate_storage::{AuthorizationRequest, BroughtBy, Grant, LeasedToken, NewAuthorizationRequest, StorageError, Tx};
use wxgate_wechat_client::{Authorization, AuthorizationPage, CallError, RefusedClass};

use super::{AuthorizationError, PlatformError, Platforms};
use crate::service::admin::{Caller, Event};

/// How long the app's administrator may take, if WeChat's pre-auth code lasts as long; and the code that comes back.
const AUTHORIZATION: Duration = Duration::from_mins(30);
const RETURN: Duration = Duration::from_mins(10);

/// Apps asked for in one page of WeChat's list, and pages that are read at most.
const PAGE: u32 = 500;
const PAGES: u32 = 20;

/// How often, and how many times, it is looked whether WeChat's event has brought what the browser brings too.
const AGAIN: Duration = Duration::from_millis(150);
const TIMES: u32 = 20;

impl Platforms {
    /// What is to be stored of an authorisation that somebody starts, and where it goes on. The addresses hold the state:
    /// whoever has them may bring an app.
    pub(crate) async fn begin(
        &self,
        platform: &Arc<Platform>,
        (actor, appid): (String, Option<WechatAppid>),
        public_url: &str,
    ) -> Result<(NewAuthorizationRequest, AuthorizationPage), PlatformError> {
        let mut again = true;
        let pre_auth = loop {
            let held = self.component_token(platform).await?;
            let result = self.wechat.pre_auth_code(&held.component(platform)).await;
            if self.was_dead(platform, &held, &result).await && std::mem::take(&mut again) {
                continue;
            }
            break result?;
        };
        let state = Secret::new(encoding::to_base64url(self.random.secret::<32>().expose()));
        let request = NewAuthorizationRequest {
            platform: platform.id,
            state: Digest::sha256(state.expose().as_bytes()),
            pre_auth_code: Digest::sha256(pre_auth.code.expose().as_bytes()),
            actor,
            appid: appid.clone(),
            expires_at: self.clock.now().plus(pre_auth.expires_in.min(AUTHORIZATION)).plus(RETURN),
        };
        let back = format!("{public_url}/wechat/platform/{}/authorized?state={}", platform.appid, state.expose());
        let page = AuthorizationPage::new(&platform.appid, &pre_auth, &Secret::new(back), appid.as_ref());
        Ok((request, page))
    }

    /// Carries out an authorisation that came back with its state, once, for the tenant of whoever started it. With `by` it
    /// must be the same admin who brings it; a browser is nobody.
    ///
    /// # Errors
    /// [`AuthorizationError`]. Whatever the app granted is kept all the same.
    pub(crate) async fn brought(
        &self,
        appid: &WechatAppid,
        (state, code): (&Secret<String>, &Secret<String>),
        by: Option<&Caller>,
    ) -> Result<WechatAppid, AuthorizationError> {
        let digest = Digest::sha256(state.expose().as_bytes());
        let request = self.storage.platforms().request(&digest).await?.ok_or(AuthorizationError::State)?;
        let platform = self.storage.platforms().find(appid).await?.map(Arc::new).ok_or(AuthorizationError::State)?;
        let is_theirs = by.is_none_or(|caller| caller.actor.to_string() == request.actor);
        let is_over = request.used_at.is_some() || request.expires_at < self.clock.now();
        if request.platform != platform.id || is_over || !is_theirs || !self.may_still(&request).await? {
            return Err(AuthorizationError::State);
        }
        if let Some(appid) = request.attached {
            return self.use_up(&platform, request.id, appid).await;
        }
        // To its end, whoever closes the page: the code may be used up with the first byte.
        let (platforms, code) = (self.clone(), code.clone());
        let task =
            self.tasks.spawn(async move { platforms.exchange_brought(&platform, request.id, digest, &code).await });
        task.await.unwrap_or(Err(AuthorizationError::Platform(PlatformError::Busy)))
    }

    async fn exchange_brought(
        &self,
        platform: &Arc<Platform>,
        request: uuid::Uuid,
        state: Digest,
        code: &Secret<String>,
    ) -> Result<WechatAppid, AuthorizationError> {
        let asked_at = self.clock.now();
        let grant = match self.exchange(platform, code).await {
            Ok(authorization) => granted(&authorization),
            Err(PlatformError::Call(CallError::Refused(refused))) if refused.class == RefusedClass::CodeInvalid => {
                // WeChat's event has brought the same code, and was quicker.
                let appid = self.attached_by_event(&state).await?.ok_or(AuthorizationError::Code)?;
                return self.use_up(platform, request, appid).await;
            }
            Err(error) => return Err(error.into()),
        };
        let tx = self.storage.begin().await?;
        let rows = tx.tenant(platform.tenant).platforms();
        let app = rows.lock_app(platform.id, &grant.appid).await?;
        // WeChat writes whole seconds.
        let withdrew = |app: &PlatformApp| app.event_at.plus(Duration::from_secs(1)) > asked_at;
        if app.filter(|app| app.state == PlatformAppState::Withdrawn).as_ref().is_some_and(withdrew) {
            return Err(AuthorizationError::Code);
        }
        let used = rows.use_request(request, &grant.appid, BroughtBy::State).await?;
        if self.conclude(tx, platform, &grant, used).await? == PlatformAppState::Attached {
            Ok(grant.appid)
        } else {
            Err(AuthorizationError::Parked)
        }
    }

    /// The state came back after WeChat's event: it counts no more.
    async fn use_up(
        &self,
        platform: &Platform,
        request: uuid::Uuid,
        appid: WechatAppid,
    ) -> Result<WechatAppid, AuthorizationError> {
        let tx = self.storage.begin().await?;
        let used = tx.tenant(platform.tenant).platforms().use_request(request, &appid, BroughtBy::State).await?;
        used.ok_or(AuthorizationError::State)?;
        tx.commit().await?;
        Ok(appid)
    }

    async fn attached_by_event(&self, state: &Digest) -> Result<Option<WechatAppid>, StorageError> {
        for _ in 0..TIMES {
            let request = self.storage.platforms().request(state).await?;
            if let Some(appid) = request.and_then(|request| request.attached) {
                return Ok(Some(appid));
            }
            tokio::time::sleep(AGAIN).await;
        }
        Ok(None)
    }

    /// Exchanges the code that an event brought, if it was not done yet. After an answer that was lost, what the app granted
    /// is found in WeChat's list.
    pub(super) async fn settle(&self, platform: &Arc<Platform>, appid: &WechatAppid) -> Result<(), PlatformError> {
        let pending = self.storage.tenant(platform.tenant).platforms().code(platform.id, appid).await?;
        let Some(pending) = pending else { return Ok(()) };
        let grant = match self.exchange(platform, &pending.code).await {
            Ok(authorization) if authorization.appid == *appid => Some(granted(&authorization)),
            Ok(_) => None,
            Err(PlatformError::Call(CallError::Refused(refused))) if refused.class == RefusedClass::CodeInvalid => {
                self.listed(platform, appid).await?
            }
            Err(error) => return Err(error),
        };
        let tx = self.storage.begin().await?;
        let rows = tx.tenant(platform.tenant).platforms();
        let app = rows.lock_app(platform.id, appid).await?;
        if app.is_none_or(|app| app.event_at != pending.at || !app.is_pending) {
            // WeChat wrote something newer meanwhile, a withdrawal say: that counts.
            return Ok(());
        }
        let Some(grant) = grant else {
            tracing::error!(wechat.platform = %platform.appid, wechat.appid = %appid, "the code of an authorisation came to nothing: the app must authorise the platform again");
            rows.drop_code(platform.id, appid).await?;
            return Ok(tx.commit().await?);
        };
        let request = match pending.request {
            Some(request) => rows.use_request(request, appid, BroughtBy::Event).await?,
            None => None,
        };
        self.conclude(tx, platform, &grant, request).await.map(drop)
    }

    /// Keeps what an app granted, and attaches the app if an admin's request was used up for that: all of it or nothing.
    async fn conclude(
        &self,
        tx: Tx,
        platform: &Platform,
        grant: &Grant,
        request: Option<AuthorizationRequest>,
    ) -> Result<PlatformAppState, PlatformError> {
        let scope = tx.tenant(platform.tenant);
        let attached = match &request {
            Some(_) => match scope.apps().attach(&grant.appid, &platform.appid).await {
                Ok(_) => true,
                Err(StorageError::NotUnique { constraint }) => {
                    tracing::warn!(wechat.platform = %platform.appid, wechat.appid = %grant.appid, constraint, "an app that authorised a platform is another tenant's; it is parked");
                    false
                }
                Err(error) => return Err(error.into()),
            },
            None => false,
        };
        let app = scope.platforms().grant(platform.id, grant, attached).await?;
        let action = match (attached, app.state) {
            (true, _) => "platform.attach",
            (false, PlatformAppState::Attached) => "platform.renew",
            (false, _) => "platform.park",
        };
        let mut entry = Event::of(platform.tenant, action, &grant.appid).entry(&Caller::system());
        if let Some(request) = request.filter(|_| attached) {
            entry.actor = request.actor;
        }
        tx.audit(Some(platform.tenant)).record(&entry).await?;
        tx.commit().await?;
        self.held.invalidate(&LeasedToken::App(platform.id, grant.appid.clone())).await;
        tracing::info!(wechat.platform = %platform.appid, wechat.appid = %grant.appid, action, "an app authorised a third-party platform");
        Ok(app.state)
    }

    async fn exchange(&self, platform: &Arc<Platform>, code: &Secret<String>) -> Result<Authorization, PlatformError> {
        let mut again = true;
        loop {
            let held = self.component_token(platform).await?;
            let result = self.wechat.query_auth(&held.component(platform), code).await;
            if self.was_dead(platform, &held, &result).await && std::mem::take(&mut again) {
                continue;
            }
            return Ok(result?);
        }
    }

    /// What WeChat's list of authorised apps says of one: its refresh token.
    pub(super) async fn listed(
        &self,
        platform: &Arc<Platform>,
        appid: &WechatAppid,
    ) -> Result<Option<Grant>, PlatformError> {
        for page in 0..PAGES {
            let held = self.component_token(platform).await?;
            let list = self.wechat.authorizer_list(&held.component(platform), page * PAGE, PAGE).await?;
            let (apps, total) = list;
            if let Some((appid, refresh_token)) = apps.into_iter().find(|(listed, _)| listed == appid) {
                let refresh_token = Secret::new(refresh_token.expose().to_owned());
                return Ok(Some(Grant { appid, refresh_token, token: None, permissions: None }));
            }
            if u64::from((page + 1) * PAGE) >= total {
                break;
            }
        }
        Ok(None)
    }

    /// Whether whoever started it may still do so.
    async fn may_still(&self, request: &AuthorizationRequest) -> Result<bool, StorageError> {
        // Whoever sits at the machine with the master key stays who they are.
        let Some(key) = request.actor.strip_prefix("key:") else { return Ok(true) };
        let Ok(id) = key.parse::<AdminKeyId>() else { return Ok(false) };
        let Some((key, _)) = self.storage.admin_keys().find(id).await? else { return Ok(false) };
        let sees = key.tenant.is_none_or(|tenant| tenant == request.tenant);
        Ok(sees && key.is_valid_at(self.clock.now()) && key.scopes.allow(AdminScope::Write))
    }
}

/// What is kept of an answer of WeChat's.
fn granted(authorization: &Authorization) -> Grant {
    let token = Secret::new(authorization.token.token.expose().to_owned());
    Grant {
        appid: authorization.appid.clone(),
        refresh_token: Secret::new(authorization.refresh_token.expose().to_owned()),
        token: Some((token, authorization.token.expires_in)),
        permissions: Some(authorization.permissions.clone()),
    }
}

/// Says how the exchange of a code that nobody waits for went wrong. It is tried again.
pub(super) fn tell(platform: &Platform, appid: &WechatAppid, error: Option<&PlatformError>) {
    let Some(error) = error else { return };
    tracing::warn!(wechat.platform = %platform.appid, wechat.appid = %appid, error.source = %error, "the code of an authorisation could not be exchanged yet");
}
