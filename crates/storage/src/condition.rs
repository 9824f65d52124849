//! How a database is, for whoever looks after it. Writes nothing, and needs no schema.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Statement};
use wxgate_crypto::KeyId;

use crate::MigrationStatus;
use crate::connect::Engine;
use crate::error::StorageError;
use crate::repo::instance;
use crate::start_check;
use crate::storage::{Core, InstanceKind};

/// How a database is.
#[derive(Clone, Debug)]
pub struct DatabaseCondition {
    /// Which engine.
    pub engine: Engine,
    /// What it says of its own version.
    pub version: String,
    /// How long it took to say so, on a connection that was there already.
    pub latency: Duration,
    /// Which migrations it has and lacks.
    pub migrations: MigrationStatus,
}

/// What a database with a schema says of itself.
#[derive(Clone, Debug)]
pub struct InstanceCondition {
    /// What it is for; `None` before a gateway first started on it.
    pub kind: Option<InstanceKind>,
    /// The master keys that seal something in it.
    pub sealing: Vec<KeyId>,
}

pub(crate) async fn of_database(core: &Core) -> Result<DatabaseCondition, StorageError> {
    version(core).await?;
    let started = Instant::now();
    let version = version(core).await?;
    let latency = started.elapsed();
    let migrations = MigrationStatus::of(&core.reader).await?;
    Ok(DatabaseCondition { engine: core.engine, version, latency, migrations })
}

pub(crate) async fn of_instance(core: &Core) -> Result<InstanceCondition, StorageError> {
    let kind = instance::known_kind(core).await?.and_then(|word| InstanceKind::from_word(&word));
    let sealing = start_check::sealing(core).await?.into_iter().collect();
    Ok(InstanceCondition { kind, sealing })
}

async fn version(core: &Core) -> Result<String, StorageError> {
    let query = if core.engine == Engine::Sqlite { "SELECT sqlite_version() AS v" } else { "SELECT version() AS v" };
    let row = core
        .read(|db| async move {
            #[expect(clippy::disallowed_methods, reason = "of no table")]
            let query = Statement::from_string(db.get_database_backend(), query);
            db.query_one_raw(query).await?.map(|row| row.try_get::<String>("", "v")).transpose()
        })
        .await?;
    Ok(row.unwrap_or_default())
}
