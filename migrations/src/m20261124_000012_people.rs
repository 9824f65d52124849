//! What is known of people for a while: the session_keys that a reset superseded, unionids that changed, and how often
//! WeChat was asked about phone data.

use sea_orm_migration::prelude::*;

use crate::table::{add_column, big, bytes, create, drop_column, id, index, key, number, reference};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        superseded_key(manager).await?;
        add_column(manager, "identity", counted("unionid_changed")).await?;
        add_column(manager, "phone_budget", counted("confirmed")).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_column(manager, "phone_budget", "confirmed").await?;
        drop_column(manager, "identity", "unionid_changed").await?;
        manager.drop_table(Table::drop().table("superseded_key").to_owned()).await
    }
}

fn counted(name: &'static str) -> ColumnDef {
    number(name).default(0).to_owned()
}

/// A key that WeChat replaced when it was asked to. It goes with its identity.
async fn superseded_key(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "superseded_key", |table| {
        let mut identity = reference("superseded_key", &["tenant_id", "identity_id"], "identity", &["tenant_id", "id"]);
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(id("identity_id"))
            .col(bytes("session_key", 128))
            .col(big("superseded_at"))
            .foreign_key(identity.on_delete(ForeignKeyAction::Cascade));
    })
    .await?;
    index(manager, "superseded_key", &["tenant_id", "identity_id"]).await?;
    index(manager, "superseded_key", &["superseded_at"]).await
}
