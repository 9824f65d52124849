//! What has to be done about webhooks.

use std::collections::HashSet;

use wxgate_domain::WebhookStatus;
use wxgate_storage::NewWebhook;

use super::super::super::webhooks::fit;
use super::super::super::{Admin, AdminError};
use super::super::Verb;
use super::super::present::Present;
use super::{Act, Plan};
use crate::operation::secret_text::SecretText;
use crate::operation::state::WebhookState;

impl Plan {
    pub(super) async fn webhooks(
        &mut self,
        admin: &Admin,
        present: Option<&Present>,
        wanted: Vec<WebhookState>,
    ) -> Result<(), AdminError> {
        self.once("webhooks", wanted.iter().map(|webhook| &webhook.name));
        let names: HashSet<_> = wanted.iter().map(|webhook| webhook.name.clone()).collect();
        for WebhookState { name, url, events, secret, disabled } in wanted {
            let place = format!("webhooks.{name}");
            let secret = secret.as_ref().map(SecretText::webhook_secret).transpose();
            let secret = self.checked(&format!("{place}.secret"), secret);
            let known = present.into_iter().flat_map(|p| &p.webhooks).find(|known| known.name == name);
            let before = known.map_or(WebhookStatus::Enabled, |known| known.status);
            let status = match disabled {
                Some(false) => WebhookStatus::Enabled,
                Some(true) if before == WebhookStatus::Enabled => WebhookStatus::Disabled,
                _ => before,
            };
            let new = self.checked(&place, fit(NewWebhook { name, url, events, status }));
            let (Some(secret), Some(new)) = (secret, new) else { continue };
            let name = new.name.clone();
            let Some(known) = known else {
                self.step(Verb::Create, "webhook", &name, Act::AddWebhook { new, secret });
                continue;
            };
            let same = known.url == new.url && known.events == new.events && known.status == new.status;
            let (verb, act) =
                if same { (Verb::Keep, Act::Nothing) } else { (Verb::Change, Act::ChangeWebhook(known.id, new)) };
            self.step(verb, "webhook", &name, act);
            let Some(secret) = secret else { continue };
            if !admin.storage.webhooks().has_secret(known.tenant, known.id, &secret).await? {
                self.step(Verb::Change, "webhook secret", &name, Act::SetWebhookSecret(known.id, secret));
            }
        }
        for webhook in present.into_iter().flat_map(|p| &p.webhooks).filter(|known| !names.contains(&known.name)) {
            self.gone("webhook", &webhook.name, Act::RemoveWebhook(webhook.id));
        }
        Ok(())
    }
}
