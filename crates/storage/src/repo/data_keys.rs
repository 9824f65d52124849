//! A tenant's data keys: which there are, what they are needed for, and how another one takes over.

use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, Set};
use wxgate_crypto::{KeyId, Sealed};
use wxgate_domain::{DataKeyPurpose, Job, Task, TenantId, TenantStatus, Timestamp};

use super::{master_keys, tenants, unsigned};
use crate::changes::ChangeKind;
use crate::entity::data_key;
use crate::error::StorageError;
use crate::keys;
use crate::scope::{delete_of_tenant, of_tenant};
use crate::sql::{bytes, get, id, number, statement};
use crate::storage::{Core, Storage};
use crate::tx::{self, Tx};

/// How long a node may use keys that it has read before it reads them again, and then a transaction that is under way.
pub(crate) const UNHEARD: Duration = Duration::from_mins(2);

/// A column whose values a tenant's seal keys seal, and the column that names the row in the seal.
pub(crate) struct SealedColumn {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) row: &'static str,
}

impl SealedColumn {
    /// Whether one of our ids names the row; other names are bytes.
    pub(crate) fn is_by_id(&self) -> bool {
        matches!(self.row, "id" | "app_id")
    }
}

/// All of them.
pub(crate) const SEALED: [SealedColumn; 28] = [
    SealedColumn { table: "app", column: "secret", row: "id" },
    SealedColumn { table: "app", column: "previous_secret", row: "id" },
    SealedColumn { table: "platform", column: "secret", row: "id" },
    SealedColumn { table: "platform", column: "push_token", row: "id" },
    SealedColumn { table: "platform", column: "previous_push_token", row: "id" },
    SealedColumn { table: "platform", column: "aes_key", row: "id" },
    SealedColumn { table: "platform", column: "previous_aes_key", row: "id" },
    SealedColumn { table: "platform", column: "ticket", row: "id" },
    SealedColumn { table: "platform", column: "access_token", row: "id" },
    SealedColumn { table: "platform_app", column: "code", row: "id" },
    SealedColumn { table: "platform_app", column: "refresh_token", row: "id" },
    SealedColumn { table: "platform_app", column: "access_token", row: "id" },
    SealedColumn { table: "app", column: "api_security", row: "id" },
    SealedColumn { table: "app", column: "previous_api_security", row: "id" },
    SealedColumn { table: "access_token", column: "sealed", row: "app_id" },
    SealedColumn { table: "signing_key", column: "private", row: "kid" },
    SealedColumn { table: "push_setting", column: "token", row: "id" },
    SealedColumn { table: "push_setting", column: "previous_token", row: "id" },
    SealedColumn { table: "push_setting", column: "aes_key", row: "id" },
    SealedColumn { table: "push_setting", column: "previous_aes_key", row: "id" },
    SealedColumn { table: "session", column: "session_key", row: "id" },
    SealedColumn { table: "superseded_key", column: "session_key", row: "id" },
    SealedColumn { table: "phone", column: "number", row: "id" },
    SealedColumn { table: "phone_code", column: "number", row: "id" },
    SealedColumn { table: "merge", column: "moved", row: "id" },
    SealedColumn { table: "webhook", column: "secret", row: "id" },
    SealedColumn { table: "webhook", column: "previous_secret", row: "id" },
    SealedColumn { table: "outbox", column: "payload", row: "id" },
];

/// A data key, without itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDataKey {
    /// Its number, unique within the tenant.
    pub number: u32,
    /// What it is for.
    pub purpose: DataKeyPurpose,
    /// Whether it is the newest of its purpose, which makes what is new.
    pub newest: bool,
    /// The master key that seals it.
    pub master_key: KeyId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The data keys of one tenant.
#[derive(Clone, Debug)]
pub struct TenantDataKeys {
    storage: Storage,
    tenant: TenantId,
}

impl TenantDataKeys {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// All of them, by number.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self) -> Result<Vec<StoredDataKey>, StorageError> {
        self.storage.core.read(|db| async move { list(&db, self.tenant).await }).await
    }
}

async fn list<C: ConnectionTrait>(db: &C, tenant: TenantId) -> Result<Vec<StoredDataKey>, StorageError> {
    let rows = of_tenant::<data_key::Entity>(tenant).order_by_asc(data_key::Column::Number).all(db).await?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        let purpose = row.purpose.parse().map_err(|_| StorageError::inconsistent("data_key", "purpose"))?;
        keys.push(StoredDataKey {
            number: unsigned(row.number, "data_key", "number")?,
            purpose,
            newest: true,
            master_key: Sealed::parse(row.sealed)?.key_id(),
            created_at: Timestamp::from_millis(row.created_at),
        });
    }
    let newest: Vec<_> = DataKeyPurpose::ALL
        .iter()
        .filter_map(|of| keys.iter().rfind(|key| key.purpose == *of))
        .map(|key| key.number)
        .collect();
    for key in &mut keys {
        key.newest = newest.contains(&key.number);
    }
    Ok(keys)
}

/// Writes about the data keys of one tenant, whose row stays locked until the transaction ends.
#[derive(Clone, Copy, Debug)]
pub struct TxDataKeys<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxDataKeys<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Makes a new key for a purpose, which is used for what is new from now on. A job seals anew what older keys
    /// sealed, or digests anew the phone numbers that they digested.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is no such tenant, or it is being deleted.
    pub async fn rotate(&self, purpose: DataKeyPurpose) -> Result<(StoredDataKey, Option<Job>), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        lock(tx, self.tenant).await?;
        let last = list(tx, self.tenant).await?.last().map_or(0, |key| key.number);
        let number = last.saturating_add(1);
        let master = master_keys::sealing(tx, core).await?;
        let place = ("data_key", self.tenant.uuid(), number);
        let sealed = keys::seal_new(&master, place, &core.random.secret(), &core.random);
        let created_at = core.clock.now();
        let row = data_key::ActiveModel {
            tenant_id: Set(self.tenant.uuid()),
            number: Set(number.cast_signed()),
            purpose: Set(purpose.as_str().to_owned()),
            sealed: Set(sealed.into_bytes()),
            created_at: Set(created_at.millis()),
        };
        data_key::Entity::insert(row).exec_without_returning(tx).await?;
        self.tx.record(ChangeKind::DataKey, self.tenant, None).await?;
        let job = match purpose {
            DataKeyPurpose::Seal => Some(self.tx.jobs().add(Some(self.tenant), Task::Reseal {}).await?),
            DataKeyPurpose::Digest => Some(self.tx.jobs().add(Some(self.tenant), Task::Redigest {}).await?),
            DataKeyPurpose::RefreshMac | DataKeyPurpose::Audit => None,
        };
        Ok((StoredDataKey { number, purpose, newest: true, master_key: master.id(), created_at }, job))
    }

    /// Removes a key, if `may` allows it: it is told the key and how many rows need it.
    ///
    /// # Errors
    /// What `may` fails with; [`StorageError::NotFound`] if the tenant has no such key.
    pub async fn remove<E: From<StorageError>>(
        &self,
        number: u32,
        may: impl FnOnce(&StoredDataKey, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let tx = &self.tx.tx;
        lock(tx, self.tenant).await?;
        let key = list(tx, self.tenant).await?.into_iter().find(|key| key.number == number);
        let key = key.ok_or(StorageError::NotFound)?;
        may(&key, uses(tx, self.tenant, &key).await?)?;
        delete(tx, self.tenant, number).await?;
        Ok(self.tx.record(ChangeKind::DataKey, self.tenant, None).await?)
    }
}

async fn lock(tx: &DatabaseTransaction, tenant: TenantId) -> Result<(), StorageError> {
    let tenant = tenants::locked(tx, tenant).await?;
    if tenant.status == TenantStatus::Deleting.as_str() { Err(StorageError::NotFound) } else { Ok(()) }
}

async fn delete(tx: &DatabaseTransaction, tenant: TenantId, number: u32) -> Result<(), StorageError> {
    let delete = delete_of_tenant::<data_key::Entity>(tenant).filter(data_key::Column::Number.eq(number.cast_signed()));
    delete.exec(tx).await?;
    Ok(())
}

/// How many rows need a key: what it sealed, live sessions whose refresh tokens it made, tombstones, phone numbers and
/// messages about an openid, audit entries.
async fn uses<C: ConnectionTrait>(db: &C, tenant: TenantId, key: &StoredDataKey) -> Result<u64, StorageError> {
    let named: &[&str] = match key.purpose {
        DataKeyPurpose::Seal => {
            let mut uses = 0;
            for of in &SEALED {
                uses += sealed_by(db, tenant, of, "=", key.number).await?;
            }
            return Ok(uses);
        }
        DataKeyPurpose::Digest => &[
            "tombstone WHERE digest_key = ?",
            "phone WHERE digest_key = ?",
            "outbox WHERE payload IS NOT NULL AND subject_key = ?",
        ],
        DataKeyPurpose::RefreshMac => &["session WHERE ended_at IS NULL AND mac_key = ?"],
        DataKeyPurpose::Audit => &["audit_entry WHERE mac_key = ?"],
    };
    let mut uses = 0;
    for rows in named {
        let text = format!("SELECT COUNT(*) FROM {rows} AND tenant_id = ?");
        uses += count(db, &text, vec![number(key.number), id(tenant.uuid())]).await?;
    }
    Ok(uses)
}

/// How many values of a column this key sealed (`=`), or other ones did (`<>`).
pub(crate) async fn sealed_by<C: ConnectionTrait>(
    db: &C,
    tenant: TenantId,
    of: &SealedColumn,
    compared: &str,
    key: u32,
) -> Result<u64, StorageError> {
    let SealedColumn { table, column, .. } = of;
    let text = format!(
        "SELECT COUNT(*) FROM {table} WHERE tenant_id = ? AND {column} IS NOT NULL AND SUBSTR({column}, 2, 8) {compared} ?"
    );
    count(db, &text, vec![id(tenant.uuid()), bytes(KeyId::from(key).as_bytes())]).await
}

async fn count<C: ConnectionTrait>(db: &C, text: &str, values: Vec<sea_orm::Value>) -> Result<u64, StorageError> {
    let row = db.query_one_raw(statement(db.get_database_backend(), text, values)).await?;
    let count: Option<i64> = row.map(|row| get(&row, 0)).transpose()?;
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

/// The number of a tenant's newest key of a purpose, and when it was made.
pub(crate) async fn newest(
    core: &Core,
    tenant: TenantId,
    purpose: DataKeyPurpose,
) -> Result<(u32, Timestamp), StorageError> {
    let keys = list(&core.writer, tenant).await?;
    let newest = keys.into_iter().find(|key| key.purpose == purpose && key.newest);
    newest.map(|key| (key.number, key.created_at)).ok_or(StorageError::NotFound)
}

/// Removes the older keys of a purpose that nothing needs; `also` has the last word on each.
pub(crate) async fn forget_unneeded(
    core: &Core,
    tenant: TenantId,
    purpose: DataKeyPurpose,
    also: impl Fn(u32, bool) -> bool,
) -> Result<(), StorageError> {
    let tx = tx::begin(core).await?;
    lock(&tx, tenant).await?;
    let mut gone = false;
    for key in list(&tx, tenant).await?.into_iter().filter(|key| key.purpose == purpose && !key.newest) {
        let needed = uses(&tx, tenant, &key).await? > 0;
        if also(key.number, needed) && !needed {
            delete(&tx, tenant, key.number).await?;
            gone = true;
        }
    }
    if gone {
        crate::changes::record(&tx, ChangeKind::DataKey, tenant, None, core.clock.now()).await?;
    }
    tx.commit().await?;
    core.news.notify_one();
    Ok(())
}

/// Removes the keys of refresh tokens that no live session has named for a while: the token before the present one may
/// still be presented, and a node may not have heard of the newest key.
pub(crate) async fn forget_old_macs(core: &Core) -> Result<(), StorageError> {
    let now = core.clock.now();
    let text = "SELECT tenant_id FROM data_key WHERE purpose = 'refresh_mac' GROUP BY tenant_id HAVING COUNT(*) > 1";
    let rows = core.read(|db| {
        let several = statement(db.get_database_backend(), text, Vec::new());
        async move { db.query_all_raw(several).await }
    });
    for row in rows.await? {
        let tenant = TenantId::from(get::<uuid::Uuid>(&row, 0)?);
        let long_unneeded = |number, needed| core.unneeded.is_over(tenant, number, needed, now, UNHEARD);
        match forget_unneeded(core, tenant, DataKeyPurpose::RefreshMac, long_unneeded).await {
            Ok(()) | Err(StorageError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Since when keys were not needed, as this process has seen it.
#[derive(Default)]
pub(crate) struct Unneeded(std::sync::Mutex<std::collections::HashMap<(TenantId, u32), Timestamp>>);

impl Unneeded {
    /// Notes whether a key is needed now; whether it was not for so long.
    fn is_over(&self, tenant: TenantId, number: u32, needed: bool, now: Timestamp, long: Duration) -> bool {
        let mut since = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if needed {
            since.remove(&(tenant, number));
            return false;
        }
        let first = *since.entry((tenant, number)).or_insert(now);
        let over = now.since(first) >= long;
        if over {
            since.remove(&(tenant, number));
        }
        over
    }
}
