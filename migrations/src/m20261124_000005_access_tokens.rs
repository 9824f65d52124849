//! WeChat's access_tokens that all nodes share, and the keys of apps whose calls are signed and encrypted.

use sea_orm_migration::prelude::*;

use crate::table::{add_column, create, drop_column, id, key_of, optional, reference};

/// Room for the keys of an app, sealed: two keys and a certificate as PEM.
const KEYS: u32 = 12_288;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        access_token(manager).await?;
        for column in ["api_security", "previous_api_security"] {
            let column = optional(ColumnDef::new(column).var_binary(KEYS).to_owned());
            add_column(manager, "app", column).await?;
        }
        let changed_at = optional(ColumnDef::new("api_security_changed_at").big_integer().to_owned());
        add_column(manager, "app", changed_at).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["api_security_changed_at", "previous_api_security", "api_security"] {
            drop_column(manager, "app", column).await?;
        }
        manager.drop_table(Table::drop().table("access_token").to_owned()).await
    }
}

/// At most one row for each app, which goes with it. `owner` is a new random id for each lease: whoever writes must still be it.
async fn access_token(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let big = |name: &'static str| optional(ColumnDef::new(name).big_integer().to_owned());
    let mut app = reference("access_token", &["tenant_id", "app_id"], "app", &["tenant_id", "id"]);
    app.on_delete(ForeignKeyAction::Cascade);
    create(manager, "access_token", |table| {
        table
            .col(id("tenant_id"))
            .col(id("app_id"))
            .col(optional(ColumnDef::new("sealed").var_binary(2_048).to_owned()))
            .col(big("fetched_at"))
            .col(big("expires_at"))
            .col(optional(ColumnDef::new("owner").uuid().to_owned()))
            .col(big("lease_until"))
            .primary_key(&mut key_of(&["tenant_id", "app_id"]))
            .foreign_key(&mut app);
    })
    .await
}
