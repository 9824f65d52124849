//! The row about the whole database.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ConnectionTrait, EntityTrait, Set};
use wxgate_crypto::Random;

use crate::changes::{self, ChangeKind};
use crate::entity::{instance, tenant};
use crate::error::StorageError;
use crate::storage::Core;
use crate::tx;

const ID: i16 = 1;

async fn find<C: ConnectionTrait>(db: &C) -> Result<Option<instance::Model>, StorageError> {
    #[expect(clippy::disallowed_methods, reason = "belongs to no tenant")]
    Ok(instance::Entity::find_by_id(ID).one(db).await?)
}

/// What the database is for; at the first start what the configuration says, from then on what stands written.
pub(crate) async fn kind(core: &Core) -> Result<String, StorageError> {
    if let Some(row) = find(&core.reader).await? {
        return Ok(row.kind);
    }
    let row = instance::ActiveModel {
        id: Set(ID),
        kind: Set(core.kind.as_str().to_owned()),
        restore_epoch: Set(0),
        created_at: Set(core.clock.now().millis()),
    };
    let inserted = instance::Entity::insert(row).exec_without_returning(&core.writer).await;
    match inserted.map_err(StorageError::from) {
        // Another node was first: its word counts.
        Ok(_) | Err(StorageError::NotUnique { .. }) => {}
        Err(error) => return Err(error),
    }
    find(&core.writer).await?.map(|row| row.kind).ok_or_else(|| StorageError::inconsistent("instance", "kind"))
}

/// What the database is for, if that stands written.
pub(crate) async fn known_kind(core: &Core) -> Result<Option<String>, StorageError> {
    Ok(find(&core.reader).await?.map(|row| row.kind))
}

/// Which life of this database it is: zero until a backup of it is restored.
pub(crate) async fn restore_epoch<C: ConnectionTrait>(db: &C) -> Result<u32, StorageError> {
    let epoch = find(db).await?.map_or(0, |row| row.restore_epoch);
    super::unsigned(epoch, "instance", "restore_epoch")
}

/// Notes that a backup was restored: every refresh token and every cursor of before is void, and every session is over. Of a
/// database that never served there are none, and its epoch stays zero.
///
/// The new epoch is drawn at random. A count would come back with the backup: restored twice, it would give two lives the
/// same number, and cursors of the first would skip what the second revokes.
pub(crate) async fn restored(core: &Core) -> Result<u32, StorageError> {
    let tx = tx::begin(core).await?;
    let epoch = another_epoch(restore_epoch(&tx).await?, &core.random);
    #[expect(clippy::disallowed_methods, reason = "belongs to no tenant")]
    let raise =
        instance::Entity::update_many().col_expr(instance::Column::RestoreEpoch, Expr::value(epoch.cast_signed()));
    if raise.exec(&tx).await?.rows_affected == 0 {
        return Ok(0);
    }
    #[expect(clippy::disallowed_methods, reason = "of all tenants at once")]
    let sweep = tenant::Entity::update_many()
        .col_expr(tenant::Column::SessionsEpoch, Expr::col(tenant::Column::SessionsEpoch).add(1));
    sweep.exec(&tx).await?;
    let now = core.clock.now();
    for kind in [ChangeKind::Tenant, ChangeKind::DataKey] {
        changes::record_of(&tx, kind, None, None, now).await?;
    }
    tx.commit().await?;
    core.keys.forget_all();
    Ok(epoch)
}

/// Neither this one nor zero; 31 bits, which the column holds.
fn another_epoch(before: u32, random: &Random) -> u32 {
    loop {
        let epoch = u32::from_be_bytes(random.bytes()) >> 1;
        if epoch != 0 && epoch != before {
            return epoch;
        }
    }
}
