//! A session: one login on one device.

use crate::app::App;
use crate::identity::WechatIdentity;
use crate::ids::{AppId, OpenId, SessionId, UnionGroupId, UnionId};
use crate::time::Timestamp;
use crate::user::User;

/// A session that is to be opened for whoever WeChat vouched for.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The app that the code was for.
    pub app: AppId,
    /// The app's Open Platform account, which gives the unionid its meaning.
    pub union_group: Option<UnionGroupId>,
    /// Who logs in.
    pub identity: WechatIdentity,
    /// The tenant's `sessions_epoch` now.
    pub tenant_epoch: u32,
    /// The app's `sessions_epoch` now.
    pub app_epoch: u32,
    /// When the session begins.
    pub now: Timestamp,
}

impl NewSession {
    /// The session of this app and tenant epoch for this identity.
    pub fn of(app: &App, tenant_epoch: u32, identity: WechatIdentity, now: Timestamp) -> Self {
        Self { app: app.id, union_group: app.union_group, identity, tenant_epoch, app_epoch: app.sessions_epoch, now }
    }
}

/// A session that is committed, with all that the reply to a login tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedSession {
    /// The session; `sid` of the access token.
    pub id: SessionId,
    /// The app it belongs to.
    pub app: AppId,
    /// Whose it is.
    pub user: User,
    /// The identity that logged in.
    pub openid: OpenId,
    /// The identity's unionid, if known.
    pub unionid: Option<UnionId>,
    /// Whether this login made the user.
    pub is_new: bool,
    /// The number of the tenant's data key that MACs this session's refresh tokens.
    pub mac_key: u32,
    /// When it began.
    pub opened_at: Timestamp,
}
