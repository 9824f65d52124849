//! A database for one test, on each engine.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Database};
use wxgate_crypto::{Random, encoding};

use super::{environment, missing};

/// What a gateway can keep its rows in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    MySql,
}

/// An empty database that goes with the test. SQLite's is a file in the gateway's own folder.
#[derive(Debug)]
pub(crate) enum TestDatabase {
    File,
    Server { url: String, server: String, name: String },
}

impl TestDatabase {
    /// An empty database, or `None` (with a word about it) where the engine is not at hand; in CI that is a failure.
    pub(crate) async fn create(engine: Engine) -> Option<Self> {
        let variable = match engine {
            Engine::Sqlite => return Some(Self::File),
            Engine::Postgres => "WXGATE_TEST_POSTGRES_URL",
            Engine::MySql => "WXGATE_TEST_MYSQL_URL",
        };
        let Some(server) = environment(variable) else {
            missing(&format!("{variable} is not set"));
            return None;
        };
        let name = format!("wxgate_e2e_{}", encoding::to_hex(Random::system().unwrap().bytes::<8>()));
        execute(&server, &format!("CREATE DATABASE {name}")).await;
        let (address, query) = server.split_once('?').map_or((server.as_str(), None), |(a, q)| (a, Some(q)));
        let (address, _) = address.rsplit_once('/').unwrap();
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        Some(Self::Server { url: format!("{address}/{name}{query}"), server, name })
    }

    /// What `database.url` becomes for a gateway whose folder is this.
    pub(crate) fn url(&self, folder: &std::path::Path) -> String {
        match self {
            Self::File => format!("sqlite://{}", folder.join("wxgate.db").display()),
            Self::Server { url, .. } => url.clone(),
        }
    }
}

/// Makes all merges in an SQLite file older: time goes by in a moment. A gateway may be running on it.
pub(crate) async fn age_merges(file: &std::path::Path, by: Duration) {
    let earlier = |column: &str| format!("{column} = {column} - {}", by.as_millis());
    let columns = ["at", "undo_until"].map(earlier).join(", ");
    execute(&format!("sqlite://{}", file.display()), &format!("UPDATE merge SET {columns}")).await;
}

/// Makes all signing keys in an SQLite file older: time goes by in a moment. A gateway may be running on it.
pub(crate) async fn age_signing_keys(file: &std::path::Path, by: Duration) {
    let earlier = |column: &str| format!("{column} = {column} - {}", by.as_millis());
    let columns = ["created_at", "activated_at", "retired_at"].map(earlier).join(", ");
    execute(&format!("sqlite://{}", file.display()), &format!("UPDATE signing_key SET {columns}")).await;
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Self::Server { server, name, .. } = self else { return };
        let force = if server.starts_with("postgres") { " WITH (FORCE)" } else { "" };
        let (server, statement) = (server.clone(), format!("DROP DATABASE {name}{force}"));
        // The test's own runtime is blocked in this destructor.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(&server, &statement));
        });
        let _ = dropped.join();
    }
}

pub(crate) async fn execute(server: &str, statement: &str) {
    let connection = Database::connect(server).await.unwrap();
    connection.execute_unprepared(statement).await.unwrap();
    connection.close().await.unwrap();
}
