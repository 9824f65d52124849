//! Sessions outside the hot path: a user's devices, and the end of all of them at once.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, QueryResult, Value};
use uuid::Uuid;
use wxgate_domain::{
    AppStatus, EndReason, Event, RevocationEffect, RevokedSubject, SessionId, TenantId, TenantStatus, Timestamp,
};
use wxgate_domain::{UserId, UserStatus, WechatAppid};

use super::ascii;
use super::revocations::NewRevocation;
use crate::error::StorageError;
use crate::scope::TenantScope;
use crate::sql::{LARGEST, get, id, list, statement, time};

/// Most devices that are listed.
const MOST: u64 = 1_000;

/// A session goes on: it is not over, and no epoch has moved on since it began. By the aliases `s`, `u`, `a` and `t` of its
/// own row and its user's, app's and tenant's.
pub(crate) const GOES_ON: &str = "s.ended_at IS NULL AND s.user_epoch = u.sessions_epoch \
    AND s.app_epoch = a.sessions_epoch AND s.tenant_epoch = t.sessions_epoch";

/// A live session, as its user sees it: one login on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSession {
    /// The session.
    pub id: SessionId,
    /// The mini-program that was logged in to.
    pub appid: WechatAppid,
    /// When.
    pub opened_at: Timestamp,
    /// When it was refreshed last; `None` if never.
    pub refreshed_at: Option<Timestamp>,
}

/// Whose a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActingSession {
    /// The user.
    pub user: UserId,
    /// The mini-program that was logged in to.
    pub appid: WechatAppid,
}

impl TenantScope {
    /// A session that may act now: it is not over, its user is not blocked, its app is enabled, and the tenant is active.
    /// One read of their rows, for whoever must not believe a token alone.
    ///
    /// # Errors
    /// The database fails.
    pub async fn acting_session(&self, session: SessionId) -> Result<Option<ActingSession>, StorageError> {
        let text = format!(
            r#"SELECT u.id, a.appid FROM session s
            JOIN identity i ON i.tenant_id = s.tenant_id AND i.id = s.identity_id
            JOIN "user" u ON u.tenant_id = i.tenant_id AND u.id = i.user_id
            JOIN app a ON a.tenant_id = s.tenant_id AND a.id = s.app_id
            JOIN tenant t ON t.id = s.tenant_id
            WHERE s.id = ? AND s.tenant_id = ? AND {GOES_ON} AND u.status = ? AND a.status = ? AND t.status = ?"#
        );
        let statuses = [UserStatus::Active.as_str(), AppStatus::Enabled.as_str(), TenantStatus::Active.as_str()];
        let values = [id(session.uuid()), id(self.tenant.uuid())].into_iter().chain(statuses.map(Into::into));
        let rows = self.read(&text, &values.collect::<Vec<_>>()).await?;
        let acting = rows.first().map(|row| {
            Ok(ActingSession { user: get::<Uuid>(row, 0)?.into(), appid: ascii(get(row, 1)?, "app", "appid")? })
        });
        acting.transpose()
    }

    /// The live sessions of a user, newest first, at most 1,000. Those that idled for too long may still be among them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn live_sessions(&self, user: UserId) -> Result<Vec<LiveSession>, StorageError> {
        let text = format!(
            r#"SELECT s.id, a.appid, s.opened_at, s.refreshed_at FROM identity i
            JOIN session s ON s.tenant_id = i.tenant_id AND s.identity_id = i.id
            JOIN "user" u ON u.tenant_id = i.tenant_id AND u.id = i.user_id
            JOIN app a ON a.tenant_id = s.tenant_id AND a.id = s.app_id
            JOIN tenant t ON t.id = s.tenant_id
            WHERE i.tenant_id = ? AND i.user_id = ? AND {GOES_ON}
            ORDER BY s.opened_at DESC, s.id DESC LIMIT {MOST}"#
        );
        let rows = self.read(&text, &[id(self.tenant.uuid()), id(user.uuid())]).await?;
        let live = rows.iter().map(|row| {
            Ok(LiveSession {
                id: get::<Uuid>(row, 0)?.into(),
                appid: ascii(get(row, 1)?, "app", "appid")?,
                opened_at: Timestamp::from_millis(get(row, 2)?),
                refreshed_at: get::<Option<i64>>(row, 3)?.map(Timestamp::from_millis),
            })
        });
        live.collect()
    }
}

/// Sessions that are over now.
#[derive(Default)]
pub(crate) struct Ended {
    /// All of them.
    pub(crate) sessions: Vec<SessionId>,
    /// What to tell the feed: nothing of those whose access tokens have ended by themselves.
    pub(crate) news: Vec<NewRevocation>,
}

impl Ended {
    /// What to tell the tenant's services.
    pub(crate) fn events(&self, user: UserId, reason: EndReason) -> Vec<Event> {
        self.sessions.iter().map(|session| Event::SessionEnded { session: *session, user, reason }).collect()
    }
}

/// Ends all sessions of a user whose row is locked.
pub(crate) async fn end_all_of_user(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    user: UserId,
    reason: EndReason,
    now: Timestamp,
) -> Result<Ended, StorageError> {
    let live = lock_live_of_user(tx, tenant, user).await?;
    end(tx, &live, reason, now).await
}

/// Deletes all sessions of a user whose row and identities are locked; those of them that were live.
pub(crate) async fn delete_all_of_user(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    user: UserId,
    now: Timestamp,
) -> Result<Ended, StorageError> {
    let live = lock_live_of_user(tx, tenant, user).await?;
    let delete = "DELETE FROM session WHERE tenant_id = ? AND identity_id IN
        (SELECT id FROM identity WHERE tenant_id = ? AND user_id = ?)";
    let owner = vec![id(tenant.uuid()), id(tenant.uuid()), id(user.uuid())];
    tx.execute_raw(statement(tx.get_database_backend(), delete, owner)).await?;
    ended(&live, now)
}

/// What locks the rows called `s` alone, where the engine can.
fn lock_of_session(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Sqlite => "",
        DbBackend::Postgres => "FOR UPDATE OF s",
        _ => "FOR UPDATE",
    }
}

/// The live sessions of a user: id and the end of their access tokens.
async fn lock_live_of_user(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    user: UserId,
) -> Result<Vec<QueryResult>, StorageError> {
    let backend = tx.get_database_backend();
    let lock = lock_of_session(backend);
    let read = format!(
        "SELECT s.id, s.access_until FROM identity i
        JOIN session s ON s.tenant_id = i.tenant_id AND s.identity_id = i.id
        WHERE i.tenant_id = ? AND i.user_id = ? AND s.ended_at IS NULL ORDER BY s.id {lock}"
    );
    let owner = vec![id(tenant.uuid()), id(user.uuid())];
    Ok(tx.query_all_raw(statement(backend, &read, owner)).await?)
}

/// Ends one session, if it is live; whose it was.
pub(crate) async fn end_one(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    session: SessionId,
    reason: EndReason,
    now: Timestamp,
) -> Result<Option<(UserId, Ended)>, StorageError> {
    let backend = tx.get_database_backend();
    let lock = lock_of_session(backend);
    let read = format!(
        "SELECT s.id, s.access_until, i.user_id FROM session s
        JOIN identity i ON i.tenant_id = s.tenant_id AND i.id = s.identity_id
        WHERE s.id = ? AND s.tenant_id = ? AND s.ended_at IS NULL {lock}"
    );
    let rows = tx.query_all_raw(statement(backend, &read, vec![id(session.uuid()), id(tenant.uuid())])).await?;
    let Some(user) = rows.first().map(|row| get::<Uuid>(row, 2)).transpose()? else { return Ok(None) };
    Ok(Some((user.into(), end(tx, &rows, reason, now).await?)))
}

/// Ends the live sessions of an identity beyond its newest `keep`.
pub(crate) async fn end_oldest(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    identity: Uuid,
    keep: u32,
    now: Timestamp,
) -> Result<Ended, StorageError> {
    let backend = tx.get_database_backend();
    let lock = if backend == DbBackend::Sqlite { "" } else { "FOR UPDATE" };
    // By id, as everybody locks them. Ids begin with the time, so the oldest come first.
    let read = format!(
        "SELECT id, access_until FROM session WHERE tenant_id = ? AND identity_id = ? AND ended_at IS NULL
        ORDER BY id {lock}"
    );
    let rows = tx.query_all_raw(statement(backend, &read, vec![id(tenant.uuid()), id(identity)])).await?;
    let beyond = rows.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
    end(tx, rows.get(..beyond).unwrap_or_default(), EndReason::Crowded, now).await
}

/// Ends sessions of which id and the end of their access tokens were read under lock.
async fn end(
    tx: &DatabaseTransaction,
    rows: &[QueryResult],
    reason: EndReason,
    now: Timestamp,
) -> Result<Ended, StorageError> {
    let ids: Vec<_> = rows.iter().map(|row| Ok(id(get(row, 0)?))).collect::<Result<_, StorageError>>()?;
    write_end(tx, ids, reason, now).await?;
    ended(rows, now)
}

/// Writes down that sessions are over; tells nobody.
pub(crate) async fn write_end(
    tx: &DatabaseTransaction,
    sessions: Vec<Value>,
    reason: EndReason,
    now: Timestamp,
) -> Result<(), StorageError> {
    for ids in sessions.chunks(LARGEST) {
        let end = format!("UPDATE session SET ended_at = ?, end_reason = ? WHERE id IN ({})", list("?", ids.len()));
        let values = [&[time(now), reason.as_str().into()], ids].concat();
        tx.execute_raw(statement(tx.get_database_backend(), &end, values)).await?;
    }
    Ok(())
}

/// Sessions, by their ids and the end of their access tokens.
fn ended(rows: &[QueryResult], now: Timestamp) -> Result<Ended, StorageError> {
    let mut ended = Ended::default();
    for row in rows {
        let session = SessionId::from(get::<Uuid>(row, 0)?);
        let until = Timestamp::from_millis(get(row, 1)?);
        ended.sessions.push(session);
        if until > now {
            ended.news.push(NewRevocation {
                subject: RevokedSubject::Session(session),
                effect: RevocationEffect::Ended,
                expires: Some(until),
            });
        }
    }
    Ok(ended)
}
