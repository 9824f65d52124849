//! Forgetting the oldest entries of each chain, by the tenant's policy.

use sea_orm::sea_query::{Alias, Cond, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect};
use uuid::Uuid;
use wxgate_crypto::Digest;
use wxgate_domain::{TenantId, TenantPolicy, Timestamp};

use super::chain::{locked, store};
use super::keys::AuditKeys;
use super::{TAMPERED, entry};
use crate::entity::audit_entry;
use crate::error::StorageError;
use crate::scope::{delete_of_tenant, of_tenant};
use crate::storage::Core;

/// The chains after this one whose oldest entry is from before `cutoff`, in the order of their tenants, with its moment.
pub(crate) async fn old_chains(
    core: &Core,
    after: Option<Uuid>,
    cutoff: Timestamp,
    limit: u64,
) -> Result<Vec<(TenantId, Timestamp)>, StorageError> {
    let query = oldest(after, cutoff, limit);
    let query = &query;
    let rows = core.read(|db| async move { db.query_all(query).await }).await?;
    let read = |row: &QueryResult| {
        let at = Timestamp::from_millis(row.try_get("", "at")?);
        Ok((TenantId::from(row.try_get::<Uuid>("", "tenant_id")?), at))
    };
    rows.iter().map(read).collect()
}

fn oldest(after: Option<Uuid>, cutoff: Timestamp, limit: u64) -> SelectStatement {
    let (chain, entry) = (Alias::new("c"), Alias::new("e"));
    let of = |table: &Alias, column: &'static str| Expr::col((table.clone(), Alias::new(column)));
    let first = of(&entry, "seq").eq(of(&chain, "pruned").add(1));
    let join = Cond::all().add(of(&entry, "tenant_id").eq(of(&chain, "tenant_id"))).add(first);
    let mut query = Query::select();
    query
        .column((chain.clone(), Alias::new("tenant_id")))
        .column((entry.clone(), Alias::new("at")))
        .from_as("audit_chain", chain.clone())
        .join_as(sea_orm::JoinType::InnerJoin, "audit_entry", entry.clone(), join)
        .and_where(of(&entry, "at").lt(cutoff.millis()));
    if let Some(after) = after {
        query.and_where(of(&chain, "tenant_id").gt(after));
    }
    query.order_by((chain, Alias::new("tenant_id")), sea_orm::Order::Asc).limit(limit).to_owned()
}

/// How long a chain's entries are kept; the installation's own like those of a tenant that tunes nothing.
pub(crate) fn cutoff(now: Timestamp, policy: Option<&TenantPolicy>) -> Timestamp {
    let kept = policy.map_or_else(|| TenantPolicy::default().audit_life(), TenantPolicy::audit_life);
    now.minus(kept)
}

/// Forgets at most `limit` entries of a chain from before `cutoff`, oldest first; how many.
///
/// What was changed is not forgotten, nor what comes after it: whoever sets back a date gets rid of nothing.
pub(crate) async fn prune(core: &Core, chain: TenantId, cutoff: Timestamp, limit: u64) -> Result<u64, StorageError> {
    let tx = crate::tx::begin(core).await?;
    let Some(mut row) = locked(&tx, chain).await? else { return Ok(0) };
    let keys = AuditKeys::load(&tx, core, chain).await?;
    if !keys.anchor(&row) {
        tracing::error!(tenant.id = %chain, "{TAMPERED}");
        return Ok(0);
    }
    let oldest = of_tenant::<audit_entry::Entity>(chain).order_by_asc(audit_entry::Column::Seq).limit(limit);
    let mut forgotten = 0;
    for old in oldest.all(&tx).await?.iter().take_while(|entry| entry.at < cutoff.millis()) {
        let key = keys.get(old.mac_key).filter(|_| old.seq == row.pruned + 1);
        let sound = key.is_some_and(|key| Digest::from_slice(&old.mac) == Some(entry::mac(key, old, &row.pruned_mac)));
        if !sound {
            tracing::error!(tenant.id = %chain, audit.seq = old.seq, "{TAMPERED}");
            break;
        }
        row.pruned = old.seq;
        row.pruned_mac.clone_from(&old.mac);
        forgotten += 1;
    }
    if forgotten > 0 {
        let gone = delete_of_tenant::<audit_entry::Entity>(chain).filter(audit_entry::Column::Seq.lte(row.pruned));
        gone.exec(&tx).await?;
        store(&tx, &keys, row, true).await?;
        tx.commit().await?;
    }
    Ok(forgotten)
}
