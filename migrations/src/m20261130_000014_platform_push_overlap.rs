//! Two Tokens of a platform's pushes while they change, as an app's.

use sea_orm_migration::prelude::*;

use crate::table::{add_column, bytes, drop_column, optional};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_column(manager, "platform", optional(bytes("previous_push_token", 256))).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_column(manager, "platform", "previous_push_token").await
    }
}
