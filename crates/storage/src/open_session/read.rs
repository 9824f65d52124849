//! Reading sessions back: for a repeated login, and for the keys of an identity.

use sea_orm::{ConnectionTrait, QueryResult, Value};
use uuid::Uuid;
use wxgate_crypto::user_data::SessionKey;
use wxgate_domain::{AppId, EndReason, OpenId, OpenedSession, Profile, SessionId, Timestamp, User, UserStatus};

use super::replace_key::SUPERSEDED;
use super::session_key_place;
use super::statements::{AFTER_PHONE, AFTER_USER, USER};
use crate::error::StorageError;
use crate::packed::Columns;
use crate::repo::phones::{JOIN_PHONE, PHONE, SealedPhone};
use crate::repo::sessions::GOES_ON;
use crate::repo::{ascii, parsed, unsigned};
use crate::scope::TenantScope;
use crate::sql::{bytes, get, id, statement};

/// Most keys in a ring: the current one and two that it superseded.
const RING: usize = 3;

/// Most sessions that are looked at for a ring, so that an identity which logs in all the time costs no more.
const NEWEST: u64 = 32;

impl TenantScope {
    /// A session as [`TenantScope::open_session`] returned it, for a login that is repeated.
    ///
    /// `None` once the session has ended, an epoch has moved on, the user is blocked, or the session was refreshed. A proof
    /// is one as long as the user is not blocked. `is_new` is then judged by the times of user and session.
    ///
    /// # Errors
    /// The database fails.
    pub async fn replay_session(&self, session: SessionId) -> Result<Option<OpenedSession>, StorageError> {
        let proof = EndReason::Proof.as_str();
        self.session(session, &format!("({GOES_ON} AND s.generation = 0 OR s.end_reason = '{proof}')")).await
    }

    /// A session that goes on, whatever its turn. `None` once it has ended, an epoch has moved on, or the user is blocked.
    ///
    /// # Errors
    /// The database fails.
    pub async fn live_session(&self, session: SessionId) -> Result<Option<OpenedSession>, StorageError> {
        self.session(session, GOES_ON).await
    }

    async fn session(&self, session: SessionId, stands: &str) -> Result<Option<OpenedSession>, StorageError> {
        let text = format!(
            r#"SELECT {USER}, {PHONE}, s.app_id, i.openid, i.unionid, s.mac_key, s.opened_at, i.created_at FROM session s
            JOIN identity i ON i.tenant_id = s.tenant_id AND i.id = s.identity_id
            JOIN "user" u ON u.tenant_id = i.tenant_id AND u.id = i.user_id
            {JOIN_PHONE}
            JOIN app a ON a.tenant_id = s.tenant_id AND a.id = s.app_id
            JOIN tenant t ON t.id = s.tenant_id
            WHERE s.id = ? AND s.tenant_id = ? AND {stands}"#
        );
        let rows = self.read(&text, &[id(session.uuid()), id(self.tenant.uuid())]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let opened = opened_of(session, row)?;
        if opened.user.status != UserStatus::Active {
            return Ok(None);
        }
        let phone = self.storage.core.open_phone(SealedPhone::read(row, AFTER_USER)?).await?;
        Ok(Some(OpenedSession { phone, ..opened }))
    }

    /// The session keys that may have encrypted an identity's data: the current one, then at most two that were
    /// superseded less than ten minutes before `now`. Empty for an identity that is not there or whose keys are gone.
    ///
    /// # Errors
    /// The database fails, or a key does not open.
    pub async fn key_ring(&self, app: AppId, openid: &OpenId, now: Timestamp) -> Result<Vec<SessionKey>, StorageError> {
        let text = format!(
            "SELECT s.id, s.session_key, s.opened_at FROM identity i
            JOIN session s ON s.tenant_id = i.tenant_id AND s.identity_id = i.id
            WHERE i.tenant_id = ? AND i.app_id = ? AND i.openid = ? AND s.session_key IS NOT NULL
            ORDER BY s.opened_at DESC, s.id DESC LIMIT {NEWEST}"
        );
        let rows =
            self.read(&text, &[id(self.tenant.uuid()), id(app.uuid()), bytes(openid.as_str().as_bytes())]).await?;
        let Some((current, older)) = rows.split_first() else { return Ok(Vec::new()) };
        let mut ring = vec![self.session_key(current).await?];
        let mut superseded = self.superseded_keys(app, openid, now.minus(SUPERSEDED)).await?;
        // The next newer session's beginning is when a session's key was superseded, if by another key at all.
        let mut at = Timestamp::from_millis(get(current, 2)?);
        let mut found = ring.clone();
        for row in older {
            if found.len() >= RING || now.since(at) > SUPERSEDED {
                break;
            }
            let key = self.session_key(row).await?;
            if !found.contains(&key) {
                found.push(key.clone());
                superseded.push(Superseded { at, key });
            }
            at = Timestamp::from_millis(get(row, 2)?);
        }
        superseded.sort_by_key(|superseded| std::cmp::Reverse(superseded.at));
        for Superseded { key, .. } in superseded {
            if ring.len() < RING && !ring.contains(&key) {
                ring.push(key);
            }
        }
        Ok(ring)
    }

    pub(super) async fn session_key(&self, row: &QueryResult) -> Result<SessionKey, StorageError> {
        let (session, sealed): (Uuid, Vec<u8>) = (get(row, 0)?, get(row, 1)?);
        let place = session_key_place(self.tenant, session.as_bytes());
        let opened = self.storage.core.open(&place, sealed).await?;
        session_key_of(opened.expose(), "session")
    }

    pub(crate) async fn read(&self, text: &str, values: &[Value]) -> Result<Vec<QueryResult>, StorageError> {
        let read = self.storage.core.read(|db| {
            let statement = statement(db.get_database_backend(), text, values.to_vec());
            async move { db.query_all_raw(statement).await }
        });
        read.await
    }
}

/// A key that another one took the place of, and when.
pub(super) struct Superseded {
    pub(super) at: Timestamp,
    pub(super) key: SessionKey,
}

/// A key as it was sealed.
pub(super) fn session_key_of(opened: &[u8], table: &'static str) -> Result<SessionKey, StorageError> {
    let key = opened.try_into().map_err(|_| StorageError::inconsistent(table, "session_key"))?;
    Ok(SessionKey::from_bytes(key))
}

fn opened_of(session: SessionId, row: &QueryResult) -> Result<OpenedSession, StorageError> {
    let user = user_of(row)?;
    let opened_at = Timestamp::from_millis(get(row, AFTER_PHONE + 4)?);
    let identity_since = Timestamp::from_millis(get(row, AFTER_PHONE + 5)?);
    let unionid: Option<Vec<u8>> = get(row, AFTER_PHONE + 2)?;
    Ok(OpenedSession {
        id: session,
        app: get::<Uuid>(row, AFTER_PHONE)?.into(),
        openid: ascii(get(row, AFTER_PHONE + 1)?, "identity", "openid")?,
        unionid: unionid.map(|unionid| ascii(unionid, "identity", "unionid")).transpose()?,
        phone: None,
        is_new: user.created_at == opened_at && identity_since == opened_at,
        candidate: None,
        mac_key: unsigned(get(row, AFTER_PHONE + 3)?, "session", "mac_key")?,
        session_key: None,
        opened_at,
        user,
    })
}

/// A user from the columns of [`USER`], which come first.
pub(crate) fn user_of(row: &impl Columns) -> Result<User, StorageError> {
    let status: String = get(row, 1)?;
    Ok(User {
        id: get::<Uuid>(row, 0)?.into(),
        status: UserStatus::from_word(&status).ok_or_else(|| StorageError::inconsistent("user", "status"))?,
        profile: Profile { nickname: get(row, 2)?, avatar_url: get(row, 3)? },
        external_id: parsed(get(row, 6)?, "user", "external_id")?,
        sessions_epoch: unsigned(get(row, 4)?, "user", "sessions_epoch")?,
        created_at: Timestamp::from_millis(get(row, 5)?),
    })
}
