//! Authorisations that admins started. Of the state that comes back and of the pre-auth code only digests are stored.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, Set};
use wxgate_crypto::Digest;
use wxgate_domain::{PlatformId, TenantId, Timestamp, WechatAppid};

use super::{AllPlatforms, TxPlatforms};
use crate::entity::platform_request;
use crate::error::StorageError;
use crate::scope::{of_tenant, update_of_tenant};
use crate::storage::Core;

/// Most authorisations of a platform that wait at once.
const MOST: u64 = 1_000;

/// How long one is remembered after its end.
const REMEMBERED: Duration = Duration::from_hours(24);

/// An authorisation that is started.
#[derive(Clone, Debug)]
pub struct NewAuthorizationRequest {
    /// The platform.
    pub platform: PlatformId,
    /// SHA-256 of the state that comes back.
    pub state: Digest,
    /// SHA-256 of the pre-auth code, which WeChat repeats in its event.
    pub pre_auth_code: Digest,
    /// Who starts it.
    pub actor: String,
    /// The app that it is for; any if `None`.
    pub appid: Option<WechatAppid>,
    /// Until when it may come back.
    pub expires_at: Timestamp,
}

/// An authorisation that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// Our id.
    pub id: uuid::Uuid,
    /// The tenant of the platform, which is to have the app.
    pub tenant: TenantId,
    /// The platform.
    pub platform: PlatformId,
    /// Who started it, as the audit log names them.
    pub actor: String,
    /// The app that it is for; any if `None`.
    pub appid: Option<WechatAppid>,
    /// Until when it may come back.
    pub expires_at: Timestamp,
    /// When its state came back.
    pub used_at: Option<Timestamp>,
    /// The app that it brought.
    pub attached: Option<WechatAppid>,
}

/// What an authorisation is carried out by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BroughtBy {
    /// The state that came back. It counts once.
    State,
    /// WeChat's event, which may be quicker.
    Event,
}

fn of_row(row: platform_request::Model) -> Result<AuthorizationRequest, StorageError> {
    let appid =
        |column, appid: Option<Vec<u8>>| appid.map(|appid| super::ascii(appid, "platform_request", column)).transpose();
    Ok(AuthorizationRequest {
        id: row.id,
        tenant: row.tenant_id.into(),
        platform: row.platform_id.into(),
        actor: row.actor,
        appid: appid("appid", row.appid)?,
        expires_at: Timestamp::from_millis(row.expires_at),
        used_at: row.used_at.map(Timestamp::from_millis),
        attached: appid("attached", row.attached)?,
    })
}

impl AllPlatforms {
    /// The authorisation that was started with this state, used or not.
    ///
    /// # Errors
    /// The database fails.
    pub async fn request(&self, state: &Digest) -> Result<Option<AuthorizationRequest>, StorageError> {
        let by_state = || platform_request::Column::StateDigest.eq(state.as_bytes().to_vec());
        #[expect(clippy::disallowed_methods, reason = "whoever has the state knows nothing of tenants")]
        let query = || platform_request::Entity::find().filter(by_state());
        let row = self.0.core.read(|db| async move { query().one(&db).await }).await?;
        row.map(of_row).transpose()
    }
}

impl TxPlatforms<'_> {
    /// Starts an authorisation.
    ///
    /// # Errors
    /// [`StorageError::Full`] if a thousand of the platform wait already; [`StorageError::Dangling`] if the tenant has no
    /// such platform.
    pub async fn request(&self, new: &NewAuthorizationRequest) -> Result<(), StorageError> {
        let (core, tx) = (&self.tx.core, &self.tx.tx);
        let now = core.clock.now();
        let waiting = of_tenant::<platform_request::Entity>(self.tenant)
            .filter(platform_request::Column::PlatformId.eq(new.platform.uuid()))
            .filter(platform_request::Column::UsedAt.is_null())
            .filter(platform_request::Column::ExpiresAt.gt(now.millis()));
        if waiting.count(tx).await? >= MOST {
            return Err(StorageError::Full { table: "platform_request" });
        }
        let row = platform_request::ActiveModel {
            id: Set(core.random.uuid_v7(now.millis())),
            tenant_id: Set(self.tenant.uuid()),
            platform_id: Set(new.platform.uuid()),
            state_digest: Set(new.state.as_bytes().to_vec()),
            pre_auth_digest: Set(new.pre_auth_code.as_bytes().to_vec()),
            actor: Set(new.actor.clone()),
            appid: Set(new.appid.as_ref().map(|appid| appid.as_str().as_bytes().to_vec())),
            created_at: Set(now.millis()),
            expires_at: Set(new.expires_at.millis()),
            used_at: Set(None),
            attached: Set(None),
        };
        platform_request::Entity::insert(row).exec_without_returning(tx).await?;
        Ok(())
    }

    /// Uses an authorisation up, for this app. `None` if that was done before, or if it was for another app.
    ///
    /// # Errors
    /// The database fails.
    pub async fn use_request(
        &self,
        id: uuid::Uuid,
        appid: &WechatAppid,
        by: BroughtBy,
    ) -> Result<Option<AuthorizationRequest>, StorageError> {
        let (core, tx) = (&self.tx.core, &self.tx.tx);
        let now = core.clock.now();
        let this = || of_tenant::<platform_request::Entity>(self.tenant).filter(platform_request::Column::Id.eq(id));
        let Some(row) = this().lock_exclusive().one(tx).await? else { return Ok(None) };
        let request = of_row(row)?;
        let is_other = |wanted: &Option<WechatAppid>| wanted.as_ref().is_some_and(|wanted| wanted != appid);
        let is_done = request.used_at.is_some() || (by == BroughtBy::Event && request.attached.is_some());
        if is_done || is_other(&request.appid) || is_other(&request.attached) {
            return Ok(None);
        }
        let mut used = platform_request::ActiveModel {
            attached: Set(Some(appid.as_str().as_bytes().to_vec())),
            ..Default::default()
        };
        if by == BroughtBy::State {
            used.used_at = Set(Some(now.millis()));
        }
        let update = update_of_tenant::<platform_request::Entity>(self.tenant);
        update.filter(platform_request::Column::Id.eq(id)).set(used).exec(tx).await?;
        Ok(Some(request))
    }

    /// The authorisation that this pre-auth code began, if it waits still.
    pub(super) async fn waiting(
        &self,
        platform: PlatformId,
        pre_auth_code: &Digest,
    ) -> Result<Option<uuid::Uuid>, StorageError> {
        let now = self.tx.core.clock.now();
        let waiting = of_tenant::<platform_request::Entity>(self.tenant)
            .filter(platform_request::Column::PlatformId.eq(platform.uuid()))
            .filter(platform_request::Column::PreAuthDigest.eq(pre_auth_code.as_bytes().to_vec()))
            .filter(platform_request::Column::UsedAt.is_null())
            .filter(platform_request::Column::Attached.is_null())
            .filter(platform_request::Column::ExpiresAt.gt(now.millis()));
        Ok(waiting.one(&self.tx.tx).await?.map(|row| row.id))
    }
}

/// Forgets authorisations a day after their end.
pub(crate) async fn purge(core: &Core, now: Timestamp) -> Result<(), StorageError> {
    #[expect(clippy::disallowed_methods, reason = "swept for all tenants")]
    let over = platform_request::Entity::delete_many()
        .filter(platform_request::Column::ExpiresAt.lt(now.minus(REMEMBERED).millis()));
    over.exec(&core.writer).await?;
    Ok(())
}
