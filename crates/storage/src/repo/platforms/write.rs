//! Adding and changing platforms.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use uuid::Uuid;
use wxgate_crypto::Secret;
use wxgate_crypto::push::{EncodingAesKey, PushKeys, PushToken};
use wxgate_domain::{AppSecret, Platform, PlatformId, TenantId, Timestamp, WechatAppid};

use super::super::push_renewal::{PushRenewal, without_previous};
use super::{
    AES_KEY, PREVIOUS_AES_KEY, PREVIOUS_PUSH_TOKEN, PUSH_TOKEN, SECRET, TICKET, ascii, of_appid, of_row, place,
    push_keys,
};
use crate::entity::{app, platform, platform_app, platform_request};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};
use crate::tx::Tx;

/// Apps that are named as the reason why a platform stays.
const NAMED: u64 = 5;

/// A platform to be added.
#[derive(Debug)]
pub struct NewPlatform {
    /// WeChat's id of it.
    pub appid: WechatAppid,
    /// Its name for people, at most 200 characters.
    pub name: String,
    /// Its secret.
    pub secret: AppSecret,
    /// Signs what WeChat pushes to it.
    pub push_token: PushToken,
    /// Encrypts what WeChat pushes to it.
    pub aes_key: EncodingAesKey,
}

/// Writes about the platforms of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxPlatforms<'a> {
    pub(super) tx: &'a Tx,
    pub(super) tenant: TenantId,
}

impl<'a> TxPlatforms<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Adds a platform.
    ///
    /// # Errors
    /// [`StorageError::NotUnique`] (`uq_platform_appid`) if any tenant has it: the transaction is then of no more use.
    /// [`StorageError::NotFound`] if the tenant does not exist.
    pub async fn add(&self, new: NewPlatform) -> Result<Platform, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let keys = TenantKeys::load(tx, &core.master_keys, self.tenant).await?;
        let now = core.clock.now();
        let id = PlatformId::new(now, &core.random).uuid();
        let seal = |column, text: &str| {
            let place = place(self.tenant.uuid(), column, &id);
            keys.seal.seal(&place, text.as_bytes(), &core.random).into_bytes()
        };
        let row = platform::Model {
            id,
            tenant_id: self.tenant.uuid(),
            appid: new.appid.as_str().as_bytes().to_vec(),
            name: new.name,
            secret: seal(SECRET, new.secret.expose()),
            push_token: seal(PUSH_TOKEN, new.push_token.expose()),
            previous_push_token: None,
            aes_key: seal(AES_KEY, new.aes_key.expose()),
            previous_aes_key: None,
            ticket: None,
            ticket_at: None,
            access_token: None,
            token_expires_at: None,
            lease_owner: None,
            lease_until: None,
            created_at: now.millis(),
        };
        platform::Entity::insert(platform::ActiveModel::from(row.clone())).exec_without_returning(tx).await?;
        of_row(row)
    }

    /// Takes another secret of a platform.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such platform.
    pub async fn set_secret(&self, appid: &WechatAppid, secret: &AppSecret) -> Result<Platform, StorageError> {
        let row = self.locked(appid).await?;
        let sealed = self.seal(SECRET, row.id, secret.expose()).await?;
        self.update(row.id, platform::ActiveModel { secret: Set(sealed), ..Default::default() }).await?;
        of_row(row)
    }

    /// Renews the Token of a platform's pushes, its EncodingAESKey or both; those before count until they are forgotten.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such platform; or what it has does not open.
    pub async fn renew_push(
        &self,
        appid: &WechatAppid,
        renewal: PushRenewal,
    ) -> Result<(Platform, PushKeys), StorageError> {
        self.change_push(appid, |before| renewal.of(before, &self.tx.core.random)).await
    }

    /// Forgets the Token and the EncodingAESKey before: the change is over.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such platform; or what it has does not open.
    pub async fn forget_previous_push(&self, appid: &WechatAppid) -> Result<Platform, StorageError> {
        Ok(self.change_push(appid, without_previous).await?.0)
    }

    async fn change_push(
        &self,
        appid: &WechatAppid,
        change: impl FnOnce(PushKeys) -> PushKeys,
    ) -> Result<(Platform, PushKeys), StorageError> {
        let row = self.locked(appid).await?;
        let push = change(push_keys(&self.tx.core, &row).await?);
        let keys = self.tx.core.keys(self.tenant).await?;
        let seal = |column, text: &str| {
            let place = place(self.tenant.uuid(), column, &row.id);
            keys.seal.seal(&place, text.as_bytes(), &self.tx.core.random).into_bytes()
        };
        let changed = platform::Model {
            push_token: seal(PUSH_TOKEN, push.token.expose()),
            previous_push_token: push.previous_token.as_ref().map(|token| seal(PREVIOUS_PUSH_TOKEN, token.expose())),
            aes_key: seal(AES_KEY, push.current.expose()),
            previous_aes_key: push.previous.as_ref().map(|key| seal(PREVIOUS_AES_KEY, key.expose())),
            ..row.clone()
        };
        let change = platform::ActiveModel {
            push_token: Set(changed.push_token.clone()),
            previous_push_token: Set(changed.previous_push_token.clone()),
            aes_key: Set(changed.aes_key.clone()),
            previous_aes_key: Set(changed.previous_aes_key.clone()),
            ..Default::default()
        };
        self.update(row.id, change).await?;
        Ok((of_row(changed)?, push))
    }

    /// Keeps a ticket, if WeChat wrote it after the one that is kept; whether it did.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such platform.
    pub async fn note_ticket(
        &self,
        appid: &WechatAppid,
        ticket: &Secret<String>,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let row = self.locked(appid).await?;
        if row.ticket_at.is_some_and(|known| at.millis() <= known) {
            return Ok(false);
        }
        let change = platform::ActiveModel {
            ticket: Set(Some(self.seal(TICKET, row.id, ticket.expose()).await?)),
            ticket_at: Set(Some(at.millis())),
            ..Default::default()
        };
        self.update(row.id, change).await?;
        Ok(true)
    }

    /// Removes a platform with all that it knows of apps, unless it acts for some: then nothing happens, and some of these
    /// are returned.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such platform.
    pub async fn remove(&self, appid: &WechatAppid) -> Result<Vec<WechatAppid>, StorageError> {
        let tx = &self.tx.tx;
        let row = self.locked(appid).await?;
        let acted_for = of_tenant::<app::Entity>(self.tenant).filter(app::Column::PlatformAppid.eq(row.appid.clone()));
        let acted_for = acted_for.order_by_asc(app::Column::Appid).limit(NAMED).all(tx).await?;
        if !acted_for.is_empty() {
            return acted_for.into_iter().map(|app| ascii(app.appid, "app", "appid")).collect();
        }
        let requests = delete_of_tenant::<platform_request::Entity>(self.tenant);
        requests.filter(platform_request::Column::PlatformId.eq(row.id)).exec(tx).await?;
        let apps = delete_of_tenant::<platform_app::Entity>(self.tenant);
        apps.filter(platform_app::Column::PlatformId.eq(row.id)).exec(tx).await?;
        delete_of_tenant::<platform::Entity>(self.tenant).filter(platform::Column::Id.eq(row.id)).exec(tx).await?;
        Ok(Vec::new())
    }

    /// The platform as it is, locked until the transaction ends.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such platform.
    pub async fn current(&self, appid: &WechatAppid) -> Result<Platform, StorageError> {
        of_row(self.locked(appid).await?)
    }

    async fn seal(&self, column: &'static str, id: Uuid, text: &str) -> Result<Vec<u8>, StorageError> {
        let core = &self.tx.core;
        let keys = core.keys(self.tenant).await?;
        Ok(keys.seal.seal(&place(self.tenant.uuid(), column, &id), text.as_bytes(), &core.random).into_bytes())
    }

    async fn locked(&self, appid: &WechatAppid) -> Result<platform::Model, StorageError> {
        let named = of_appid(self.tenant, appid.as_str().as_bytes().to_vec());
        let row = named.lock_exclusive().one(&self.tx.tx).await?;
        row.ok_or(StorageError::NotFound)
    }

    async fn update(&self, id: Uuid, change: platform::ActiveModel) -> Result<(), StorageError> {
        let update = update_of_tenant::<platform::Entity>(self.tenant).filter(platform::Column::Id.eq(id)).set(change);
        update.exec(&self.tx.tx).await?;
        Ok(())
    }
}
