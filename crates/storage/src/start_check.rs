//! What must hold before anything is served.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, Statement};
use wxgate_crypto::KeyId;

use crate::MigrationStatus;
use crate::audit;
use crate::error::{StartError, StorageError};
use crate::repo::{instance, master_keys as known};
use crate::storage::{Core, InstanceKind};

/// Schema, kind, master keys and audit logs, in this order: each needs the one before.
pub(crate) async fn run(core: &Core) -> Result<(), StartError> {
    schema(core).await?;
    kind(core).await?;
    master_keys(core).await?;
    Ok(audit::older::begin(core).await?)
}

/// What an administrator's command needs, on a database of any kind.
pub(crate) async fn usable(core: &Core) -> Result<(), StartError> {
    schema(core).await?;
    master_keys(core).await?;
    Ok(audit::older::begin(core).await?)
}

async fn schema(core: &Core) -> Result<(), StartError> {
    let status = MigrationStatus::of(&core.reader).await?;
    if !status.unknown.is_empty() {
        return Err(StartError::SchemaAhead { unknown: status.unknown });
    }
    if !status.pending.is_empty() {
        return Err(StartError::SchemaBehind { pending: status.pending });
    }
    Ok(())
}

async fn kind(core: &Core) -> Result<(), StartError> {
    let word = instance::kind(core).await?;
    let found = InstanceKind::from_word(&word).ok_or_else(|| StorageError::inconsistent("instance", "kind"))?;
    (found == core.kind).then_some(()).ok_or(StartError::Kind { found, wanted: core.kind })
}

/// Every data key must open, and the key that seals must be at hand; the keys at hand are written down as seen. The first
/// time of all, the key of the configuration becomes the one that seals.
async fn master_keys(core: &Core) -> Result<(), StartError> {
    let at_hand: Vec<KeyId> = core.master_keys.ids().collect();
    if let Some(missing) = sealing(core).await?.into_iter().find(|id| !at_hand.contains(id)) {
        return Err(StartError::MasterKey { missing, at_hand });
    }
    known::saw(core, &at_hand).await?;
    let active = known::active(core).await?;
    if at_hand.contains(&active) { Ok(()) } else { Err(StartError::MasterKey { missing: active, at_hand }) }
}

/// The ids of the master keys that seal data keys: the eight bytes after the version of a sealed value.
pub(crate) async fn sealing(core: &Core) -> Result<BTreeSet<KeyId>, StorageError> {
    let rows = core
        .read(|db| async move {
            #[expect(clippy::disallowed_methods, reason = "all tenants' keys at once, and only their seals' names")]
            let query = Statement::from_string(
                db.get_database_backend(),
                "SELECT SUBSTR(sealed, 2, 8) AS id FROM data_key UNION SELECT SUBSTR(sealed, 2, 8) AS id FROM instance_key",
            );
            db.query_all_raw(query).await?.iter().map(|row| row.try_get::<Vec<u8>>("", "id")).collect()
        })
        .await?;
    let rows: Vec<Vec<u8>> = rows;
    let ids = rows.into_iter().map(|id| <[u8; 8]>::try_from(id).map(KeyId::from));
    ids.collect::<Result<_, _>>().map_err(|_| StorageError::inconsistent("data_key", "sealed"))
}
