//! What has to be done about how mini-programs take pushes.

use wxgate_domain::{App, PushMode, WechatAppid};
use wxgate_storage::{PushChange, PushRenewal, Renewal};

use super::super::super::{Admin, AdminError};
use super::super::Verb;
use super::super::present::Present;
use super::{Act, Plan};
use crate::operation::secret_text::SecretText;
use crate::operation::state::PushState;

impl Plan {
    /// Compares how an app is to take pushes with how it does. A new app takes none yet.
    pub(super) async fn push(
        &mut self,
        admin: &Admin,
        appid: &WechatAppid,
        wanted: Option<PushState>,
        known: Option<(&Present, &App)>,
    ) -> Result<(), AdminError> {
        let there = known.and_then(|(present, app)| Some((app.tenant, present.pushes.get(&app.id)?)));
        let Some(PushState { mode, token, encoding_aes_key }) = wanted else {
            if there.is_some() {
                self.gone("push", appid, Act::RemovePush(appid.clone()));
            }
            return Ok(());
        };
        let mode = mode.unwrap_or(PushMode::Safe);
        let place = format!("apps.{appid}.push");
        let token = token.as_ref().map(SecretText::push_token).transpose();
        let key = encoding_aes_key.as_ref().map(SecretText::aes_key).transpose();
        let token = self.checked(&format!("{place}.token"), token);
        let key = self.checked(&format!("{place}.encoding_aes_key"), key);
        let (Some(token), Some(key)) = (token, key) else { return Ok(()) };
        let Some((tenant, known)) = there else {
            let set = PushChange { mode: Some(mode), token, key };
            self.step(Verb::Create, "push", appid, Act::SetPush(appid.clone(), set));
            return Ok(());
        };
        if known.mode == mode {
            self.step(Verb::Keep, "push", appid, Act::Nothing);
        } else {
            let set = PushChange { mode: Some(mode), ..PushChange::default() };
            self.step(Verb::Change, "push", appid, Act::SetPush(appid.clone(), set));
        }
        let settings = admin.storage.tenant(tenant).push_settings();
        if !settings.agree(known, token.as_ref(), key.as_ref()).await? {
            let token = token.map_or(Renewal::Stays, Renewal::Given);
            let key = key.map_or(Renewal::Stays, Renewal::Given);
            self.step(Verb::Change, "push secrets", appid, Act::RenewPush(appid.clone(), PushRenewal { token, key }));
        }
        Ok(())
    }
}
