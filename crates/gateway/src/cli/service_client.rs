//! `wxgate service-client`: downstream services with a secret of their own.

use clap::{Args, Subcommand};
use wxgate_domain::{Audience, ServiceClientPolicy, Slug};

use super::admin::AdminArgs;
use super::{Failure, print};
use crate::operation::Limit;
use crate::operation::secret_text::SecretText;
use crate::operation::service_clients::{
    AddServiceClient, ChangeServiceClient, ListServiceClients, MadeServiceClient, RemoveServiceClient,
    RotateServiceClient, ServiceClientReply, ShowServiceClient,
};

/// Service clients: downstream services that prove who they are with a secret.
#[derive(Debug, Args)]
pub(super) struct ServiceClientCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a service client and print its id and its secret. The secret is never shown again.
    #[command(
        after_help = "Example:\n  wxgate service-client add --tenant acme orders --audience orders --scope stock:read --exchange-to stock --introspect"
    )]
    Add(Box<AddServiceClient>),
    /// List the service clients, without their secrets.
    #[command(after_help = "Example:\n  wxgate service-client list --tenant acme")]
    List {
        /// Of this tenant alone.
        #[arg(long)]
        tenant: Option<Slug>,
    },
    /// Show a service client, without its secret.
    #[command(after_help = "Example:\n  wxgate service-client show svc_5r0GQk1mVnW8xk2bNf3tZA")]
    Show(ShowServiceClient),
    /// Change the name of a service client or what it may do, within two seconds.
    #[command(
        after_help = "Example:\n  wxgate service-client change svc_5r0GQk1mVnW8xk2bNf3tZA --name 'Order service' --feed --introspect=false"
    )]
    Change(Box<ChangeServiceClient>),
    /// Make a new secret and print it. The one in use still counts for a while.
    #[command(after_help = "Example:\n  wxgate service-client rotate svc_5r0GQk1mVnW8xk2bNf3tZA --overlap-hours 1")]
    Rotate(RotateServiceClient),
    /// Remove a service client. Introspection and forward auth refuse its tokens within two seconds.
    #[command(after_help = "Example:\n  wxgate service-client remove svc_5r0GQk1mVnW8xk2bNf3tZA --yes")]
    Remove(RemoveServiceClient),
}

impl ServiceClientCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::Add(add) => self.admin.tell_secret(&door.call(*add).await?, "added"),
            Action::List { tenant } => {
                let next = |cursor| ListServiceClients { tenant: tenant.clone(), limit: Limit::MOST, cursor };
                let mut clients = door.all(next).await?;
                clients.sort_by(|a, b| (&a.tenant, &a.name).cmp(&(&b.tenant, &b.name)));
                self.admin.list(["ID", "TENANT", "NAME", "AUDIENCES", "MAY"], &clients, cells);
            }
            Action::Show(show) => self.admin.tell_client(&door.call(show).await?),
            Action::Change(change) => self.admin.tell_client(&door.call(*change).await?),
            Action::Rotate(rotate) => {
                let hours = rotate.overlap_hours;
                let what = format!("has a new secret; the one before counts for {hours} hours more");
                self.admin.tell_secret(&door.call(rotate).await?, &what);
            }
            Action::Remove(remove) => {
                let client = door.call(ShowServiceClient { id: remove.id.clone() }).await?;
                self.admin.confirm("its secrets and tokens count no more", client.id.as_str())?;
                door.call(remove).await?;
                let what = format!("service client {:?} of tenant {} removed", client.name, client.tenant);
                self.admin.tell(&client, || what);
            }
        }
        door.close().await;
        Ok(())
    }
}

impl AdminArgs {
    /// Prints a secret, which is all that anybody will ever see of it.
    fn tell_secret(&self, made: &MadeServiceClient, what: &str) {
        if self.json {
            print::json(made);
        } else {
            let client = &made.client;
            print::line(format!("service client {:?} of tenant {}: {what}", client.name, client.tenant));
            print::line(format!("id      {}", client.id));
            print::line(format!("secret  {}", made.secret.as_ref().map_or("", SecretText::expose)));
            print::line("Keep the secret now: it is stored as a digest and never shown again.");
        }
    }

    fn tell_client(&self, client: &ServiceClientReply) {
        if self.json {
            print::json(client);
        } else {
            print::line(format!("service client {} of tenant {}: {}", client.id, client.tenant, client.name));
            print::fields(&client.policy);
        }
    }
}

fn cells(client: &ServiceClientReply) -> [String; 5] {
    let ServiceClientPolicy { audiences, exchange_to, introspect, feed, access_tokens, .. } = &client.policy;
    let may = [
        ("introspect", *introspect),
        ("feed", *feed),
        ("exchange", !exchange_to.is_empty()),
        ("access-token", !access_tokens.is_empty()),
    ];
    let may: Vec<_> = may.iter().filter(|(_, granted)| *granted).map(|(grant, _)| *grant).collect();
    let audiences: Vec<_> = audiences.iter().map(Audience::as_str).collect();
    [client.id.to_string(), client.tenant.to_string(), client.name.clone(), audiences.join(" "), may.join(" ")]
}
