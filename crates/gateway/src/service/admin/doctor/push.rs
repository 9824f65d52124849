//! How an app takes WeChat's pushes: whether they are encrypted, and whether a change of Token or key is over.

use wxgate_domain::{App, PushMode, TenantId};

use super::super::{Admin, AdminError};
use super::Finding;

impl Admin {
    /// Looks at the pushes of an app, if it takes any.
    pub(super) async fn examine_push(&self, tenant: TenantId, app: &App) -> Result<Option<Finding>, AdminError> {
        let Some(push) = self.storage.tenant(tenant).push_settings().find(app.id).await? else { return Ok(None) };
        let (appid, subject) = (&app.appid, format!("app {}", app.appid));
        Ok(Some(if push.mode == PushMode::Plain {
            let advice = format!(
                "choose safe mode in WeChat's console, then `wxgate app push set {appid} --mode safe`: nobody can tell who \
                 wrote a plaintext push, so users who close their accounts are not erased"
            );
            Finding::advice(subject, "takes pushes in plaintext", advice)
        } else if push.previous_key.is_some() || push.previous_token.is_some() {
            let advice = format!("once the new one is in WeChat's console, `wxgate app push finish {appid}`");
            let two = if push.previous_key.is_some() { "EncodingAESKeys" } else { "Tokens" };
            Finding::advice(subject, format!("has two {two} for its pushes"), advice)
        } else {
            Finding::ok(subject, "takes encrypted pushes")
        }))
    }
}
