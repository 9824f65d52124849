//! The end of an app, in pieces, so that no login waits for a large one; and of registrations that were never proved.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, Set,
};
use uuid::Uuid;
use wxgate_domain::{
    App, AppId, AppStatus, RevocationEffect, RevokedSubject, SecretState, TenantId, Timestamp, WechatAppid,
};

use super::{TxApps, of_appid};
use crate::changes::{self, ChangeKind};
use crate::entity::{app, identity, released_appid};
use crate::error::StorageError;
use crate::repo::audiences::{AudienceUse, uses};
use crate::repo::push_settings;
use crate::repo::revocations::{self, NewRevocation};
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};
use crate::sql::{LARGEST, id, list, statement};
use crate::storage::Core;
use crate::tx::{self, Tx};

/// The longest life of an access token.
const LONGEST_TOKEN: Duration = Duration::from_hours(24);

/// How long a registration waits to be proved.
const UNVERIFIED: Duration = Duration::from_hours(24);

impl TxApps<'_> {
    /// The first step of a removal: the app serves nothing more, its sessions are over, the feed says so, and nothing else
    /// is held by it. Unless its appid is named as an audience elsewhere: then nothing happens, and that is returned.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app.
    pub async fn retire(&self, appid: &WechatAppid) -> Result<Vec<AudienceUse>, StorageError> {
        let app = self.current(appid).await?;
        if app.status == AppStatus::Removing {
            return Ok(Vec::new());
        }
        let named_by = self.named_by_others(&app).await?;
        if !named_by.is_empty() {
            return Ok(named_by);
        }
        let expires = self.tx.core.clock.now().plus(LONGEST_TOKEN);
        let subject = RevokedSubject::App(appid.clone());
        let ended = NewRevocation { subject, effect: RevocationEffect::Ended, expires: Some(expires) };
        self.tx.tenant(self.tenant).revocations().record(&[ended]).await?;
        let retired = update_of_tenant::<app::Entity>(self.tenant)
            .filter(app::Column::Id.eq(app.id.uuid()))
            .col_expr(app::Column::SessionsEpoch, Expr::col(app::Column::SessionsEpoch).add(1))
            .col_expr(app::Column::UnionGroupId, Expr::value(Option::<Uuid>::None))
            .col_expr(app::Column::Status, Expr::value(AppStatus::Removing.as_str()));
        retired.exec(&self.tx.tx).await?;
        self.tx.record(ChangeKind::App, self.tenant, Some(app.id.uuid())).await?;
        Ok(named_by)
    }

    /// The step that is repeated: removes some identities of a retired app with their sessions; how many. Their users stay:
    /// services know them by their ids, a block outlives the app, and a unionid may lead back to them.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app.
    pub async fn remove_identities(&self, appid: &WechatAppid) -> Result<usize, StorageError> {
        let app = self.locked(appid).await?;
        let tx = &self.tx.tx;
        let some = of_tenant::<identity::Entity>(self.tenant).filter(identity::Column::AppId.eq(app.id));
        let some = some.select_only().column(identity::Column::Id).limit(LARGEST as u64);
        let ids: Vec<Uuid> = some.into_tuple().all(tx).await?;
        if ids.is_empty() {
            return Ok(0);
        }
        let text = format!("DELETE FROM session WHERE tenant_id = ? AND identity_id IN ({})", list("?", ids.len()));
        let values = std::iter::once(self.tenant.uuid()).chain(ids.iter().copied()).map(id).collect();
        tx.execute_raw(statement(tx.get_database_backend(), &text, values)).await?;
        let gone = delete_of_tenant::<identity::Entity>(self.tenant).filter(identity::Column::Id.is_in(ids.clone()));
        gone.exec(tx).await?;
        Ok(ids.len())
    }

    /// The last step: removes an app that has no identities any more, and remembers whose its appid was.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app; [`StorageError::Busy`] if somebody logged in meanwhile.
    pub async fn remove(&self, appid: &WechatAppid) -> Result<(), StorageError> {
        let app = self.current(appid).await?;
        if self.has_identities(self.tenant, app.id.uuid()).await? {
            return Err(StorageError::Busy);
        }
        let Tx { core, tx, .. } = self.tx;
        self.forget_platforms(appid).await?;
        delete(tx, self.tenant, app.id).await?;
        let released = released_appid::ActiveModel {
            appid: Set(appid.as_str().as_bytes().to_vec()),
            tenant_id: Set(self.tenant.uuid()),
            at: Set(core.clock.now().millis()),
        };
        released_appid::Entity::insert(released).exec_without_returning(tx).await?;
        self.tx.record(ChangeKind::App, self.tenant, Some(app.id.uuid())).await
    }

    /// The next piece of a removal: some identities; after the last ones the app. How many identities went; `None` if there
    /// is no such app to be removed any more.
    pub(crate) async fn remove_piece(&self, appid: &WechatAppid, app: AppId) -> Result<Option<usize>, StorageError> {
        let row = of_appid(self.tenant, appid).lock_exclusive().one(&self.tx.tx).await?;
        // The appid may have been taken up again meanwhile.
        if !row.is_some_and(|row| row.id == app.uuid() && row.status == AppStatus::Removing.as_str()) {
            return Ok(None);
        }
        match self.remove_identities(appid).await? {
            0 => self.remove(appid).await.map(|()| Some(0)),
            removed => Ok(Some(removed)),
        }
    }

    /// Takes up an appid that was removed before: its tenant may, and whoever may move it.
    pub(super) async fn take_up(&self, appid: &WechatAppid, may_move: bool) -> Result<(), StorageError> {
        let tx = &self.tx.tx;
        #[expect(clippy::disallowed_methods, reason = "an appid is unique among all tenants")]
        let released = released_appid::Entity::find_by_id(appid.as_str().as_bytes().to_vec()).one(tx).await?;
        if let Some(released) = released {
            if released.tenant_id != self.tenant.uuid() && !may_move {
                return Err(StorageError::NotUnique { constraint: "released_appid".to_owned() });
            }
            let forget = delete_of_tenant::<released_appid::Entity>(released.tenant_id.into());
            forget.filter(released_appid::Column::Appid.eq(released.appid)).exec(tx).await?;
        }
        let subject = RevokedSubject::App(appid.clone());
        if revocations::holds(tx, self.tenant, &subject, self.tx.core.clock.now()).await? {
            let lifted = NewRevocation { subject, effect: RevocationEffect::Lifted, expires: None };
            self.tx.tenant(self.tenant).revocations().record(&[lifted]).await?;
        }
        Ok(())
    }

    /// Removes another tenant's registration of an appid, if it was never proved.
    pub(super) async fn displace_unverified(&self, appid: &WechatAppid) -> Result<(), StorageError> {
        let tx = &self.tx.tx;
        #[expect(clippy::disallowed_methods, reason = "the appid is unique among all tenants")]
        let rival = app::Entity::find()
            .filter(app::Column::Appid.eq(appid.as_str().as_bytes().to_vec()))
            .filter(app::Column::TenantId.ne(self.tenant.uuid()))
            .filter(app::Column::SecretState.eq(SecretState::Unverified.as_str()));
        let Some(rival) = rival.lock_exclusive().one(tx).await? else { return Ok(()) };
        let owner = TenantId::from(rival.tenant_id);
        if !self.has_identities(owner, rival.id).await? {
            delete(tx, owner, rival.id.into()).await?;
            self.tx.record(ChangeKind::App, owner, Some(rival.id)).await?;
        }
        Ok(())
    }

    async fn has_identities(&self, tenant: TenantId, app: Uuid) -> Result<bool, StorageError> {
        let any = of_tenant::<identity::Entity>(tenant).filter(identity::Column::AppId.eq(app)).limit(1);
        Ok(any.one(&self.tx.tx).await?.is_some())
    }

    async fn named_by_others(&self, app: &App) -> Result<Vec<AudienceUse>, StorageError> {
        let mut uses = uses(self.tx, self.tenant, app.appid.as_str()).await?;
        uses.retain(|used| *used != AudienceUse::App(app.appid.clone()));
        if uses.is_empty() || !self.is_registered(app.appid.as_str()).await? { Ok(uses) } else { Ok(Vec::new()) }
    }

    /// Whether the appid is an audience of the tenant by registration too, and so stays one.
    async fn is_registered(&self, name: &str) -> Result<bool, StorageError> {
        use crate::entity::audience;
        let registered = of_tenant::<audience::Entity>(self.tenant);
        let registered = registered.filter(audience::Column::Name.eq(name.as_bytes().to_vec()));
        Ok(registered.count(&self.tx.tx).await? > 0)
    }
}

/// Deletes an app without identities, and before it what refers to it.
async fn delete(tx: &DatabaseTransaction, tenant: TenantId, app: AppId) -> Result<(), StorageError> {
    push_settings::forget_app(tx, tenant, app).await?;
    delete_of_tenant::<app::Entity>(tenant).filter(app::Column::Id.eq(app.uuid())).exec(tx).await?;
    Ok(())
}

/// Forgets registrations that nobody proved within a day. They own nothing and served nobody.
pub(crate) async fn forget_unverified(core: &Core, now: Timestamp, limit: u64) -> Result<(), StorageError> {
    let cutoff = now.minus(UNVERIFIED).millis();
    let late = app::Column::SecretChangedAt.is_null().or(app::Column::SecretChangedAt.lt(cutoff));
    #[expect(clippy::disallowed_methods, reason = "swept for all tenants")]
    let late = app::Entity::find()
        .filter(app::Column::SecretState.eq(SecretState::Unverified.as_str()))
        .filter(app::Column::CreatedAt.lt(cutoff))
        .filter(late)
        .limit(limit);
    let late = &late;
    for row in core.read(|db| async move { late.clone().all(&db).await }).await? {
        let tenant = TenantId::from(row.tenant_id);
        let tx = tx::begin(core).await?;
        let mine = || of_tenant::<app::Entity>(tenant).filter(app::Column::Id.eq(row.id));
        let still = mine().filter(app::Column::SecretState.eq(SecretState::Unverified.as_str()));
        let served = of_tenant::<identity::Entity>(tenant).filter(identity::Column::AppId.eq(row.id)).limit(1);
        if still.lock_exclusive().one(&tx).await?.is_none() || served.one(&tx).await?.is_some() {
            continue;
        }
        delete(&tx, tenant, row.id.into()).await?;
        changes::record(&tx, ChangeKind::App, tenant, Some(row.id), now).await?;
        tx.commit().await?;
        tracing::warn!(tenant.id = %tenant, app.id = %row.id, "an app was forgotten: nobody proved its secret within a day");
    }
    Ok(())
}
