//! The operator's side: admin keys, what was done and by whom, work in the background, the nodes that serve, which master
//! key seals, and what stays of tenants, apps and users that are gone.

use sea_orm_migration::prelude::*;

use crate::table::{
    add_column, big, bytes, create, document, drop_column, id, index, key, key_of, number, optional, reference, text,
    word,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        master_keys(manager).await?;
        app(manager).await?;
        admin_keys(manager).await?;
        audit(manager).await?;
        background(manager).await?;
        gone(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = [
            "tombstone",
            "released_appid",
            "retired_slug",
            "node",
            "job",
            "audit_entry",
            "audit_chain",
            "idempotency",
            "admin_key",
            "instance_key",
        ];
        for table in tables {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for column in ["secret_changed_at", "secret_state"] {
            drop_column(manager, "app", column).await?;
        }
        for column in ["activated_at", "state"] {
            drop_column(manager, "master_key", column).await?;
        }
        Ok(())
    }
}

/// Which master key seals; and data keys of the whole installation, which belong to no tenant.
async fn master_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let state = ColumnDef::new("state").string_len(16).not_null().default("open").to_owned();
    add_column(manager, "master_key", state).await?;
    let activated_at = optional(ColumnDef::new("activated_at").big_integer().to_owned());
    add_column(manager, "master_key", activated_at).await?;
    create(manager, "instance_key", |table| {
        table.col(key(number("number"))).col(word("purpose")).col(bytes("sealed", 128)).col(big("created_at"));
    })
    .await
}

/// Whether WeChat has accepted an app's secret. Apps of before have served, so theirs count as accepted.
async fn app(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let state = ColumnDef::new("secret_state").string_len(16).not_null().default("accepted").to_owned();
    add_column(manager, "app", state).await?;
    let changed_at = optional(ColumnDef::new("secret_changed_at").big_integer().to_owned());
    add_column(manager, "app", changed_at).await
}

/// Keys of operators (no tenant) and of tenants' admins; and what a creation answered, for who sends it again.
async fn admin_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "admin_key", |table| {
        table
            .col(key(id("id")))
            .col(optional(ColumnDef::new("tenant_id").uuid().to_owned()))
            .col(text("name", 200))
            .col(bytes("secret_digest", 32))
            .col(document("scopes"))
            .col(big("created_at"))
            .col(optional(ColumnDef::new("expires_at").big_integer().to_owned()))
            .col(optional(ColumnDef::new("last_used_at").big_integer().to_owned()))
            .foreign_key(&mut reference("admin_key", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    index(manager, "admin_key", &["tenant_id"]).await?;
    create(manager, "idempotency", |table| {
        table
            .col(id("owner"))
            .col(bytes("key_digest", 32))
            .col(optional(ColumnDef::new("tenant_id").uuid().to_owned()))
            .col(bytes("request_digest", 32))
            .col(number("status"))
            .col(document("reply"))
            .col(big("at"))
            .primary_key(&mut key_of(&["owner", "key_digest"]));
    })
    .await?;
    index(manager, "idempotency", &["tenant_id"]).await?;
    index(manager, "idempotency", &["at"]).await
}

/// One chain for each tenant, and one for the installation under the nil id. Each entry's MAC covers the one before it.
/// `pruned` is the highest number that is gone, `pruned_mac` its MAC.
async fn audit(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "audit_chain", |table| {
        table
            .col(key(id("tenant_id")))
            .col(big("seq"))
            .col(bytes("head", 32))
            .col(big("pruned"))
            .col(bytes("pruned_mac", 32))
            .col(bytes("anchor", 32));
    })
    .await?;
    create(manager, "audit_entry", |table| {
        table
            .col(id("tenant_id"))
            .col(big("seq"))
            .col(big("at"))
            .col(text("actor", 200))
            .col(ColumnDef::new("action").string_len(64).not_null())
            .col(text("target", 200))
            .col(ColumnDef::new("outcome").string_len(64).not_null())
            .col(optional(ColumnDef::new("request_id").string_len(64).to_owned()))
            .col(optional(ColumnDef::new("detail").text().to_owned()))
            .col(optional(ColumnDef::new("personal").text().to_owned()))
            .col(optional(ColumnDef::new("salt").var_binary(16).to_owned()))
            .col(bytes("commitment", 32))
            .col(number("mac_key"))
            .col(bytes("mac", 32))
            .primary_key(&mut key_of(&["tenant_id", "seq"]));
    })
    .await?;
    index(manager, "audit_entry", &["tenant_id", "at"]).await
}

/// Work that outlives its request, and the processes that serve.
async fn background(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "job", |table| {
        table
            .col(key(id("id")))
            .col(optional(ColumnDef::new("tenant_id").uuid().to_owned()))
            .col(ColumnDef::new("kind").string_len(32).not_null())
            .col(word("state"))
            .col(document("parameters"))
            .col(big("done"))
            .col(big("total"))
            .col(optional(ColumnDef::new("error").text().to_owned()))
            .col(optional(ColumnDef::new("owner").uuid().to_owned()))
            .col(optional(ColumnDef::new("lease_until").big_integer().to_owned()))
            .col(big("created_at"))
            .col(big("updated_at"));
    })
    .await?;
    index(manager, "job", &["tenant_id"]).await?;
    index(manager, "job", &["state"]).await?;
    create(manager, "node", |table| {
        table
            .col(key(id("id")))
            .col(ColumnDef::new("version").string_len(32).not_null())
            .col(text("address", 200))
            .col(document("master_keys"))
            .col(big("started_at"))
            .col(big("seen_at"));
    })
    .await
}

/// Names that are never used again, appids that only their last tenant or an operator takes up again, and people who
/// left: nothing of them but a keyed digest, so that a ban outlives them.
async fn gone(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "retired_slug", |table| {
        table.col(key(bytes("slug", 62))).col(big("at"));
    })
    .await?;
    create(manager, "released_appid", |table| {
        table.col(key(bytes("appid", 64))).col(id("tenant_id")).col(big("at"));
    })
    .await?;
    index(manager, "released_appid", &["tenant_id"]).await?;
    create(manager, "tombstone", |table| {
        table
            .col(id("tenant_id"))
            .col(bytes("digest", 32))
            .col(number("digest_key"))
            .col(id("user_id"))
            .col(number("blocked"))
            .col(big("at"))
            .primary_key(&mut key_of(&["tenant_id", "digest"]))
            .foreign_key(&mut reference("tombstone", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    index(manager, "tombstone", &["tenant_id", "user_id"]).await
}
