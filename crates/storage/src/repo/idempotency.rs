//! Creations that are not to happen twice: who asked for which under which key, and what was answered.
//!
//! The row is written with what it speaks of, in one transaction.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};
use serde_json::Value;
use wxgate_crypto::Digest;
use wxgate_domain::{AdminKeyId, TenantId, Timestamp};

use crate::entity::idempotency;
use crate::error::StorageError;
use crate::storage::{Core, Storage};
use crate::tx::Tx;

/// How long a creation is remembered.
const KEPT: Duration = Duration::from_hours(24);

/// One creation, by what whoever asks says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creation {
    /// The admin key that asks.
    pub owner: AdminKeyId,
    /// Of the idempotency key that came with it.
    pub key: Digest,
    /// Of what is asked for.
    pub request: Digest,
}

/// A creation that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// Of what was asked for.
    pub request: Digest,
    /// What is answered, without a secret.
    pub reply: Value,
}

/// The creations that are remembered.
#[derive(Clone, Debug)]
pub struct Creations(Storage);

impl Creations {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// What happened under the key of this creation.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, creation: &Creation) -> Result<Option<Created>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the admin key says whose it is")]
        let query = || idempotency::Entity::find_by_id((creation.owner.uuid(), creation.key.as_bytes().to_vec()));
        let Some(row) = self.0.core.read(|db| async move { query().one(&db).await }).await? else { return Ok(None) };
        let request = Digest::from_slice(&row.request_digest);
        let request = request.ok_or_else(|| StorageError::inconsistent("idempotency", "request_digest"))?;
        let reply = serde_json::from_str(&row.reply).map_err(|_| StorageError::inconsistent("idempotency", "reply"))?;
        Ok(Some(Created { request, reply }))
    }
}

/// Notes a creation in the transaction that makes it, and what is answered.
pub(crate) async fn note(
    tx: &Tx,
    tenant: Option<TenantId>,
    creation: &Creation,
    reply: &Value,
) -> Result<(), StorageError> {
    let row = idempotency::ActiveModel {
        owner: Set(creation.owner.uuid()),
        key_digest: Set(creation.key.as_bytes().to_vec()),
        tenant_id: Set(tenant.map(TenantId::uuid)),
        request_digest: Set(creation.request.as_bytes().to_vec()),
        status: Set(201),
        reply: Set(reply.to_string()),
        at: Set(tx.core.clock.now().millis()),
    };
    idempotency::Entity::insert(row).exec_without_returning(&tx.tx).await?;
    Ok(())
}

/// Forgets what is a day old.
pub(crate) async fn prune(core: &Core, now: Timestamp) -> Result<(), StorageError> {
    #[expect(clippy::disallowed_methods, reason = "swept for all")]
    let old = idempotency::Entity::delete_many().filter(idempotency::Column::At.lt(now.minus(KEPT).millis()));
    old.exec(&core.writer).await?;
    Ok(())
}
