//! Seals under a tenant's newest key what older ones sealed, then removes those.
//!
//! The tables are walked by their primary keys, all tenants' rows, so that no index is needed that every login would write.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, QueryResult, Value};
use uuid::Uuid;
use wxgate_crypto::{KeyId, Place, Sealed};
use wxgate_domain::{DataKeyPurpose, TenantId};

use super::{Outcome, Piece};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::repo::data_keys::{self, SEALED, SealedColumn, UNHEARD};
use crate::sql::{bytes, get, id, statement};
use crate::storage::Core;
use crate::tx;

/// Rows that are looked at in one piece.
const ROWS: usize = 500;

/// The resealing of one tenant.
pub(super) struct Reseal {
    tenant: TenantId,
    /// How many columns are done.
    columns: usize,
    /// The last row of the present column that was looked at.
    after: Option<Key>,
}

/// The primary key of a row.
#[derive(Clone)]
enum Key {
    Id(Uuid),
    Name(Vec<u8>),
}

impl Key {
    fn of(row: &QueryResult, column: &SealedColumn) -> Result<Self, StorageError> {
        if column.is_by_id() { Ok(Self::Id(get(row, 0)?)) } else { Ok(Self::Name(get(row, 0)?)) }
    }

    fn first(column: &SealedColumn) -> Self {
        if column.is_by_id() { Self::Id(Uuid::nil()) } else { Self::Name(Vec::new()) }
    }

    fn value(&self) -> Value {
        match self {
            Self::Id(uuid) => id(*uuid),
            Self::Name(name) => bytes(name),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Id(uuid) => uuid.as_bytes(),
            Self::Name(name) => name,
        }
    }
}

impl Reseal {
    pub(super) fn of(tenant: TenantId) -> Self {
        Self { tenant, columns: 0, after: None }
    }

    pub(super) async fn left(&self, core: &Core) -> Result<u64, StorageError> {
        let (newest, _) = data_keys::newest(core, self.tenant, DataKeyPurpose::Seal).await?;
        let mut left = 0;
        for column in &SEALED {
            left += core
                .read(|db| async move { data_keys::sealed_by(&db, self.tenant, column, "<>", newest).await })
                .await?;
        }
        Ok(left)
    }

    pub(super) async fn piece(&mut self, core: &Core) -> Result<Piece, StorageError> {
        let Some(column) = SEALED.get(self.columns) else { return self.finish(core).await };
        let after = self.after.clone().unwrap_or_else(|| Key::first(column));
        let (rows, last) = read(core, self.tenant, column, &after).await?;
        let done = self.reseal(core, column, rows).await?;
        self.after = last;
        if self.after.is_none() {
            self.columns += 1;
        }
        Ok(Piece::more(done))
    }

    async fn reseal(&self, core: &Core, column: &SealedColumn, rows: Vec<(Key, Vec<u8>)>) -> Result<u64, StorageError> {
        let (newest, _) = data_keys::newest(core, self.tenant, DataKeyPurpose::Seal).await?;
        let mut old = Vec::new();
        for (key, value) in rows {
            if Sealed::parse(value.clone())?.key_id() != KeyId::from(newest) {
                old.push((key, value));
            }
        }
        if old.is_empty() {
            return Ok(0);
        }
        let tx = tx::begin(core).await?;
        let keys = TenantKeys::load(&tx, &core.master_keys, self.tenant).await?;
        let mut done = 0;
        for (key, value) in old {
            let place =
                Place { tenant: self.tenant.uuid(), table: column.table, column: column.column, row: key.bytes() };
            let plain = keys.open(&place, &Sealed::parse(value.clone())?)?;
            let anew = keys.seal.seal(&place, plain.expose(), &core.random);
            done += write(&tx, column, &key, (&value, anew.as_bytes())).await?;
        }
        tx.commit().await?;
        Ok(done)
    }

    /// Old keys go once nothing is under them, and nobody can still seal by them.
    async fn finish(&mut self, core: &Core) -> Result<Piece, StorageError> {
        if self.left(core).await? > 0 {
            *self = Self::of(self.tenant);
            return Ok(Piece::more(0));
        }
        let (_, since) = data_keys::newest(core, self.tenant, DataKeyPurpose::Seal).await?;
        let safe = since.plus(UNHEARD);
        if core.clock.now() < safe {
            return Ok(Piece { done: 0, outcome: Outcome::Later(safe) });
        }
        data_keys::forget_unneeded(core, self.tenant, DataKeyPurpose::Seal, |_, _| true).await?;
        Ok(Piece { done: 0, outcome: Outcome::Done })
    }
}

/// The tenant's values among the next rows, and the last of these rows unless they are the table's last.
async fn read(
    core: &Core,
    tenant: TenantId,
    of: &SealedColumn,
    after: &Key,
) -> Result<(Vec<(Key, Vec<u8>)>, Option<Key>), StorageError> {
    let SealedColumn { table, column, row: name } = of;
    let text = format!("SELECT {name}, tenant_id, {column} FROM {table} WHERE {name} > ? ORDER BY {name} LIMIT {ROWS}");
    let rows = core.read(|db| {
        let page = statement(db.get_database_backend(), &text, vec![after.value()]);
        async move { db.query_all_raw(page).await }
    });
    let rows = rows.await?;
    let mut own = Vec::new();
    for row in &rows {
        let value: Option<Vec<u8>> = get(row, 2)?;
        if let Some(value) = value.filter(|_| get::<Uuid>(row, 1).is_ok_and(|owner| owner == tenant.uuid())) {
            own.push((Key::of(row, of)?, value));
        }
    }
    let last = rows.last().filter(|_| rows.len() == ROWS).map(|row| Key::of(row, of)).transpose()?;
    Ok((own, last))
}

/// Puts a value in the place of the one that was read, if that one is still there.
async fn write(
    tx: &DatabaseTransaction,
    of: &SealedColumn,
    key: &Key,
    (old, new): (&[u8], &[u8]),
) -> Result<u64, StorageError> {
    let SealedColumn { table, column, row } = of;
    let text = format!("UPDATE {table} SET {column} = ? WHERE {row} = ? AND {column} = ?");
    let backend: DbBackend = tx.get_database_backend();
    let update = statement(backend, &text, vec![bytes(new), key.value(), bytes(old)]);
    Ok(tx.execute_raw(update).await?.rows_affected())
}
