//! Phone numbers, sealed; what became of phone codes while they live; and how many of them were exchanged today.

use sea_orm_migration::prelude::*;

use crate::table::{big, bytes, create, id, index, key, key_of, number, optional, reference, unique, word};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        phone(manager).await?;
        phone_code(manager).await?;
        phone_budget(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["phone_budget", "phone_code", "phone"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// One number of a user at most, and one user of a number that WeChat vouches for. Any other number has no digest, so
/// nothing is found by it.
async fn phone(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "phone", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(id("user_id"))
            .col(bytes("number", 128))
            .col(optional(bytes("digest", 32)))
            .col(optional(number("digest_key")))
            .col(big("bound_at"))
            .col(optional(big("leaves_at")))
            .foreign_key(&mut reference("phone", &["tenant_id", "user_id"], "user", &["tenant_id", "id"]));
    })
    .await?;
    unique(manager, "phone", &["tenant_id", "user_id"]).await?;
    unique(manager, "phone", &["tenant_id", "digest"]).await?;
    index(manager, "phone", &["leaves_at"]).await
}

/// Rows live five minutes, as the codes do.
async fn phone_code(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "phone_code", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(id("app_id"))
            .col(bytes("digest", 32))
            .col(bytes("openid", 64))
            .col(word("state"))
            .col(optional(bytes("number", 256)))
            .col(big("at"))
            .foreign_key(&mut reference("phone_code", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    unique(manager, "phone_code", &["tenant_id", "app_id", "digest"]).await?;
    index(manager, "phone_code", &["at"]).await
}

/// Days are Beijing's. No openid is the whole app.
async fn phone_budget(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "phone_budget", |table| {
        table
            .col(id("tenant_id"))
            .col(id("app_id"))
            .col(bytes("openid", 64))
            .col(number("day"))
            .col(number("used"))
            .primary_key(&mut key_of(&["tenant_id", "app_id", "openid", "day"]))
            .foreign_key(&mut reference("phone_budget", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    index(manager, "phone_budget", &["day"]).await
}
