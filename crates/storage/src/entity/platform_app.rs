//! An app as a third-party platform knows it, with its tokens sealed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "platform_app")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) tenant_id: Uuid,
    pub(crate) platform_id: Uuid,
    pub(crate) appid: Vec<u8>,
    pub(crate) state: String,
    pub(crate) code: Option<Vec<u8>>,
    pub(crate) request_id: Option<Uuid>,
    pub(crate) refresh_token: Option<Vec<u8>>,
    pub(crate) access_token: Option<Vec<u8>>,
    pub(crate) token_expires_at: Option<i64>,
    pub(crate) lease_owner: Option<Uuid>,
    pub(crate) lease_until: Option<i64>,
    pub(crate) permissions: String,
    pub(crate) event_at: i64,
    pub(crate) authorized_at: Option<i64>,
    pub(crate) changed_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
