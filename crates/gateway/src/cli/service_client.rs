//! `wxgate service-client`: downstream services with a secret of their own.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use wxgate_domain::{Audience, ClientSecret, Network, Scope, ServiceClient, ServiceClientId, ServiceClientPolicy};
use wxgate_domain::{Slug, Tenant};

use super::admin::AdminArgs;
use super::{Failure, print};

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
    Add {
        /// The tenant that it belongs to.
        #[arg(long)]
        tenant: Slug,
        /// Its name for people, unique in the tenant.
        name: String,
        #[command(flatten)]
        may: Box<May>,
    },
    /// List the service clients, without their secrets.
    #[command(after_help = "Example:\n  wxgate service-client list --tenant acme")]
    List {
        /// Of this tenant alone.
        #[arg(long)]
        tenant: Option<Slug>,
    },
    /// Make a new secret and print it. The one in use still counts for a while.
    #[command(after_help = "Example:\n  wxgate service-client rotate svc_5r0GQk1mVnW8xk2bNf3tZA --overlap-hours 1")]
    Rotate {
        /// Its id.
        id: ServiceClientId,
        /// How long the secret in use still counts; 0 ends it at once.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(0..=168))]
        overlap_hours: u64,
    },
    /// Remove a service client. Introspection and forward auth refuse its tokens within two seconds.
    #[command(after_help = "Example:\n  wxgate service-client remove svc_5r0GQk1mVnW8xk2bNf3tZA")]
    Remove {
        /// Its id.
        id: ServiceClientId,
    },
}

/// What a client may do; each list has at most 20 entries, and nothing is granted that is not named.
#[derive(Debug, Args)]
struct May {
    /// An audience that it is known by: its own tokens are for it, and it may introspect and exchange tokens for it. Give
    /// it once for each.
    #[arg(long = "audience", value_name = "AUD")]
    audiences: Vec<Audience>,
    /// A scope that its tokens can have. Give it once for each.
    #[arg(long = "scope", value_name = "S")]
    scopes: Vec<Scope>,
    /// Another service's audience that it may exchange a user's token to, or ask a token of its own for. Give it once for
    /// each.
    #[arg(long = "exchange-to", value_name = "AUD")]
    exchange_to: Vec<Audience>,
    /// It may introspect tokens.
    #[arg(long)]
    introspect: bool,
    /// It may follow the feed of revocations.
    #[arg(long)]
    feed: bool,
    /// An address or network that it may come from; anywhere if none is given. Give it once for each.
    #[arg(long = "address", value_name = "CIDR")]
    addresses: Vec<Network>,
}

impl From<May> for ServiceClientPolicy {
    fn from(may: May) -> Self {
        let May { audiences, scopes, exchange_to, introspect, feed, addresses } = may;
        Self { audiences, scopes, exchange_to, introspect, feed, addresses, ..Self::default() }
    }
}

impl ServiceClientCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.admin.open().await?;
        match self.action {
            Action::Add { tenant, name, may } => {
                let tenant = admin.tenant(&tenant).await?;
                let (client, secret) = admin.add_service_client(&tenant, &name, (*may).into()).await?;
                self.admin.tell_secret(&tenant, &client, &secret, "added");
            }
            Action::List { tenant } => {
                let mut found = Vec::new();
                for tenant in admin.tenants(tenant.as_ref()).await? {
                    let clients = admin.storage.tenant(tenant.id).service_clients().list().await?;
                    found.extend(clients.into_iter().map(|client| (tenant.clone(), client)));
                }
                if self.admin.json {
                    print::json(&found.iter().map(|(tenant, client)| row(tenant, client)).collect::<Vec<_>>());
                } else {
                    let rows: Vec<_> = found.iter().map(cells).collect();
                    print::table(["ID", "TENANT", "NAME", "AUDIENCES", "MAY"], &rows);
                }
            }
            Action::Rotate { id, overlap_hours } => {
                let overlap = Duration::from_hours(overlap_hours);
                let (tenant, client, secret) = admin.rotate_service_client(&id, overlap).await?;
                let what = format!("has a new secret; the one before counts for {overlap_hours} hours more");
                self.admin.tell_secret(&tenant, &client, &secret, &what);
            }
            Action::Remove { id } => {
                let (tenant, client) = admin.remove_service_client(&id).await?;
                if self.admin.json {
                    print::json(&row(&tenant, &client));
                } else {
                    print::line(format!("service client {:?} of tenant {} removed", client.name, tenant.slug));
                }
            }
        }
        admin.storage.stop().await;
        Ok(())
    }
}

impl AdminArgs {
    /// Prints a secret, which is all that anybody will ever see of it.
    fn tell_secret(&self, tenant: &Tenant, client: &ServiceClient, secret: &ClientSecret, what: &str) {
        if self.json {
            let mut row = row(tenant, client);
            if let Some(row) = row.as_object_mut() {
                row.insert("secret".to_owned(), secret.expose().into());
            }
            print::json(&row);
        } else {
            print::line(format!("service client {:?} of tenant {}: {what}", client.name, tenant.slug));
            print::line(format!("id      {}", client.id));
            print::line(format!("secret  {}", secret.expose()));
            print::line("Keep the secret now: it is stored as a digest and never shown again.");
        }
    }
}

fn row(tenant: &Tenant, client: &ServiceClient) -> Value {
    json!({
        "id": client.id,
        "tenant": tenant.slug,
        "name": client.name,
        "policy": client.policy,
        "previous_secret_until_ms": client.previous_until,
        "created_at_ms": client.created_at,
    })
}

fn cells((tenant, client): &(Tenant, ServiceClient)) -> [String; 5] {
    let ServiceClientPolicy { audiences, exchange_to, introspect, feed, .. } = &client.policy;
    let may = [("introspect", *introspect), ("feed", *feed), ("exchange", !exchange_to.is_empty())];
    let may: Vec<_> = may.iter().filter(|(_, granted)| *granted).map(|(grant, _)| *grant).collect();
    let audiences: Vec<_> = audiences.iter().map(Audience::as_str).collect();
    [client.id.to_string(), tenant.slug.to_string(), client.name.clone(), audiences.join(" "), may.join(" ")]
}
