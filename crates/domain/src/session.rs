//! A session: one login on one device.

use std::time::Duration;

use wxgate_crypto::user_data::SessionKey;

use crate::app::App;
use crate::identity::WechatIdentity;
use crate::ids::{AppId, ExternalId, OpenId, SessionId, UnionGroupId, UnionId, UserId, WechatAppid};
use crate::phone::Phone;
use crate::policy::TenantPolicy;
use crate::tenant::Tenant;
use crate::time::Timestamp;
use crate::user::User;

/// A session that is to be opened for whoever WeChat vouched for.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The app that the code was for.
    pub app: AppId,
    /// What WeChat calls it.
    pub appid: WechatAppid,
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
    /// Until when an access token of it can live.
    pub access_until: Timestamp,
    /// Live sessions that its identity may have, this one among them; the oldest give way.
    pub max_sessions: u32,
    /// The user who links this account on purpose: it becomes theirs if it is nobody's yet.
    pub link_to: Option<UserId>,
    /// Whether the code only proves who somebody is. Nobody holds the session then: it is over as soon as it is written,
    /// and keeps the key that came with the code.
    pub is_proof: bool,
}

impl NewSession {
    /// The session of this app of this tenant for this identity.
    pub fn of(app: &App, tenant: &Tenant, identity: WechatIdentity, now: Timestamp) -> Self {
        Self {
            app: app.id,
            appid: app.appid.clone(),
            union_group: app.union_group,
            identity,
            tenant_epoch: tenant.sessions_epoch,
            app_epoch: app.sessions_epoch,
            now,
            access_until: access_until(now, &tenant.policy),
            max_sessions: tenant.policy.max_sessions,
            link_to: None,
            is_proof: false,
        }
    }
}

/// How long after a session moved on its answer may still be given again, with another access token: a login for five
/// minutes, a refresh for one; and a minute for clocks that differ.
const ANSWERED_AGAIN: Duration = Duration::from_mins(6);

/// Until when an access token can live that belongs to a session which moved on at `now`. Whoever hears that the session
/// ended may forget it then.
pub fn access_until(now: Timestamp, policy: &TenantPolicy) -> Timestamp {
    now.plus(policy.access_token_life()).plus(ANSWERED_AGAIN)
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
    /// The user's phone number, if known.
    pub phone: Option<Phone>,
    /// Whether this login made the user.
    pub is_new: bool,
    /// Another user who may be the same person: the unionid that appeared with this login is theirs.
    pub candidate: Option<UserId>,
    /// The number of the tenant's data key that MACs this session's refresh tokens.
    pub mac_key: u32,
    /// WeChat's key, where the session was opened just now; not where it is read back.
    pub session_key: Option<SessionKey>,
    /// When it began.
    pub opened_at: Timestamp,
}

/// A session that moved on, or whose present turn is answered again; all that the next pair of tokens tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshedSession {
    /// The session.
    pub id: SessionId,
    /// The app it belongs to.
    pub app: AppId,
    /// Whose it is.
    pub user: UserId,
    /// The identity that logged in.
    pub openid: OpenId,
    /// The identity's unionid, if known.
    pub unionid: Option<UnionId>,
    /// What another system calls the user, if known.
    pub external_id: Option<ExternalId>,
    /// The user's phone number, if known.
    pub phone: Option<Phone>,
    /// The number of the tenant's data key that MACs the token of the present turn.
    pub mac_key: u32,
    /// The present turn.
    pub generation: u32,
    /// Whether the turn began before, and its answer is given again.
    pub repeated: bool,
    /// When the session ends if nobody refreshes it again.
    pub expires_at: Timestamp,
}
