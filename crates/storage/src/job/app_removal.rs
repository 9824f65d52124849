//! Removes an app that serves nothing any more: first its accounts with their sessions, then itself.

use std::sync::Arc;

use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter};
use wxgate_domain::{AppId, TenantId, WechatAppid};

use super::{Outcome, Piece};
use crate::entity::identity;
use crate::error::StorageError;
use crate::scope::of_tenant;
use crate::storage::Core;
use crate::tx::Tx;

/// The removal of one app.
pub(super) struct AppRemoval {
    tenant: TenantId,
    app: AppId,
    appid: WechatAppid,
}

impl AppRemoval {
    pub(super) fn of(tenant: TenantId, app: AppId, appid: WechatAppid) -> Self {
        Self { tenant, app, appid }
    }

    pub(super) async fn left(&self, core: &Core) -> Result<u64, StorageError> {
        let accounts =
            || of_tenant::<identity::Entity>(self.tenant).filter(identity::Column::AppId.eq(self.app.uuid()));
        core.read(|db| async move { accounts().count(&db).await }).await
    }

    pub(super) async fn piece(&mut self, core: &Arc<Core>) -> Result<Piece, StorageError> {
        let tx = Tx::begin(core.clone()).await?;
        let removed = tx.tenant(self.tenant).apps().remove_piece(&self.appid, self.app).await;
        match removed {
            Ok(Some(removed)) => {
                tx.commit().await?;
                Ok(Piece::more(removed as u64))
            }
            Ok(None) => Ok(Piece { done: 0, outcome: Outcome::Done }),
            // A login that was under way came in.
            Err(StorageError::Busy) => Ok(Piece::more(0)),
            Err(error) => Err(error),
        }
    }
}
