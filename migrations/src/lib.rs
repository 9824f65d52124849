#![doc = include_str!("../README.md")]

mod m20261122_000001_first_login;
mod m20261124_000002_sessions_and_trust;
mod m20261124_000003_operators;
mod m20261124_000004_webhooks;
mod m20261124_000005_access_tokens;
mod m20261124_000006_phones;
mod m20261124_000007_merges;
mod m20261124_000008_push;
mod m20261124_000009_platforms;
mod m20261124_000010_reported_tokens;
mod m20261124_000011_push_overlap;
mod m20261124_000012_people;
mod m20261130_000013_wechat_calls;
mod m20261130_000014_platform_push_overlap;
mod table;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

pub use sea_orm_migration::MigratorTrait;

/// The table that records which migrations a database has.
const HISTORY: &str = "schema_migration";

/// The history, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_first_login::Migration),
            Box::new(m20261124_000002_sessions_and_trust::Migration),
            Box::new(m20261124_000003_operators::Migration),
            Box::new(m20261124_000004_webhooks::Migration),
            Box::new(m20261124_000005_access_tokens::Migration),
            Box::new(m20261124_000006_phones::Migration),
            Box::new(m20261124_000007_merges::Migration),
            Box::new(m20261124_000008_push::Migration),
            Box::new(m20261124_000009_platforms::Migration),
            Box::new(m20261124_000010_reported_tokens::Migration),
            Box::new(m20261124_000011_push_overlap::Migration),
            Box::new(m20261124_000012_people::Migration),
            Box::new(m20261130_000013_wechat_calls::Migration),
            Box::new(m20261130_000014_platform_push_overlap::Migration),
        ]
    }

    fn migration_table_name() -> DynIden {
        HISTORY.into_iden()
    }
}

/// What a database has of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Names of applied migrations, oldest first.
    pub applied: Vec<String>,
    /// Names of migrations that are still to be applied, oldest first.
    pub pending: Vec<String>,
    /// Names of applied migrations that this build does not know: a newer wxgate was here.
    pub unknown: Vec<String>,
}

impl Status {
    /// Reads the status without writing anything; an empty database has everything pending.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn of<'c>(db: impl IntoSchemaManagerConnection<'c>) -> Result<Self, DbErr> {
        let recorded = recorded(&SchemaManager::new(db)).await?;
        let known: Vec<String> = Migrator::migrations().iter().map(|m| m.name().to_owned()).collect();
        let (applied, pending) = known.iter().cloned().partition(|name| recorded.contains(name));
        let unknown = recorded.into_iter().filter(|name| !known.contains(name)).collect();
        Ok(Self { applied, pending, unknown })
    }

    /// Whether the schema is exactly the one that this build was made for.
    pub fn is_current(&self) -> bool {
        self.pending.is_empty() && self.unknown.is_empty()
    }
}

async fn recorded(manager: &SchemaManager<'_>) -> Result<Vec<String>, DbErr> {
    if !manager.has_table(HISTORY).await? {
        return Ok(Vec::new());
    }
    let query = Query::select().column("version").from(HISTORY).order_by("version", Order::Asc).to_owned();
    let rows = manager.get_connection().query_all(&query).await?;
    rows.iter().map(|row| row.try_get("", "version")).collect()
}
