//! A copy of an SQLite database, made while it is in use. Servers have their own tools, see [`DatabaseUrl::dump_command`].
//!
//! [`DatabaseUrl::dump_command`]: crate::DatabaseUrl::dump_command

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sea_orm::sqlx::{ConnectOptions, Sqlite};
use sea_orm::{ConnectionTrait, DatabaseConnection, Value};

use crate::connect::Engine;
use crate::error::StorageError;
use crate::sql::{get, statement};
use crate::storage::Storage;

/// A copy that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// Why there is no copy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// A server's own tools do it better.
    #[error("only an embedded database is copied so")]
    Server,
    /// Nothing is overwritten.
    #[error("the file exists already")]
    Exists,
    /// The file cannot be written.
    #[error("the file cannot be written: {0}")]
    File(io::ErrorKind),
    /// The copy is not sound. The database itself may not be.
    #[error("the copy is not sound: run `PRAGMA integrity_check` on the database")]
    NotSound,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Storage {
    /// Copies an SQLite database into a new file that nobody else may read, as it is at one moment, and checks the copy.
    /// Others read and write meanwhile.
    ///
    /// # Errors
    /// [`BackupError`]; no file is left behind.
    pub async fn backup(&self, path: &Path) -> Result<Backup, BackupError> {
        if self.core.engine != Engine::Sqlite {
            return Err(BackupError::Server);
        }
        create(path)?;
        let copied = self.copy_into(path).await;
        if copied.is_err() {
            // The copy is of no use, and the error says why.
            let _ = fs::remove_file(path);
        }
        copied
    }

    async fn copy_into(&self, path: &Path) -> Result<Backup, BackupError> {
        let writer = &self.core.writer;
        let into = Value::from(path.to_str().ok_or(BackupError::File(io::ErrorKind::InvalidFilename))?);
        let copy = statement(writer.get_database_backend(), "VACUUM INTO ?", vec![into]);
        writer.execute_raw(copy).await.map_err(StorageError::from)?;
        if !is_sound(path).await? {
            return Err(BackupError::NotSound);
        }
        let file = File::open(path)?;
        file.sync_all()?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all())?;
        Ok(Backup { path: path.to_owned(), bytes: file.metadata()?.len() })
    }
}

/// Makes the file empty, which is as SQLite wants to find it.
fn create(path: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::OpenOptionsExt;

    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).map(drop).map_err(|error| {
        match error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists,
            kind => BackupError::File(kind),
        }
    })
}

async fn is_sound(path: &Path) -> Result<bool, StorageError> {
    // Nobody writes it, so no files beside it are needed.
    let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
    let pool: SqlitePoolOptions = sea_orm::sqlx::pool::PoolOptions::<Sqlite>::new().max_connections(1);
    let pool = pool.connect_with(options.disable_statement_logging()).await;
    let copy = DatabaseConnection::from(pool.map_err(|_| StorageError::Unavailable { code: "the copy".to_owned() })?);
    let check = statement(copy.get_database_backend(), "PRAGMA integrity_check", vec![]);
    let rows = copy.query_all_raw(check).await;
    let _ = copy.close().await;
    let told = rows?.iter().map(|row| get::<String>(row, 0)).collect::<Result<Vec<_>, _>>()?;
    Ok(told == ["ok"])
}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> Self {
        Self::File(error.kind())
    }
}
