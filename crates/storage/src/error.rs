//! What can go wrong, without a word of user data.

use std::path::PathBuf;

use sea_orm::sqlx;
use sea_orm::{DbErr, RuntimeErr, TransactionError};
use wxgate_crypto::{KeyId, SealError};

use crate::storage::InstanceKind;

/// The code of a pool that had no connection to give in time, or is closed.
const NO_CONNECTION: &str = "no connection";

/// Why a read or a write failed.
///
/// Messages of drivers quote rows, so only codes and names of constraints are kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// A row with this value exists already. The name is `uq_TABLE_COLUMN_COLUMN` on every engine, except for primary keys.
    #[error("not unique: {constraint}")]
    NotUnique {
        /// Which constraint was violated.
        constraint: String,
    },
    /// The row that this one refers to is not there, or no longer; or others still refer to this one.
    #[error("a reference leads nowhere")]
    Dangling,
    /// No such row, or not one of this tenant.
    #[error("not found")]
    NotFound,
    /// A table holds as many rows of this tenant as it may.
    #[error("no room for another {table}")]
    Full {
        /// Which table.
        table: &'static str,
    },
    /// Deadlock, serialisation failure or a lock that was not given in time: the whole transaction may be tried again.
    #[error("the database is busy")]
    Busy,
    /// No connection: none free in time, refused, or broken under way. Whether a commit happened is then unknown.
    #[error("the database is not available: {code}")]
    Unavailable {
        /// What was missing.
        code: String,
    },
    /// A stored value that this version cannot have written.
    #[error("the stored value of {table}.{column} makes no sense")]
    Inconsistent {
        /// Its table.
        table: &'static str,
        /// Its column.
        column: &'static str,
    },
    /// A sealed value that does not open.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// The erasure journal cannot be written or read, so nothing was erased.
    #[error("the erasure journal {path}: {reason}", path = path.display())]
    Journal {
        /// Its file.
        path: PathBuf,
        /// The operating system's word for it.
        reason: std::io::ErrorKind,
    },
    /// Anything else that the database refused.
    #[error("the database refused: {code}")]
    Driver {
        /// SQLSTATE or the engine's code, and the constraint if one is named.
        code: String,
    },
}

impl StorageError {
    /// Whether the same transaction may well succeed when it is tried again.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy)
    }

    /// Somebody else wrote the same between our look and our write: what is not unique now is found by the next try.
    pub(crate) fn overtaken(error: impl Into<Self>) -> Self {
        match error.into() {
            Self::NotUnique { .. } => Self::Busy,
            error => error,
        }
    }

    /// Whether a pooled connection turned out to be broken, so that another one may well work. Not having got one at all
    /// is something else: waiting again would only take longer.
    pub(crate) fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Unavailable { code } if code != NO_CONNECTION)
    }

    /// A shorthand for values that do not fit their column's type.
    pub(crate) fn inconsistent(table: &'static str, column: &'static str) -> Self {
        Self::Inconsistent { table, column }
    }
}

impl From<DbErr> for StorageError {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::ConnectionAcquire(_) => Self::Unavailable { code: NO_CONNECTION.to_owned() },
            DbErr::Conn(RuntimeErr::SqlxError(e))
            | DbErr::Exec(RuntimeErr::SqlxError(e))
            | DbErr::Query(RuntimeErr::SqlxError(e)) => of_driver(e),
            DbErr::Conn(_) => Self::Unavailable { code: "connection".to_owned() },
            DbErr::RecordNotFound(_) | DbErr::RecordNotUpdated => Self::NotFound,
            DbErr::Type(_) | DbErr::TryIntoErr { .. } | DbErr::Json(_) => Self::Driver { code: "type".to_owned() },
            DbErr::Migration(_) => Self::Driver { code: "migration".to_owned() },
            _ => Self::Driver { code: "orm".to_owned() },
        }
    }
}

impl From<TransactionError<StorageError>> for StorageError {
    fn from(error: TransactionError<StorageError>) -> Self {
        match error {
            TransactionError::Connection(error) => error.into(),
            TransactionError::Transaction(error) => error,
        }
    }
}

fn of_driver(error: &sqlx::Error) -> StorageError {
    match error {
        sqlx::Error::Database(error) => of_database(error.as_ref()),
        sqlx::Error::Io(error) => StorageError::Unavailable { code: error.kind().to_string() },
        sqlx::Error::Tls(_) => StorageError::Unavailable { code: "TLS".to_owned() },
        sqlx::Error::Protocol(_) => StorageError::Unavailable { code: "protocol".to_owned() },
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            StorageError::Unavailable { code: NO_CONNECTION.to_owned() }
        }
        sqlx::Error::RowNotFound => StorageError::NotFound,
        _ => StorageError::Driver { code: "driver".to_owned() },
    }
}

fn of_database(error: &dyn sqlx::error::DatabaseError) -> StorageError {
    if error.is_unique_violation() {
        return StorageError::NotUnique { constraint: unique_constraint(error) };
    }
    if error.is_foreign_key_violation() {
        return StorageError::Dangling;
    }
    let (code, busy, unavailable) = classify(error);
    if busy {
        StorageError::Busy
    } else if unavailable {
        StorageError::Unavailable { code }
    } else {
        let constraint = error.constraint().map(|name| format!(" ({name})")).unwrap_or_default();
        StorageError::Driver { code: format!("{code}{constraint}") }
    }
}

/// The code, whether a retry helps, and whether the connection is of no more use.
fn classify(error: &dyn sqlx::error::DatabaseError) -> (String, bool, bool) {
    if let Some(mysql) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        let number = mysql.number();
        // Lock wait timeout, deadlock, MariaDB's "record has changed since last read"; too many connections, shutdown.
        let busy = matches!(number, 1_205 | 1_213 | 1_020);
        let unavailable = matches!(number, 1_040 | 1_053 | 1_129 | 1_130 | 1_044 | 1_045 | 1_049 | 1_927 | 4_031);
        return (format!("MySQL {number}"), busy, unavailable);
    }
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        // The low byte is the primary result code: 5 SQLITE_BUSY, 6 SQLITE_LOCKED; 14 SQLITE_CANTOPEN.
        let primary = code.parse::<u32>().map_or(0, |code| code & 0xff);
        return (format!("SQLite {code}{}", of_sqlite(primary)), matches!(primary, 5 | 6), primary == 14);
    }
    // PostgreSQL, appendix A: serialisation failure, deadlock, lock not available; classes 08, 53, 57P, 28, 3D000.
    let busy = matches!(code.as_ref(), "40001" | "40P01" | "55P03");
    let unavailable = ["08", "53", "57P", "28"].iter().any(|class| code.starts_with(class)) || code.as_ref() == "3D000";
    (format!("SQLSTATE {code}"), busy, unavailable)
}

/// What an operator can mend, in words. Source: SQLite's table of result codes.
fn of_sqlite(primary: u32) -> &'static str {
    match primary {
        8 => ", the file may not be written",
        10 => ", the disk fails",
        11 => ", the file is damaged",
        13 => ", the disk is full",
        14 => ", the file cannot be opened",
        26 => ", the file is no database",
        _ => "",
    }
}

/// The violated constraint. SQLite names the columns and MySQL quotes the value before the name, so both are rewritten.
fn unique_constraint(error: &dyn sqlx::error::DatabaseError) -> String {
    if let Some(name) = error.constraint() {
        return name.to_owned();
    }
    let message = error.message();
    if let Some(columns) = message.strip_prefix("UNIQUE constraint failed: ") {
        return constraint_of_columns(columns);
    }
    // "Duplicate entry 'VALUE' for key 'NAME'": the value may contain anything, the name no quote.
    let name = message.strip_suffix('\'').and_then(|m| m.rsplit_once('\'')).map(|(_, name)| name);
    let name = name.map(|name| name.rsplit_once('.').map_or(name, |(_, name)| name));
    name.filter(|name| is_name(name)).unwrap_or("unnamed").to_owned()
}

/// `app.tenant_id, app.id` becomes `uq_app_tenant_id_id`, as the index is named.
fn constraint_of_columns(columns: &str) -> String {
    let mut parts = columns.split(", ").filter_map(|part| part.split_once('.'));
    let Some((table, first)) = parts.next() else { return "unnamed".to_owned() };
    let name = parts.fold(format!("uq_{table}_{first}"), |name, (_, column)| format!("{name}_{column}"));
    if is_name(&name) { name } else { "unnamed".to_owned() }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Why storage does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The folder or file of an embedded database cannot be prepared.
    #[error("the database file {path} cannot be prepared: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's word for it.
        reason: std::io::ErrorKind,
    },
    /// The schema is older than this build.
    #[error("the database schema is behind by {} ({}); run `wxgate migrate up`", pending.len(), pending.join(", "))]
    SchemaBehind {
        /// The migrations to apply.
        pending: Vec<String>,
    },
    /// The schema is newer than this build.
    #[error("the database schema is newer than this wxgate: it has {}; run a newer wxgate", unknown.join(", "))]
    SchemaAhead {
        /// Applied migrations that this build does not know.
        unknown: Vec<String>,
    },
    /// Another process held the lock on migrations for too long.
    #[error("another process is migrating the database; try again")]
    MigrationLocked,
    /// A development database under a live gateway, or the reverse.
    #[error("this is a {found} database, and a {wanted} one was asked for")]
    Kind {
        /// What the database says of itself.
        found: InstanceKind,
        /// What the configuration says.
        wanted: InstanceKind,
    },
    /// Data keys are sealed by a master key that is not at hand.
    #[error("the database is sealed by the master key {missing}, which is not at hand (at hand: {})", list(at_hand))]
    MasterKey {
        /// The fingerprint of the missing key.
        missing: KeyId,
        /// The fingerprints of the keys at hand.
        at_hand: Vec<KeyId>,
    },
    /// Started before, or stopped.
    #[error("storage was started before")]
    Started,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<DbErr> for StartError {
    fn from(error: DbErr) -> Self {
        Self::Storage(error.into())
    }
}

fn list(ids: &[KeyId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_columns_become_the_name_of_the_index() {
        assert_eq!(constraint_of_columns("app.appid"), "uq_app_appid");
        assert_eq!(constraint_of_columns("union_group.tenant_id, union_group.name"), "uq_union_group_tenant_id_name");
        assert_eq!(constraint_of_columns("index 'x y'"), "unnamed");
    }

    #[test]
    fn drivers_keep_their_messages_to_themselves() {
        let error = DbErr::Type("value 'hunter2'".to_owned());
        assert!(!format!("{:?}", StorageError::from(error)).contains("hunter2"));
    }
}
