//! All that a first login needs: tenants, keys, apps, users, identities, sessions, and the log of changes.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

use crate::table::{
    big, bytes, create, document, id, index, key, key_of, number, optional, reference, text, unique, word,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        instance(manager).await?;
        changes(manager).await?;
        tenant(manager).await?;
        keys(manager).await?;
        app(manager).await?;
        user(manager).await?;
        session(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = [
            "session",
            "union_member",
            "identity",
            "user",
            "app",
            "union_group",
            "signing_key",
            "data_key",
            "tenant",
            "sweep_cursor",
            "change",
            "change_counter",
            "master_key",
            "instance",
        ];
        for table in tables {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// One row for the whole database, and the fingerprints of the master keys that it has seen.
async fn instance(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "instance", |table| {
        table
            .col(key(ColumnDef::new("id").small_integer().not_null().to_owned()))
            .col(word("kind"))
            .col(number("restore_epoch"))
            .col(big("created_at"));
    })
    .await?;
    create(manager, "master_key", |table| {
        table.col(key(bytes("id", 8))).col(big("first_seen_at"));
    })
    .await
}

/// The log of administrative changes, numbered without gaps by the locked row of the counter; and how far the sweep is.
async fn changes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "change_counter", |table| {
        table.col(key(ColumnDef::new("id").small_integer().not_null().to_owned())).col(big("seq"));
    })
    .await?;
    let first = Query::insert()
        .into_table("change_counter")
        .columns(["id", "seq"])
        .values_panic([1.into(), 0_i64.into()])
        .to_owned();
    manager.get_connection().execute(&first).await?;
    create(manager, "change", |table| {
        table
            .col(key(big("seq")))
            .col(optional(ColumnDef::new("tenant_id").uuid().to_owned()))
            .col(ColumnDef::new("kind").string_len(32).not_null())
            .col(optional(ColumnDef::new("row_id").uuid().to_owned()))
            .col(big("at"));
    })
    .await?;
    create(manager, "sweep_cursor", |table| {
        table.col(key(ColumnDef::new("task").string_len(32).not_null().to_owned())).col(id("after_id"));
    })
    .await
}

async fn tenant(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "tenant", |table| {
        table
            .col(key(id("id")))
            .col(bytes("slug", 62))
            .col(text("name", 200))
            .col(word("status"))
            .col(document("policy"))
            .col(number("sessions_epoch"))
            .col(big("created_at"));
    })
    .await?;
    unique(manager, "tenant", &["slug"]).await
}

async fn keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "data_key", |table| {
        table
            .col(id("tenant_id"))
            .col(number("number"))
            .col(word("purpose"))
            .col(bytes("sealed", 128))
            .col(big("created_at"))
            .primary_key(&mut key_of(&["tenant_id", "number"]))
            .foreign_key(&mut reference("data_key", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    create(manager, "signing_key", |table| {
        table
            .col(key(bytes("kid", 64)))
            .col(id("tenant_id"))
            .col(word("algorithm"))
            .col(word("state"))
            .col(bytes("private", 4_096))
            .col(document("public_jwk"))
            .col(big("created_at"))
            .foreign_key(&mut reference("signing_key", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    index(manager, "signing_key", &["tenant_id"]).await
}

async fn app(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "union_group", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(text("name", 200))
            .col(big("created_at"))
            .foreign_key(&mut reference("union_group", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    unique(manager, "union_group", &["tenant_id", "id"]).await?;
    unique(manager, "union_group", &["tenant_id", "name"]).await?;
    create(manager, "app", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(bytes("appid", 64))
            .col(text("name", 200))
            .col(word("status"))
            .col(optional(ColumnDef::new("union_group_id").uuid().to_owned()))
            .col(document("policy"))
            .col(bytes("secret", 512))
            .col(optional(ColumnDef::new("previous_secret").var_binary(512).to_owned()))
            .col(number("sessions_epoch"))
            .col(big("created_at"))
            .foreign_key(&mut reference("app", &["tenant_id"], "tenant", &["id"]))
            .foreign_key(&mut reference("app", &["tenant_id", "union_group_id"], "union_group", &["tenant_id", "id"]));
    })
    .await?;
    unique(manager, "app", &["appid"]).await?;
    unique(manager, "app", &["tenant_id", "id"]).await?;
    index(manager, "app", &["tenant_id", "union_group_id"]).await
}

async fn user(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "user", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(word("status"))
            .col(optional(ColumnDef::new("nickname").string_len(64).to_owned()))
            .col(optional(ColumnDef::new("avatar_url").string_len(1_024).to_owned()))
            .col(optional(ColumnDef::new("external_id").string_len(255).to_owned()))
            .col(number("sessions_epoch"))
            .col(big("created_at"))
            .foreign_key(&mut reference("user", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    unique(manager, "user", &["tenant_id", "id"]).await?;
    unique(manager, "user", &["tenant_id", "external_id"]).await?;
    create(manager, "identity", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(id("app_id"))
            .col(bytes("openid", 64))
            .col(optional(ColumnDef::new("unionid").var_binary(64).to_owned()))
            .col(id("user_id"))
            .col(big("created_at"))
            .foreign_key(&mut reference("identity", &["tenant_id", "app_id"], "app", &["tenant_id", "id"]))
            .foreign_key(&mut reference("identity", &["tenant_id", "user_id"], "user", &["tenant_id", "id"]));
    })
    .await?;
    unique(manager, "identity", &["tenant_id", "app_id", "openid"]).await?;
    unique(manager, "identity", &["tenant_id", "id"]).await?;
    index(manager, "identity", &["tenant_id", "user_id"]).await?;
    create(manager, "union_member", |table| {
        let group = ["tenant_id", "union_group_id"];
        table
            .col(id("tenant_id"))
            .col(id("union_group_id"))
            .col(bytes("unionid", 64))
            .col(id("user_id"))
            .col(big("created_at"))
            .primary_key(&mut key_of(&["tenant_id", "union_group_id", "unionid"]))
            .foreign_key(&mut reference("union_member", &group, "union_group", &["tenant_id", "id"]))
            .foreign_key(&mut reference("union_member", &["tenant_id", "user_id"], "user", &["tenant_id", "id"]));
    })
    .await?;
    index(manager, "union_member", &["tenant_id", "user_id"]).await
}

async fn session(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "session", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(id("identity_id"))
            .col(id("app_id"))
            .col(id("user_id"))
            .col(optional(ColumnDef::new("session_key").var_binary(128).to_owned()))
            .col(number("generation"))
            .col(number("mac_key"))
            .col(number("tenant_epoch"))
            .col(number("app_epoch"))
            .col(number("user_epoch"))
            .col(big("opened_at"))
            .col(optional(ColumnDef::new("refreshed_at").big_integer().to_owned()))
            .col(optional(ColumnDef::new("ended_at").big_integer().to_owned()))
            .col(optional(ColumnDef::new("end_reason").string_len(16).to_owned()))
            .foreign_key(&mut reference("session", &["tenant_id", "identity_id"], "identity", &["tenant_id", "id"]))
            .foreign_key(&mut reference("session", &["tenant_id", "user_id"], "user", &["tenant_id", "id"]));
    })
    .await?;
    index(manager, "session", &["tenant_id", "identity_id", "opened_at"]).await?;
    index(manager, "session", &["tenant_id", "user_id"]).await
}
