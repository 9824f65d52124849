//! An app's access_token of WeChat's, as all nodes share it; and who may fetch the next one.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "access_token")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) app_id: Uuid,
    pub(crate) sealed: Option<Vec<u8>>,
    pub(crate) fetched_at: Option<i64>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) owner: Option<Uuid>,
    pub(crate) lease_until: Option<i64>,
    pub(crate) probed_at: Option<i64>,
    pub(crate) dead: Option<Vec<u8>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
