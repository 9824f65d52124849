//! Tombstones: people who were erased, known again by keyed digests alone. Erasing oneself is no way out of a ban.

use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, Set};
use wxgate_crypto::{Digest, MacKey};
use wxgate_domain::{AppId, OpenId, TenantId, Timestamp, UnionGroupId, UnionId, UserId, UserStatus};

use super::unsigned;
use crate::entity::tombstone;
use crate::error::StorageError;
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};

const LABEL: &str = "tombstone";

/// Most digests in one statement.
const PIECE: usize = 256;

/// What WeChat calls somebody, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Called<'a> {
    InApp(AppId, &'a OpenId),
    InUnionGroup(UnionGroupId, &'a UnionId),
}

impl Called<'_> {
    /// The digest by which a tombstone knows it.
    pub(crate) fn digest(&self, key: &MacKey) -> Digest {
        match self {
            Self::InApp(app, openid) => {
                key.digest(LABEL, &[b"openid", app.uuid().as_bytes(), openid.as_str().as_bytes()])
            }
            Self::InUnionGroup(group, unionid) => {
                key.digest(LABEL, &[b"unionid", group.uuid().as_bytes(), unionid.as_str().as_bytes()])
            }
        }
    }
}

/// A digest, and the number of the key that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) key: u32,
    pub(crate) digest: Digest,
}

/// Whose tombstones these are, how the user stood, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buried {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    pub(crate) status: UserStatus,
    pub(crate) at: Timestamp,
}

/// Puts up tombstones. One of somebody who was blocked stays as it is: whoever is erased after them under the same name
/// does not lift their ban.
pub(crate) async fn put(tx: &DatabaseTransaction, buried: &Buried, marks: &[Mark]) -> Result<(), StorageError> {
    for marks in marks.chunks(PIECE) {
        let digests = || marks.iter().map(|mark| mark.digest.as_bytes().to_vec());
        let there = of_tenant::<tombstone::Entity>(buried.tenant).filter(tombstone::Column::Digest.is_in(digests()));
        let there = there.all(tx).await?;
        let banned: Vec<_> = there.iter().filter(|row| row.blocked != 0).map(|row| row.digest.as_slice()).collect();
        let free: Vec<_> = marks.iter().filter(|mark| !banned.contains(&mark.digest.as_bytes().as_slice())).collect();
        if free.is_empty() {
            continue;
        }
        let replaced = free.iter().map(|mark| mark.digest.as_bytes().to_vec());
        delete_of_tenant::<tombstone::Entity>(buried.tenant)
            .filter(tombstone::Column::Digest.is_in(replaced))
            .exec(tx)
            .await?;
        let rows = free.iter().map(|mark| tombstone::ActiveModel {
            tenant_id: Set(buried.tenant.uuid()),
            digest: Set(mark.digest.as_bytes().to_vec()),
            digest_key: Set(mark.key.cast_signed()),
            user_id: Set(buried.user.uuid()),
            blocked: Set(word(buried.status)),
            at: Set(buried.at.millis()),
        });
        tombstone::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Blocks or unblocks somebody who was erased; their tombstones, none if there are none.
pub(crate) async fn set_status(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    user: UserId,
    status: UserStatus,
) -> Result<Vec<Mark>, StorageError> {
    update_of_tenant::<tombstone::Entity>(tenant)
        .filter(tombstone::Column::UserId.eq(user.uuid()))
        .set(tombstone::ActiveModel { blocked: Set(word(status)), ..Default::default() })
        .exec(tx)
        .await?;
    let rows = of_tenant::<tombstone::Entity>(tenant).filter(tombstone::Column::UserId.eq(user.uuid())).all(tx).await?;
    let mark = |row: tombstone::Model| {
        let digest = Digest::from_slice(&row.digest);
        let digest = digest.ok_or_else(|| StorageError::inconsistent("tombstone", "digest"))?;
        Ok(Mark { key: unsigned(row.digest_key, "tombstone", "digest_key")?, digest })
    };
    rows.into_iter().map(mark).collect()
}

fn word(status: UserStatus) -> i32 {
    i32::from(status == UserStatus::Blocked)
}
