//! Tenants of before there was an audit log: theirs begins when the first process of this version starts.

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::chain;
use crate::error::StorageError;
use crate::sql::{get, statement};
use crate::storage::Core;
use crate::tx;

/// Those without a log who are older than its table. A younger one without a log has lost it, which stays a flaw.
const OLDER: &str = "SELECT t.id FROM tenant t LEFT JOIN audit_chain c ON c.tenant_id = t.id \
    WHERE c.tenant_id IS NULL AND t.status <> 'deleting' AND t.created_at < 1000 * \
    (SELECT m.applied_at FROM schema_migration m WHERE m.version = 'm20261124_000003_operators')";

/// Begins their logs, each once, whoever does it.
pub(crate) async fn begin(core: &Core) -> Result<(), StorageError> {
    let rows = core
        .read(|db| async move {
            let query = statement(db.get_database_backend(), OLDER, Vec::new());
            db.query_all_raw(query).await
        })
        .await?;
    for row in rows {
        let tenant: Uuid = get(&row, 0)?;
        let tx = tx::begin(core).await?;
        chain::begin(&tx, core, tenant.into()).await?;
        tx.commit().await?;
    }
    Ok(())
}
