//! What an app has in common with WeChat for its pushes. The id is the app's.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "push_setting")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) tenant_id: Uuid,
    pub(crate) mode: String,
    pub(crate) token: Vec<u8>,
    pub(crate) aes_key: Vec<u8>,
    pub(crate) previous_token: Option<Vec<u8>>,
    pub(crate) previous_aes_key: Option<Vec<u8>>,
    pub(crate) changed_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
