//! A third-party platform with its newest ticket and its token, its secrets sealed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "platform")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) tenant_id: Uuid,
    pub(crate) appid: Vec<u8>,
    pub(crate) name: String,
    pub(crate) secret: Vec<u8>,
    pub(crate) push_token: Vec<u8>,
    pub(crate) previous_push_token: Option<Vec<u8>>,
    pub(crate) aes_key: Vec<u8>,
    pub(crate) previous_aes_key: Option<Vec<u8>>,
    pub(crate) ticket: Option<Vec<u8>>,
    pub(crate) ticket_at: Option<i64>,
    pub(crate) access_token: Option<Vec<u8>>,
    pub(crate) token_expires_at: Option<i64>,
    pub(crate) lease_owner: Option<Uuid>,
    pub(crate) lease_until: Option<i64>,
    pub(crate) created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
