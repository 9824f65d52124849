//! An identity: a user as one mini-program knows them.

use wxgate_crypto::user_data::SessionKey;

use crate::ids::{OpenId, UnionId};

/// What WeChat says about whoever owns a login code (code2Session).
#[derive(Clone, Debug)]
pub struct WechatIdentity {
    /// The user inside this mini-program.
    pub openid: OpenId,
    /// The user inside the Open Platform account, if the mini-program is bound to one.
    pub unionid: Option<UnionId>,
    /// The key of this user's data, until WeChat replaces it.
    pub session_key: SessionKey,
}
