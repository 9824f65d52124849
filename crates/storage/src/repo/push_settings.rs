//! What an app has in common with WeChat for its pushes.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use uuid::Uuid;
use wxgate_crypto::push::{EncodingAesKey, PushKeys, PushToken};
use wxgate_crypto::{MacKey, Place, Sealed, Secret};
use wxgate_domain::{AppId, PushMode, PushSettings, PushStatus, SecretFingerprint, TenantId, Timestamp, WechatAppid};

use super::push_renewal::{PushRenewal, without_previous};
use super::{apps, ascii, platforms};
use crate::changes::ChangeKind;
use crate::entity::{app, push_setting};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};
use crate::storage::Storage;
use crate::tx::Tx;

const TOKEN: &str = "token";
const PREVIOUS_TOKEN: &str = "previous_token";
const KEY: &str = "aes_key";
const PREVIOUS: &str = "previous_aes_key";

fn place<'a>(tenant: TenantId, column: &'static str, id: &'a Uuid) -> Place<'a> {
    Place { tenant: tenant.uuid(), table: "push_setting", column, row: id.as_bytes() }
}

/// Opens what a row holds.
fn opened(row: &push_setting::Model, keys: &TenantKeys) -> Result<(PushMode, PushKeys), StorageError> {
    let wrong = |column| StorageError::inconsistent("push_setting", column);
    let text = |column, sealed: &Vec<u8>| {
        let opened = keys.open(&place(row.tenant_id.into(), column, &row.id), &Sealed::parse(sealed.clone())?)?;
        String::from_utf8(opened.expose().clone()).map(Secret::new).map_err(|_| wrong(column))
    };
    let key = |column, sealed| EncodingAesKey::parse(text(column, sealed)?).map_err(|_| wrong(column));
    let token = |column, sealed| PushToken::parse(text(column, sealed)?.expose()).ok_or_else(|| wrong(column));
    let previous_token = row.previous_token.as_ref().map(|sealed| token(PREVIOUS_TOKEN, sealed)).transpose()?;
    let token = token(TOKEN, &row.token)?;
    let current = key(KEY, &row.aes_key)?;
    let previous = row.previous_aes_key.as_ref().map(|sealed| key(PREVIOUS, sealed)).transpose()?;
    let mode = row.mode.parse().map_err(|_| wrong("mode"))?;
    Ok((mode, PushKeys { token, previous_token, current, previous }))
}

fn of_key(key: &EncodingAesKey, digest: &MacKey) -> SecretFingerprint {
    SecretFingerprint::labelled("push_aes_key", key.expose(), digest)
}

fn of_token(token: &PushToken, digest: &MacKey) -> SecretFingerprint {
    SecretFingerprint::labelled("push_token", token.expose(), digest)
}

fn status(mode: PushMode, push: &PushKeys, changed_at: Timestamp, keys: &TenantKeys) -> PushStatus {
    let digest = &keys.digest;
    PushStatus {
        mode,
        token: of_token(&push.token, digest),
        previous_token: push.previous_token.as_ref().map(|token| of_token(token, digest)),
        key: of_key(&push.current, digest),
        previous_key: push.previous.as_ref().map(|key| of_key(key, digest)),
        changed_at,
    }
}

/// The settings of the apps of all tenants: WeChat names an appid in its address, and nothing else.
#[derive(Clone, Debug)]
pub struct AllPushSettings(Storage);

impl AllPushSettings {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// Those of the app of this appid, whatever its status: who closes their account is to be forgotten by an app that
    /// serves nobody too. The app's own come first; then those of the third-party platform that acts for it, which WeChat
    /// tells of its apps in safe mode and under the platform's name.
    ///
    /// # Errors
    /// The database fails, or a secret does not open.
    pub async fn of(&self, appid: &WechatAppid) -> Result<Vec<PushSettings>, StorageError> {
        let core = &self.0.core;
        #[expect(clippy::disallowed_methods, reason = "the appid is unique among all tenants")]
        let by_appid = || app::Entity::find().filter(app::Column::Appid.eq(appid.as_str().as_bytes().to_vec()));
        let found = core.read(|db| async move {
            let Some(app) = by_appid().one(&db).await? else { return Ok::<_, sea_orm::DbErr>(None) };
            let (tenant, id) = (app.tenant_id.into(), app.id.into());
            let own = of_app(tenant, id).one(&db).await?;
            let platform = match app.platform_appid {
                Some(platform) => platforms::of_appid(tenant, platform).one(&db).await?,
                None => None,
            };
            Ok(Some((tenant, id, own, platform)))
        });
        let Some((tenant, app, own, platform)) = found.await? else { return Ok(Vec::new()) };
        let of = |addressee: &WechatAppid, (mode, keys)| PushSettings {
            app,
            appid: appid.clone(),
            addressee: addressee.clone(),
            tenant,
            mode,
            keys,
        };
        let mut settings = Vec::new();
        if let Some(row) = own {
            match core.keys_with(tenant, Sealed::parse(row.aes_key.clone())?.key_id()).await {
                Ok(keys) => settings.push(of(appid, opened(&row, &keys)?)),
                // A tenant that is being deleted has no keys any more, and is not there.
                Err(StorageError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(row) = platform {
            match platforms::push_keys(core, &row).await {
                Ok(keys) => settings.push(of(&ascii(row.appid, "platform", "appid")?, (PushMode::Safe, keys))),
                Err(StorageError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(settings)
    }
}

/// The settings of the apps of one tenant, without their secrets.
#[derive(Clone, Debug)]
pub struct TenantPushSettings {
    storage: Storage,
    tenant: TenantId,
}

impl TenantPushSettings {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// What may be known of those of an app; `None` if it takes no pushes.
    ///
    /// # Errors
    /// The database fails, or a secret does not open.
    pub async fn find(&self, app: AppId) -> Result<Option<PushStatus>, StorageError> {
        let core = &self.storage.core;
        let row = core.read(|db| async move { of_app(self.tenant, app).one(&db).await }).await?;
        let Some(row) = row else { return Ok(None) };
        let keys = core.keys_with(self.tenant, Sealed::parse(row.aes_key.clone())?.key_id()).await?;
        let (mode, push) = opened(&row, &keys)?;
        Ok(Some(status(mode, &push, Timestamp::from_millis(row.changed_at), &keys)))
    }

    /// What may be known of those of all apps that take pushes.
    ///
    /// # Errors
    /// The database fails, or a secret does not open.
    pub async fn all(&self) -> Result<HashMap<AppId, PushStatus>, StorageError> {
        let core = &self.storage.core;
        let rows = core.read(|db| async move { of_tenant::<push_setting::Entity>(self.tenant).all(&db).await }).await?;
        let mut all = HashMap::with_capacity(rows.len());
        for row in rows {
            let keys = core.keys_with(self.tenant, Sealed::parse(row.aes_key.clone())?.key_id()).await?;
            let (mode, push) = opened(&row, &keys)?;
            all.insert(row.id.into(), status(mode, &push, Timestamp::from_millis(row.changed_at), &keys));
        }
        Ok(all)
    }

    /// Whether settings have this token and this EncodingAESKey, as far as they are given.
    ///
    /// # Errors
    /// The database fails, or the tenant does not exist.
    pub async fn agree(
        &self,
        known: &PushStatus,
        token: Option<&PushToken>,
        key: Option<&EncodingAesKey>,
    ) -> Result<bool, StorageError> {
        let digest = &self.storage.core.keys(self.tenant).await?.digest;
        let same_token = token.is_none_or(|token| of_token(token, digest) == known.token);
        Ok(same_token && key.is_none_or(|key| of_key(key, digest) == known.key))
    }
}

fn of_app(tenant: TenantId, app: AppId) -> sea_orm::Select<push_setting::Entity> {
    of_tenant::<push_setting::Entity>(tenant).filter(push_setting::Column::Id.eq(app.uuid()))
}

/// What is to be changed of an app's settings; what is left out stays, or is made where there is nothing yet.
#[derive(Clone, Debug, Default)]
pub struct PushChange {
    /// In which mode the app takes pushes; safe where there is nothing yet.
    pub mode: Option<PushMode>,
    /// Another token; the one before counts no more.
    pub token: Option<PushToken>,
    /// Another EncodingAESKey; the one before counts no more.
    pub key: Option<EncodingAesKey>,
}

/// Writes about the pushes of the apps of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxPushSettings<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxPushSettings<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Sets up the pushes of an app, or changes how they are set up: how they are now, and whether there was nothing yet.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app.
    pub async fn set(
        &self,
        appid: &WechatAppid,
        change: PushChange,
    ) -> Result<(PushStatus, PushKeys, bool), StorageError> {
        let (app, keys) = (self.locked_app(appid).await?, self.keys().await?);
        let random = &self.tx.core.random;
        let there = of_app(self.tenant, app).lock_exclusive().one(&self.tx.tx).await?;
        let before = there.map(|row| opened(&row, &keys)).transpose()?;
        let is_new = before.is_none();
        let (mode, before) = before.unwrap_or_else(|| {
            let (token, current) = (PushToken::generate(random), EncodingAesKey::generate(random));
            (PushMode::Safe, PushKeys { token, previous_token: None, current, previous: None })
        });
        let previous = before.previous.filter(|_| change.key.is_none());
        let previous_token = before.previous_token.filter(|_| change.token.is_none());
        let push = PushKeys {
            token: change.token.unwrap_or(before.token),
            previous_token,
            current: change.key.unwrap_or(before.current),
            previous,
        };
        let status = self.store(app, is_new, (change.mode.unwrap_or(mode), &push), &keys).await?;
        Ok((status, push, is_new))
    }

    /// Renews token, EncodingAESKey or both; those before count until they are forgotten.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app, or it takes no pushes.
    pub async fn renew(
        &self,
        appid: &WechatAppid,
        renewal: PushRenewal,
    ) -> Result<(PushStatus, PushKeys), StorageError> {
        self.change(appid, |before| renewal.of(before, &self.tx.core.random)).await
    }

    /// Forgets the token and the EncodingAESKey before: the change is over.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app, or it takes no pushes.
    pub async fn forget_previous(&self, appid: &WechatAppid) -> Result<PushStatus, StorageError> {
        Ok(self.change(appid, without_previous).await?.0)
    }

    /// Takes no pushes of an app any more.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app, or it takes none.
    pub async fn remove(&self, appid: &WechatAppid) -> Result<(), StorageError> {
        let app = self.locked_app(appid).await?;
        if forget_app(&self.tx.tx, self.tenant, app).await? { Ok(()) } else { Err(StorageError::NotFound) }
    }

    /// What may be known of an app's settings as they are, locked until the transaction ends; `None` if it takes no pushes.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app.
    pub async fn current(&self, appid: &WechatAppid) -> Result<Option<PushStatus>, StorageError> {
        let (app, keys) = (self.locked_app(appid).await?, self.keys().await?);
        let Some(row) = of_app(self.tenant, app).lock_exclusive().one(&self.tx.tx).await? else { return Ok(None) };
        let (mode, push) = opened(&row, &keys)?;
        Ok(Some(status(mode, &push, Timestamp::from_millis(row.changed_at), &keys)))
    }

    async fn change(
        &self,
        appid: &WechatAppid,
        change: impl FnOnce(PushKeys) -> PushKeys,
    ) -> Result<(PushStatus, PushKeys), StorageError> {
        let (app, keys) = (self.locked_app(appid).await?, self.keys().await?);
        let row = of_app(self.tenant, app).lock_exclusive().one(&self.tx.tx).await?.ok_or(StorageError::NotFound)?;
        let (mode, before) = opened(&row, &keys)?;
        let push = change(before);
        Ok((self.store(app, false, (mode, &push), &keys).await?, push))
    }

    async fn store(
        &self,
        app: AppId,
        is_new: bool,
        (mode, push): (PushMode, &PushKeys),
        keys: &TenantKeys,
    ) -> Result<PushStatus, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let (id, now) = (app.uuid(), core.clock.now());
        let seal = |column, text: &str| {
            keys.seal.seal(&place(self.tenant, column, &id), text.as_bytes(), &core.random).into_bytes()
        };
        let row = push_setting::ActiveModel {
            id: Set(id),
            tenant_id: Set(self.tenant.uuid()),
            mode: Set(mode.as_str().to_owned()),
            token: Set(seal(TOKEN, push.token.expose())),
            previous_token: Set(push.previous_token.as_ref().map(|token| seal(PREVIOUS_TOKEN, token.expose()))),
            aes_key: Set(seal(KEY, push.current.expose())),
            previous_aes_key: Set(push.previous.as_ref().map(|key| seal(PREVIOUS, key.expose()))),
            changed_at: Set(now.millis()),
        };
        if is_new {
            push_setting::Entity::insert(row).exec_without_returning(tx).await?;
        } else {
            let update = update_of_tenant::<push_setting::Entity>(self.tenant);
            update.filter(push_setting::Column::Id.eq(id)).set(row).exec(tx).await?;
        }
        self.tx.record(ChangeKind::App, self.tenant, Some(id)).await?;
        Ok(status(mode, push, now, keys))
    }

    /// The app, whose row is locked: two who set up its pushes at once do it one after the other.
    async fn locked_app(&self, appid: &WechatAppid) -> Result<AppId, StorageError> {
        let row = apps::of_appid(self.tenant, appid).lock_exclusive().one(&self.tx.tx).await?;
        row.map(|row| row.id.into()).ok_or(StorageError::NotFound)
    }

    async fn keys(&self) -> Result<TenantKeys, StorageError> {
        TenantKeys::load(&self.tx.tx, &self.tx.core.master_keys, self.tenant).await
    }
}

/// Forgets the settings of an app, before the app itself goes; whether there were any.
pub(crate) async fn forget_app(
    tx: &sea_orm::DatabaseTransaction,
    tenant: TenantId,
    app: AppId,
) -> Result<bool, StorageError> {
    let forget = delete_of_tenant::<push_setting::Entity>(tenant).filter(push_setting::Column::Id.eq(app.uuid()));
    Ok(forget.exec(tx).await?.rows_affected > 0)
}
