//! Message push: a Token beside the one before it, and whom a forwarded message is about.

use sea_orm_migration::prelude::*;

use crate::table::{add_column, bytes, drop_column, index, number, optional};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_column(manager, "push_setting", optional(bytes("previous_token", 256))).await?;
        // The digest of an openid that may be nobody's yet, and the key that made it: once whoever has it is erased, the
        // payload is gone.
        add_column(manager, "outbox", optional(bytes("subject", 32))).await?;
        add_column(manager, "outbox", optional(number("subject_key"))).await?;
        index(manager, "outbox", &["tenant_id", "subject"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Index::drop().name("ix_outbox_tenant_id_subject").table("outbox").to_owned();
        manager.drop_index(drop).await?;
        drop_column(manager, "outbox", "subject_key").await?;
        drop_column(manager, "outbox", "subject").await?;
        drop_column(manager, "push_setting", "previous_token").await
    }
}
