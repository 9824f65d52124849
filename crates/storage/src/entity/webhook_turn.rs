//! How the deliveries to a webhook go, and who does them now.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_turn")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) webhook_id: Uuid,
    pub(crate) tenant_id: Uuid,
    pub(crate) failures: i32,
    pub(crate) failing_since: Option<i64>,
    pub(crate) paused_until: i64,
    pub(crate) owner: Option<Uuid>,
    pub(crate) lease_until: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
