//! When an access_token of an app was reported dead, and which one was: all nodes look into one report a minute.

use sea_orm_migration::prelude::*;

use crate::table::{add_column, drop_column, optional};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let probed_at = optional(ColumnDef::new("probed_at").big_integer().to_owned());
        add_column(manager, "access_token", probed_at).await?;
        let dead = optional(ColumnDef::new("dead").var_binary(32).to_owned());
        add_column(manager, "access_token", dead).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["dead", "probed_at"] {
            drop_column(manager, "access_token", column).await?;
        }
        Ok(())
    }
}
