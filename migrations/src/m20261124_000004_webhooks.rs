//! What a tenant's services are told of: where to, what happened, and what became of each attempt to say so.

use sea_orm_migration::prelude::*;

use crate::table::{
    big, bytes, create, document, id, index, key, key_of, large, number, optional, reference, text, unique, word,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        webhooks(manager).await?;
        outbox(manager).await?;
        deliveries(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["delivery", "outbox", "webhook_turn", "webhook"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// Where to, and apart from it how the deliveries go: who tells of an event keeps the first from changing, and must not
/// keep deliveries from going on.
async fn webhooks(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "webhook", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(text("name", 200))
            .col(text("url", 1_024))
            .col(document("events"))
            .col(word("status"))
            .col(bytes("secret", 255))
            .col(optional(ColumnDef::new("previous_secret").var_binary(255).to_owned()))
            .col(optional(ColumnDef::new("previous_until").big_integer().to_owned()))
            .col(big("created_at"))
            .foreign_key(&mut reference("webhook", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    unique(manager, "webhook", &["tenant_id", "id"]).await?;
    unique(manager, "webhook", &["tenant_id", "name"]).await?;
    create(manager, "webhook_turn", |table| {
        table
            .col(key(id("webhook_id")))
            .col(id("tenant_id"))
            .col(number("failures"))
            .col(optional(ColumnDef::new("failing_since").big_integer().to_owned()))
            .col(big("paused_until"))
            .col(optional(ColumnDef::new("owner").uuid().to_owned()))
            .col(big("lease_until"))
            .foreign_key(&mut reference("webhook_turn", &["tenant_id", "webhook_id"], "webhook", &["tenant_id", "id"]));
    })
    .await?;
    index(manager, "webhook_turn", &["tenant_id", "webhook_id"]).await
}

/// What happened. The payload is gone once a user whom it is about was erased.
async fn outbox(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let payload = large(manager, "payload");
    create(manager, "outbox", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(ColumnDef::new("kind").string_len(40).not_null())
            .col(optional(ColumnDef::new("user_id").uuid().to_owned()))
            .col(optional(ColumnDef::new("other_user_id").uuid().to_owned()))
            .col(optional(payload))
            .col(big("at"))
            .foreign_key(&mut reference("outbox", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    unique(manager, "outbox", &["tenant_id", "id"]).await?;
    index(manager, "outbox", &["tenant_id", "user_id"]).await?;
    index(manager, "outbox", &["tenant_id", "other_user_id"]).await
}

/// One event on its way to one webhook. `due_at` is empty once nothing more will be tried.
async fn deliveries(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "delivery", |table| {
        table
            .col(id("webhook_id"))
            .col(id("event_id"))
            .col(id("tenant_id"))
            .col(word("state"))
            .col(big("since"))
            .col(optional(ColumnDef::new("due_at").big_integer().to_owned()))
            .col(number("attempts"))
            .col(optional(ColumnDef::new("last_at").big_integer().to_owned()))
            .col(optional(ColumnDef::new("last_status").integer().to_owned()))
            .col(optional(ColumnDef::new("last_error").string_len(16).to_owned()))
            .primary_key(&mut key_of(&["webhook_id", "event_id"]))
            .foreign_key(&mut reference("delivery", &["tenant_id", "webhook_id"], "webhook", &["tenant_id", "id"]))
            .foreign_key(&mut reference("delivery", &["tenant_id", "event_id"], "outbox", &["tenant_id", "id"]));
    })
    .await?;
    index(manager, "delivery", &["tenant_id", "webhook_id", "state", "event_id"]).await?;
    index(manager, "delivery", &["tenant_id", "event_id"]).await?;
    index(manager, "delivery", &["due_at"]).await
}
