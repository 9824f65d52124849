//! Apps that a third-party platform acts for. They have no AppSecret: its column seals nothing.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use uuid::Uuid;
use wxgate_domain::{App, AppId, AppPolicy, AppStatus, PlatformAppState, SecretState, WechatAppid};

use super::{CURRENT, TxApps, of_appid, of_row, place};
use crate::changes::ChangeKind;
use crate::entity::{app, platform_app};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::repo::audiences;
use crate::scope::{delete_of_tenant, update_of_tenant};

impl TxApps<'_> {
    /// Brings an app under a platform of the tenant's, which WeChat has said that it authorised. An app that the tenant has
    /// keeps its users and loses its AppSecret; another one is added, enabled, under the name of its appid, and takes the
    /// place of another tenant's registration that was never proved. Whether it was added.
    ///
    /// # Errors
    /// [`StorageError::NotUnique`] if another tenant has the appid (`uq_app_appid`), has it as an audience
    /// (`uq_audience_name`), or removed it (`released_appid`). The transaction can go on. [`StorageError::Busy`] if another
    /// one has it since a moment ago.
    pub async fn attach(&self, appid: &WechatAppid, platform: &WechatAppid) -> Result<(App, bool), StorageError> {
        let tx = &self.tx.tx;
        let keys = self.keys().await?;
        let known = of_appid(self.tenant, appid).lock_exclusive().one(tx).await?;
        let is_new = known.is_none();
        let now = self.tx.core.clock.now();
        let id = match known {
            Some(row) => {
                let change = app::ActiveModel {
                    secret: Set(self.nothing(&keys, row.id)),
                    previous_secret: Set(None),
                    secret_state: Set(SecretState::Accepted.as_str().to_owned()),
                    secret_changed_at: Set(Some(now.millis())),
                    platform_appid: Set(Some(platform.as_str().as_bytes().to_vec())),
                    withdrawn_at: Set(None),
                    ..Default::default()
                };
                self.update(row.id, change).await?;
                row.id
            }
            None => self.add_under(appid, platform, &keys).await?,
        };
        let row = of_appid(self.tenant, appid).one(tx).await?.ok_or(StorageError::NotFound)?;
        self.tx.record(ChangeKind::App, self.tenant, Some(id)).await?;
        if is_new {
            // What somebody registered since we looked is found by the next try.
            let free = audiences::no_other_owns(self.tx, self.tenant, appid.as_str()).await;
            free.map_err(StorageError::overtaken)?;
        }
        Ok((of_row(row, &keys)?.0, is_new))
    }

    async fn add_under(
        &self,
        appid: &WechatAppid,
        platform: &WechatAppid,
        keys: &TenantKeys,
    ) -> Result<Uuid, StorageError> {
        let (core, tx) = (&self.tx.core, &self.tx.tx);
        self.take_up(appid, false).await?;
        self.displace_unverified(appid).await?;
        audiences::no_other_has_app(self.tx, self.tenant, appid.as_str()).await?;
        audiences::no_other_owns(self.tx, self.tenant, appid.as_str()).await?;
        let now = core.clock.now();
        let id = AppId::new(now, &core.random).uuid();
        let row = app::ActiveModel {
            id: Set(id),
            tenant_id: Set(self.tenant.uuid()),
            appid: Set(appid.as_str().as_bytes().to_vec()),
            name: Set(appid.to_string()),
            status: Set(AppStatus::Enabled.as_str().to_owned()),
            union_group_id: Set(None),
            policy: Set(AppPolicy::default().to_json()),
            secret: Set(self.nothing(keys, id)),
            previous_secret: Set(None),
            sessions_epoch: Set(0),
            created_at: Set(now.millis()),
            secret_state: Set(SecretState::Accepted.as_str().to_owned()),
            secret_changed_at: Set(None),
            platform_appid: Set(Some(platform.as_str().as_bytes().to_vec())),
            withdrawn_at: Set(None),
            api_security: Set(None),
            previous_api_security: Set(None),
            api_security_changed_at: Set(None),
        };
        app::Entity::insert(row).exec_without_returning(tx).await?;
        Ok(id)
    }

    /// Takes note that an app withdrew from its platform: nobody logs in until it authorises it again.
    ///
    /// # Errors
    /// The database fails.
    pub(crate) async fn withdraw(&self, appid: &WechatAppid, platform: &WechatAppid) -> Result<(), StorageError> {
        let under = app::Column::PlatformAppid.eq(platform.as_str().as_bytes().to_vec());
        let found = of_appid(self.tenant, appid).filter(under).lock_exclusive().one(&self.tx.tx).await?;
        let Some(row) = found else { return Ok(()) };
        let now = self.tx.core.clock.now();
        self.update(row.id, app::ActiveModel { withdrawn_at: Set(Some(now.millis())), ..Default::default() }).await
    }

    /// What platforms know of an app that leaves them for an AppSecret of its own: it may come back.
    pub(super) async fn park(&self, appid: &WechatAppid) -> Result<(), StorageError> {
        let parked = Set(PlatformAppState::Parked.as_str().to_owned());
        let update = update_of_tenant::<platform_app::Entity>(self.tenant)
            .filter(platform_app::Column::Appid.eq(appid.as_str().as_bytes().to_vec()))
            .filter(platform_app::Column::State.eq(PlatformAppState::Attached.as_str()))
            .set(platform_app::ActiveModel { state: parked, ..Default::default() });
        update.exec(&self.tx.tx).await?;
        Ok(())
    }

    /// Forgets what platforms know of an app that is removed.
    pub(super) async fn forget_platforms(&self, appid: &WechatAppid) -> Result<(), StorageError> {
        let forget = delete_of_tenant::<platform_app::Entity>(self.tenant);
        forget.filter(platform_app::Column::Appid.eq(appid.as_str().as_bytes().to_vec())).exec(&self.tx.tx).await?;
        Ok(())
    }

    /// A seal of nothing, so that the column is like every other when keys are changed.
    fn nothing(&self, keys: &TenantKeys, id: Uuid) -> Vec<u8> {
        keys.seal.seal(&place(self.tenant.uuid(), CURRENT, &id), b"", &self.tx.core.random).into_bytes()
    }
}
