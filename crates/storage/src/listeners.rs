//! Which tenants want to be told of what. Whoever writes for many tenants at once asks memory, so that a login costs nothing
//! where nobody listens.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use wxgate_domain::{Event, EventKinds, TenantId};

use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::repo::webhooks;
use crate::storage::Core;

/// A tenant that wants to be told of something, and the keys that seal what it is told.
#[derive(Clone)]
pub(crate) struct Listener {
    kinds: EventKinds,
    keys: Arc<TenantKeys>,
}

impl Listener {
    /// Whether it wants to be told of this.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        self.kinds.contain(event.kind())
    }

    /// What seals it.
    pub(crate) fn keys(&self) -> &TenantKeys {
        &self.keys
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Listener").field(&self.kinds).finish()
    }
}

/// What the tenants in use want to be told of: at most 20,000 of them, a minute each, and forgotten sooner when a change
/// says so.
pub(crate) struct Wanted(Cache<TenantId, EventKinds>);

impl Wanted {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(20_000).time_to_live(Duration::from_mins(1)).build())
    }

    /// Forgets what a tenant wants, or all tenants.
    pub(crate) async fn forget(&self, tenant: Option<TenantId>) {
        match tenant {
            Some(tenant) => self.0.invalidate(&tenant).await,
            None => self.0.invalidate_all(),
        }
    }
}

impl Core {
    /// The tenant as a listener, if it wants to be told of anything. Another process may have changed that a quarter of a
    /// second ago.
    pub(crate) async fn listener(&self, tenant: TenantId) -> Result<Option<Listener>, StorageError> {
        let kinds = match self.wanted.0.get(&tenant).await {
            Some(kinds) => kinds,
            None => {
                let load = webhooks::wanted(self, tenant);
                Box::pin(self.wanted.0.try_get_with(tenant, load)).await.map_err(|error| error.as_ref().clone())?
            }
        };
        if kinds.is_empty() {
            return Ok(None);
        }
        Ok(Some(Listener { kinds, keys: self.keys(tenant).await? }))
    }
}
