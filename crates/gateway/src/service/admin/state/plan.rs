//! What has to be done so that a document becomes true, and everything that is wrong with it.

mod apps;
mod pushes;
mod trust;
mod webhooks;

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use wxgate_crypto::WebhookSecret;
use wxgate_domain::{
    App, AppPolicy, AppSecret, AppStatus, Audience, PolicyName, ServiceClientId, ServiceClientPolicy, Slug, TenantId,
    TenantPolicy, TenantStatus, UnionGroupId, WebhookId, WechatAppid,
};
use wxgate_storage::{NewApp, NewForwardAuthPolicy, NewTenant, NewWebhook, PushChange, PushRenewal};
use wxgate_token::SigningKey;

use super::super::{Admin, AdminError, checked};
use super::present::Present;
use super::{Planned, StateError, Verb};
use crate::operation::state::TenantState;

/// One thing to be done.
pub(super) struct Step {
    /// What is told of it; nothing of what only completes another step.
    pub(super) planned: Option<Planned>,
    pub(super) tenant: Slug,
    pub(super) act: Act,
}

impl Step {
    /// Where the document speaks of it.
    pub(super) fn place(&self) -> String {
        let of_tenant = |text: String| format!("{}.{text}", self.tenant);
        match (&self.act, &self.planned) {
            (Act::ChangeApp { appid, .. } | Act::SetAppStatus(appid, _), _) => of_tenant(format!("apps.{appid}")),
            (_, Some(planned)) => of_tenant(format!("{} {}", planned.kind, planned.name)),
            (_, None) => self.tenant.to_string(),
        }
    }
}

/// How it is done.
pub(super) enum Act {
    Nothing,
    AddTenant(NewTenant),
    ChangeTenant(String, TenantPolicy),
    SetTenantStatus(TenantStatus),
    AddGroup(String),
    RemoveGroup(UnionGroupId, String),
    AddAudience(Audience),
    RemoveAudience(Audience),
    AddApp { new: NewApp, group: Option<String> },
    ChangeApp { appid: WechatAppid, name: String, group: Option<String>, policy: AppPolicy },
    SetAppStatus(WechatAppid, AppStatus),
    SetSecret { appid: WechatAppid, secret: AppSecret, is_accepted: bool },
    RemoveApp(Box<App>),
    SetPush(WechatAppid, PushChange),
    RenewPush(WechatAppid, PushRenewal),
    RemovePush(WechatAppid),
    AddPolicy(NewForwardAuthPolicy),
    ChangePolicy(NewForwardAuthPolicy),
    RemovePolicy(PolicyName),
    AddClient(String, ServiceClientPolicy),
    ChangeClient(ServiceClientId, ServiceClientPolicy),
    RemoveClient(ServiceClientId),
    AddWebhook { new: NewWebhook, secret: Option<WebhookSecret> },
    ChangeWebhook(WebhookId, NewWebhook),
    SetWebhookSecret(WebhookId, WebhookSecret),
    RemoveWebhook(WebhookId),
}

/// Everything to be done, in an order in which it can be: what is named before who names it, removals last.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    removals: Vec<Step>,
    problems: StateError,
    /// The tenant that is looked at.
    tenant: Slug,
    prune: bool,
    /// What there is already, for the steps.
    pub(super) tenants: HashMap<Slug, TenantId>,
    pub(super) groups: HashMap<(TenantId, String), UnionGroupId>,
}

impl Plan {
    /// Compares what is wanted with what there is.
    pub(super) async fn of(admin: &Admin, wanted: Vec<TenantState>, prune: bool) -> Result<Self, AdminError> {
        let Some(first) = wanted.first() else {
            return Err(AdminError::State(StateError(vec!["tenants: none".to_owned()])));
        };
        let tenant = first.slug.clone();
        let mut plan = Self {
            steps: Vec::new(),
            removals: Vec::new(),
            problems: StateError::default(),
            tenant,
            prune,
            tenants: HashMap::new(),
            groups: HashMap::new(),
        };
        let mut seen = HashSet::new();
        for wanted in wanted {
            plan.tenant = wanted.slug.clone();
            if !seen.insert(wanted.slug.clone()) {
                plan.problem("", "the tenant is named twice");
            }
            let present = match admin.storage.tenants().find(&wanted.slug).await? {
                Some(tenant) => Some(plan.known(Present::read(admin, tenant).await?)),
                None => None,
            };
            plan.compare(admin, wanted, present).await?;
        }
        if !plan.problems.0.is_empty() {
            return Err(plan.problems.into());
        }
        let removals = std::mem::take(&mut plan.removals);
        plan.steps.extend(removals);
        Ok(plan)
    }

    fn known(&mut self, present: Present) -> Present {
        let id = present.tenant.id;
        self.tenants.insert(present.tenant.slug.clone(), id);
        self.groups.extend(present.groups.iter().map(|group| ((id, group.name.clone()), group.id)));
        present
    }

    async fn compare(
        &mut self,
        admin: &Admin,
        wanted: TenantState,
        present: Option<Present>,
    ) -> Result<(), AdminError> {
        let TenantState {
            slug: _,
            name,
            suspended,
            union_groups,
            audiences,
            policy,
            apps,
            forward_auth,
            service_clients,
            webhooks,
        } = wanted;
        let present = present.as_ref();
        self.tenant(admin, present, (name, suspended, policy))?;
        self.groups(present, &union_groups);
        self.audiences(admin, present, &audiences).await?;
        let mut owned: HashSet<String> = audiences.iter().map(ToString::to_string).collect();
        owned.extend(apps.iter().map(|app| app.appid.to_string()));
        if !self.prune
            && let Some(present) = present
        {
            owned.extend(present.audiences.iter().map(|audience| audience.name.to_string()));
            owned.extend(present.apps.iter().map(|app| app.appid.to_string()));
        }
        let known_groups: HashSet<&str> = union_groups
            .iter()
            .map(String::as_str)
            .chain(
                present
                    .filter(|_| !self.prune)
                    .into_iter()
                    .flat_map(|present| &present.groups)
                    .map(|group| group.name.as_str()),
            )
            .collect();
        self.apps(admin, present, apps, (&owned, &known_groups)).await?;
        self.policies(admin, present, forward_auth, &owned).await?;
        self.clients(present, service_clients, &owned);
        self.webhooks(admin, present, webhooks).await
    }

    fn tenant(
        &mut self,
        admin: &Admin,
        present: Option<&Present>,
        (name, suspended, policy): (Option<String>, Option<bool>, TenantPolicy),
    ) -> Result<(), AdminError> {
        let slug = self.tenant.clone();
        let name = self.checked("name", checked(name.unwrap_or_else(|| slug.to_string())));
        let policy = self.checked("policy", policy.checked());
        let (Some(name), Some(policy)) = (name, policy) else { return Ok(()) };
        let status = suspended.map(|suspended| if suspended { TenantStatus::Suspended } else { TenantStatus::Active });
        let Some(Present { tenant, .. }) = present else {
            let (now, algorithm) = (admin.clock.now(), policy.algorithm);
            let (signing_key, next_key) =
                (SigningKey::generate(algorithm, now)?, SigningKey::generate(algorithm, now)?);
            let new = NewTenant { slug: slug.clone(), name, policy, signing_key, next_key };
            self.step(Verb::Create, "tenant", &slug, Act::AddTenant(new));
            if suspended == Some(true) {
                self.problem("suspended", "a new tenant is served; suspend it once it is there");
            }
            return Ok(());
        };
        if tenant.status == TenantStatus::Deleting {
            self.problem("", "the tenant is being deleted");
        }
        let same = tenant.name == name && tenant.policy == policy;
        let act = if same { Act::Nothing } else { Act::ChangeTenant(name, policy) };
        let status = status.filter(|status| *status != tenant.status);
        let verb = if same && status.is_none() { Verb::Keep } else { Verb::Change };
        self.step(verb, "tenant", &slug, act);
        if let Some(status) = status {
            self.completing(Act::SetTenantStatus(status));
        }
        Ok(())
    }

    fn groups(&mut self, present: Option<&Present>, wanted: &[String]) {
        let there: HashSet<&str> =
            present.into_iter().flat_map(|p| &p.groups).map(|group| group.name.as_str()).collect();
        self.once("union_groups", wanted.iter());
        for name in wanted {
            if there.contains(name.as_str()) {
                self.step(Verb::Keep, "union group", name, Act::Nothing);
            } else if let Some(name) = self.checked(&format!("union_groups.{name}"), checked(name.clone())) {
                self.step(Verb::Create, "union group", &name.clone(), Act::AddGroup(name));
            }
        }
        let gone = present.into_iter().flat_map(|p| &p.groups).filter(|group| !wanted.contains(&group.name));
        for group in gone {
            self.gone("union group", &group.name, Act::RemoveGroup(group.id, group.name.clone()));
        }
    }

    async fn audiences(
        &mut self,
        admin: &Admin,
        present: Option<&Present>,
        wanted: &[Audience],
    ) -> Result<(), AdminError> {
        self.once("audiences", wanted.iter());
        for name in wanted {
            match admin.storage.audiences().find(name).await? {
                None => self.step(Verb::Create, "audience", name, Act::AddAudience(name.clone())),
                Some(found) if present.is_some_and(|present| present.tenant.id == found.tenant) => {
                    self.step(Verb::Keep, "audience", name, Act::Nothing);
                }
                Some(_) => self.problem(&format!("audiences.{name}"), "another tenant owns it"),
            }
        }
        for audience in present.into_iter().flat_map(|p| &p.audiences).filter(|known| !wanted.contains(&known.name)) {
            self.gone("audience", &audience.name, Act::RemoveAudience(audience.name.clone()));
        }
        Ok(())
    }

    fn step(&mut self, verb: Verb, kind: &str, name: &impl ToString, act: Act) {
        let planned = Planned { verb, kind: kind.to_owned(), tenant: self.tenant.clone(), name: name.to_string() };
        self.steps.push(Step { planned: Some(planned), tenant: self.tenant.clone(), act });
    }

    /// What only completes a step.
    fn completing(&mut self, act: Act) {
        self.steps.push(Step { planned: None, tenant: self.tenant.clone(), act });
    }

    /// What has to be done before something can go.
    fn before_removals(&mut self, act: Act) {
        self.removals.insert(0, Step { planned: None, tenant: self.tenant.clone(), act });
    }

    /// What is there and not wanted. Removals come last, and the later the earlier it was made.
    fn gone(&mut self, kind: &str, name: &impl ToString, act: Act) {
        let (verb, act) = if self.prune { (Verb::Remove, act) } else { (Verb::Ignore, Act::Nothing) };
        let planned = Planned { verb, kind: kind.to_owned(), tenant: self.tenant.clone(), name: name.to_string() };
        self.removals.insert(0, Step { planned: Some(planned), tenant: self.tenant.clone(), act });
    }

    fn problem(&mut self, place: &str, what: impl Display) {
        let place = if place.is_empty() { self.tenant.to_string() } else { format!("{}.{place}", self.tenant) };
        self.problems.add(&place, what);
    }

    /// The value, or a problem.
    fn checked<T, E: Display>(&mut self, place: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.problem(place, error)).ok()
    }

    /// Each name stands there once.
    fn once<T: ToString>(&mut self, place: &str, names: impl Iterator<Item = T>) {
        let mut seen = HashSet::new();
        for name in names.map(|name| name.to_string()) {
            if !seen.insert(name.clone()) {
                self.problem(&format!("{place}.{name}"), "is named twice");
            }
        }
    }

    /// Each audience is the tenant's, or is about to be.
    fn owns<'a>(&mut self, place: &str, named: impl Iterator<Item = &'a str>, owned: &HashSet<String>) {
        for name in named.filter(|name| !owned.contains(*name)) {
            self.problem(place, format!("the tenant does not own the audience {name}"));
        }
    }
}
