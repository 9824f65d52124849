//! Whether a user's session_key is still WeChat's, and another one in its place.

use wxgate_crypto::user_data::SessionKey;
use wxgate_storage::StorageError;
use wxgate_wechat_client::{Access, CallError, RefusedClass};

use super::access_tokens::TokenCallError;
use super::account::{Accounts, SignedIn};
use super::limits::Wait;

/// Why nothing is known of the key, or it is not WeChat's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionCheckError {
    #[error("the session_key is not, or no longer, WeChat's")]
    Stale,
    #[error("too many questions of one user")]
    TooOften(Wait),
    #[error(transparent)]
    Call(TokenCallError),
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The task that asked has died.
    #[error("the question was not answered")]
    Lost,
}

impl Accounts {
    /// Asks WeChat whether the user's newest key is still theirs. With `reset` WeChat makes another one, which takes its
    /// place in the user's ring: data that is sealed from then on opens with it.
    ///
    /// # Errors
    /// [`SessionCheckError`].
    pub(crate) async fn check_session_key(&self, who: &SignedIn, reset: bool) -> Result<(), SessionCheckError> {
        self.logins.limits.question(&who.app.app, &who.session.openid).map_err(SessionCheckError::TooOften)?;
        let storage = self.storage.tenant(who.app.tenant.id());
        let ring = storage.key_ring(who.app.app.id, &who.session.openid, self.logins.clock.now()).await?;
        let key = ring.into_iter().next().ok_or(SessionCheckError::Stale)?;
        if !reset {
            return self.ask(who, &key).await;
        }
        // WeChat has replaced the key at the first byte, whoever still listens: what it gave must be kept.
        let (accounts, who) = (self.clone(), who.clone());
        let resetting = self.logins.tasks.spawn(async move { accounts.reset(&who, &key).await });
        resetting.await.unwrap_or(Err(SessionCheckError::Lost))
    }

    async fn ask(&self, who: &SignedIn, key: &SessionKey) -> Result<(), SessionCheckError> {
        let (wechat, openid, key) = (self.logins.wechat.clone(), who.session.openid.clone(), key.clone());
        let ask = async move |access: Access<'_>| wechat.check_session(&access, &openid, &key).await;
        Ok(self.access_tokens.call(&who.app, ask).await?)
    }

    async fn reset(&self, who: &SignedIn, old: &SessionKey) -> Result<(), SessionCheckError> {
        let (wechat, openid, key) = (self.logins.wechat.clone(), who.session.openid.clone(), old.clone());
        let ask = async move |access: Access<'_>| wechat.reset_session_key(&access, &openid, &key).await;
        let new = self.access_tokens.call(&who.app, ask).await?;
        let storage = self.storage.tenant(who.app.tenant.id());
        // False where a newer login brought a newer key: that one counts.
        storage.replace_session_key(who.app.app.id, &who.session.openid, old, &new).await?;
        Ok(())
    }
}

impl From<TokenCallError> for SessionCheckError {
    fn from(error: TokenCallError) -> Self {
        match error {
            TokenCallError::Call(CallError::Refused(refused)) if refused.class == RefusedClass::SessionKeyStale => {
                Self::Stale
            }
            error => Self::Call(error),
        }
    }
}
