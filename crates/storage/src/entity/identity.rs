//! A user as one mini-program knows them. Logins write these rows without entities, see `open_session`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "identity")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) tenant_id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) openid: Vec<u8>,
    pub(crate) unionid: Option<Vec<u8>>,
    pub(crate) user_id: Uuid,
    pub(crate) created_at: i64,
    /// 1 if the unionid is another one than WeChat told before: it joins nobody.
    pub(crate) unionid_changed: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
