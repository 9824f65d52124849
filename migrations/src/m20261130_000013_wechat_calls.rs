//! What was called of WeChat, by all nodes together: its quotas are per app, interface and day.

use sea_orm_migration::prelude::*;

use crate::table::{big, create, id, index, key_of, number, reference, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        wechat_call(manager).await?;
        index(manager, "wechat_call", &["day"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("wechat_call").to_owned()).await
    }
}

/// How often an app called an interface with one outcome on a day in Beijing. It goes with its app.
async fn wechat_call(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut app = reference("wechat_call", &["tenant_id", "app_id"], "app", &["tenant_id", "id"]);
    app.on_delete(ForeignKeyAction::Cascade);
    create(manager, "wechat_call", |table| {
        table
            .col(id("tenant_id"))
            .col(id("app_id"))
            .col(number("day"))
            .col(text("interface", 64))
            .col(text("outcome", 64))
            .col(big("calls"))
            .primary_key(&mut key_of(&["tenant_id", "app_id", "day", "interface", "outcome"]))
            .foreign_key(&mut app);
    })
    .await
}
