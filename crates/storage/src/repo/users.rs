//! Users: status and profile. They are created by their first login.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, QueryFilter, QuerySelect, Set};
use wxgate_domain::{
    AppId, EndReason, OpenId, Profile, ProfileParts, RevocationEffect, RevokedSubject, SessionId, TenantId, Timestamp,
    User, UserId, UserStatus,
};

use super::revocations::NewRevocation;
use super::{merges, parsed, sessions, unsigned};
use crate::changes::ChangeKind;
use crate::entity::{identity, user};
use crate::error::StorageError;
use crate::merge_users::withdraw::{self, Withdrawn};
use crate::scope::{of_tenant, update_of_tenant};
use crate::storage::Core;
use crate::tx::{self, Tx};

pub(crate) fn of_row(row: user::Model) -> Result<User, StorageError> {
    Ok(User {
        id: row.id.into(),
        status: UserStatus::from_word(&row.status).ok_or_else(|| StorageError::inconsistent("user", "status"))?,
        profile: Profile { nickname: row.nickname, avatar_url: row.avatar_url },
        external_id: parsed(row.external_id, "user", "external_id")?,
        sessions_epoch: unsigned(row.sessions_epoch, "user", "sessions_epoch")?,
        created_at: Timestamp::from_millis(row.created_at),
    })
}

pub(crate) async fn find(core: &Core, tenant: TenantId, id: UserId) -> Result<Option<User>, StorageError> {
    let by_id = |id: UserId| of_tenant::<user::Entity>(tenant).filter(user::Column::Id.eq(id.uuid()));
    let row = core.read(|db| async move {
        if let Some(row) = by_id(id).one(&db).await? {
            return Ok(Some(row));
        }
        let Some(heir) = merges::heir(&db, tenant, id).await? else { return Ok(None) };
        Ok::<_, StorageError>(by_id(heir).one(&db).await?)
    });
    row.await?.map(of_row).transpose()
}

pub(crate) async fn update_profile(
    core: &Core,
    tenant: TenantId,
    id: UserId,
    newer: &Profile,
) -> Result<(), StorageError> {
    let tx = tx::begin(core).await?;
    let by_id = |id: UserId| of_tenant::<user::Entity>(tenant).filter(user::Column::Id.eq(id.uuid()));
    let mut stored = by_id(id).lock_exclusive().one(&tx).await?;
    if stored.is_none()
        && let Some(heir) = merges::heir(&tx, tenant, id).await?
    {
        stored = by_id(heir).lock_exclusive().one(&tx).await?;
    }
    let stored = stored.map(of_row).transpose()?.ok_or(StorageError::NotFound)?;
    let id = stored.id;
    let Some(merged) = stored.profile.merged(newer) else { return Ok(tx.rollback().await?) };
    update_of_tenant::<user::Entity>(tenant)
        .filter(user::Column::Id.eq(id.uuid()))
        .set(user::ActiveModel {
            nickname: Set(merged.nickname),
            avatar_url: Set(merged.avatar_url),
            ..Default::default()
        })
        .exec(&tx)
        .await?;
    Ok(tx.commit().await?)
}

/// Writes about the users of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxUsers<'a> {
    pub(crate) tx: &'a Tx,
    pub(crate) tenant: TenantId,
}

impl<'a> TxUsers<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// The user whom an app knows by this openid.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of_openid(&self, app: AppId, openid: &OpenId) -> Result<Option<UserId>, StorageError> {
        let known = of_tenant::<identity::Entity>(self.tenant)
            .filter(identity::Column::AppId.eq(app.uuid()))
            .filter(identity::Column::Openid.eq(openid.as_str().as_bytes().to_vec()));
        Ok(known.one(&self.tx.tx).await?.map(|known| known.user_id.into()))
    }

    /// Forgets parts of what a user said about themself; whether there was anything to forget.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such user.
    pub async fn clear_profile(&self, id: UserId, parts: ProfileParts) -> Result<bool, StorageError> {
        let tx = &self.tx.tx;
        let mine = || user::Column::Id.eq(id.uuid());
        let stored = of_tenant::<user::Entity>(self.tenant).filter(mine()).lock_exclusive().one(tx).await?;
        let stored = stored.map(of_row).transpose()?.ok_or(StorageError::NotFound)?;
        withdraw::forget(self.tx, self.tenant, id, Withdrawn::Profile(parts)).await?;
        let Some(left) = stored.profile.without(parts) else { return Ok(false) };
        let row =
            user::ActiveModel { nickname: Set(left.nickname), avatar_url: Set(left.avatar_url), ..Default::default() };
        update_of_tenant::<user::Entity>(self.tenant).filter(mine()).set(row).exec(tx).await?;
        Ok(true)
    }

    /// Ends a live session, and tells the feed and the tenant's services.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such session, or it is over.
    pub async fn end_session(&self, session: SessionId) -> Result<(), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let now = core.clock.now();
        let ended = sessions::end_one(tx, self.tenant, session, EndReason::Revoked, now).await?;
        let (user, ended) = ended.ok_or(StorageError::NotFound)?;
        let scope = self.tx.tenant(self.tenant);
        scope.events().tell_all(&ended.events(user, EndReason::Revoked)).await?;
        scope.revocations().record(&ended.news).await
    }

    /// Blocks or unblocks a user, and tells the feed and, of sessions, the tenant's services. Blocking ends every session for good: unblocking does not revive
    /// them. Of somebody who was erased the tombstones change: whether the same person may log in anew. The id of somebody
    /// who is gone into another user means that user, and the feed is told of all their ids: tokens may name either.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such user and never had.
    pub async fn set_status(&self, id: UserId, status: UserStatus) -> Result<(), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let mut update = update_of_tenant::<user::Entity>(self.tenant)
            .filter(user::Column::Id.eq(id.uuid()))
            .set(user::ActiveModel { status: Set(status.as_str().to_owned()), ..Default::default() });
        if status == UserStatus::Blocked {
            let next = Expr::col(user::Column::SessionsEpoch).add(1);
            update = update.col_expr(user::Column::SessionsEpoch, next);
        }
        if update.exec(tx).await?.rows_affected == 0 {
            return match merges::heir(tx, self.tenant, id).await? {
                Some(heir) => Box::pin(self.set_status(heir, status)).await,
                None => self.set_erased_status(id, status).await,
            };
        }
        let effect = match status {
            UserStatus::Active => RevocationEffect::Lifted,
            UserStatus::Blocked => RevocationEffect::Blocked,
        };
        let aliases = merges::aliases(tx, self.tenant, id).await?;
        let ids = std::iter::once(id).chain(aliases.iter().map(|merge| merge.gone_id.into()));
        let told = |id| NewRevocation { subject: RevokedSubject::User(id), effect, expires: None };
        let mut news: Vec<_> = ids.map(told).collect();
        if status == UserStatus::Blocked {
            let now = core.clock.now();
            let ended = sessions::end_all_of_user(tx, self.tenant, id, EndReason::Blocked, now).await?;
            self.tx.tenant(self.tenant).events().tell_all(&ended.events(id, EndReason::Blocked)).await?;
            news.extend(ended.news);
        }
        self.tx.tenant(self.tenant).revocations().record(&news).await?;
        self.tx.record(ChangeKind::User, self.tenant, Some(id.uuid())).await
    }
}
