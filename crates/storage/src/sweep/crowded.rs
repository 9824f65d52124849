//! Ends sessions of identities that opened more than one may have. A refresh refuses them anyway; this keeps the lists
//! short of those that are never refreshed.

use sea_orm::ConnectionTrait;
use uuid::Uuid;
use wxgate_domain::EndReason;

use super::Policies;
use crate::error::StorageError;
use crate::sql::{get, id, statement, time};
use crate::storage::Core;

/// How many live sessions the identities have that opened one between two ids.
const COUNT: &str = "SELECT o.tenant_id, o.identity_id, COUNT(*) FROM session o
    WHERE o.ended_at IS NULL AND (o.tenant_id, o.identity_id) IN
    (SELECT n.tenant_id, n.identity_id FROM session n WHERE n.id > ? AND n.id <= ?)
    GROUP BY o.tenant_id, o.identity_id";

/// The live sessions of an identity, newest first.
const LIVE: &str = "SELECT id FROM session WHERE tenant_id = ? AND identity_id = ? AND ended_at IS NULL
    ORDER BY opened_at DESC, id DESC";

const END: &str = "UPDATE session SET ended_at = ?, end_reason = ? WHERE id = ? AND ended_at IS NULL";

/// Looks at the identities that opened a session between two ids.
pub(super) async fn end(core: &Core, after: Uuid, until: Uuid) -> Result<(), StorageError> {
    let counts = core.read(|db| async move {
        let counts = statement(db.get_database_backend(), COUNT, vec![id(after), id(until)]);
        db.query_all_raw(counts).await
    });
    let mut policies = Policies::default();
    for row in counts.await? {
        let (tenant, identity): (Uuid, Uuid) = (get(&row, 0)?, get(&row, 1)?);
        let live = u64::try_from(get::<i64>(&row, 2)?).unwrap_or(0);
        let Some(policy) = policies.of(core, tenant).await? else { continue };
        if live > policy.max_sessions.into() {
            end_oldest(core, tenant, identity, policy.max_sessions).await?;
        }
    }
    Ok(())
}

async fn end_oldest(core: &Core, tenant: Uuid, identity: Uuid, keep: u32) -> Result<(), StorageError> {
    let live = core.read(|db| async move {
        let live = statement(db.get_database_backend(), LIVE, vec![id(tenant), id(identity)]);
        db.query_all_raw(live).await
    });
    for row in live.await?.iter().skip(usize::try_from(keep).unwrap_or(usize::MAX)) {
        let values = vec![time(core.clock.now()), EndReason::Crowded.as_str().into(), id(get(row, 0)?)];
        core.writer.execute_raw(statement(core.writer.get_database_backend(), END, values)).await?;
    }
    Ok(())
}
