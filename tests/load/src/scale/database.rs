//! Where the rows of an installation are.

use tokio::process::Command;

use crate::Failure;

/// A kind of database.
pub(super) enum Database {
    /// A file in the gateway's folder.
    Sqlite,
    /// A server, by the URL of a database that is there already.
    Postgres(String),
}

impl Database {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Makes a database for an installation; its URL, where it is not a file.
    pub(super) async fn create(&self, installation: &str) -> Result<Option<String>, Failure> {
        let Self::Postgres(url) = self else { return Ok(None) };
        let name = named(installation);
        sql(url, &format!("DROP DATABASE IF EXISTS {name}")).await?;
        sql(url, &format!("CREATE DATABASE {name}")).await?;
        let (server, _) = url.rsplit_once('/').ok_or("the URL of PostgreSQL names no database")?;
        Ok(Some(format!("{server}/{name}")))
    }

    /// Drops what was made.
    pub(super) async fn drop_all(&self) -> Result<(), Failure> {
        let Self::Postgres(url) = self else { return Ok(()) };
        for installation in ["small", "large"] {
            sql(url, &format!("DROP DATABASE IF EXISTS {}", named(installation))).await?;
        }
        Ok(())
    }
}

fn named(installation: &str) -> String {
    format!("wxgate_load_{installation}")
}

async fn sql(url: &str, statement: &str) -> Result<(), Failure> {
    let output = Command::new("psql").args(["--quiet", "--no-psqlrc", url, "--command", statement]).output().await?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}
