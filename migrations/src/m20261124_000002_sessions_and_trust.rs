//! The whole life of a session, and whom its tokens convince: refresh, revocations, key rotation, service clients,
//! audiences, forward-auth policies.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

use crate::table::{
    add_column, big, bytes, create, document, drop_column, id, index, key, key_of, number, optional, reference, text,
    unique, word,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        session(manager).await?;
        for column in signing_key_columns() {
            add_column(manager, "signing_key", column).await?;
        }
        revocation(manager).await?;
        service_client(manager).await?;
        audience(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["forward_auth_policy", "audience", "service_client", "revocation", "revocation_counter"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for column in ["retired_at", "activated_at"] {
            drop_column(manager, "signing_key", column).await?;
        }
        session_as_before(manager).await
    }
}

/// What both forms of a session have.
const SESSION: [&str; 13] = [
    "id",
    "tenant_id",
    "identity_id",
    "app_id",
    "session_key",
    "generation",
    "mac_key",
    "tenant_epoch",
    "app_epoch",
    "user_epoch",
    "opened_at",
    "refreshed_at",
    "ended_at",
];

/// A session no longer repeats whose it is: its identity says so. That saves each login an index over the whole table,
/// which is written all over the place, and a check. New are until when an access token of it can live; who refreshed it
/// last, as a keyed digest of network and user agent; and how many turns in a row somebody else repeated.
///
/// SQLite cannot drop a column that a key refers to, so the table is made anew.
async fn session(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "session_new", |table| {
        session_columns(table);
        table
            .col(ColumnDef::new("access_until").big_integer().not_null().default(0))
            .col(optional(ColumnDef::new("client").var_binary(16).to_owned()))
            .col(optional(ColumnDef::new("contested_generation").integer().to_owned()))
            .col(ColumnDef::new("contested").integer().not_null().default(0))
            .foreign_key(&mut reference(
                "session_new",
                &["tenant_id", "identity_id"],
                "identity",
                &["tenant_id", "id"],
            ));
    })
    .await?;
    let columns = [SESSION.as_slice(), &["end_reason"]].concat();
    let old = Query::select().columns(columns.iter().copied()).from("session").to_owned();
    replace_session(manager, "session_new", &columns, old).await
}

async fn session_as_before(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "session_old", |table| {
        session_columns(table);
        table
            .col(id("user_id"))
            .foreign_key(&mut reference("session_old", &["tenant_id", "identity_id"], "identity", &["tenant_id", "id"]))
            .foreign_key(&mut reference("session_old", &["tenant_id", "user_id"], "user", &["tenant_id", "id"]));
    })
    .await?;
    let columns = [SESSION.as_slice(), &["end_reason", "user_id"]].concat();
    let of_session = SESSION.iter().chain(&["end_reason"]).map(|column| ("session", *column));
    let new = Query::select()
        .columns(of_session)
        .column(("identity", "user_id"))
        .from("session")
        .inner_join("identity", Expr::col(("identity", "id")).equals(("session", "identity_id")))
        .to_owned();
    replace_session(manager, "session_old", &columns, new).await?;
    index(manager, "session", &["tenant_id", "user_id"]).await
}

fn session_columns(table: &mut TableCreateStatement) {
    table
        .col(key(id("id")))
        .col(id("tenant_id"))
        .col(id("identity_id"))
        .col(id("app_id"))
        .col(optional(ColumnDef::new("session_key").var_binary(128).to_owned()))
        .col(number("generation"))
        .col(number("mac_key"))
        .col(number("tenant_epoch"))
        .col(number("app_epoch"))
        .col(number("user_epoch"))
        .col(big("opened_at"))
        .col(optional(ColumnDef::new("refreshed_at").big_integer().to_owned()))
        .col(optional(ColumnDef::new("ended_at").big_integer().to_owned()))
        .col(optional(ColumnDef::new("end_reason").string_len(16).to_owned()));
}

/// Fills the table of this name with what `rows` selects, and puts it in the place of the sessions.
async fn replace_session(
    manager: &SchemaManager<'_>,
    table: &'static str,
    columns: &[&'static str],
    rows: SelectStatement,
) -> Result<(), DbErr> {
    let mut fill = Query::insert();
    fill.into_table(table).columns(columns.iter().copied());
    fill.select_from(rows).map_err(|error| DbErr::Migration(error.to_string()))?;
    manager.get_connection().execute(&fill).await?;
    manager.drop_table(Table::drop().table("session").to_owned()).await?;
    manager.rename_table(Table::rename().table(table, "session").to_owned()).await?;
    index(manager, "session", &["tenant_id", "identity_id", "opened_at"]).await
}

/// When a key began to sign, and when it ceased.
fn signing_key_columns() -> [ColumnDef; 2] {
    ["activated_at", "retired_at"].map(|name| optional(ColumnDef::new(name).big_integer().to_owned()))
}

/// What ended, numbered within each tenant by the locked row of its counter. `pruned` is the highest number that is gone.
async fn revocation(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "revocation_counter", |table| {
        table.col(key(id("tenant_id"))).col(big("seq")).col(big("pruned")).foreign_key(&mut reference(
            "revocation_counter",
            &["tenant_id"],
            "tenant",
            &["id"],
        ));
    })
    .await?;
    let tenants = Query::select().column("id").expr(Expr::val(0_i64)).expr(Expr::val(0_i64)).from("tenant").to_owned();
    let mut counters = Query::insert();
    counters.into_table("revocation_counter").columns(["tenant_id", "seq", "pruned"]);
    counters.select_from(tenants).map_err(|error| DbErr::Migration(error.to_string()))?;
    manager.get_connection().execute(&counters).await?;
    create(manager, "revocation", |table| {
        table
            .col(id("tenant_id"))
            .col(big("seq"))
            .col(word("kind"))
            .col(bytes("subject", 64))
            .col(word("effect"))
            .col(big("at"))
            .col(optional(ColumnDef::new("expires_at").big_integer().to_owned()))
            .primary_key(&mut key_of(&["tenant_id", "seq"]))
            .foreign_key(&mut reference("revocation", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    index(manager, "revocation", &["tenant_id", "kind", "subject"]).await?;
    index(manager, "revocation", &["expires_at"]).await
}

/// Downstream services with a secret of their own; during a rotation the one before still counts for a while.
async fn service_client(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "service_client", |table| {
        table
            .col(key(bytes("id", 26)))
            .col(id("tenant_id"))
            .col(text("name", 200))
            .col(bytes("secret_digest", 32))
            .col(optional(ColumnDef::new("previous_digest").var_binary(32).to_owned()))
            .col(optional(ColumnDef::new("previous_until").big_integer().to_owned()))
            .col(document("policy"))
            .col(big("created_at"))
            .foreign_key(&mut reference("service_client", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    unique(manager, "service_client", &["tenant_id", "name"]).await
}

/// Names of services, each owned by one tenant; and what a proxy may ask of a token, by name.
async fn audience(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "audience", |table| {
        table.col(key(bytes("name", 200))).col(id("tenant_id")).col(big("created_at")).foreign_key(&mut reference(
            "audience",
            &["tenant_id"],
            "tenant",
            &["id"],
        ));
    })
    .await?;
    index(manager, "audience", &["tenant_id"]).await?;
    create(manager, "forward_auth_policy", |table| {
        table
            .col(key(bytes("name", 64)))
            .col(id("tenant_id"))
            .col(bytes("audience", 200))
            .col(document("scopes"))
            .col(big("created_at"))
            .foreign_key(&mut reference("forward_auth_policy", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    index(manager, "forward_auth_policy", &["tenant_id"]).await
}
