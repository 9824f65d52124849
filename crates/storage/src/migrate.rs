//! Migrations under a lock, so that nodes that start together do not collide.

use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement};
use wxgate_migrations::{Migrator, MigratorTrait};

use crate::MigrationStatus;
use crate::connect::Engine;
use crate::error::{StartError, StorageError};
use crate::storage::Core;
use crate::tx;

/// PostgreSQL's advisory locks are numbers of one database: "wxgate" in ASCII.
const POSTGRES_LOCK: &str = "SET LOCAL lock_timeout = '60s'; SELECT pg_advisory_xact_lock(131391635911781);";
/// MySQL's named locks are the whole server's, so the name holds the database's; names have at most 64 characters.
const MYSQL_LOCK: &str = "SELECT GET_LOCK(CONCAT('wxgate.', SHA1(DATABASE())), 60) AS locked";
const MYSQL_UNLOCK: &str = "SELECT RELEASE_LOCK(CONCAT('wxgate.', SHA1(DATABASE())))";

/// Applies what is pending. On SQLite and PostgreSQL all of it or nothing; MySQL commits each statement as it goes.
pub(crate) async fn up(core: &Core) -> Result<(), StartError> {
    let tx = tx::begin(core).await?;
    lock(core.engine, &tx).await?;
    let result = apply(&tx).await;
    if core.engine == Engine::MySql {
        // The lock belongs to the connection, which returns to the pool.
        tx.execute_unprepared(MYSQL_UNLOCK).await?;
    }
    result?;
    Ok(tx.commit().await?)
}

async fn apply(tx: &DatabaseTransaction) -> Result<(), StartError> {
    let status = MigrationStatus::of(tx).await?;
    if !status.unknown.is_empty() {
        return Err(StartError::SchemaAhead { unknown: status.unknown });
    }
    Ok(Migrator::up(tx, None).await?)
}

/// SQLite needs no more than its transaction, which excludes every other writer from its first moment.
async fn lock(engine: Engine, tx: &DatabaseTransaction) -> Result<(), StartError> {
    match engine {
        Engine::Sqlite => Ok(()),
        Engine::Postgres => match tx.execute_unprepared(POSTGRES_LOCK).await.map_err(StorageError::from) {
            Err(StorageError::Busy) => Err(StartError::MigrationLocked),
            result => Ok(result.map(|_| ())?),
        },
        Engine::MySql => {
            #[expect(clippy::disallowed_methods, reason = "the query builder knows no locks")]
            let statement = Statement::from_string(tx.get_database_backend(), MYSQL_LOCK);
            let row = tx.query_one_raw(statement).await?;
            let locked: Option<i64> = row.map(|row| row.try_get("", "locked")).transpose()?.flatten();
            (locked == Some(1)).then_some(()).ok_or(StartError::MigrationLocked)
        }
    }
}
