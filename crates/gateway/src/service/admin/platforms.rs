//! Third-party platforms.

use std::sync::Arc;

use serde::Serialize;
use wxgate_crypto::Secret;
use wxgate_crypto::push::{EncodingAesKey, PushKeys, PushToken};
use wxgate_domain::{AppSecret, Platform, PlatformApp, Tenant, Timestamp, WechatAppid};
use wxgate_storage::{NewPlatform, PushRenewal, StorageError};
use wxgate_wechat_client::{AuthorizationPage, CallError};

use super::{Admin, AdminError, Event, checked, taken};
use crate::operation::secret_text::SecretText;
use crate::service::platforms::{AuthorizationError, PlatformError};

/// A platform to be added.
#[derive(Debug)]
pub(crate) struct PlatformToAdd<'a> {
    pub(crate) appid: WechatAppid,
    pub(crate) name: String,
    pub(crate) secret: AppSecret,
    /// Made if `None`.
    pub(crate) push_token: Option<&'a SecretText>,
    /// Made if `None`.
    pub(crate) aes_key: Option<&'a SecretText>,
}

impl Admin {
    /// The platform of this appid, if it exists for the caller.
    pub(crate) async fn platform(&self, named: &WechatAppid) -> Result<(Tenant, Platform), AdminError> {
        let found = self.storage.platforms().find(named).await?;
        let found = found.filter(|platform| self.caller.sees(platform.tenant));
        let platform = found.ok_or_else(|| AdminError::NoPlatform(named.clone()))?;
        let tenant = match self.storage.tenants().slug(platform.tenant).await? {
            Some(slug) => self.storage.tenants().find(&slug).await?,
            None => None,
        };
        let tenant = tenant.ok_or_else(|| AdminError::NoPlatform(named.clone()))?;
        Ok((tenant, platform))
    }

    /// Adds a platform, and tells the keys of its pushes once, by what `told` says.
    pub(crate) async fn add_platform<R: Serialize>(
        &self,
        tenant: &Tenant,
        add: PlatformToAdd<'_>,
        told: impl FnOnce(Platform, PushKeys) -> R,
    ) -> Result<R, AdminError> {
        // WeChat is not asked whose it is, so nobody takes another tenant's name by themselves.
        self.caller.must_be_operator()?;
        let PlatformToAdd { appid, name, secret, push_token, aes_key } = add;
        let name = checked(name)?;
        let token = match push_token {
            Some(given) => given.push_token()?,
            None => PushToken::generate(&self.random),
        };
        let current = match aes_key {
            Some(given) => given.aes_key()?,
            None => EncodingAesKey::generate(&self.random),
        };
        let keys = PushKeys { token: token.clone(), previous_token: None, current: current.clone(), previous: None };
        let new = NewPlatform { appid: appid.clone(), name, secret, push_token: token, aes_key: current };
        let tx = self.storage.begin().await?;
        let platform = tx.tenant(tenant.id).platforms().add(new).await;
        let platform = platform.map_err(|error| taken(error, AdminError::PlatformTaken(appid)))?;
        let event = Event::of(tenant.id, "platform.create", &platform.appid);
        self.commit_told(tx, event, told(platform, keys)).await
    }

    /// Takes another secret of a platform. Its token lives on. `still` gets it as it is, locked, and may refuse.
    pub(crate) async fn set_platform_secret(
        &self,
        (tenant, platform): &(Tenant, Platform),
        secret: &AppSecret,
        still: impl FnOnce(Platform) -> Result<(), AdminError>,
    ) -> Result<Platform, AdminError> {
        let tx = self.storage.begin().await?;
        let platforms = tx.tenant(tenant.id).platforms();
        still(platforms.current(&platform.appid).await?)?;
        let platform = platforms.set_secret(&platform.appid, secret).await?;
        self.commit(tx, Event::of(tenant.id, "platform.rotate-secret", &platform.appid)).await?;
        Ok(platform)
    }

    /// Renews the Token of a platform's pushes, its EncodingAESKey or both, and keeps those before beside them.
    pub(crate) async fn rotate_platform_push(
        &self,
        (tenant, platform): &(Tenant, Platform),
        renewal: PushRenewal,
    ) -> Result<(Platform, PushKeys), AdminError> {
        let tx = self.storage.begin().await?;
        let rotated = tx.tenant(tenant.id).platforms().renew_push(&platform.appid, renewal).await?;
        self.commit(tx, Event::of(tenant.id, "platform.rotate-push", &platform.appid)).await?;
        Ok(rotated)
    }

    /// Forgets the Token and the EncodingAESKey before.
    pub(crate) async fn finish_platform_push(
        &self,
        (tenant, platform): &(Tenant, Platform),
    ) -> Result<Platform, AdminError> {
        let tx = self.storage.begin().await?;
        let platform = tx.tenant(tenant.id).platforms().forget_previous_push(&platform.appid).await?;
        self.commit(tx, Event::of(tenant.id, "platform.finish-push", &platform.appid)).await?;
        Ok(platform)
    }

    /// Removes a platform that acts for no app, unless `still` refuses, as above.
    pub(crate) async fn remove_platform(
        &self,
        (tenant, platform): &(Tenant, Platform),
        still: impl FnOnce(Platform) -> Result<(), AdminError>,
    ) -> Result<(), AdminError> {
        let tx = self.storage.begin().await?;
        let platforms = tx.tenant(tenant.id).platforms();
        still(platforms.current(&platform.appid).await?)?;
        let acted_for = platforms.remove(&platform.appid).await?;
        if !acted_for.is_empty() {
            let apps = acted_for.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(AdminError::PlatformInUse(platform.appid.clone(), apps));
        }
        self.commit(tx, Event::of(tenant.id, "platform.remove", &platform.appid)).await
    }

    /// Has WeChat push tickets again.
    pub(crate) async fn start_tickets(&self, platform: &Platform) -> Result<(), AdminError> {
        let (secret, _) = self.storage.tenant(platform.tenant).platforms().secrets(platform.id).await?;
        let started = self.wechat.start_tickets(&platform.appid, &secret).await;
        started.map_err(|error| AdminError::platform(&platform.appid, error.into()))?;
        let tx = self.storage.begin().await?;
        self.commit(tx, Event::of(platform.tenant, "platform.start-tickets", &platform.appid)).await
    }

    /// Starts an authorisation: where it goes on, and until when it may come back.
    pub(crate) async fn start_authorization(
        &self,
        (tenant, platform): &(Tenant, Platform),
        app: Option<WechatAppid>,
    ) -> Result<(AuthorizationPage, Timestamp), AdminError> {
        let by = (self.caller.actor.to_string(), app);
        let begun = self.platforms.begin(&Arc::new(platform.clone()), by, &self.public_url).await;
        let (request, links) = begun.map_err(|error| AdminError::platform(&platform.appid, error))?;
        let tx = self.storage.begin().await?;
        match tx.tenant(tenant.id).platforms().request(&request).await {
            Ok(()) => {}
            Err(StorageError::Full { .. }) => return Err(AdminError::TooManyAuthorizations),
            Err(error) => return Err(error.into()),
        }
        self.commit(tx, Event::of(tenant.id, "platform.authorize", &platform.appid)).await?;
        Ok((links, request.expires_at))
    }

    /// Carries out an authorisation that the caller started.
    pub(crate) async fn finish_authorization(
        &self,
        platform: &Platform,
        state: Secret<String>,
        code: Secret<String>,
    ) -> Result<WechatAppid, AdminError> {
        let brought = self.platforms.brought(&platform.appid, (&state, &code), Some(&self.caller)).await;
        match brought {
            Ok(appid) => Ok(appid),
            Err(AuthorizationError::Platform(error)) => Err(AdminError::platform(&platform.appid, error)),
            Err(error) => Err(AdminError::Authorization(error)),
        }
    }

    /// Has a platform act for an app that is parked. The operator answers for whose it is.
    pub(crate) async fn attach_platform_app(
        &self,
        (tenant, platform): &(Tenant, Platform),
        appid: &WechatAppid,
    ) -> Result<PlatformApp, AdminError> {
        let missing = || AdminError::NoPlatformApp(platform.appid.clone(), appid.clone());
        let tx = self.storage.begin().await?;
        let scope = tx.tenant(tenant.id);
        match scope.platforms().unpark(platform.id, appid).await {
            Ok(()) => {}
            Err(StorageError::NotFound) => return Err(missing()),
            Err(error) => return Err(error.into()),
        }
        let attached = scope.apps().attach(appid, &platform.appid).await;
        attached.map_err(|error| taken(error, AdminError::AppTaken(appid.clone())))?;
        self.commit(tx, Event::of(tenant.id, "platform.attach", appid)).await?;
        self.storage.tenant(tenant.id).platforms().app(platform.id, appid).await?.ok_or_else(missing)
    }
}

impl AdminError {
    /// What kept a platform from acting.
    fn platform(platform: &WechatAppid, error: PlatformError) -> Self {
        match error {
            PlatformError::Storage(error) => error.into(),
            PlatformError::Call(CallError::Refused(refused)) => {
                let (errcode, meaning) = (refused.errcode, refused.meaning());
                Self::PlatformRefused { platform: platform.clone(), errcode, meaning }
            }
            PlatformError::NoTicket => Self::NoTicket(platform.clone()),
            PlatformError::Unknown => Self::NoPlatform(platform.clone()),
            PlatformError::NotGranted | PlatformError::Busy | PlatformError::Call(_) => {
                Self::WechatSilentTo(platform.clone())
            }
        }
    }
}
