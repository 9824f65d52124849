//! Webhooks.

use std::time::Duration;

use serde::Serialize;
use wxgate_crypto::WebhookSecret;
use wxgate_domain::{EventId, Tenant, Webhook, WebhookId};
use wxgate_storage::{NewWebhook, StorageError};

use super::{Admin, AdminError, Event, checked, taken};

/// How long it takes until every process has heard of a change: they look every 250 ms.
pub(super) const HEARD: Duration = Duration::from_millis(500);

impl Admin {
    /// Adds a webhook and makes its secret, which is told by what `told` says and never again. Whatever happens once this has
    /// answered is told.
    pub(crate) async fn add_webhook<R: Serialize>(
        &self,
        tenant: &Tenant,
        new: NewWebhook,
        told: impl FnOnce(Webhook, WebhookSecret) -> R,
    ) -> Result<R, AdminError> {
        let new = fit(new)?;
        let name = new.name.clone();
        let tx = self.storage.begin().await?;
        let (webhook, secret) = tx.tenant(tenant.id).webhooks().add(new, None).await.map_err(|error| match error {
            StorageError::Full { .. } => AdminError::TooManyWebhooks,
            error => taken(error, AdminError::WebhookTaken(tenant.slug.clone(), name)),
        })?;
        let event = Event::of(tenant.id, "webhook.create", webhook.id);
        let reply = self.commit_told(tx, event, told(webhook, secret)).await?;
        tokio::time::sleep(HEARD).await;
        Ok(reply)
    }

    /// Changes a webhook: `change` gets it as it is, locked.
    pub(crate) async fn change_webhook(
        &self,
        (tenant, webhook): &(Tenant, Webhook),
        change: impl FnOnce(Webhook) -> Result<NewWebhook, AdminError>,
    ) -> Result<Webhook, AdminError> {
        let mut wanted = String::new();
        let decide = |before| {
            let new = fit(change(before)?)?;
            wanted.clone_from(&new.name);
            Ok::<_, AdminError>(new)
        };
        let tx = self.storage.begin().await?;
        let changed = tx.tenant(tenant.id).webhooks().change(webhook.id, decide).await;
        let changed = changed.map_err(|error| match error {
            AdminError::Storage(error @ StorageError::NotUnique { .. }) => {
                taken(error, AdminError::WebhookTaken(tenant.slug.clone(), wanted))
            }
            error => error,
        })?;
        self.commit(tx, Event::of(tenant.id, "webhook.change", webhook.id)).await?;
        tokio::time::sleep(HEARD).await;
        Ok(changed)
    }

    /// Makes a new secret for a webhook; for a while requests are signed with both.
    pub(crate) async fn rotate_webhook<R: Serialize>(
        &self,
        id: WebhookId,
        overlap: Duration,
        told: impl FnOnce(&Tenant, Webhook, WebhookSecret) -> R,
    ) -> Result<R, AdminError> {
        let (tenant, _) = self.webhook(id).await?;
        let tx = self.storage.begin().await?;
        let (webhook, secret) = tx.tenant(tenant.id).webhooks().rotate(id, overlap, None).await?;
        self.commit_told(tx, Event::of(tenant.id, "webhook.rotate", id), told(&tenant, webhook, secret)).await
    }

    /// Has an event told again, or all that failed; how many they are.
    pub(crate) async fn replay_webhook(&self, id: WebhookId, event: Option<EventId>) -> Result<u64, AdminError> {
        let (tenant, _) = self.webhook(id).await?;
        let tx = self.storage.begin().await?;
        let replayed = tx.tenant(tenant.id).receipts().replay(id, event).await?;
        if let Some(event) = event
            && replayed == 0
        {
            return Err(AdminError::NoDelivery(event));
        }
        self.commit(tx, Event::of(tenant.id, "webhook.replay", id)).await?;
        Ok(replayed)
    }

    /// Removes a webhook, and what was still to be told of it. `still` gets it as it is, locked, and may refuse.
    pub(crate) async fn remove_webhook(
        &self,
        (tenant, Webhook { id, .. }): &(Tenant, Webhook),
        still: impl FnOnce(Webhook) -> Result<(), AdminError>,
    ) -> Result<(), AdminError> {
        let id = *id;
        let tx = self.storage.begin().await?;
        still(tx.tenant(tenant.id).webhooks().current(id).await?)?;
        tx.tenant(tenant.id).webhooks().remove(id).await?;
        self.commit(tx, Event::of(tenant.id, "webhook.remove", id)).await
    }

    /// The webhook of this id, if it exists for the caller.
    pub(crate) async fn webhook(&self, id: WebhookId) -> Result<(Tenant, Webhook), AdminError> {
        let found = self.storage.webhooks().find(id).await?.filter(|webhook| self.caller.sees(webhook.tenant));
        let webhook = found.ok_or(AdminError::NoWebhook(id))?;
        Ok((self.storage.tenants().get(webhook.tenant).await?, webhook))
    }
}

pub(super) fn fit(new: NewWebhook) -> Result<NewWebhook, AdminError> {
    if new.events.is_empty() {
        return Err(AdminError::NoEvents);
    }
    Ok(NewWebhook { name: checked(new.name)?, ..new })
}
