//! The pair of tokens that a login or a refresh ends with.

use std::time::Duration;

use wxgate_crypto::{Random, Secret};
use wxgate_domain::{
    ExternalId, OpenId, OpenedSession, Phone, RefreshToken, RefreshedSession, SessionId, Timestamp, UnionId, UserId,
};
use wxgate_storage::{RefreshKeys, Storage, StorageError};
use wxgate_token::{Grant, IssueError, Subject, issue};

use super::directory::ActiveApp;

/// Rounds up: the milliseconds since the row was written are not the client's business.
const ALMOST_A_SECOND: Duration = Duration::from_millis(999);

/// Issues token pairs.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) storage: Storage,
    pub(crate) random: Random,
}

/// An access token and the refresh token beside it; lives in seconds.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) access_token: Secret<String>,
    pub(crate) expires_in: u32,
    pub(crate) refresh_token: Secret<String>,
    pub(crate) refresh_expires_in: u64,
    pub(crate) scope: String,
}

/// What a pair says of its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn<'a> {
    session: SessionId,
    user: UserId,
    openid: &'a OpenId,
    unionid: Option<&'a UnionId>,
    external_id: Option<&'a ExternalId>,
    phone: Option<&'a Phone>,
    mac_key: u32,
    generation: u32,
    /// When the session ends if it is not refreshed again.
    expires_at: Timestamp,
}

/// Why no pair was issued.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl<'a> Turn<'a> {
    /// The first turn of a session.
    pub(crate) fn first(session: &'a OpenedSession, app: &ActiveApp) -> Self {
        let policy = &app.tenant.tenant.policy;
        let OpenedSession { id, user, openid, unionid, phone, mac_key, opened_at, .. } = session;
        Self {
            session: *id,
            user: user.id,
            openid,
            unionid: unionid.as_ref(),
            external_id: user.external_id.as_ref(),
            phone: phone.as_ref(),
            mac_key: *mac_key,
            generation: 0,
            expires_at: opened_at.plus(policy.refresh_idle().min(policy.refresh_absolute())),
        }
    }

    /// The present turn of a session that moved on.
    pub(crate) fn next(session: &'a RefreshedSession) -> Self {
        let RefreshedSession { id, user, openid, unionid, external_id, phone, .. } = session;
        let RefreshedSession { mac_key, generation, expires_at, .. } = session;
        Self {
            session: *id,
            user: *user,
            openid,
            unionid: unionid.as_ref(),
            external_id: external_id.as_ref(),
            phone: phone.as_ref(),
            mac_key: *mac_key,
            generation: *generation,
            expires_at: *expires_at,
        }
    }
}

impl Tokens {
    /// The pair of a session's turn. Nothing is stored: the refresh token is computed from the session's row, so the same
    /// turn has the same one.
    ///
    /// `keys` are the tenant's, where they are known already.
    pub(crate) async fn issue(
        &self,
        app: &ActiveApp,
        turn: Turn<'_>,
        keys: Option<RefreshKeys>,
        now: Timestamp,
    ) -> Result<Issued, TokenError> {
        let (policy, tenant) = (&app.app.policy, &app.tenant.tenant);
        let scope = policy.scope();
        let subject = Subject::User {
            user: turn.user,
            session: turn.session,
            app: &app.app.appid,
            audiences: &policy.audiences,
            openid: policy.openid_claim.then_some(turn.openid),
            unionid: turn.unionid.filter(|_| policy.unionid_claim),
            external_id: turn.external_id.filter(|_| policy.external_id_claim),
            phone: turn.phone.and_then(Phone::verified).filter(|_| policy.phone_claim),
        };
        let life = tenant.policy.access_token_life();
        let grant = Grant { tenant: &tenant.slug, subject, scope: &scope, life };
        let access = issue(&app.tenant.ring, &app.tenant.issuer, &grant, now, &self.random)?;
        let Turn { session, mac_key, generation, .. } = turn;
        let keys = match keys.filter(|keys| keys.tenant() == tenant.id && keys.key(mac_key).is_some()) {
            Some(keys) => keys,
            None => self.storage.tenant(tenant.id).refresh_keys(mac_key).await?,
        };
        let key = keys.key(mac_key).ok_or(StorageError::NotFound)?;
        let token = RefreshToken { mac_key, tenant: tenant.id, session, generation };
        Ok(Issued {
            access_token: access.token,
            expires_in: access.expires_in,
            refresh_token: token.mint(key, keys.restore_epoch()),
            refresh_expires_in: (turn.expires_at.since(now) + ALMOST_A_SECOND).as_secs(),
            scope,
        })
    }
}
