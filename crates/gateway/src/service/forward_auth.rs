//! Decides for a proxy whether a request may pass. What it must carry is a row that the proxy names, and nothing that
//! the request says.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use wxgate_domain::{ForwardAuthPolicy, PolicyName, Slug};
use wxgate_storage::{Change, ChangeKind, Storage, StorageError};

use super::verified::{Purpose, Refused, Verified, VerifiedToken};

/// Most policies that are kept.
const MOST: usize = 100_000;

/// How soon policies that could not be read are read again.
const AGAIN: Duration = Duration::from_secs(1);

/// Decides by all tenants' policies, which are kept in memory: a name that nobody has costs no read.
#[derive(Clone)]
pub(crate) struct ForwardAuth {
    verified: Verified,
    policies: Arc<RwLock<Policies>>,
}

type Policies = HashMap<PolicyName, Arc<Policy>>;

/// What a proxy asks of a token.
pub(crate) struct Policy {
    row: ForwardAuthPolicy,
    tenant: Slug,
}

impl ForwardAuth {
    /// Reads the policies, and what is needed to follow their changes.
    ///
    /// # Errors
    /// The database fails.
    pub(crate) async fn load(storage: Storage, verified: Verified) -> Result<(Self, Follower), StorageError> {
        // First the ear, then the eyes: what is written in between is heard.
        let changes = storage.changes();
        let policies = Arc::new(RwLock::new(read(&storage).await?));
        let follower = Follower { storage, changes, policies: policies.clone() };
        Ok((Self { verified, policies }, follower))
    }

    /// The policy of this name.
    pub(crate) fn policy(&self, name: &str) -> Option<Arc<Policy>> {
        let name: PolicyName = name.parse().ok()?;
        self.policies.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned()
    }

    /// What the token says, if whoever has it may pass under the policy.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) async fn decide(&self, policy: &Policy, token: &str) -> Result<Arc<VerifiedToken>, Refused> {
        let (audience, scopes) = (policy.row.audience.as_str(), policy.row.scopes.as_slice());
        self.verified.verify(token, Purpose::Service { tenant: &policy.tenant, audience, scopes }).await
    }
}

async fn read(storage: &Storage) -> Result<Policies, StorageError> {
    let rows = storage.forward_auth_policies().list(MOST as u64 + 1).await?;
    if rows.len() > MOST {
        tracing::error!(limit = MOST, "there are more forward-auth policies than are kept; those beyond are unknown");
    }
    let policy = |row: ForwardAuthPolicy, tenant| (row.name.clone(), Arc::new(Policy { row, tenant }));
    Ok(rows.into_iter().take(MOST).map(|stored| policy(stored.policy, stored.tenant.slug)).collect())
}

/// Follows the policies' changes; one for each process.
pub(crate) struct Follower {
    storage: Storage,
    changes: Receiver<Change>,
    policies: Arc<RwLock<Policies>>,
}

impl Follower {
    /// Follows until the storage stops.
    pub(crate) async fn follow(mut self) {
        loop {
            match self.changes.recv().await {
                Ok(Change { kind: ChangeKind::ForwardAuthPolicy, .. }) | Err(RecvError::Lagged(_)) => {}
                Ok(_) => continue,
                Err(RecvError::Closed) => return,
            }
            while let Err(error) = self.reload().await {
                tracing::warn!(error.source = %error, "forward-auth policies cannot be read; those of before count");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    async fn reload(&self) -> Result<(), StorageError> {
        let newer = read(&self.storage).await?;
        *self.policies.write().unwrap_or_else(PoisonError::into_inner) = newer;
        Ok(())
    }
}
