//! Digests by a tenant's newest key the phone numbers that older ones digested, then removes those that nothing else needs:
//! of people who were erased there is nothing to digest anew.
//!
//! Numbers are found by all keys in the meantime. The table is walked by its primary key, all tenants' rows.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use uuid::Uuid;
use wxgate_crypto::Sealed;
use wxgate_domain::{DataKeyPurpose, TenantId, Timestamp};

use super::{Outcome, Piece};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::repo::data_keys;
use crate::repo::phones::{digest, of_text, place};
use crate::sql::{bytes, get, id, number, statement};
use crate::storage::Core;
use crate::tx;

/// Rows that are looked at in one piece.
const ROWS: usize = 500;

/// How long an old key is kept at least: a phone code lives five minutes, and must be known again.
const KEPT: Duration = Duration::from_mins(5);

/// The digesting of one tenant's numbers.
pub(super) struct Redigest {
    tenant: TenantId,
    /// The last row that was looked at; `None` once all were.
    after: Option<Uuid>,
}

/// A number by its row, and the key that digested it.
struct Row {
    id: Uuid,
    number: Vec<u8>,
    key: i32,
}

impl Redigest {
    pub(super) fn of(tenant: TenantId) -> Self {
        Self { tenant, after: Some(Uuid::nil()) }
    }

    pub(super) async fn left(&self, core: &Core) -> Result<u64, StorageError> {
        let (newest, _) = self.newest(core).await?;
        let text = "SELECT COUNT(*) FROM phone WHERE tenant_id = ? AND digest_key IS NOT NULL AND digest_key <> ?";
        let row = core.read(|db| {
            let values = vec![id(self.tenant.uuid()), number(newest)];
            let count = statement(db.get_database_backend(), text, values);
            async move { db.query_one_raw(count).await }
        });
        let count: Option<i64> = row.await?.map(|row| get(&row, 0)).transpose()?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    pub(super) async fn piece(&mut self, core: &Core) -> Result<Piece, StorageError> {
        let Some(after) = self.after else { return self.finish(core).await };
        let (newest, _) = self.newest(core).await?;
        let (rows, last) = self.read(core, after).await?;
        self.after = last;
        let old: Vec<_> = rows.into_iter().filter(|row| row.key != newest.cast_signed()).collect();
        if old.is_empty() {
            return Ok(Piece::more(0));
        }
        let tx = tx::begin(core).await?;
        let keys = TenantKeys::load(&tx, &core.master_keys, self.tenant).await?;
        let mut done = 0;
        for row in &old {
            done += self.redigest(&tx, &keys, row).await?;
        }
        tx.commit().await?;
        Ok(Piece::more(done))
    }

    /// The tenant's numbers among the next rows, and the last of these rows unless they are the table's last.
    async fn read(&self, core: &Core, after: Uuid) -> Result<(Vec<Row>, Option<Uuid>), StorageError> {
        let text = format!("SELECT id, tenant_id, number, digest_key FROM phone WHERE id > ? ORDER BY id LIMIT {ROWS}");
        let rows = core.read(|db| {
            let page = statement(db.get_database_backend(), &text, vec![id(after)]);
            async move { db.query_all_raw(page).await }
        });
        let rows = rows.await?;
        let mut own = Vec::new();
        for row in &rows {
            let key: Option<i32> = get(row, 3)?;
            if let Some(key) = key.filter(|_| get::<Uuid>(row, 1).is_ok_and(|owner| owner == self.tenant.uuid())) {
                own.push(Row { id: get(row, 0)?, number: get(row, 2)?, key });
            }
        }
        let last = rows.last().filter(|_| rows.len() == ROWS).map(|row| get(row, 0)).transpose()?;
        Ok((own, last))
    }

    /// Digests one number, unless it was changed in the meantime.
    async fn redigest(&self, tx: &DatabaseTransaction, keys: &TenantKeys, row: &Row) -> Result<u64, StorageError> {
        let opened = keys.open(&place(self.tenant, &row.id), &Sealed::parse(row.number.clone())?)?;
        let (newest, key) = keys.digests.first().ok_or_else(|| StorageError::inconsistent("data_key", "purpose"))?;
        let digest = digest(key, &of_text(opened.expose(), "phone")?.e164());
        let text = "UPDATE phone SET digest = ?, digest_key = ? WHERE id = ? AND digest_key = ?";
        let values = vec![bytes(digest.as_bytes()), number(*newest), id(row.id), row.key.into()];
        Ok(tx.execute_raw(statement(tx.get_database_backend(), text, values)).await?.rows_affected())
    }

    async fn finish(&mut self, core: &Core) -> Result<Piece, StorageError> {
        if self.left(core).await? > 0 {
            *self = Self::of(self.tenant);
            return Ok(Piece::more(0));
        }
        let (_, since) = self.newest(core).await?;
        let safe = since.plus(KEPT);
        if core.clock.now() < safe {
            return Ok(Piece { done: 0, outcome: Outcome::Later(safe) });
        }
        data_keys::forget_unneeded(core, self.tenant, DataKeyPurpose::Digest, |_, _| true).await?;
        Ok(Piece { done: 0, outcome: Outcome::Done })
    }

    async fn newest(&self, core: &Core) -> Result<(u32, Timestamp), StorageError> {
        data_keys::newest(core, self.tenant, DataKeyPurpose::Digest).await
    }
}
