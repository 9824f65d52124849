//! What is forgotten in time: session keys that were replaced, sessions that are over, apps that nobody proved, AppSecrets
//! that were rotated, access_tokens that ended, revocations that no token outlives, phone codes that are over, numbers that
//! leave their users, merge tokens that nobody used, what moved in merges that can no longer be undone, pushes that nobody
//! repeats any more, events that services were told of, what was called of WeChat last week, and the log of changes.
//!
//! Work is done in small pieces, so that no login waits for it. Nodes share a cursor; two that sweep at once do some
//! work twice and no harm.

mod over;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::{Alias, Cond, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;
use wxgate_domain::{TenantId, TenantPolicy, Timestamp};

use crate::audit;
use crate::bind_phone;
use crate::entity::{change, sweep_cursor};
use crate::error::StorageError;
use crate::open_session::replace_key::{self, SUPERSEDED};
use crate::repo::{
    access_tokens, apps, data_keys, idempotency, jobs, merge_tokens, merges, nodes, phone_codes, platforms, push_marks,
    receipts, revocations, tenants, wechat_calls,
};
use crate::storage::Core;

/// How often.
const EVERY: Duration = Duration::from_mins(1);
/// How long the log of changes reaches back; nodes read it every 250 ms.
const CHANGES: Duration = Duration::from_hours(24);
/// How long after its end a revocation is still told: verifiers' clocks differ.
const LATE: Duration = Duration::from_mins(1);
/// How long a job is shown after its end.
const JOBS: Duration = Duration::from_hours(24 * 30);
/// Rows looked at in one piece.
const PIECE: u64 = 500;
/// Rows written by one statement.
const WRITE: usize = 256;
/// The cursors' names.
const SESSION_KEYS: &str = "session_keys";
const AUDIT: &str = "audit";
/// How often old entries of audit logs are looked for.
const AUDIT_EVERY: Duration = Duration::from_hours(1);

/// Sweeps every minute until told to stop.
pub(crate) async fn run(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = tick.tick() => {}
        }
        // A piece that was begun is finished; the rest waits for the next start.
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            // What failed is in the log; the next one tries it again.
            _ = once(&core) => {}
        }
    }
}

/// One pass. A step that fails keeps no other from its work.
///
/// # Errors
/// That of the first step that failed.
pub(crate) async fn once(core: &Core) -> Result<(), StorageError> {
    let now = core.clock.now();
    let steps = [
        ("session keys", session_keys(core, now.minus(SUPERSEDED)).await),
        ("superseded keys", replace_key::forget_superseded(core, now.minus(SUPERSEDED)).await),
        ("sessions that are over", over::purge(core, now).await),
        ("unverified apps", apps::forget_unverified(core, now, PIECE).await),
        ("old AppSecrets", apps::drop_old_secrets(core, now, PIECE).await),
        ("revocations", told_revocations(core, now.minus(LATE)).await),
        ("old MAC keys", data_keys::forget_old_macs(core).await),
        ("access_tokens", access_tokens::purge(core, now).await),
        ("phone codes", phone_codes::purge(core, now).await),
        ("numbers that leave", bind_phone::release_due(core, now, PIECE).await),
        ("jobs", jobs::purge(core, now.minus(JOBS)).await),
        ("nodes", nodes::purge(core).await),
        ("receipts", receipts::sweep(core, now, PIECE).await),
        ("platforms", platforms::purge(core, now).await),
        ("merge tokens", merge_tokens::purge(core, now, PIECE).await),
        ("merges", merges::forget_moved(core, now, PIECE).await),
        ("audit entries", audit_entries(core, now).await),
        ("idempotency keys", idempotency::prune(core, now).await),
        ("push marks", push_marks::prune(core, now).await),
        ("calls of WeChat", wechat_calls::purge(core, now).await),
        ("changes", changes(core, now.minus(CHANGES)).await),
    ];
    let mut first = Ok(());
    for (step, result) in steps {
        if let Err(error) = result {
            tracing::warn!(step, %error, "a step of the sweep failed; the next sweep tries it again");
            first = first.and(Err(error));
        }
    }
    first
}

async fn told_revocations(core: &Core, before: Timestamp) -> Result<(), StorageError> {
    while revocations::prune(core, before, PIECE).await? as u64 == PIECE {}
    Ok(())
}

/// Forgets old entries of the audit logs, each tenant's by its policy; once an hour, for all of them are looked at.
async fn audit_entries(core: &Core, now: Timestamp) -> Result<(), StorageError> {
    if cursor(core, AUDIT).await? > first_id_of(now.minus(AUDIT_EVERY)) {
        return Ok(());
    }
    let mut policies = Policies::default();
    let mut after = None;
    loop {
        let old = audit::old_chains(core, after, now.minus(TenantPolicy::least_audit_life()), PIECE).await?;
        for (chain, oldest) in &old {
            let cutoff = audit::cutoff(now, policies.of(core, chain.uuid()).await?);
            while *oldest < cutoff && audit::prune(core, *chain, cutoff, PIECE).await? == PIECE {}
        }
        let Some((last, _)) = old.last().filter(|_| old.len() as u64 == PIECE) else { break };
        after = Some(last.uuid());
    }
    move_cursor(core, AUDIT, first_id_of(now)).await
}

/// Nulls the keys of sessions whose identity opened a newer one before `cutoff`.
///
/// Session ids begin with their time, so the newer sessions are found by walking the primary key, each of them once.
async fn session_keys(core: &Core, cutoff: Timestamp) -> Result<(), StorageError> {
    let end = first_id_of(cutoff);
    loop {
        let after = cursor(core, SESSION_KEYS).await?;
        if after >= end {
            return Ok(());
        }
        let piece = sessions_between(core, after, end).await?;
        let (until, done) = match piece.last() {
            Some(last) if piece.len() as u64 == PIECE => (*last, false),
            _ => (end, true),
        };
        let superseded = ids(core, &superseded_by(after, until)).await?;
        for ids in superseded.chunks(WRITE) {
            let forget = Query::update()
                .table("session")
                .value("session_key", Option::<Vec<u8>>::None)
                .and_where(Expr::col("id").is_in(ids.iter().copied()))
                .to_owned();
            core.writer.execute(&forget).await?;
        }
        move_cursor(core, SESSION_KEYS, until).await?;
        if done {
            return Ok(());
        }
    }
}

/// The smallest id of a moment (UUIDv7, RFC 9562 section 5.7).
fn first_id_of(moment: Timestamp) -> Uuid {
    let millis = u64::try_from(moment.millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

async fn sessions_between(core: &Core, after: Uuid, end: Uuid) -> Result<Vec<Uuid>, StorageError> {
    let query = Query::select()
        .column("id")
        .from("session")
        .and_where(Expr::col("id").gt(after))
        .and_where(Expr::col("id").lt(end))
        .order_by("id", sea_orm::Order::Asc)
        .limit(PIECE)
        .to_owned();
    ids(core, &query).await
}

/// The sessions that still have a key and are older than one of the sessions in the range.
fn superseded_by(after: Uuid, until: Uuid) -> SelectStatement {
    let (newer, older) = (Alias::new("newer"), Alias::new("older"));
    let of = |table: &Alias, column: &'static str| Expr::col((table.clone(), Alias::new(column)));
    let same = |column| of(&older, column).eq(of(&newer, column));
    let earlier = Cond::any().add(of(&older, "opened_at").lt(of(&newer, "opened_at"))).add(
        Cond::all().add(of(&older, "opened_at").eq(of(&newer, "opened_at"))).add(of(&older, "id").lt(of(&newer, "id"))),
    );
    let join = Cond::all().add(same("tenant_id")).add(same("identity_id")).add(earlier);
    Query::select()
        .distinct()
        .column((older.clone(), Alias::new("id")))
        .from_as("session", newer.clone())
        .join_as(sea_orm::JoinType::InnerJoin, "session", older.clone(), join)
        .and_where(of(&newer, "id").gt(after))
        .and_where(of(&newer, "id").lte(until))
        .and_where(of(&older, "session_key").is_not_null())
        .order_by((older, Alias::new("id")), sea_orm::Order::Asc)
        .to_owned()
}

async fn ids(core: &Core, query: &SelectStatement) -> Result<Vec<Uuid>, StorageError> {
    core.read(|db| async move { db.query_all(query).await?.iter().map(|row| row.try_get("", "id")).collect() }).await
}

async fn cursor(core: &Core, task: &str) -> Result<Uuid, StorageError> {
    #[expect(clippy::disallowed_methods, reason = "the cursor belongs to no tenant")]
    let row = sweep_cursor::Entity::find_by_id(task).one(&core.reader).await?;
    Ok(row.map_or(Uuid::nil(), |row| row.after_id))
}

async fn move_cursor(core: &Core, task: &str, to: Uuid) -> Result<(), StorageError> {
    #[expect(clippy::disallowed_methods, reason = "the cursor belongs to no tenant")]
    let update = sweep_cursor::Entity::update_many().filter(sweep_cursor::Column::Task.eq(task));
    let moved = update.set(sweep_cursor::ActiveModel { after_id: Set(to), ..Default::default() });
    if moved.exec(&core.writer).await?.rows_affected > 0 {
        return Ok(());
    }
    let row = sweep_cursor::ActiveModel { task: Set(task.to_owned()), after_id: Set(to) };
    match sweep_cursor::Entity::insert(row).exec_without_returning(&core.writer).await.map_err(StorageError::from) {
        Ok(_) | Err(StorageError::NotUnique { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Deletes changes from before `cutoff`, oldest first.
async fn changes(core: &Core, cutoff: Timestamp) -> Result<(), StorageError> {
    loop {
        #[expect(clippy::disallowed_methods, reason = "the log belongs to no tenant")]
        let oldest = change::Entity::find().order_by_asc(change::Column::Seq).limit(PIECE).all(&core.reader).await?;
        let Some(last) = oldest.iter().take_while(|row| row.at < cutoff.millis()).last() else { return Ok(()) };
        #[expect(clippy::disallowed_methods, reason = "the log belongs to no tenant")]
        let purge = change::Entity::delete_many().filter(change::Column::Seq.lte(last.seq));
        purge.exec(&core.writer).await?;
    }
}

/// The policies of the tenants that a pass meets, each read once.
#[derive(Default)]
struct Policies(HashMap<Uuid, Option<TenantPolicy>>);

impl Policies {
    /// `None` for a tenant that is not there.
    async fn of(&mut self, core: &Core, tenant: Uuid) -> Result<Option<&TenantPolicy>, StorageError> {
        if let Entry::Vacant(unknown) = self.0.entry(tenant) {
            let row = core.read(|db| async move { tenants::by_id(&db, TenantId::from(tenant)).await }).await?;
            unknown.insert(row.map(tenants::of_row).transpose()?.map(|tenant| tenant.policy));
        }
        Ok(self.0.get(&tenant).and_then(Option::as_ref))
    }
}
