//! What a creation answered, for whoever sends the same again.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) owner: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) key_digest: Vec<u8>,
    pub(crate) tenant_id: Option<Uuid>,
    pub(crate) request_digest: Vec<u8>,
    pub(crate) status: i32,
    pub(crate) reply: String,
    pub(crate) at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
