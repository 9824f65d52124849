//! Which tenants want to be told of what. Whoever writes for many tenants at once asks memory, so that a login costs nothing
//! where nobody listens.

use std::sync::Arc;

use wxgate_domain::{Event, TenantId};

use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::storage::Core;

/// A tenant that wants to be told of something, with the keys that seal what it is told.
#[derive(Clone)]
pub(crate) struct Listener(Arc<TenantKeys>);

impl Listener {
    /// The tenant of these keys, if it wants to be told of anything. Another process may have changed that a quarter of a
    /// second ago.
    pub(crate) fn with(keys: &Arc<TenantKeys>) -> Option<Self> {
        (!keys.wanted.is_empty()).then(|| Self(keys.clone()))
    }

    /// Whether it wants to be told of this.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        self.0.wanted.contain(event.kind())
    }

    /// What seals it.
    pub(crate) fn keys(&self) -> &TenantKeys {
        &self.0
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Listener").field(&self.0.wanted).finish()
    }
}

impl Core {
    /// The tenant as a listener, if it is one.
    pub(crate) async fn listener(&self, tenant: TenantId) -> Result<Option<Listener>, StorageError> {
        match self.keys(tenant).await {
            Ok(keys) => Ok(Listener::with(&keys)),
            // There is nothing to tell of a tenant that is being deleted.
            Err(StorageError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
