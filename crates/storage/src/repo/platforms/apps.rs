//! The apps of a platform: what WeChat told about them, and what they granted.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use uuid::Uuid;
use wxgate_crypto::{Digest, Place, Secret};
use wxgate_domain::{Platform, PlatformApp, PlatformAppState, PlatformId, TenantId, Timestamp, WechatAppid};

use super::{AllPlatforms, TenantPlatforms, TxPlatforms, ascii, text};
use crate::entity::platform_app;
use crate::error::StorageError;
use crate::scope::{of_tenant, update_of_tenant};

/// Most apps of a platform that nobody asked for. WeChat alone can add them.
const MOST_PARKED: u64 = 10_000;

/// An event that says that an app authorised a platform, or granted something else than before.
#[derive(Clone, Debug)]
pub struct NewAuthorization {
    /// The app.
    pub appid: WechatAppid,
    /// What the tokens come from; single use.
    pub code: Secret<String>,
    /// SHA-256 of the pre-auth code that it began with, if the event says one.
    pub pre_auth_code: Option<Digest>,
    /// When WeChat wrote it.
    pub at: Timestamp,
}

/// How long WeChat knows the code of an authorisation at most (`AuthorizationCodeExpiredTime`).
const CODE_LIFE: Duration = Duration::from_hours(1);

/// What WeChat wrote so long before a grant speaks of the time before it: clocks differ, and nobody withdraws sooner.
const BEFORE_A_GRANT: Duration = Duration::from_mins(1);

/// A code that is still to be exchanged.
#[derive(Clone, Debug)]
pub struct PendingCode {
    /// The app.
    pub appid: WechatAppid,
    /// The code.
    pub code: Secret<String>,
    /// The authorisation of an admin's that it belongs to.
    pub request: Option<Uuid>,
    /// When WeChat wrote the event that brought it.
    pub at: Timestamp,
}

/// What an app granted.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The app.
    pub appid: WechatAppid,
    /// What later tokens come from.
    pub refresh_token: Secret<String>,
    /// A token and what is left of its life, if one came with it.
    pub token: Option<(Secret<String>, Duration)>,
    /// The ids of the permission sets, if WeChat said them.
    pub permissions: Option<Vec<i64>>,
}

fn of_row(row: platform_app::Model) -> Result<PlatformApp, StorageError> {
    let inconsistent = |column| StorageError::inconsistent("platform_app", column);
    Ok(PlatformApp {
        platform: row.platform_id.into(),
        appid: ascii(row.appid, "platform_app", "appid")?,
        state: PlatformAppState::from_word(&row.state).ok_or_else(|| inconsistent("state"))?,
        is_granted: row.refresh_token.is_some(),
        is_pending: row.code.is_some(),
        token_until: row.token_expires_at.map(Timestamp::from_millis),
        permissions: serde_json::from_str(&row.permissions).map_err(|_| inconsistent("permissions"))?,
        authorized_at: row.authorized_at.map(Timestamp::from_millis),
        event_at: Timestamp::from_millis(row.event_at),
    })
}

fn place<'a>(tenant: Uuid, column: &'static str, id: &'a Uuid) -> Place<'a> {
    Place { tenant, table: "platform_app", column, row: id.as_bytes() }
}

fn of_platform(tenant: TenantId, platform: PlatformId) -> sea_orm::Select<platform_app::Entity> {
    of_tenant::<platform_app::Entity>(tenant).filter(platform_app::Column::PlatformId.eq(platform.uuid()))
}

fn of_appid(tenant: TenantId, platform: PlatformId, appid: &WechatAppid) -> sea_orm::Select<platform_app::Entity> {
    of_platform(tenant, platform).filter(platform_app::Column::Appid.eq(appid.as_str().as_bytes().to_vec()))
}

impl AllPlatforms {
    /// At most `limit` apps with a code that is still to be exchanged, of any platform: its tenant, its id, the app.
    ///
    /// # Errors
    /// The database fails.
    pub async fn pending(&self, limit: u64) -> Result<Vec<(TenantId, PlatformId, WechatAppid)>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "whoever exchanges codes does it for all tenants")]
        let query = || platform_app::Entity::find().filter(platform_app::Column::Code.is_not_null()).limit(limit);
        self.named(query().order_by_asc(platform_app::Column::ChangedAt)).await
    }

    /// At most `limit` attached apps whose tokens end before then, of any platform.
    ///
    /// # Errors
    /// The database fails.
    pub async fn due(
        &self,
        before: Timestamp,
        limit: u64,
    ) -> Result<Vec<(TenantId, PlatformId, WechatAppid)>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "whoever fetches tokens does it for all tenants")]
        let query = platform_app::Entity::find()
            .filter(platform_app::Column::TokenExpiresAt.lt(before.millis()))
            .filter(platform_app::Column::State.eq(PlatformAppState::Attached.as_str()))
            .filter(platform_app::Column::RefreshToken.is_not_null())
            .order_by_asc(platform_app::Column::TokenExpiresAt)
            .limit(limit);
        self.named(query).await
    }

    async fn named(
        &self,
        query: sea_orm::Select<platform_app::Entity>,
    ) -> Result<Vec<(TenantId, PlatformId, WechatAppid)>, StorageError> {
        let query = &query;
        let rows = self.0.core.read(|db| async move { query.clone().all(&db).await }).await?;
        let name = |row: platform_app::Model| {
            Ok((row.tenant_id.into(), row.platform_id.into(), ascii(row.appid, "platform_app", "appid")?))
        };
        rows.into_iter().map(name).collect()
    }
}

impl TenantPlatforms {
    /// At most `limit` apps of a platform, by appid, after this one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn apps(
        &self,
        platform: PlatformId,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<PlatformApp>, StorageError> {
        let mut query = of_platform(self.tenant, platform).order_by_asc(platform_app::Column::Appid).limit(limit);
        if let Some(after) = after {
            query = query.filter(platform_app::Column::Appid.gt(after.as_bytes().to_vec()));
        }
        let query = &query;
        let rows = self.storage.core.read(|db| async move { query.clone().all(&db).await }).await?;
        rows.into_iter().map(of_row).collect()
    }

    /// One app of a platform.
    ///
    /// # Errors
    /// The database fails.
    pub async fn app(&self, platform: PlatformId, appid: &WechatAppid) -> Result<Option<PlatformApp>, StorageError> {
        let row = self.app_row(platform, appid).await?;
        row.map(of_row).transpose()
    }

    /// The code of an app that is still to be exchanged.
    ///
    /// # Errors
    /// The database fails, or the code does not open.
    pub async fn code(&self, platform: PlatformId, appid: &WechatAppid) -> Result<Option<PendingCode>, StorageError> {
        let Some(row) = self.app_row(platform, appid).await? else { return Ok(None) };
        let Some(sealed) = row.code else { return Ok(None) };
        let code = text(&self.storage.core, place(row.tenant_id, "code", &row.id), sealed).await?;
        let at = Timestamp::from_millis(row.event_at);
        Ok(Some(PendingCode { appid: appid.clone(), code, request: row.request_id, at }))
    }

    async fn app_row(
        &self,
        platform: PlatformId,
        appid: &WechatAppid,
    ) -> Result<Option<platform_app::Model>, StorageError> {
        let query = || of_appid(self.tenant, platform, appid);
        self.storage.core.read(|db| async move { query().one(&db).await }).await
    }
}

impl TxPlatforms<'_> {
    /// Takes note of an authorisation, to be exchanged. It is parked, unless the platform acts for the app already. Whether
    /// it was news: what is older than what is known, or the same, is not.
    ///
    /// # Errors
    /// [`StorageError::Full`] if ten thousand apps are parked; the transaction can go on.
    pub async fn note_authorization(&self, platform: PlatformId, new: &NewAuthorization) -> Result<bool, StorageError> {
        let tx = &self.tx.tx;
        let known = of_appid(self.tenant, platform, &new.appid).lock_exclusive().one(tx).await?;
        let withdrawn = PlatformAppState::Withdrawn.as_str();
        let is_old = |row: &platform_app::Model| {
            new.at.millis() < row.event_at || (new.at.millis() == row.event_at && row.state != withdrawn)
        };
        if known.as_ref().is_some_and(is_old) {
            return Ok(false);
        }
        let request = match &new.pre_auth_code {
            Some(pre_auth_code) => self.waiting(platform, pre_auth_code).await?,
            None => None,
        };
        let id = known.as_ref().map_or_else(|| self.new_id(), |row| row.id);
        let attached = PlatformAppState::Attached.as_str();
        let is_attached = known.as_ref().is_some_and(|row| row.state == attached);
        let state = if is_attached { attached } else { PlatformAppState::Parked.as_str() };
        let change = platform_app::ActiveModel {
            state: Set(state.to_owned()),
            code: Set(Some(self.sealed("code", id, &new.code).await?)),
            request_id: Set(request),
            event_at: Set(new.at.millis()),
            changed_at: Set(self.tx.core.clock.now().millis()),
            ..Default::default()
        };
        match known {
            Some(_) => self.update_app(id, change).await?,
            None => self.insert_app((id, platform, &new.appid), change).await?,
        }
        Ok(true)
    }

    /// Takes note that an app withdrew: its tokens go, its users stay. Whether the platform acted for it until then.
    ///
    /// # Errors
    /// The database fails.
    pub async fn note_withdrawal(
        &self,
        platform: &Platform,
        appid: &WechatAppid,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let known = of_appid(self.tenant, platform.id, appid).lock_exclusive().one(&self.tx.tx).await?;
        let Some(row) = known.filter(|row| at.millis() >= row.event_at) else { return Ok(false) };
        let gone = platform_app::ActiveModel {
            state: Set(PlatformAppState::Withdrawn.as_str().to_owned()),
            code: Set(None),
            request_id: Set(None),
            refresh_token: Set(None),
            access_token: Set(None),
            token_expires_at: Set(None),
            lease_owner: Set(None),
            lease_until: Set(None),
            event_at: Set(at.millis()),
            changed_at: Set(self.tx.core.clock.now().millis()),
            ..Default::default()
        };
        self.update_app(row.id, gone).await?;
        self.tx.tenant(self.tenant).apps().withdraw(appid, &platform.appid).await?;
        Ok(row.state == PlatformAppState::Attached.as_str())
    }

    /// Keeps what an app granted, and forgets the code that it came from. With `attached` the platform acts for the app
    /// from now on; else that stays as it is.
    ///
    /// # Errors
    /// The database fails.
    pub async fn grant(
        &self,
        platform: PlatformId,
        grant: &Grant,
        attached: bool,
    ) -> Result<PlatformApp, StorageError> {
        let (core, tx) = (&self.tx.core, &self.tx.tx);
        let now = core.clock.now();
        let known = of_appid(self.tenant, platform, &grant.appid).lock_exclusive().one(tx).await?;
        let id = known.as_ref().map_or_else(|| self.new_id(), |row| row.id);
        let already = known.as_ref().is_some_and(|row| row.state == PlatformAppState::Attached.as_str());
        let state = if attached || already { PlatformAppState::Attached } else { PlatformAppState::Parked };
        let mut change = platform_app::ActiveModel {
            state: Set(state.as_str().to_owned()),
            code: Set(None),
            request_id: Set(None),
            refresh_token: Set(Some(self.sealed("refresh_token", id, &grant.refresh_token).await?)),
            // Whoever fetches just now has asked with what was granted before.
            lease_owner: Set(None),
            lease_until: Set(None),
            // It is granted now, so what WeChat wrote before says nothing any more.
            event_at: Set(known.as_ref().map_or(0, |row| row.event_at).max(now.minus(BEFORE_A_GRANT).millis())),
            authorized_at: Set(Some(now.millis())),
            changed_at: Set(now.millis()),
            ..Default::default()
        };
        if let Some(permissions) = &grant.permissions {
            change.permissions = Set(serde_json::to_string(permissions).unwrap_or_else(|_| "[]".to_owned()));
        }
        if let Some((token, expires_in)) = &grant.token {
            change.access_token = Set(Some(self.sealed("access_token", id, token).await?));
            change.token_expires_at = Set(Some(now.plus(*expires_in).millis()));
        }
        match known {
            Some(_) => self.update_app(id, change).await?,
            None => self.insert_app((id, platform, &grant.appid), change).await?,
        }
        let row = of_appid(self.tenant, platform, &grant.appid).one(tx).await?;
        of_row(row.ok_or(StorageError::NotFound)?)
    }

    /// Has the platform act for an app that is parked and granted something.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is no such app.
    pub async fn unpark(&self, platform: PlatformId, appid: &WechatAppid) -> Result<(), StorageError> {
        let granted = of_appid(self.tenant, platform, appid).filter(platform_app::Column::RefreshToken.is_not_null());
        let row = granted.lock_exclusive().one(&self.tx.tx).await?.ok_or(StorageError::NotFound)?;
        let state = Set(PlatformAppState::Attached.as_str().to_owned());
        self.update_app(row.id, platform_app::ActiveModel { state, ..Default::default() }).await
    }

    /// An app as it stands, locked until the commit: what was asked of WeChat meanwhile may be out of date.
    ///
    /// # Errors
    /// The database fails.
    pub async fn lock_app(
        &self,
        platform: PlatformId,
        appid: &WechatAppid,
    ) -> Result<Option<PlatformApp>, StorageError> {
        let row = of_appid(self.tenant, platform, appid).lock_exclusive().one(&self.tx.tx).await?;
        row.map(of_row).transpose()
    }

    /// Puts a code that could not be exchanged yet behind all others; one that is older than an hour WeChat does not know
    /// any more, and it is forgotten.
    ///
    /// # Errors
    /// The database fails.
    pub async fn postpone(&self, platform: PlatformId, appid: &WechatAppid) -> Result<(), StorageError> {
        let now = self.tx.core.clock.now();
        let row = of_appid(self.tenant, platform, appid).lock_exclusive().one(&self.tx.tx).await?;
        let Some(row) = row else { return Ok(()) };
        if row.event_at < now.minus(CODE_LIFE).millis() {
            return self.drop_code(platform, appid).await;
        }
        let later = platform_app::ActiveModel { changed_at: Set(now.millis()), ..Default::default() };
        self.update_app(row.id, later).await
    }

    /// Forgets a code that cannot be exchanged.
    ///
    /// # Errors
    /// The database fails.
    pub async fn drop_code(&self, platform: PlatformId, appid: &WechatAppid) -> Result<(), StorageError> {
        let Some(row) = of_appid(self.tenant, platform, appid).lock_exclusive().one(&self.tx.tx).await? else {
            return Ok(());
        };
        let none = platform_app::ActiveModel { code: Set(None), request_id: Set(None), ..Default::default() };
        self.update_app(row.id, none).await
    }

    fn new_id(&self) -> Uuid {
        self.tx.core.random.uuid_v7(self.tx.core.clock.now().millis())
    }

    async fn sealed(&self, column: &'static str, id: Uuid, text: &Secret<String>) -> Result<Vec<u8>, StorageError> {
        let core = &self.tx.core;
        let keys = core.keys(self.tenant).await?;
        let place = place(self.tenant.uuid(), column, &id);
        Ok(keys.seal.seal(&place, text.expose().as_bytes(), &core.random).into_bytes())
    }

    async fn insert_app(
        &self,
        (id, platform, appid): (Uuid, PlatformId, &WechatAppid),
        change: platform_app::ActiveModel,
    ) -> Result<(), StorageError> {
        let tx = &self.tx.tx;
        let others = platform_app::Column::State.ne(PlatformAppState::Attached.as_str());
        if of_platform(self.tenant, platform).filter(others).count(tx).await? >= MOST_PARKED {
            return Err(StorageError::Full { table: "platform_app" });
        }
        let mut row = change;
        row.id = Set(id);
        row.tenant_id = Set(self.tenant.uuid());
        row.platform_id = Set(platform.uuid());
        row.appid = Set(appid.as_str().as_bytes().to_vec());
        if row.permissions.is_not_set() {
            row.permissions = Set("[]".to_owned());
        }
        if row.event_at.is_not_set() {
            row.event_at = Set(0);
        }
        platform_app::Entity::insert(row).exec_without_returning(tx).await?;
        Ok(())
    }

    async fn update_app(&self, id: Uuid, change: platform_app::ActiveModel) -> Result<(), StorageError> {
        let update = update_of_tenant::<platform_app::Entity>(self.tenant).filter(platform_app::Column::Id.eq(id));
        update.set(change).exec(&self.tx.tx).await?;
        Ok(())
    }
}
