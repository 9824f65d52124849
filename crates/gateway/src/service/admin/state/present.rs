//! What there is of a tenant.

use std::collections::HashMap;

use wxgate_domain::webhook::MOST;
use wxgate_domain::{
    App, AppId, AppStatus, ForwardAuthPolicy, PushStatus, ServiceClient, Tenant, TenantStatus, UnionGroupId, Webhook,
    WebhookStatus,
};
use wxgate_storage::{OwnedAudience, UnionGroup};

use super::super::{Admin, AdminError};
use crate::operation::state::{AppState, ForwardAuthState, PushState, ServiceClientState, TenantState, WebhookState};

/// A tenant with everything that is set up for it.
pub(super) struct Present {
    pub(super) tenant: Tenant,
    pub(super) groups: Vec<UnionGroup>,
    pub(super) audiences: Vec<OwnedAudience>,
    pub(super) apps: Vec<App>,
    pub(super) pushes: HashMap<AppId, PushStatus>,
    pub(super) policies: Vec<ForwardAuthPolicy>,
    pub(super) clients: Vec<ServiceClient>,
    pub(super) webhooks: Vec<Webhook>,
}

impl Present {
    pub(super) async fn read(admin: &Admin, tenant: Tenant) -> Result<Self, AdminError> {
        let scope = admin.storage.tenant(tenant.id);
        let mut apps = scope.apps().list().await?;
        apps.retain(|app| app.status != AppStatus::Removing);
        Ok(Self {
            groups: scope.union_groups().list().await?,
            audiences: scope.audiences().list().await?,
            apps,
            pushes: scope.push_settings().all().await?,
            policies: scope.forward_auth_policies().list().await?,
            clients: scope.service_clients().list().await?,
            webhooks: admin.storage.webhooks().page(Some(tenant.id), None, MOST).await?,
            tenant,
        })
    }

    /// The name of a union group.
    pub(super) fn group(&self, id: Option<UnionGroupId>) -> Option<&str> {
        self.groups.iter().find(|group| Some(group.id) == id).map(|group| group.name.as_str())
    }

    /// The document that says this.
    pub(super) fn into_state(self) -> TenantState {
        let groups: HashMap<_, _> = self.groups.iter().map(|group| (group.id, group.name.clone())).collect();
        let app = |app: App| AppState {
            appid: app.appid,
            name: Some(app.name),
            secret: None,
            platform: app.credential.component().map(|component| component.platform.clone()),
            disabled: Some(app.status == AppStatus::Disabled),
            union_group: app.union_group.and_then(|id| groups.get(&id).cloned()),
            policy: app.policy,
            push: self.pushes.get(&app.id).map(|push| PushState { mode: Some(push.mode), ..PushState::default() }),
        };
        let policy = |policy: ForwardAuthPolicy| ForwardAuthState {
            name: policy.name,
            audience: policy.audience,
            scopes: policy.scopes,
        };
        let webhook = |webhook: Webhook| WebhookState {
            name: webhook.name,
            url: webhook.url,
            events: webhook.events,
            secret: None,
            disabled: Some(webhook.status != WebhookStatus::Enabled),
        };
        TenantState {
            slug: self.tenant.slug,
            name: Some(self.tenant.name),
            suspended: Some(self.tenant.status != TenantStatus::Active),
            union_groups: self.groups.into_iter().map(|group| group.name).collect(),
            audiences: self.audiences.into_iter().map(|audience| audience.name).collect(),
            policy: self.tenant.policy,
            apps: self.apps.into_iter().map(app).collect(),
            forward_auth: self.policies.into_iter().map(policy).collect(),
            service_clients: self
                .clients
                .into_iter()
                .map(|client| ServiceClientState { name: client.name, policy: client.policy })
                .collect(),
            webhooks: self.webhooks.into_iter().map(webhook).collect(),
        }
    }
}
