//! One step after the other, inside one transaction.

use std::collections::HashMap;

use wxgate_domain::webhook::OVERLAP;
use wxgate_domain::{Slug, TenantId, TenantStatus, UnionGroupId};
use wxgate_storage::{AppChange, GroupMembers, StorageError, Tx};

use super::super::apps::removal;
use super::super::{AdminError, Event};
use super::plan::{Act, Step};
use super::{MadeClient, MadeHook, MadePush};

/// What came of the steps so far.
#[derive(Default)]
pub(super) struct Made {
    tenants: HashMap<Slug, TenantId>,
    groups: HashMap<(TenantId, String), UnionGroupId>,
    pub(super) clients: Vec<MadeClient>,
    pub(super) hooks: Vec<MadeHook>,
    pub(super) pushes: Vec<MadePush>,
}

impl Made {
    /// What is there already.
    pub(super) fn beside(tenants: HashMap<Slug, TenantId>, groups: HashMap<(TenantId, String), UnionGroupId>) -> Self {
        Self { tenants, groups, ..Self::default() }
    }

    /// Does a step; what is to be written down of it.
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of step, and no two alike")]
    pub(super) async fn act(&mut self, tx: &Tx, step: Step) -> Result<Option<Event>, AdminError> {
        let Step { tenant: slug, act, .. } = step;
        if let Act::AddTenant(new) = act {
            let tenant = tx.tenants().create(new).await?;
            self.tenants.insert(slug, tenant.id);
            return Ok(Some(Event::of(tenant.id, "tenant.create", tenant.slug)));
        }
        let tenant = self.tenants.get(&slug).copied().ok_or(StorageError::NotFound)?;
        let event = |action, target: &dyn ToString| Some(Event::of(tenant, action, target.to_string()));
        let scope = tx.tenant(tenant);
        Ok(match act {
            Act::Nothing | Act::AddTenant(_) => None,
            Act::ChangeTenant(name, policy) => {
                tx.tenants().change(tenant, |_| Ok::<_, StorageError>((name, policy))).await?;
                event("tenant.change", &slug)
            }
            Act::SetTenantStatus(status) => {
                tx.tenants().set_status(tenant, status).await?;
                let active = status == TenantStatus::Active;
                event(if active { "tenant.resume" } else { "tenant.suspend" }, &slug)
            }
            Act::AddGroup(name) => {
                let group = scope.union_groups().add(&name).await?;
                self.groups.insert((tenant, name), group.id);
                event("union-group.create", &group.id)
            }
            Act::RemoveGroup(id, name) => {
                let members = scope.union_groups().remove(id).await?;
                if members != GroupMembers::default() {
                    return Err(AdminError::UnionGroupInUse(name, members));
                }
                event("union-group.remove", &id)
            }
            Act::AddAudience(name) => {
                scope.audiences().add(&name).await?;
                event("audience.create", &name)
            }
            Act::RemoveAudience(name) => {
                let named_by = scope.audiences().remove(&name).await?;
                if !named_by.is_empty() {
                    return Err(AdminError::AudienceInUse(name.to_string(), named_by));
                }
                event("audience.remove", &name)
            }
            Act::AddApp { mut new, group } => {
                new.union_group = self.group(tenant, group)?;
                event("app.create", &scope.apps().add(new).await?.appid)
            }
            Act::ChangeApp { appid, name, group, policy } => {
                let change = AppChange { name, union_group: self.group(tenant, group)?, policy };
                scope.apps().change(&appid, |_| Ok::<_, StorageError>(change)).await?;
                event("app.change", &appid)
            }
            Act::SetAppStatus(appid, status) => {
                scope.apps().set_status(&appid, status).await?;
                let enabled = status == wxgate_domain::AppStatus::Enabled;
                event(if enabled { "app.enable" } else { "app.disable" }, &appid)
            }
            Act::SetSecret { appid, secret, is_accepted } => {
                scope.apps().rotate_secret(&appid, &secret, is_accepted).await?;
                event("app.rotate-secret", &appid)
            }
            Act::RemoveApp(app) => {
                removal::begin(tx, &app).await?;
                event("app.remove", &app.appid)
            }
            Act::SetPush(appid, set) => {
                let (made_token, made_key) = (set.token.is_none(), set.key.is_none());
                let (_, keys, is_new) = scope.push_settings().set(&appid, set).await?;
                let event = event("app.set-push", &appid);
                if is_new && (made_token || made_key) {
                    let (token, key) = (made_token.then_some(keys.token), made_key.then_some(keys.current));
                    self.pushes.push(MadePush { tenant: slug, appid, token, key });
                }
                event
            }
            Act::RenewPush(appid, renewal) => {
                scope.push_settings().renew(&appid, renewal).await?;
                event("app.rotate-push", &appid)
            }
            Act::RemovePush(appid) => {
                scope.push_settings().remove(&appid).await?;
                event("app.remove-push", &appid)
            }
            Act::AddPolicy(new) => event("policy.create", &scope.forward_auth_policies().add(new).await?.name),
            Act::ChangePolicy(new) => {
                let wanted = (new.audience, new.scopes);
                scope.forward_auth_policies().change(&new.name, |_| Ok::<_, StorageError>(wanted)).await?;
                event("policy.change", &new.name)
            }
            Act::RemovePolicy(name) => {
                scope.forward_auth_policies().remove(&name).await?;
                event("policy.remove", &name)
            }
            Act::AddClient(name, policy) => {
                let (client, secret) = scope.service_clients().add(&name, policy).await?;
                let event = event("service-client.create", &client.id);
                self.clients.push(MadeClient { tenant: slug, client, secret });
                event
            }
            Act::ChangeClient(id, policy) => {
                scope.service_clients().change(&id, |known| Ok::<_, StorageError>((known.name, policy))).await?;
                event("service-client.change", &id)
            }
            Act::RemoveClient(id) => {
                scope.service_clients().remove(&id).await?;
                event("service-client.remove", &id)
            }
            Act::AddWebhook { new, secret } => {
                let given = secret.is_some();
                let (webhook, secret) = scope.webhooks().add(new, secret).await?;
                let event = event("webhook.create", &webhook.id);
                if !given {
                    self.hooks.push(MadeHook { tenant: slug, webhook, secret });
                }
                event
            }
            Act::ChangeWebhook(id, new) => {
                scope.webhooks().change(id, |_| Ok::<_, StorageError>(new)).await?;
                event("webhook.change", &id)
            }
            Act::SetWebhookSecret(id, secret) => {
                scope.webhooks().rotate(id, OVERLAP, Some(secret)).await?;
                event("webhook.rotate", &id)
            }
            Act::RemoveWebhook(id) => {
                scope.webhooks().remove(id).await?;
                event("webhook.remove", &id)
            }
        })
    }

    fn group(&self, tenant: TenantId, name: Option<String>) -> Result<Option<UnionGroupId>, AdminError> {
        let Some(name) = name else { return Ok(None) };
        let found = self.groups.get(&(tenant, name)).copied();
        Ok(Some(found.ok_or(StorageError::NotFound)?))
    }
}
