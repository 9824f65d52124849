//! The phone number of a user, sealed. Without a digest it is one that WeChat does not vouch for.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "phone")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) tenant_id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) number: Vec<u8>,
    pub(crate) digest: Option<Vec<u8>>,
    pub(crate) digest_key: Option<i32>,
    pub(crate) bound_at: i64,
    pub(crate) leaves_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
