//! Message push: what an app has in common with WeChat for it, and what was pushed lately.

use sea_orm_migration::prelude::*;

use crate::table::{big, bytes, create, id, index, key, key_of, optional, reference, word};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        settings(manager).await?;
        marks(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["push_mark", "push_setting"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// One row for an app that takes pushes, under the app's own id.
async fn settings(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "push_setting", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(word("mode"))
            .col(bytes("token", 256))
            .col(bytes("aes_key", 256))
            .col(optional(ColumnDef::new("previous_aes_key").var_binary(256).to_owned()))
            .col(big("changed_at"))
            .foreign_key(&mut reference("push_setting", &["tenant_id", "id"], "app", &["tenant_id", "id"]));
    })
    .await?;
    index(manager, "push_setting", &["tenant_id"]).await
}

/// Digests by which a push is known again until a moment, and of the body that it came with. They outlive their app by as
/// much as that, so they refer to nothing.
async fn marks(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "push_mark", |table| {
        table
            .col(id("tenant_id"))
            .col(id("app_id"))
            .col(bytes("mark", 32))
            .col(bytes("body", 32))
            .col(big("until"))
            .primary_key(&mut key_of(&["tenant_id", "app_id", "mark"]));
    })
    .await?;
    index(manager, "push_mark", &["until"]).await
}
