//! Opening a session, and reading it back: the hot path of a login.
//!
//! A login is one job of the group commit (`group_commit.rs`). [`TenantScope::open_session`] prepares it, `write.rs` does
//! a batch of them inside a transaction, `plan.rs` decides who is who, `statements.rs` has the statements.

mod plan;
pub(crate) mod read;
pub(crate) mod replace_key;
pub(crate) mod statements;
mod write;

use std::sync::Arc;

use wxgate_crypto::{Digest, MacKey, Place, Sealed};
use wxgate_domain::{
    AppId, NewSession, OpenId, OpenedSession, SessionId, TenantId, Timestamp, UnionGroupId, UnionId, UserId,
    WechatAppid,
};

use crate::error::StorageError;
use crate::group_commit::NotWritten;
use crate::keys::TenantKeys;
use crate::listeners::Listener;
use crate::repo::tombstones::Called;
use crate::scope::TenantScope;
use crate::sessions::{Answer, Job};

pub(crate) use plan::Opened;
pub(crate) use write::Openings;

/// Why a session was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenSessionError {
    /// The user is blocked; nothing was written.
    #[error("the user is blocked")]
    UserBlocked,
    /// Too much to write: the queue is full, this tenant's share of it is used up, a second went by without a turn, or
    /// storage is not running. Nothing was written.
    #[error("too many logins at once")]
    Overloaded,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<NotWritten> for OpenSessionError {
    fn from(reason: NotWritten) -> Self {
        match reason {
            NotWritten::Overloaded => Self::Overloaded,
            NotWritten::Storage(error) => Self::Storage(error),
        }
    }
}

/// The login met a blocked user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserBlocked;

/// A login that is ready to be written: its id is fixed and its session key sealed.
#[derive(Debug)]
pub(crate) struct OpenJob {
    tenant: TenantId,
    app: AppId,
    union_group: Option<UnionGroupId>,
    openid: OpenId,
    unionid: Option<UnionId>,
    session: SessionId,
    session_key: Sealed,
    mac_key: u32,
    tenant_epoch: u32,
    app_epoch: u32,
    now: Timestamp,
    access_until: Timestamp,
    max_sessions: u32,
    /// Whose an account becomes that is nobody's yet.
    link_to: Option<UserId>,
    /// Whether nobody will hold the session.
    is_proof: bool,
    /// The keys that may have made the tombstone of whoever logs in.
    digest_keys: Arc<[(u32, MacKey)]>,
    listener: Option<Listener>,
    /// What WeChat calls the app; only where somebody listens.
    appid: Option<WechatAppid>,
}

impl OpenJob {
    /// The tenant.
    pub(crate) fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The same, if its services want to be told of something.
    pub(crate) fn listener(&self) -> Option<&Listener> {
        self.listener.as_ref()
    }

    fn identity_key(&self) -> plan::IdentityKey {
        (self.tenant, self.app, self.openid.clone())
    }

    /// `None` where the unionid means nothing: outside a union group.
    fn union_key(&self) -> Option<plan::UnionKey> {
        Some((self.tenant, self.union_group?, self.unionid.clone()?))
    }

    /// What a tombstone of whoever logs in would be known by: of a known identity, by its new unionid alone.
    fn digests(&self, is_known: bool) -> impl Iterator<Item = Digest> {
        let app = (!is_known).then_some(Called::InApp(self.app, &self.openid));
        let union = self.union_group.zip(self.unionid.as_ref());
        let union = union.map(|(group, unionid)| Called::InUnionGroup(group, unionid));
        let called = app.into_iter().chain(union);
        called.flat_map(|called| self.digest_keys.iter().map(move |(_, key)| called.digest(key)))
    }
}

impl TenantScope {
    /// Opens a session for whoever WeChat vouched for: finds the user or makes one, and returns after the commit.
    ///
    /// Dropping the future cancels nothing: a job that was queued is written.
    ///
    /// # Errors
    /// [`OpenSessionError`]; after [`OpenSessionError::Storage`] with [`StorageError::Unavailable`] the session may exist,
    /// but nobody was told of it.
    pub async fn open_session(&self, new: NewSession) -> Result<OpenedSession, OpenSessionError> {
        match self.written(&new).await {
            // The user was erased between the read and the write: begin anew, as whoever comes next.
            Err(OpenSessionError::Storage(StorageError::Dangling)) => Box::pin(self.written(&new)).await,
            outcome => outcome,
        }
    }

    async fn written(&self, new: &NewSession) -> Result<OpenedSession, OpenSessionError> {
        let keys = self.storage.core.keys(self.tenant).await?;
        let job = self.job(new, &keys);
        let batcher = self.storage.sessions().ok_or(OpenSessionError::Overloaded)?;
        // By union member where there is one, so that one person's first logins through two apps meet in one lane.
        let written = match job.union_key() {
            Some(union) => batcher.submit(self.tenant, union, Job::Open(job)).await,
            None => batcher.submit(self.tenant, job.identity_key(), Job::Open(job)).await,
        };
        match written? {
            Answer::Opened(opened) => {
                let (session, phone) = opened.map_err(|UserBlocked| OpenSessionError::UserBlocked)?;
                let session_key = Some(new.identity.session_key.clone());
                Ok(OpenedSession { phone: self.storage.core.open_phone(phone).await?, session_key, ..session })
            }
            _ => Err(StorageError::inconsistent("session", "id").into()),
        }
    }

    fn job(&self, new: &NewSession, keys: &Arc<TenantKeys>) -> OpenJob {
        let listener = Listener::with(keys);
        let core = &self.storage.core;
        let session = SessionId::new(new.now, &core.random);
        let uuid = session.uuid();
        // Sealed here, so that the callers' threads share the work and the lane only writes.
        let place = session_key_place(self.tenant, uuid.as_bytes());
        OpenJob {
            tenant: self.tenant,
            app: new.app,
            union_group: new.union_group,
            openid: new.identity.openid.clone(),
            unionid: new.identity.unionid.clone(),
            session,
            session_key: keys.seal.seal(&place, new.identity.session_key.bytes().expose(), &core.random),
            mac_key: keys.refresh_mac.0,
            tenant_epoch: new.tenant_epoch,
            app_epoch: new.app_epoch,
            now: new.now,
            access_until: new.access_until,
            max_sessions: new.max_sessions,
            link_to: new.link_to,
            is_proof: new.is_proof,
            digest_keys: keys.digests.clone(),
            appid: listener.is_some().then(|| new.appid.clone()),
            listener,
        }
    }
}

/// Where the session key of a session is sealed.
fn session_key_place(tenant: TenantId, session: &[u8]) -> Place<'_> {
    Place { tenant: tenant.uuid(), table: "session", column: "session_key", row: session }
}
