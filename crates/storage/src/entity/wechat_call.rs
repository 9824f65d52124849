//! How often an app called an interface of WeChat with one outcome on a day in Beijing, from all nodes.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "wechat_call")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) app_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) day: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) interface: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) outcome: String,
    pub(crate) calls: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
