//! A user who is gone into another one, and what moved with them.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "merge")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) tenant_id: Uuid,
    pub(crate) gone_id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) into_id: Uuid,
    pub(crate) cause: String,
    pub(crate) at: i64,
    pub(crate) undo_until: i64,
    pub(crate) moved: Option<Vec<u8>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
