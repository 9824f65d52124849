//! Seals under the active master key what another one seals. The keys inside stay what they are, so nobody who uses them
//! notices.

use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult};
use uuid::Uuid;
use wxgate_crypto::{MasterKey, Place, Sealed};

use super::{Outcome, Piece};
use crate::error::StorageError;
use crate::repo::master_keys;
use crate::sql::{bytes, get, id, statement};
use crate::storage::Core;
use crate::tx;

/// Keys in one transaction.
const KEYS: usize = 20;

/// The rewrapping of all keys.
#[derive(Default)]
pub(super) struct Rewrap {
    at: At,
}

/// How far it is.
#[derive(Clone, Copy)]
enum At {
    /// Behind this key of this tenant.
    Tenants(Uuid, i32),
    /// Behind this key of the installation.
    Instance(i32),
    End,
}

impl Default for At {
    fn default() -> Self {
        Self::Tenants(Uuid::nil(), -1)
    }
}

/// A key as it is stored.
struct Row {
    table: &'static str,
    tenant: Uuid,
    number: i32,
    sealed: Vec<u8>,
}

impl Rewrap {
    pub(super) async fn left(&self, core: &Core) -> Result<u64, StorageError> {
        let active = master_keys::active(core).await?;
        let text = "SELECT COUNT(*) FROM (SELECT sealed FROM data_key UNION ALL SELECT sealed FROM instance_key) AS k \
            WHERE SUBSTR(sealed, 2, 8) <> ?";
        let row = core.read(|db| {
            let count = statement(db.get_database_backend(), text, vec![bytes(active.as_bytes())]);
            async move { db.query_one_raw(count).await }
        });
        let count: Option<i64> = row.await?.map(|row| get(&row, 0)).transpose()?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    pub(super) async fn piece(&mut self, core: &Core) -> Result<Piece, StorageError> {
        if matches!(self.at, At::End) {
            return self.look_back(core).await;
        }
        let tx = tx::begin(core).await?;
        let master = master_keys::sealing(&tx, core).await?;
        let rows = self.next(&tx).await?;
        let mut done = 0;
        for row in &rows {
            done += u64::from(rewrap(&tx, core, &master, row).await?);
        }
        tx.commit().await?;
        self.at = match (self.at, rows.last()) {
            (At::Tenants(..), Some(last)) => At::Tenants(last.tenant, last.number),
            (At::Tenants(..), None) => At::Instance(-1),
            (At::Instance(_), Some(last)) => At::Instance(last.number),
            _ => At::End,
        };
        Ok(Piece::more(done))
    }

    /// Whether all is done: a key may have been made, or another master key activated, since the beginning.
    async fn look_back(&mut self, core: &Core) -> Result<Piece, StorageError> {
        if self.left(core).await? > 0 {
            self.at = At::default();
            return Ok(Piece::more(0));
        }
        Ok(Piece { done: 0, outcome: Outcome::Done })
    }

    async fn next(&self, tx: &DatabaseTransaction) -> Result<Vec<Row>, StorageError> {
        let (text, values) = match self.at {
            At::Tenants(tenant, number) => (
                format!(
                    "SELECT tenant_id, number, sealed FROM data_key WHERE tenant_id >= ? AND (tenant_id > ? OR number > ?) \
                     ORDER BY tenant_id, number LIMIT {KEYS}"
                ),
                vec![id(tenant), id(tenant), number.into()],
            ),
            At::Instance(number) => (
                format!("SELECT number, sealed FROM instance_key WHERE number > ? ORDER BY number LIMIT {KEYS}"),
                vec![number.into()],
            ),
            At::End => return Ok(Vec::new()),
        };
        let of_tenant = |row: &QueryResult| {
            Ok(Row { table: "data_key", tenant: get(row, 0)?, number: get(row, 1)?, sealed: get(row, 2)? })
        };
        let of_instance = |row: &QueryResult| {
            Ok(Row { table: "instance_key", tenant: Uuid::nil(), number: get(row, 0)?, sealed: get(row, 1)? })
        };
        let rows = tx.query_all_raw(statement(tx.get_database_backend(), &text, values)).await?;
        match self.at {
            At::Tenants(..) => rows.iter().map(of_tenant).collect(),
            _ => rows.iter().map(of_instance).collect(),
        }
    }
}

/// Seals one key anew, unless it was changed in the meantime; whether it was done.
async fn rewrap(tx: &DatabaseTransaction, core: &Core, master: &MasterKey, row: &Row) -> Result<bool, StorageError> {
    let sealed = Sealed::parse(row.sealed.clone())?;
    if sealed.key_id() == master.id() {
        return Ok(false);
    }
    let number = row.number.to_be_bytes();
    let place = Place { tenant: row.tenant, table: row.table, column: "sealed", row: &number };
    let key = core.master_keys.open(&place, &sealed)?;
    let anew = master.seal(&place, key.expose(), &core.random);
    let (only, mut values) = if row.table == "data_key" {
        ("tenant_id = ? AND number = ? AND sealed = ?", vec![bytes(anew.as_bytes()), id(row.tenant)])
    } else {
        ("number = ? AND sealed = ?", vec![bytes(anew.as_bytes())])
    };
    values.extend([row.number.into(), bytes(&row.sealed)]);
    let text = format!("UPDATE {} SET sealed = ? WHERE {only}", row.table);
    let update = statement(tx.get_database_backend(), &text, values);
    Ok(tx.execute_raw(update).await?.rows_affected() > 0)
}
