//! Union groups.

use serde::Serialize;
use wxgate_domain::{App, Job, Task, Tenant, UnionGroupId, WechatAppid};
use wxgate_storage::{GroupMembers, UnionGroup};

use super::{Admin, AdminError, Event, checked, taken};

impl Admin {
    /// Creates a union group; what `told` says is told of it.
    pub(crate) async fn add_union_group<R: Serialize>(
        &self,
        tenant: &Tenant,
        name: &str,
        told: impl FnOnce(UnionGroup) -> R,
    ) -> Result<R, AdminError> {
        let name = checked(name.to_owned())?;
        let tx = self.storage.begin().await?;
        let group = tx.tenant(tenant.id).union_groups().add(&name).await;
        let group = group.map_err(|error| taken(error, AdminError::UnionGroupTaken(tenant.slug.clone(), name)))?;
        self.commit_told(tx, Event::of(tenant.id, "union-group.create", group.id), told(group)).await
    }

    /// Gives a union group another name, which `change` says of the group as it is, locked.
    pub(crate) async fn rename_union_group(
        &self,
        (tenant, group): &(Tenant, UnionGroup),
        change: impl FnOnce(&UnionGroup) -> Result<String, AdminError>,
    ) -> Result<UnionGroup, AdminError> {
        let mut wanted = String::new();
        let decide = |group: &UnionGroup| {
            wanted = checked(change(group)?)?;
            Ok::<_, AdminError>(wanted.clone())
        };
        let tx = self.storage.begin().await?;
        let renamed = tx.tenant(tenant.id).union_groups().rename(group.id, decide).await;
        let group = renamed.map_err(|error| match error {
            AdminError::Storage(error) => taken(error, AdminError::UnionGroupTaken(tenant.slug.clone(), wanted)),
            error => error,
        })?;
        self.commit(tx, Event::of(tenant.id, "union-group.change", group.id)).await?;
        Ok(group)
    }

    /// Removes a union group that nothing is in. `still` gets it as it is, locked, and may refuse.
    pub(crate) async fn remove_union_group(
        &self,
        (tenant, group): &(Tenant, UnionGroup),
        still: impl FnOnce(&UnionGroup) -> Result<(), AdminError>,
    ) -> Result<(), AdminError> {
        let tx = self.storage.begin().await?;
        let groups = tx.tenant(tenant.id).union_groups();
        still(&groups.current(group.id).await?)?;
        let members = groups.remove(group.id).await?;
        if members != GroupMembers::default() {
            return Err(AdminError::UnionGroupInUse(group.name.clone(), members));
        }
        self.commit(tx, Event::of(tenant.id, "union-group.remove", group.id)).await
    }

    /// Asks for a job that joins the users of a mini-program to a union group, and then binds it.
    pub(crate) async fn join_union_group(
        &self,
        (tenant, group): &(Tenant, UnionGroup),
        app: &App,
    ) -> Result<Job, AdminError> {
        let tx = self.storage.begin().await?;
        let job = tx.jobs().add(Some(tenant.id), Task::UnionJoin { app: app.id, group: group.id }).await?;
        self.commit(tx, Event::of(tenant.id, "union-group.join", format!("{} with {}", group.id, app.appid))).await?;
        Ok(job)
    }

    /// A mini-program of this tenant.
    pub(crate) async fn app_of(&self, tenant: &Tenant, appid: &WechatAppid) -> Result<App, AdminError> {
        let (owner, app) = self.app(appid).await?;
        if owner.id == tenant.id { Ok(app) } else { Err(AdminError::NoApp(appid.clone())) }
    }

    /// The union group of this id; or of this name, where the tenant is known.
    pub(crate) async fn union_group(
        &self,
        tenant: Option<&Tenant>,
        named: &str,
    ) -> Result<(Tenant, UnionGroup), AdminError> {
        let by_id = match named.parse::<UnionGroupId>() {
            Ok(id) => self.storage.union_groups().of_id(id).await?,
            Err(_) => None,
        };
        let fits = |group: &UnionGroup| {
            self.caller.sees(group.tenant) && tenant.is_none_or(|tenant| tenant.id == group.tenant)
        };
        match (by_id.filter(fits), tenant) {
            (Some(group), _) => Ok((self.storage.tenants().get(group.tenant).await?, group)),
            (None, Some(tenant)) => {
                let found = self.storage.tenant(tenant.id).union_groups().find(named).await?;
                let group = found.ok_or_else(|| AdminError::NoUnionGroup(tenant.slug.clone(), named.to_owned()))?;
                Ok((tenant.clone(), group))
            }
            (None, None) => Err(AdminError::NoGroup(named.to_owned())),
        }
    }
}
