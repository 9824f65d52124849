//! By what a push is known again, and which body came with it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "push_mark")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: Uuid,
    /// Of an app or of a third-party platform.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) app_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) mark: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) until: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
