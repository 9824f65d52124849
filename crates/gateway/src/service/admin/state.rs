//! The state of tenants as one document: read it, compare it with what there is, bring it about in one transaction.

mod act;
mod plan;
mod present;

use std::collections::BTreeMap;
use std::fmt;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_crypto::WebhookSecret;
use wxgate_crypto::push::{EncodingAesKey, PushToken};
use wxgate_domain::{AppSecret, ClientSecret, ServiceClient, Slug, Webhook, WechatAppid};
use wxgate_storage::StorageError;

use self::act::Made;
use self::plan::{Act, Plan, Step};
use self::present::Present;
use super::webhooks::HEARD;
use super::{Admin, AdminError, Event, Proof};
use crate::operation::state::TenantState;

/// How many new AppSecrets WeChat is asked about at once.
const ASKED_AT_ONCE: usize = 16;

/// Everything that is wrong with a document, each with its place.
#[derive(Debug, Default)]
pub(crate) struct StateError(Vec<String>);

impl StateError {
    fn add(&mut self, place: &str, what: impl fmt::Display) {
        self.0.push(format!("{place}: {what}"));
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for StateError {}

/// What an error of the database means in the middle of a document.
fn explained(place: &str, error: AdminError) -> AdminError {
    let what = match error {
        AdminError::Storage(StorageError::NotUnique { .. }) => "the name is in use, or was",
        AdminError::Storage(StorageError::Full { .. }) => "there are as many of these as there may be",
        AdminError::Storage(StorageError::NotFound) => {
            "it names an audience that is not the tenant's; an appid is the tenant's once WeChat has accepted its secret"
        }
        other => return other,
    };
    StateError(vec![format!("{place}: {what}")]).into()
}

/// What becomes of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verb {
    /// It is not there, and is made.
    Create,
    /// It is there and is to be otherwise.
    Change,
    /// It is there as it is to be.
    Keep,
    /// It is there, and the document does not name it: removed with `prune`.
    Remove,
    /// It is there, and the document does not name it: left alone without `prune`.
    Ignore,
}

/// What becomes of one thing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Planned {
    pub(crate) verb: Verb,
    /// `tenant`, `union group`, `audience`, `app`, `AppSecret`, `push`, `push secrets`, `policy`, `service client`, `webhook`,
    /// `webhook secret`.
    pub(crate) kind: String,
    /// The slug of its tenant.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// What it is called.
    pub(crate) name: String,
}

/// A service client that was made, with its secret.
#[derive(Debug)]
pub(crate) struct MadeClient {
    pub(crate) tenant: Slug,
    pub(crate) client: ServiceClient,
    pub(crate) secret: ClientSecret,
}

/// A webhook that was made, with the secret that was made for it.
#[derive(Debug)]
pub(crate) struct MadeHook {
    pub(crate) tenant: Slug,
    pub(crate) webhook: Webhook,
    pub(crate) secret: WebhookSecret,
}

/// Pushes that were set up with what was made for them.
#[derive(Debug)]
pub(crate) struct MadePush {
    pub(crate) tenant: Slug,
    pub(crate) appid: WechatAppid,
    pub(crate) token: Option<PushToken>,
    pub(crate) key: Option<EncodingAesKey>,
}

/// What was done, or would be.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) plan: Vec<Planned>,
    pub(crate) clients: Vec<MadeClient>,
    pub(crate) hooks: Vec<MadeHook>,
    pub(crate) pushes: Vec<MadePush>,
}

impl Admin {
    /// What is set up for one tenant, or for all that exist for the caller.
    pub(crate) async fn state(&self, tenant: Option<&Slug>) -> Result<Vec<TenantState>, AdminError> {
        let mut state = Vec::new();
        for tenant in self.tenants(tenant).await? {
            state.push(Present::read(self, tenant).await?.into_state());
        }
        Ok(state)
    }

    /// Brings about what a document says of tenants, or tells what that would be.
    pub(crate) async fn apply_state(
        &self,
        wanted: Vec<TenantState>,
        prune: bool,
        dry_run: bool,
    ) -> Result<Applied, AdminError> {
        self.caller.must_be_operator()?;
        let Plan { mut steps, tenants, groups, .. } = Plan::of(self, wanted, prune).await?;
        let plan: Vec<_> = steps.iter().filter_map(|step| step.planned.clone()).collect();
        if dry_run || steps.iter().all(|step| matches!(step.act, Act::Nothing)) {
            return Ok(Applied { plan, clients: Vec::new(), hooks: Vec::new(), pushes: Vec::new() });
        }
        self.prove(&mut steps).await?;
        let Made { clients, hooks, pushes, .. } = self.bring_about(steps, Made::beside(tenants, groups)).await?;
        Ok(Applied { plan, clients, hooks, pushes })
    }

    /// Asks WeChat about every new AppSecret, before anything is written.
    async fn prove(&self, steps: &mut [Step]) -> Result<(), AdminError> {
        let mut asking = Vec::new();
        for step in steps {
            let (appid, secret, accepted): (_, &AppSecret, &mut bool) = match &mut step.act {
                Act::AddApp { new, .. } => (&new.appid, &new.secret, &mut new.is_accepted),
                Act::SetSecret { appid, secret, is_accepted } => (&*appid, &*secret, is_accepted),
                _ => continue,
            };
            let place = format!("{}.apps.{appid}.secret", step.tenant);
            asking.push(async move {
                (place, self.proved(appid, secret, Proof::Ask).await.map(|answer| *accepted = answer))
            });
        }
        let mut answers = stream::iter(asking).buffered(ASKED_AT_ONCE);
        let mut refused = StateError::default();
        while let Some((place, answer)) = answers.next().await {
            match answer {
                Ok(()) => {}
                Err(error @ AdminError::SecretRefused { .. }) => refused.add(&place, error),
                Err(error) => return Err(error),
            }
        }
        if refused.0.is_empty() { Ok(()) } else { Err(refused.into()) }
    }

    /// Does all of it in one transaction. Apps that are removed serve nothing from then on; jobs do the rest. Each log is
    /// written at the end and at once, for whoever serves waits for the transaction.
    async fn bring_about(&self, steps: Vec<Step>, mut made: Made) -> Result<Made, AdminError> {
        let mut done: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let listens = steps.iter().any(|step| matches!(step.act, Act::AddWebhook { .. } | Act::ChangeWebhook(..)));
        let tx = self.storage.begin().await?;
        for step in steps {
            let place = step.place();
            if let Some(event) = made.act(&tx, step).await.map_err(|error| explained(&place, error))? {
                done.entry(event.tenant).or_default().push(event.entry(&self.caller));
            }
        }
        for (tenant, entries) in &done {
            tx.audit(*tenant).record_all(entries).await?;
        }
        let count: usize = done.values().map(Vec::len).sum();
        self.commit(tx, Event::of_operators("state.apply", format!("{count} changes"))).await?;
        if listens {
            tokio::time::sleep(HEARD).await;
        }
        Ok(made)
    }
}
