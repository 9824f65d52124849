//! Tenants.

use serde::Serialize;
use wxgate_crypto::encoding;
use wxgate_domain::{Job, Slug, Tenant, TenantId, TenantPolicy, TenantStatus};
use wxgate_storage::{Checkpoint, NewTenant, StorageError};
use wxgate_token::SigningKey;

use super::{Admin, AdminError, Event, checked, taken};

impl Admin {
    /// The tenant of this slug or id, if it exists for the caller.
    pub(crate) async fn tenant(&self, named: &Slug) -> Result<Tenant, AdminError> {
        // The id first: nobody's name stands for another tenant.
        let mut found = match named.as_str().parse::<TenantId>() {
            Ok(id) => self.storage.tenants().of_id(id).await?,
            Err(_) => None,
        };
        if found.is_none() {
            found = self.storage.tenants().find(named).await?;
        }
        let found = found.filter(|tenant| self.caller.sees(tenant.id));
        found.ok_or_else(|| AdminError::NoTenant(named.clone()))
    }

    /// The tenant of this slug or id; unnamed, the caller's own.
    pub(crate) async fn tenant_or_own(&self, named: Option<&Slug>) -> Result<Tenant, AdminError> {
        match (named, self.caller.tenant) {
            (Some(named), _) => self.tenant(named).await,
            (None, Some(own)) => {
                let found = self.storage.tenants().of_id(own).await?;
                Ok(found.ok_or(StorageError::NotFound)?)
            }
            (None, None) => Err(AdminError::WhichTenant),
        }
    }

    /// The tenant of this name, or all that exist for the caller.
    pub(crate) async fn tenants(&self, slug: Option<&Slug>) -> Result<Vec<Tenant>, AdminError> {
        match (slug, self.caller.tenant) {
            (Some(slug), _) => Ok(vec![self.tenant(slug).await?]),
            (None, Some(own)) => Ok(self.storage.tenants().of_id(own).await?.into_iter().collect()),
            (None, None) => Ok(self.storage.tenants().list().await?),
        }
    }

    /// Creates a tenant, of which is told what `told` says; its first signing key signs at once, the second one stands by.
    pub(crate) async fn add_tenant<R: Serialize>(
        &self,
        slug: Slug,
        (name, policy): (String, TenantPolicy),
        told: impl FnOnce(Tenant) -> R,
    ) -> Result<R, AdminError> {
        self.caller.must_be_operator()?;
        let (name, policy) = (checked(name)?, policy.checked()?);
        let (now, algorithm) = (self.clock.now(), policy.algorithm);
        let (signing_key, next_key) = (SigningKey::generate(algorithm, now)?, SigningKey::generate(algorithm, now)?);
        let tx = self.storage.begin().await?;
        let new = NewTenant { slug: slug.clone(), name, policy, signing_key, next_key };
        let tenant = tx.tenants().create(new).await;
        let tenant = tenant.map_err(|error| taken(error, AdminError::TenantTaken(slug)))?;
        self.commit_told(tx, Event::of(tenant.id, "tenant.create", &tenant.slug), told(tenant)).await
    }

    /// Changes a tenant's name for people and what it tunes: `change` gets the tenant as it is, locked, and gives both as
    /// they are to be.
    pub(crate) async fn change_tenant(
        &self,
        named: &Slug,
        change: impl FnOnce(Tenant) -> Result<(String, TenantPolicy), AdminError>,
    ) -> Result<Tenant, AdminError> {
        let tenant = self.tenant(named).await?;
        let decide = |before| {
            let (name, policy) = change(before)?;
            Ok::<_, AdminError>((checked(name)?, policy.checked()?))
        };
        let tx = self.storage.begin().await?;
        let tenant = tx.tenants().change(tenant.id, decide).await?;
        self.commit(tx, Event::of(tenant.id, "tenant.change", &tenant.slug)).await?;
        Ok(tenant)
    }

    /// Suspends or resumes a tenant.
    pub(crate) async fn set_tenant_status(&self, named: &Slug, status: TenantStatus) -> Result<Tenant, AdminError> {
        self.caller.must_be_operator()?;
        let tenant = self.tenant(named).await?;
        if tenant.status == TenantStatus::Deleting {
            return Err(AdminError::TenantDeleting(tenant.slug));
        }
        let tx = self.storage.begin().await?;
        tx.tenants().set_status(tenant.id, status).await?;
        let action = if status == TenantStatus::Active { "tenant.resume" } else { "tenant.suspend" };
        self.commit(tx, Event::of(tenant.id, action, &tenant.slug)).await?;
        Ok(Tenant { status, ..tenant })
    }

    /// Deletes a tenant that is suspended: its keys and all that they sealed at once, its rows by the job. `still` gets it as
    /// it is, locked, and may refuse.
    pub(crate) async fn delete_tenant(
        &self,
        named: &Slug,
        still: impl FnOnce(Tenant) -> Result<(), AdminError>,
    ) -> Result<Job, AdminError> {
        self.caller.must_be_operator()?;
        let tenant = self.tenant(named).await?;
        let log = self.storage.audit(Some(tenant.id)).checkpoint().await?;
        let tx = self.storage.begin().await?;
        let suspended = |tenant: &Tenant| match tenant.status {
            TenantStatus::Suspended => still(tenant.clone()),
            TenantStatus::Active => Err(AdminError::TenantServed(tenant.slug.clone())),
            TenantStatus::Deleting => Err(AdminError::TenantDeleting(tenant.slug.clone())),
        };
        let job = tx.tenants().delete(tenant.id, suspended).await?;
        // The tenant's own log goes with it: this stands in the operators', with where that one ended.
        let head = |log: &Checkpoint| encoding::to_base64url(log.head.as_bytes());
        let end = log.map(|log| format!(", whose log ended with {}: {}", log.count, head(&log))).unwrap_or_default();
        self.commit(tx, Event::of_operators("tenant.delete", format!("{} ({}){end}", tenant.slug, tenant.id))).await?;
        Ok(job)
    }
}
