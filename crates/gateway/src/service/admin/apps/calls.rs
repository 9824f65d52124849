//! What WeChat lets an app call.

use wxgate_domain::{Credential, WechatAppid};
use wxgate_storage::StoredApp;
use wxgate_wechat_client::{Access, CallError, CgiPath, DailyQuota, IssuedToken, TokenMode};

use super::super::{Admin, AdminError};
use crate::service::signed_calls::{self, SignedCalls};

impl Admin {
    /// A token of the app's to ask something with: the stable one, whatever the app uses otherwise, since to ask for that
    /// disturbs nobody; or the one that a third-party platform has for it.
    pub(in crate::service::admin) async fn issued(&self, found: &StoredApp) -> Result<IssuedToken, CallError> {
        let appid = &found.app.appid;
        match &found.credential {
            Credential::AppSecret(secrets) => self.wechat.stable_token(appid, secrets, TokenMode::Normal).await,
            Credential::Component { platform } => self.platforms.issued(found.tenant.id, (platform, appid)).await,
        }
    }

    /// What is left of an interface's quota today, or why WeChat does not tell.
    ///
    /// With [`Admin::issued`].
    pub(crate) async fn daily_quota(
        &self,
        appid: &WechatAppid,
        path: &CgiPath,
    ) -> Result<Result<DailyQuota, String>, AdminError> {
        let found = self.storage.apps().find(appid).await?.ok_or_else(|| AdminError::NoApp(appid.clone()))?;
        let signed = SignedCalls::of(&found.api_security).map_err(|_| AdminError::KeysRefused)?;
        let asked = async {
            let issued = self.issued(&found).await?;
            let plain = Access::plain(appid, &issued.token);
            let (wechat, path) = (self.wechat.clone(), path.clone());
            let ask = async move |access: Access<'_>| wechat.daily_quota(&access, &path).await;
            signed_calls::make(signed.as_ref(), plain, self.clock.now(), &ask).await
        };
        Ok(asked.await.map_err(|error| in_words(&error)))
    }
}

/// Why a call failed, for operators.
pub(in crate::service::admin) fn in_words(error: &CallError) -> String {
    match error {
        CallError::Refused(refused) => format!("{} (errcode {})", refused.meaning(), refused.errcode),
        error => error.to_string(),
    }
}
