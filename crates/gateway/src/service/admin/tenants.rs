//! Tenants.

use wxgate_domain::{MalformedPolicy, SigningAlgorithm, Slug, Tenant, TenantPolicy, TenantStatus};
use wxgate_storage::NewTenant;
use wxgate_token::SigningKey;

use super::{Admin, AdminError, checked, taken};

impl Admin {
    /// The tenant of this name.
    pub(crate) async fn tenant(&self, slug: &Slug) -> Result<Tenant, AdminError> {
        self.storage.tenants().find(slug).await?.ok_or_else(|| AdminError::NoTenant(slug.clone()))
    }

    /// The tenant of this name, or all of them.
    pub(crate) async fn tenants(&self, slug: Option<&Slug>) -> Result<Vec<Tenant>, AdminError> {
        match slug {
            Some(slug) => Ok(vec![self.tenant(slug).await?]),
            None => Ok(self.storage.tenants().list().await?),
        }
    }

    /// Creates a tenant; its first signing key signs at once, the second one stands by.
    pub(crate) async fn add_tenant(
        &self,
        slug: Slug,
        name: String,
        algorithm: SigningAlgorithm,
    ) -> Result<Tenant, AdminError> {
        let name = checked(name)?;
        let now = self.clock.now();
        let (signing_key, next_key) = (SigningKey::generate(algorithm, now)?, SigningKey::generate(algorithm, now)?);
        let policy = TenantPolicy { algorithm, ..TenantPolicy::default() };
        let tx = self.storage.begin().await?;
        let new = NewTenant { slug: slug.clone(), name, policy, signing_key, next_key };
        let tenant = tx.tenants().create(new).await;
        let tenant = tenant.map_err(|error| taken(error, AdminError::TenantTaken(slug)))?;
        tx.commit().await?;
        Ok(tenant)
    }

    /// Changes what a tenant tunes.
    pub(crate) async fn set_tenant_policy(
        &self,
        slug: &Slug,
        change: impl FnOnce(TenantPolicy) -> TenantPolicy,
    ) -> Result<Tenant, AdminError> {
        let tenant = self.tenant(slug).await?;
        let tx = self.storage.begin().await?;
        let checked = |policy| change(policy).checked().map_err(|error: MalformedPolicy| AdminError::from(error));
        let tenant = tx.tenants().set_policy(tenant.id, checked).await?;
        tx.commit().await?;
        Ok(tenant)
    }

    /// Suspends or resumes a tenant.
    pub(crate) async fn set_tenant_status(&self, slug: &Slug, status: TenantStatus) -> Result<Tenant, AdminError> {
        let tenant = self.tenant(slug).await?;
        let tx = self.storage.begin().await?;
        tx.tenants().set_status(tenant.id, status).await?;
        tx.commit().await?;
        Ok(Tenant { status, ..tenant })
    }
}
