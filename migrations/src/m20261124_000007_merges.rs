//! Two users become one: who may be merged with whom, who was, and what moved.

use sea_orm_migration::prelude::*;

use crate::table::{big, bytes, create, id, index, key, key_of, optional, reference, unique, word};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        tokens(manager).await?;
        merges(manager).await?;
        candidates(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["merge_candidate", "merge", "merge_token"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// What a client holds for five minutes, as its digest: that these two may be merged by whoever proves to be both.
async fn tokens(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "merge_token", |table| {
        table
            .col(id("tenant_id"))
            .col(bytes("digest", 32))
            .col(id("user_id"))
            .col(id("other_id"))
            .col(id("session_id"))
            .col(optional(ColumnDef::new("phone_digest").var_binary(32).to_owned()))
            .col(big("expires_at"))
            .primary_key(&mut key_of(&["tenant_id", "digest"]))
            .foreign_key(&mut reference("merge_token", &["tenant_id"], "tenant", &["id"]));
    })
    .await?;
    index(manager, "merge_token", &["tenant_id", "session_id"]).await?;
    index(manager, "merge_token", &["expires_at"]).await
}

/// A user who is gone into another: `gone_id` is an alias of `user_id`, who holds everything now, and who may themself
/// have merged into another since. `moved` is sealed, and empty once the merge can no longer be undone.
async fn merges(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "merge", |table| {
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(id("gone_id"))
            .col(id("user_id"))
            .col(id("into_id"))
            .col(word("cause"))
            .col(big("at"))
            .col(big("undo_until"))
            .col(optional(ColumnDef::new("moved").blob().to_owned()))
            .foreign_key(&mut reference("merge", &["tenant_id", "user_id"], "user", &["tenant_id", "id"]));
    })
    .await?;
    unique(manager, "merge", &["tenant_id", "gone_id"]).await?;
    index(manager, "merge", &["tenant_id", "user_id"]).await?;
    index(manager, "merge", &["undo_until"]).await
}

/// Two users who may be one person, in the order of their ids.
async fn candidates(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(manager, "merge_candidate", |table| {
        let mut other = reference("merge_candidate", &["tenant_id", "other_id"], "user", &["tenant_id", "id"]);
        table
            .col(key(id("id")))
            .col(id("tenant_id"))
            .col(id("user_id"))
            .col(id("other_id"))
            .col(word("cause"))
            .col(word("state"))
            .col(big("created_at"))
            .foreign_key(&mut reference("merge_candidate", &["tenant_id", "user_id"], "user", &["tenant_id", "id"]))
            .foreign_key(other.name("fk_merge_candidate_other"));
    })
    .await?;
    unique(manager, "merge_candidate", &["tenant_id", "user_id", "other_id"]).await?;
    index(manager, "merge_candidate", &["tenant_id", "other_id"]).await
}
