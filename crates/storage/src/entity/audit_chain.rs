//! Where the chain of a tenant's audit entries stands; the installation's own has the nil id.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_chain")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: Uuid,
    pub(crate) seq: i64,
    pub(crate) head: Vec<u8>,
    pub(crate) pruned: i64,
    pub(crate) pruned_mac: Vec<u8>,
    pub(crate) anchor: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
