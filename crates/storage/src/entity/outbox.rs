//! Something that a tenant's services are told of.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) tenant_id: Uuid,
    pub(crate) kind: String,
    pub(crate) user_id: Option<Uuid>,
    pub(crate) other_user_id: Option<Uuid>,
    pub(crate) subject: Option<Vec<u8>>,
    pub(crate) subject_key: Option<i32>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
