//! Deletes sessions that are over, once nothing can ask for them any more.
//!
//! The pass walks round the table by primary key, some rows a minute, so that it needs no index of its own: an index is
//! written by every login.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use uuid::Uuid;
use wxgate_domain::{EndReason, SessionState, Timestamp};

use super::{PIECE, Policies, WRITE, cursor, move_cursor};
use crate::error::StorageError;
use crate::sql::{get, id, list, statement};
use crate::storage::Core;

/// The cursor's name.
const SESSIONS_OVER: &str = "sessions_over";

/// The longest life of an access token: until then somebody may ask why a session ended.
const KEPT: Duration = Duration::from_hours(24);

/// Most pieces of one pass.
const PIECES: usize = 40;

/// One pass.
pub(super) async fn purge(core: &Core, now: Timestamp) -> Result<(), StorageError> {
    let mut policies = Policies::default();
    for _ in 0..PIECES {
        let after = cursor(core, SESSIONS_OVER).await?;
        let piece = piece(core, after).await?;
        let mut over = Vec::new();
        for session in &piece {
            let policy = policies.of(core, session.tenant).await?;
            let expired =
                policy.is_none_or(|policy| SessionState::expires_at(session.opened_at, session.last, policy) <= now);
            let ended = session.ended_at.filter(|_| !session.holds_key_of_proof);
            let ended = ended.or(expired.then_some(session.access_until));
            if ended.is_some_and(|ended| ended.max(session.access_until) < now.minus(KEPT)) {
                over.push(session.id);
            }
        }
        for ids in over.chunks(WRITE) {
            let delete = format!("DELETE FROM session WHERE id IN ({})", list("?", ids.len()));
            let values = ids.iter().copied().map(id).collect();
            core.writer.execute_raw(statement(core.writer.get_database_backend(), &delete, values)).await?;
        }
        let last = piece.last().filter(|_| piece.len() as u64 == PIECE).map(|session| session.id);
        // From the beginning again once the end is reached.
        move_cursor(core, SESSIONS_OVER, last.unwrap_or(Uuid::nil())).await?;
        if last.is_none() {
            return Ok(());
        }
    }
    Ok(())
}

struct Session {
    id: Uuid,
    tenant: Uuid,
    opened_at: Timestamp,
    /// When its present turn began.
    last: Timestamp,
    ended_at: Option<Timestamp>,
    access_until: Timestamp,
    /// Whether it was opened as a proof and its key is its identity's newest, which is kept as long as a session's.
    holds_key_of_proof: bool,
}

async fn piece(core: &Core, after: Uuid) -> Result<Vec<Session>, StorageError> {
    let proof = EndReason::Proof.as_str();
    let text = format!(
        "SELECT id, tenant_id, opened_at, refreshed_at, ended_at, access_until,
        CASE WHEN end_reason = '{proof}' AND session_key IS NOT NULL THEN 1 ELSE 0 END
        FROM session WHERE id > ? ORDER BY id LIMIT {PIECE}"
    );
    let rows = core.read(|db| {
        let piece = statement(db.get_database_backend(), &text, vec![id(after)]);
        async move { db.query_all_raw(piece).await }
    });
    let session = |row| {
        let opened_at = Timestamp::from_millis(get(row, 2)?);
        Ok(Session {
            id: get(row, 0)?,
            tenant: get(row, 1)?,
            opened_at,
            last: get::<Option<i64>>(row, 3)?.map_or(opened_at, Timestamp::from_millis),
            ended_at: get::<Option<i64>>(row, 4)?.map(Timestamp::from_millis),
            access_until: Timestamp::from_millis(get(row, 5)?),
            holds_key_of_proof: get::<i32>(row, 6)? == 1,
        })
    };
    rows.await?.iter().map(session).collect()
}
