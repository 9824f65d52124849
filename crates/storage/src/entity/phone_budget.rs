//! How often WeChat was asked about an openid's phone number on a day of Beijing; the empty openid counts for the whole app.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "phone_budget")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) app_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) openid: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) day: i32,
    /// Phone codes that were exchanged.
    pub(crate) used: i32,
    /// Phone data that was to be confirmed.
    pub(crate) confirmed: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
