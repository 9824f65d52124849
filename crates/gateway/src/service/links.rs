//! Linking on purpose: a user makes an account in another mini-program their own, by a fresh code of each.

use wxgate_domain::{MergeGrant, OpenedSession, WechatAppid};

use super::account::{AccountError, Accounts, SignedIn};
use super::login::Attempt;
use super::merge::MergeError;
use super::merge_tokens::IssuedMergeToken;

/// What became of a link.
#[derive(Debug)]
pub(crate) enum Linked {
    /// The account is the user's now.
    Now,
    /// It was before.
    Already,
    /// It is another user's: both may be merged with this token.
    Taken(IssuedMergeToken),
}

impl Accounts {
    /// Links the account of a code to the user.
    pub(crate) async fn link(
        &self,
        who: &SignedIn,
        appid: &WechatAppid,
        own: Attempt,
        other: Attempt,
    ) -> Result<Linked, MergeError> {
        let app = self.app_beside(who, appid).await?;
        self.step_up(who, own).await?;
        let user = who.session.user.id;
        let other = self.other_account(who, &app, other, Some(user)).await?;
        let storage = self.storage.tenant(who.app.tenant.id());
        if storage.merges().is_one_user(user, other.user.id).await.map_err(AccountError::from)? {
            let is_new = self.is_new(who, appid, &other).await?;
            return Ok(if is_new { Linked::Now } else { Linked::Already });
        }
        let grant = MergeGrant { user, other: other.user.id, session: who.session.id, phone: None };
        let token = self.merge_tokens.issue(who.app.tenant.id(), &grant).await.map_err(AccountError::from)?;
        Ok(Linked::Taken(token))
    }

    /// Whether the account began with this session.
    async fn is_new(&self, who: &SignedIn, appid: &WechatAppid, session: &OpenedSession) -> Result<bool, AccountError> {
        let users = self.storage.tenant(who.app.tenant.id()).users();
        let accounts = users.identities(&[session.user.id]).await?.remove(&session.user.id).unwrap_or_default();
        let account = accounts.iter().find(|known| known.appid == *appid && known.openid == session.openid);
        Ok(account.is_some_and(|account| account.created_at == session.opened_at))
    }
}
