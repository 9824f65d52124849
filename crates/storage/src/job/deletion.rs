//! Deletes every row of a tenant. Its keys are gone before this begins, so what is left says nothing to anybody.

use sea_orm::{ColumnTrait, DatabaseTransaction};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QueryFilter, Set};
use wxgate_domain::TenantId;

use super::{Outcome, PIECE, Piece};
use crate::changes::{self, ChangeKind};
use crate::entity::{change, tenant};
use crate::error::StorageError;
use crate::sql::{get, id, statement};
use crate::storage::Core;
use crate::tx;

/// Every table with rows of tenants, each before those that its rows refer to, and a column by which some of a tenant's
/// rows can be named. (`change` is not here: others must still hear of what it says.)
const TABLES: [(&str, &str); 38] = [
    ("delivery", "event_id"),
    ("outbox", "id"),
    ("webhook_turn", "webhook_id"),
    ("webhook", "id"),
    ("session", "id"),
    ("superseded_key", "id"),
    ("phone", "id"),
    ("phone_code", "id"),
    ("phone_budget", "openid"),
    ("merge_token", "digest"),
    ("merge_candidate", "id"),
    ("merge", "id"),
    ("union_member", "user_id"),
    ("identity", "id"),
    ("user", "id"),
    ("tombstone", "digest"),
    ("access_token", "app_id"),
    ("wechat_call", "app_id"),
    ("push_mark", "mark"),
    ("push_setting", "id"),
    ("app", "id"),
    ("platform_request", "id"),
    ("platform_app", "id"),
    ("platform", "id"),
    ("union_group", "id"),
    ("released_appid", "appid"),
    ("service_client", "id"),
    ("forward_auth_policy", "name"),
    ("audience", "name"),
    ("revocation", "seq"),
    ("revocation_counter", "tenant_id"),
    ("signing_key", "kid"),
    ("data_key", "number"),
    ("idempotency", "key_digest"),
    ("admin_key", "id"),
    ("audit_entry", "seq"),
    ("audit_chain", "tenant_id"),
    ("job", "id"),
];

/// The deletion of a tenant.
pub(super) struct Deletion {
    tenant: TenantId,
    /// How many tables are empty of it.
    empty: usize,
}

impl Deletion {
    pub(super) fn of(tenant: TenantId) -> Self {
        Self { tenant, empty: 0 }
    }

    pub(super) async fn left(&self, core: &Core) -> Result<u64, StorageError> {
        let mut rows = 0;
        for (table, _) in TABLES {
            let text = format!("SELECT COUNT(*) FROM \"{table}\" WHERE tenant_id = ?");
            let found = core.read(|db| {
                let count = statement(db.get_database_backend(), &text, vec![id(self.tenant.uuid())]);
                async move { db.query_one_raw(count).await }
            });
            let count: Option<i64> = found.await?.map(|row| get(&row, 0)).transpose()?;
            rows += count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        }
        Ok(rows)
    }

    pub(super) async fn piece(&mut self, core: &Core) -> Result<Piece, StorageError> {
        let Some((table, name)) = TABLES.get(self.empty) else { return self.last(core).await };
        // The inner table is read as a whole first: MySQL does not delete from what it selects from.
        let some = format!("SELECT \"{name}\" FROM \"{table}\" WHERE tenant_id = ? LIMIT {PIECE}");
        let text = format!(
            "DELETE FROM \"{table}\" WHERE tenant_id = ? AND \"{name}\" IN (SELECT \"{name}\" FROM ({some}) AS piece)"
        );
        let tenant = id(self.tenant.uuid());
        let delete = statement(core.writer.get_database_backend(), &text, vec![tenant.clone(), tenant]);
        let deleted = core.writer.execute_raw(delete).await?.rows_affected();
        if deleted == 0 {
            self.empty += 1;
        }
        Ok(Piece::more(deleted))
    }

    /// The tenant itself. If a request that was under way has written one more row, all begins again.
    async fn last(&mut self, core: &Core) -> Result<Piece, StorageError> {
        let tx = tx::begin(core).await?;
        match self.delete_tenant(&tx, core).await {
            Ok(()) => {}
            Err(_) if self.left(core).await? > 0 => {
                self.empty = 0;
                return Ok(Piece::more(0));
            }
            Err(error) => return Err(error),
        }
        tx.commit().await?;
        core.news.notify_one();
        Ok(Piece { done: 0, outcome: Outcome::Done })
    }

    async fn delete_tenant(&self, tx: &DatabaseTransaction, core: &Core) -> Result<(), StorageError> {
        let now = core.clock.now();
        for kind in [ChangeKind::ForwardAuthPolicy, ChangeKind::Revocation] {
            changes::record(tx, kind, self.tenant, None, now).await?;
        }
        nameless(tx, self.tenant).await?;
        #[expect(clippy::disallowed_methods, reason = "a tenant is found by its own id")]
        tenant::Entity::delete_by_id(self.tenant.uuid()).exec(tx).await?;
        Ok(())
    }
}

/// The changes of the tenant become changes of nobody knows whom: whoever reads them now forgets all that they know.
async fn nameless(tx: &DatabaseTransaction, tenant: TenantId) -> Result<(), DbErr> {
    #[expect(clippy::disallowed_methods, reason = "the log belongs to no tenant")]
    let changes = change::Entity::update_many().filter(change::Column::TenantId.eq(tenant.uuid()));
    let nobody = change::ActiveModel { tenant_id: Set(None), row_id: Set(None), ..Default::default() };
    changes.set(nobody).exec(tx).await?;
    Ok(())
}
