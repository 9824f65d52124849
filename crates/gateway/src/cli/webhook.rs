//! `wxgate webhook`: where a tenant's services are told of what happens.

use clap::{Args, Subcommand};
use wxgate_domain::{Slug, Timestamp, WebhookId};

use super::admin::AdminArgs;
use super::{Failure, print};
use crate::operation::Limit;
use crate::operation::secret_text::SecretText;
use crate::operation::webhooks::deliveries::{DeliveryReply, ListDeliveries, ReplayDeliveries, State};
use crate::operation::webhooks::{
    AddWebhook, ChangeWebhook, ListWebhooks, MadeWebhook, RemoveWebhook, RotateWebhook, ShowWebhook, WebhookReply,
};

/// Webhooks: signed requests that tell a tenant's services of what happens.
#[derive(Debug, Args)]
pub(super) struct WebhookCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a webhook and print its id and its secret. The secret is never shown again.
    #[command(
        after_help = "Example:\n  wxgate webhook add --tenant acme orders https://orders.acme.example/wxgate --event user.erased --event user.merged"
    )]
    Add(AddWebhook),
    /// List the webhooks, without their secrets.
    #[command(after_help = "Example:\n  wxgate webhook list --tenant acme")]
    List {
        /// Of this tenant alone.
        #[arg(long)]
        tenant: Option<Slug>,
    },
    /// Show a webhook and how it goes, without its secret.
    #[command(after_help = "Example:\n  wxgate webhook show 01a20d09-11be-76ee-83ba-4cbff4047d03")]
    Show(ShowWebhook),
    /// Change the name, address or events of a webhook, or disable or enable it.
    #[command(after_help = "Example:\n  wxgate webhook change 01a20d09-11be-76ee-83ba-4cbff4047d03 --enabled true")]
    Change(ChangeWebhook),
    /// Make a new secret and print it. For a while requests are signed with both.
    #[command(after_help = "Example:\n  wxgate webhook rotate 01a20d09-11be-76ee-83ba-4cbff4047d03 --overlap-hours 1")]
    Rotate(RotateWebhook),
    /// List what became of each event, the newest first. Receipts are kept for a week.
    #[command(after_help = "Example:\n  wxgate webhook deliveries 01a20d09-11be-76ee-83ba-4cbff4047d03 --state failed")]
    Deliveries {
        /// The webhook.
        id: WebhookId,
        /// Those of this state alone.
        #[arg(long)]
        state: Option<State>,
    },
    /// Have an event told again, or all that failed.
    #[command(after_help = "Example:\n  wxgate webhook replay 01a20d09-11be-76ee-83ba-4cbff4047d03")]
    Replay(ReplayDeliveries),
    /// Remove a webhook. What was still to be told of it is not.
    #[command(after_help = "Example:\n  wxgate webhook remove 01a20d09-11be-76ee-83ba-4cbff4047d03 --yes")]
    Remove(RemoveWebhook),
}

impl WebhookCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::Add(add) => self.admin.tell_webhook_secret(&door.call(add).await?, "added"),
            Action::List { tenant } => {
                let next = |cursor| ListWebhooks { tenant: tenant.clone(), limit: Limit::MOST, cursor };
                let mut webhooks = door.all(next).await?;
                webhooks.sort_by(|a, b| (&a.tenant, &a.name).cmp(&(&b.tenant, &b.name)));
                self.admin.list(["ID", "TENANT", "NAME", "STATUS", "EVENTS", "URL"], &webhooks, cells);
            }
            Action::Show(show) => {
                let shown = door.call(show).await?;
                self.admin.tell(&shown, || {
                    let WebhookReply { id, tenant, name, .. } = &shown.webhook;
                    let since = shown.failing_since.map(|since| Timestamp::from_millis(since * 1_000).to_rfc3339());
                    let course = since.map_or("well".to_owned(), |since| format!("failing since {since}"));
                    format!(
                        "webhook {id} of tenant {tenant}: {name}\nurl      {}\nevents   {}\nstatus   {}, {course}\nwaiting  {}\nfailed   {}",
                        shown.webhook.url,
                        shown.webhook.events.words().join(" "),
                        shown.webhook.status.as_str(),
                        shown.waiting,
                        shown.failed
                    )
                });
            }
            Action::Change(change) => {
                let webhook = door.call(change).await?;
                self.admin.tell(&webhook, || format!("webhook {} of tenant {} changed", webhook.id, webhook.tenant));
            }
            Action::Rotate(rotate) => {
                let hours = rotate.overlap_hours;
                let what = format!("has a new secret; requests are signed with both for {hours} hours");
                self.admin.tell_webhook_secret(&door.call(rotate).await?, &what);
            }
            Action::Deliveries { id, state } => {
                let next = |cursor| ListDeliveries { id, state, limit: Limit::MOST, cursor };
                let receipts = door.all(next).await?;
                self.admin.list(["EVENT", "KIND", "AT", "STATE", "ATTEMPTS", "LAST"], &receipts, receipt);
            }
            Action::Replay(replay) => {
                let replayed = door.call(replay).await?;
                self.admin.tell(&replayed, || format!("{} event(s) are told again", replayed.replayed));
            }
            Action::Remove(remove) => {
                let webhook = door.call(ShowWebhook { id: remove.id }).await?.webhook;
                self.admin.confirm("it is told of nothing more", &webhook.id.to_string())?;
                door.call(remove).await?;
                let what = format!("webhook {:?} of tenant {} removed", webhook.name, webhook.tenant);
                self.admin.tell(&webhook, || what);
            }
        }
        door.close().await;
        Ok(())
    }
}

impl AdminArgs {
    /// Prints a secret, which is all that anybody will ever see of it.
    fn tell_webhook_secret(&self, made: &MadeWebhook, what: &str) {
        if self.json {
            print::json(made);
        } else {
            let webhook = &made.webhook;
            print::line(format!("webhook {:?} of tenant {}: {what}", webhook.name, webhook.tenant));
            print::line(format!("id      {}", webhook.id));
            print::line(format!("secret  {}", made.secret.as_ref().map_or("", SecretText::expose)));
            print::line("Keep the secret now: it is stored sealed and never shown again.");
        }
    }
}

fn cells(webhook: &WebhookReply) -> [String; 6] {
    let WebhookReply { id, tenant, name, url, events, status, .. } = webhook;
    let status = status.as_str().to_owned();
    [id.to_string(), tenant.to_string(), name.clone(), status, events.words().join(" "), url.to_string()]
}

fn receipt(receipt: &DeliveryReply) -> [String; 6] {
    let status = receipt.last_status.map(|status| status.to_string());
    let last = status.or_else(|| receipt.last_error.clone()).unwrap_or_default();
    let state = format!("{:?}", receipt.state).to_lowercase();
    let at = Timestamp::from_millis(receipt.at * 1_000).to_rfc3339();
    [receipt.event.to_string(), receipt.kind.to_string(), at, state, receipt.attempts.to_string(), last]
}
