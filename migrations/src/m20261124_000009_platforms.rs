//! Third-party platforms: their tickets and tokens, the apps that authorised them, and the authorisations that were started.

use sea_orm_migration::prelude::*;

use crate::table::{
    add_column, big, bytes, create, document, drop_column, id, index, key, optional, reference, text, unique, word,
};

/// The longest sealed token, ticket or code: 1,024 characters and what the seal adds.
const SEALED: u32 = 1_152;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        platform(manager).await?;
        platform_app(manager).await?;
        platform_request(manager).await?;
        app(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["withdrawn_at", "platform_appid"] {
            drop_column(manager, "app", column).await?;
        }
        for table in ["platform_request", "platform_app", "platform"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn sealed(name: &'static str) -> ColumnDef {
    optional(bytes(name, SEALED))
}

fn moment(name: &'static str) -> ColumnDef {
    optional(big(name))
}

/// A platform with its newest ticket and its token. `lease_owner` is whoever fetches the next token, until `lease_until`.
async fn platform(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "platform", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(bytes("appid", 64))
            .col(text("name", 200))
            .col(bytes("secret", 256))
            .col(bytes("push_token", 256))
            .col(bytes("aes_key", 256))
            .col(optional(bytes("previous_aes_key", 256)))
            .col(sealed("ticket"))
            .col(moment("ticket_at"))
            .col(sealed("access_token"))
            .col(moment("token_expires_at"))
            .col(optional(ColumnDef::new("lease_owner").uuid().to_owned()))
            .col(moment("lease_until"))
            .col(big("created_at"))
            .foreign_key(&mut reference("platform", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    unique(manager, "platform", &["appid"]).await?;
    unique(manager, "platform", &["tenant_id", "id"]).await
}

/// An app as a platform knows it. `event_at` is when WeChat wrote the newest event about it.
async fn platform_app(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "platform_app", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(id("platform_id"))
            .col(bytes("appid", 64))
            .col(word("state"))
            .col(sealed("code"))
            .col(optional(ColumnDef::new("request_id").uuid().to_owned()))
            .col(sealed("refresh_token"))
            .col(sealed("access_token"))
            .col(moment("token_expires_at"))
            .col(optional(ColumnDef::new("lease_owner").uuid().to_owned()))
            .col(moment("lease_until"))
            .col(document("permissions"))
            .col(big("event_at"))
            .col(moment("authorized_at"))
            .col(big("changed_at"))
            .foreign_key(&mut reference(
                "platform_app",
                &["tenant_id", "platform_id"],
                "platform",
                &["tenant_id", "id"],
            ));
    })
    .await?;
    unique(manager, "platform_app", &["tenant_id", "platform_id", "appid"]).await?;
    index(manager, "platform_app", &["token_expires_at"]).await
}

/// An authorisation that an admin started: what comes back must bring its state, once (`used_at`). WeChat's event about it
/// may come earlier (`attached`).
async fn platform_request(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "platform_request", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(id("platform_id"))
            .col(bytes("state_digest", 32))
            .col(bytes("pre_auth_digest", 32))
            .col(text("actor", 200))
            .col(optional(bytes("appid", 64)))
            .col(big("created_at"))
            .col(big("expires_at"))
            .col(moment("used_at"))
            .col(optional(bytes("attached", 64)))
            .foreign_key(&mut reference(
                "platform_request",
                &["tenant_id", "platform_id"],
                "platform",
                &["tenant_id", "id"],
            ));
    })
    .await?;
    unique(manager, "platform_request", &["state_digest"]).await?;
    index(manager, "platform_request", &["tenant_id", "platform_id"]).await?;
    index(manager, "platform_request", &["expires_at"]).await
}

/// The platform that an app logs in through, if it does, and since when it has withdrawn from it.
async fn app(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    add_column(manager, "app", optional(bytes("platform_appid", 64))).await?;
    add_column(manager, "app", moment("withdrawn_at")).await
}
