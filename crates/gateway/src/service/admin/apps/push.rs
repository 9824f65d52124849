//! How mini-programs take WeChat's message pushes.

use wxgate_crypto::push::{EncodingAesKey, PushKeys, PushToken};
use wxgate_domain::{App, PushMode, PushStatus, Tenant};
use wxgate_storage::{PushChange, PushRenewal, StorageError};

use super::super::{Admin, AdminError, Event};

/// What is to be set; what is left out is made the first time, and stays later.
#[derive(Debug)]
pub(crate) struct PushToSet {
    pub(crate) mode: Option<PushMode>,
    pub(crate) token: Option<PushToken>,
    pub(crate) key: Option<EncodingAesKey>,
}

/// How it is set now.
#[derive(Debug)]
pub(crate) struct PushSet {
    pub(crate) status: PushStatus,
    pub(crate) keys: PushKeys,
    /// Whether the app took no pushes before.
    pub(crate) is_new: bool,
}

impl Admin {
    /// How an app takes pushes.
    pub(crate) async fn push(&self, (tenant, app): &(Tenant, App)) -> Result<PushStatus, AdminError> {
        let status = self.storage.tenant(tenant.id).push_settings().find(app.id).await?;
        status.ok_or_else(|| AdminError::NoPush(app.appid.clone()))
    }

    /// Sets up how an app takes pushes. `still` gets what may be known of it as it is, locked, and may refuse.
    pub(crate) async fn set_push(
        &self,
        (tenant, app): &(Tenant, App),
        PushToSet { mode, token, key }: PushToSet,
        still: impl FnOnce(Option<PushStatus>) -> Result<(), AdminError>,
    ) -> Result<PushSet, AdminError> {
        let tx = self.storage.begin().await?;
        let settings = tx.tenant(tenant.id).push_settings();
        still(settings.current(&app.appid).await?)?;
        let (status, keys, is_new) = settings.set(&app.appid, PushChange { mode, token, key }).await?;
        self.commit(tx, Event::of(tenant.id, "app.set-push", &app.appid)).await?;
        Ok(PushSet { status, keys, is_new })
    }

    /// Renews the Token of an app, its EncodingAESKey or both, and keeps those before beside them.
    pub(crate) async fn rotate_push(
        &self,
        (tenant, app): &(Tenant, App),
        renewal: PushRenewal,
    ) -> Result<(PushStatus, PushKeys), AdminError> {
        let tx = self.storage.begin().await?;
        let rotated = tx.tenant(tenant.id).push_settings().renew(&app.appid, renewal).await;
        let rotated = rotated.map_err(|error| no_push(error, app))?;
        self.commit(tx, Event::of(tenant.id, "app.rotate-push", &app.appid)).await?;
        Ok(rotated)
    }

    /// Forgets the Token and the EncodingAESKey before.
    pub(crate) async fn finish_push(&self, (tenant, app): &(Tenant, App)) -> Result<PushStatus, AdminError> {
        let tx = self.storage.begin().await?;
        let status = tx.tenant(tenant.id).push_settings().forget_previous(&app.appid).await;
        let status = status.map_err(|error| no_push(error, app))?;
        self.commit(tx, Event::of(tenant.id, "app.finish-push", &app.appid)).await?;
        Ok(status)
    }

    /// Takes no pushes of an app any more, unless `still` refuses, as above.
    pub(crate) async fn remove_push(
        &self,
        (tenant, app): &(Tenant, App),
        still: impl FnOnce(Option<PushStatus>) -> Result<(), AdminError>,
    ) -> Result<(), AdminError> {
        let tx = self.storage.begin().await?;
        let settings = tx.tenant(tenant.id).push_settings();
        still(settings.current(&app.appid).await?)?;
        let removed = settings.remove(&app.appid).await;
        removed.map_err(|error| no_push(error, app))?;
        self.commit(tx, Event::of(tenant.id, "app.remove-push", &app.appid)).await
    }
}

fn no_push(error: StorageError, app: &App) -> AdminError {
    match error {
        StorageError::NotFound => AdminError::NoPush(app.appid.clone()),
        error => error.into(),
    }
}
