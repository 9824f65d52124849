//! Which database, and its pools.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sea_orm::sqlx::pool::PoolOptions;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::sqlx::{self, ConnectOptions, Database, Executor, SqlitePool};
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr};
use wxgate_crypto::Secret;

use crate::error::{StartError, StorageError};

/// How long a query waits for a free connection.
const ACQUIRE: Duration = Duration::from_secs(1);
/// How long SQLite waits for another process's lock, and the servers for a row's.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How often it is tried to open SQLite's file, for as long as a query waits each time.
const TRIES_TO_OPEN: u32 = 15;
/// Connections for reading SQLite; each is a thread.
const SQLITE_READERS: u32 = 4;
/// How old a connection to a server may be, and how long it may have lain idle, for somebody to take it.
const LONGEST_LIFE: Duration = Duration::from_mins(30);
const LONGEST_IDLE: Duration = Duration::from_mins(10);
/// Connections to a server unless the configuration says otherwise.
const DEFAULT_POOL: u32 = 16;

/// A database product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// SQLite, inside this process.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    MySql,
}

impl Engine {
    /// The name in logs and addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the database is. It may hold a password, so it shows only engine, host and name.
#[derive(Clone)]
pub struct DatabaseUrl {
    target: Target,
    pool_size: u32,
}

#[derive(Clone)]
enum Target {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
    MySql(Box<MySqlConnectOptions>),
}

impl DatabaseUrl {
    /// Reads `sqlite:PATH` (or `sqlite://PATH`), `postgres://USER:PASSWORD@HOST:PORT/NAME` or `mysql://...`.
    ///
    /// Options of the servers' own drivers, such as `sslmode=verify-full` or `ssl-mode=VERIFY_IDENTITY`, follow after `?`.
    ///
    /// # Errors
    /// Another scheme, a malformed address, a missing database name, or an in-memory SQLite database.
    pub fn parse(url: &Secret<String>) -> Result<Self, MalformedUrl> {
        let url = url.expose().trim();
        let (scheme, rest) = url.split_once(':').ok_or(MalformedUrl::Scheme)?;
        let target = match scheme {
            "sqlite" => Target::Sqlite(sqlite_path(rest)?),
            "postgres" | "postgresql" => {
                let options: PgConnectOptions = url.parse().map_err(|_| MalformedUrl::Address)?;
                named(options.get_database())?;
                Target::Postgres(Box::new(options))
            }
            "mysql" | "mariadb" => {
                let options: MySqlConnectOptions = url.parse().map_err(|_| MalformedUrl::Address)?;
                named(options.get_database())?;
                Target::MySql(Box::new(options))
            }
            _ => return Err(MalformedUrl::Scheme),
        };
        Ok(Self { target, pool_size: DEFAULT_POOL })
    }

    /// The same database with another number of connections (1 to 1,000; 16 unless set). SQLite has its own numbers.
    #[must_use]
    pub fn pool_size(mut self, connections: u32) -> Self {
        self.pool_size = connections.clamp(1, 1_000);
        self
    }

    /// The product.
    pub fn engine(&self) -> Engine {
        match self.target {
            Target::Sqlite(_) => Engine::Sqlite,
            Target::Postgres(_) => Engine::Postgres,
            Target::MySql(_) => Engine::MySql,
        }
    }

    /// The command that dumps a server's database into a file; `None` for SQLite. It asks for the password, or finds it where
    /// the tool looks for it.
    pub fn dump_command(&self, file: &Path) -> Option<String> {
        let file = quoted(&file.display().to_string());
        match &self.target {
            Target::Sqlite(_) => None,
            Target::Postgres(o) => Some(format!(
                "pg_dump --format=custom --no-owner --no-privileges --host={} --port={} --username={} --file={file} {}",
                quoted(o.get_host()),
                o.get_port(),
                quoted(o.get_username()),
                quoted(o.get_database().unwrap_or_default())
            )),
            Target::MySql(o) => Some(format!(
                "mariadb-dump --single-transaction --quick --hex-blob --host={} --port={} --user={} --password --result-file={file} {}",
                quoted(o.get_host()),
                o.get_port(),
                quoted(o.get_username()),
                quoted(o.get_database().unwrap_or_default())
            )),
        }
    }

    /// The file of an SQLite database.
    pub fn file(&self) -> Option<&Path> {
        match &self.target {
            Target::Sqlite(path) => Some(path),
            _ => None,
        }
    }
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn named(database: Option<&str>) -> Result<(), MalformedUrl> {
    database.filter(|name| !name.is_empty()).map(|_| ()).ok_or(MalformedUrl::Name)
}

fn sqlite_path(rest: &str) -> Result<PathBuf, MalformedUrl> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() || path == ":memory:" {
        return Err(MalformedUrl::Name);
    }
    // The one option that says what happens anyway.
    if !matches!(query, "" | "mode=rwc") {
        return Err(MalformedUrl::Address);
    }
    Ok(PathBuf::from(path))
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Target::Postgres(o) => write!(f, "postgres://{}/{}", o.get_host(), o.get_database().unwrap_or_default()),
            Target::MySql(o) => write!(f, "mysql://{}/{}", o.get_host(), o.get_database().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// Why a text is no address of a database. The text may hold a password, so it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedUrl {
    /// No scheme of ours.
    #[error("a database URL begins with sqlite:, postgres:// or mysql://")]
    Scheme,
    /// The rest does not parse.
    #[error("the database URL does not parse")]
    Address,
    /// No database name or file.
    #[error("the database URL names no database (an in-memory one would forget its users)")]
    Name,
}

/// The open pools: one to write, one to read. On servers both are the same.
pub(crate) struct Pools {
    pub(crate) writer: DatabaseConnection,
    pub(crate) reader: DatabaseConnection,
}

/// Opens the pools, and makes the file of an embedded database if there is none.
pub(crate) async fn open(url: &DatabaseUrl) -> Result<Pools, StartError> {
    match &url.target {
        Target::Sqlite(path) => open_sqlite(path).await,
        Target::Postgres(options) => {
            let pool: PgPoolOptions = server_pool(url.pool_size);
            let pool = pool.connect_with(postgres(options)).await.map_err(connect_error)?;
            let connection = DatabaseConnection::from(pool);
            Ok(Pools { writer: connection.clone(), reader: connection })
        }
        Target::MySql(options) => {
            let pool: MySqlPoolOptions = server_pool(url.pool_size);
            let pool = pool.after_connect(|connection, _| {
                Box::pin(async move {
                    for statement in MYSQL_SESSION {
                        connection.execute(statement).await?;
                    }
                    Ok(())
                })
            });
            let options = options.as_ref().clone().charset("utf8mb4").disable_statement_logging();
            let connection = DatabaseConnection::from(pool.connect_with(options).await.map_err(connect_error)?);
            Ok(Pools { writer: connection.clone(), reader: connection })
        }
    }
}

/// READ COMMITTED, because gap locks of the default level deadlock batches of inserts; strict, because a value that does
/// not fit must fail; ANSI quotes, so that one raw statement serves every engine.
const MYSQL_SESSION: [&str; 2] = [
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES,ANSI_QUOTES'), SESSION innodb_lock_wait_timeout = 5",
];

fn postgres(options: &PgConnectOptions) -> PgConnectOptions {
    let lock_wait = LOCK_WAIT.as_millis().to_string();
    options
        .clone()
        .application_name("wxgate")
        .options([
            ("default_transaction_isolation", "read committed"),
            ("lock_timeout", &lock_wait),
            ("idle_in_transaction_session_timeout", "30000"),
        ])
        .disable_statement_logging()
}

/// No ping before each query: a broken connection shows itself, and the query is tried on another.
fn pool<D: Database>(size: u32) -> PoolOptions<D> {
    PoolOptions::new().max_connections(size).acquire_timeout(ACQUIRE).test_before_acquire(false)
}

async fn open_sqlite(path: &Path) -> Result<Pools, StartError> {
    prepare_file(path).map_err(|error| StartError::File { path: path.to_owned(), reason: error.kind() })?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(LOCK_WAIT)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
        .pragma("trusted_schema", "OFF")
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging();
    // Indexes by identity and user are written all over the file: checkpoints rare enough to write each page once for many
    // commits. A start after a crash reads a log of at most some 32 MiB. The cache is small, for each commit that split a
    // page of an index walks through all of it, and what it has not lies in the system's.
    let writer = options.clone().journal_mode(SqliteJournalMode::Wal);
    let writer = writer.pragma("cache_size", "-8192").pragma("wal_autocheckpoint", "8000").row_buffer_size(512);
    // The one writer queues in our process, where waiting is fair; it never closes, for closing checkpoints.
    let writer = opened(&sqlite_pool(1).min_connections(1), writer).await.map_err(connect_error)?;
    let reader = options.pragma("query_only", "ON");
    let reader = opened(&sqlite_pool(SQLITE_READERS), reader).await.map_err(connect_error)?;
    Ok(Pools { writer: writer.into(), reader: reader.into() })
}

/// A file on a busy disk may take longer to open than a query may wait for a connection.
async fn opened(pool: &SqlitePoolOptions, file: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    for _ in 1..TRIES_TO_OPEN {
        match pool.clone().connect_with(file.clone()).await {
            Err(sqlx::Error::PoolTimedOut) => {}
            opened => return opened,
        }
    }
    pool.clone().connect_with(file).await
}

/// A pool for a server: it takes no connection that a firewall or the server itself may have given up.
///
/// Not by the clock: the task of sqlx 0.9 that does so walks over a count of idle connections that can go below zero, and then
/// spins for ever.
fn server_pool<D: Database>(size: u32) -> PoolOptions<D> {
    let pool = pool(size).idle_timeout(None).max_lifetime(None);
    pool.before_acquire(|_, met| Box::pin(async move { Ok(is_fresh(met.age, met.idle_for)) }))
}

fn is_fresh(age: Duration, idle_for: Duration) -> bool {
    age < LONGEST_LIFE && idle_for < LONGEST_IDLE
}

fn sqlite_pool(size: u32) -> SqlitePoolOptions {
    pool(size).idle_timeout(None).max_lifetime(None)
}

fn connect_error(error: sqlx::Error) -> StorageError {
    DbErr::Conn(RuntimeErr::SqlxError(error.into())).into()
}

/// Makes folder and file so that nobody else reads them; SQLite gives its -wal and -shm files the mode of the database.
fn prepare_file(path: &Path) -> std::io::Result<()> {
    use std::fs::{DirBuilder, OpenOptions, Permissions};
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let file = Path::new(&name);
        if file.exists() {
            std::fs::set_permissions(file, Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<DatabaseUrl, MalformedUrl> {
        DatabaseUrl::parse(&Secret::new(url.to_owned()))
    }

    #[test]
    fn an_address_shows_no_password() {
        for url in ["postgres://ada:hunter2@db.example:5433/wxgate", "mysql://ada:hunter2@db.example/wxgate"] {
            let shown = format!("{0} {0:?}", parse(url).unwrap());
            assert!(shown.contains("db.example/wxgate"), "{shown}");
            assert!(!shown.contains("hunter2") && !shown.contains("ada"), "{shown}");
        }
    }

    #[test]
    fn a_dump_is_asked_for_without_the_password() {
        let file = Path::new("it's here.dump");
        let postgres = parse("postgres://ada:hunter2@db.example:5433/wxgate").unwrap().dump_command(file).unwrap();
        assert_eq!(
            postgres,
            "pg_dump --format=custom --no-owner --no-privileges --host=db.example --port=5433 --username=ada \
             --file='it'\\''s here.dump' wxgate"
        );
        let mysql = parse("mysql://ada:hunter2@db.example/wxgate").unwrap().dump_command(Path::new("a.sql")).unwrap();
        assert!(mysql.ends_with("--port=3306 --user=ada --password --result-file=a.sql wxgate"), "{mysql}");
        assert!(!mysql.contains("hunter2"));
        assert_eq!(parse("sqlite:a.db").unwrap().dump_command(file), None);
    }

    #[tokio::test]
    async fn a_file_that_is_slow_to_open_stops_no_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wxgate.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut other = options.connect().await.unwrap();
        other.execute("BEGIN EXCLUSIVE").await.unwrap();
        let opening = open_sqlite(&path);
        tokio::pin!(opening);
        assert!(tokio::time::timeout(ACQUIRE * 2, &mut opening).await.is_err(), "it still tries");
        other.execute("COMMIT").await.unwrap();
        opening.await.unwrap();
    }

    #[test]
    fn nobody_takes_an_old_connection() {
        let minutes = Duration::from_mins;
        assert!(is_fresh(minutes(29), minutes(9)));
        assert!(!is_fresh(minutes(30), minutes(0)) && !is_fresh(minutes(10), minutes(10)));
    }

    #[test]
    fn each_engine_has_its_scheme() {
        assert_eq!(parse("sqlite:data/wxgate.db").unwrap().file(), Some(Path::new("data/wxgate.db")));
        assert_eq!(
            parse("sqlite:///var/lib/wxgate.db?mode=rwc").unwrap().file(),
            Some(Path::new("/var/lib/wxgate.db"))
        );
        assert_eq!(parse("mariadb://a@b/c").unwrap().engine(), Engine::MySql);
        assert_eq!(parse("postgresql://a@b/c").unwrap().engine(), Engine::Postgres);
        assert_eq!(parse("oracle://a@b/c").unwrap_err(), MalformedUrl::Scheme);
        assert_eq!(parse("mysql://a@b/").unwrap_err(), MalformedUrl::Name);
        for nothing in ["sqlite:", "sqlite::memory:", "sqlite://"] {
            assert_eq!(parse(nothing).unwrap_err(), MalformedUrl::Name);
        }
        assert_eq!(parse("sqlite:a.db?mode=memory").unwrap_err(), MalformedUrl::Address);
    }
}
