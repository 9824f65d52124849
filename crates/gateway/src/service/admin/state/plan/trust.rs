//! What has to be done about forward-auth policies and service clients.

use std::collections::HashSet;

use wxgate_domain::{ForwardAuthPolicy, Scope};
use wxgate_storage::NewForwardAuthPolicy;

use super::super::super::{Admin, AdminError, checked};
use super::super::Verb;
use super::super::present::Present;
use super::{Act, Plan};
use crate::operation::state::{ForwardAuthState, ServiceClientState};

impl Plan {
    pub(super) async fn policies(
        &mut self,
        admin: &Admin,
        present: Option<&Present>,
        wanted: Vec<ForwardAuthState>,
        owned: &HashSet<String>,
    ) -> Result<(), AdminError> {
        self.once("forward_auth", wanted.iter().map(|policy| &policy.name));
        let names: HashSet<_> = wanted.iter().map(|policy| policy.name.clone()).collect();
        for ForwardAuthState { name, audience, scopes } in wanted {
            let place = format!("forward_auth.{name}");
            let scopes: Option<Vec<Scope>> =
                self.checked(&format!("{place}.scopes"), ForwardAuthPolicy::checked_scopes(scopes));
            self.owns(&format!("{place}.audience"), std::iter::once(audience.as_str()), owned);
            let Some(scopes) = scopes else { continue };
            let new = NewForwardAuthPolicy { name: name.clone(), audience, scopes };
            match admin.storage.forward_auth_policies().find(&name).await? {
                None => self.step(Verb::Create, "policy", &name, Act::AddPolicy(new)),
                Some(found) if present.is_none_or(|present| present.tenant.id != found.tenant.id) => {
                    self.problem(&place, "another tenant has a policy of this name");
                }
                Some(found) if found.policy.audience == new.audience && found.policy.scopes == new.scopes => {
                    self.step(Verb::Keep, "policy", &name, Act::Nothing);
                }
                Some(_) => self.step(Verb::Change, "policy", &name, Act::ChangePolicy(new)),
            }
        }
        for policy in present.into_iter().flat_map(|p| &p.policies).filter(|known| !names.contains(&known.name)) {
            self.gone("policy", &policy.name, Act::RemovePolicy(policy.name.clone()));
        }
        Ok(())
    }

    pub(super) fn clients(
        &mut self,
        present: Option<&Present>,
        wanted: Vec<ServiceClientState>,
        owned: &HashSet<String>,
    ) {
        self.once("service_clients", wanted.iter().map(|client| &client.name));
        let names: HashSet<_> = wanted.iter().map(|client| client.name.clone()).collect();
        for ServiceClientState { name, policy } in wanted {
            let place = format!("service_clients.{name}");
            let name = self.checked(&place, checked(name));
            let policy = self.checked(&format!("{place}.policy"), policy.checked());
            let (Some(name), Some(policy)) = (name, policy) else { continue };
            self.owns(&format!("{place}.policy"), policy.named(), owned);
            match present.into_iter().flat_map(|p| &p.clients).find(|known| known.name == name) {
                None => self.step(Verb::Create, "service client", &name.clone(), Act::AddClient(name, policy)),
                Some(known) if known.policy == policy => self.step(Verb::Keep, "service client", &name, Act::Nothing),
                Some(known) => {
                    self.step(Verb::Change, "service client", &name, Act::ChangeClient(known.id.clone(), policy));
                }
            }
        }
        for client in present.into_iter().flat_map(|p| &p.clients).filter(|known| !names.contains(&known.name)) {
            self.gone("service client", &client.name, Act::RemoveClient(client.id.clone()));
        }
    }
}
