//! Master keys, by their fingerprints: which are known, and which one seals. The keys themselves are never here.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use wxgate_crypto::{KeyId, MasterKey};
use wxgate_domain::{Slug, Timestamp};

use super::ascii;
use super::nodes::{self, Node};
use crate::entity::master_key;
use crate::error::StorageError;
use crate::sql::{bytes, get, statement};
use crate::storage::{Core, Storage};
use crate::tx::{self, Tx};

/// The state of the key that seals.
const ACTIVE: &str = "active";
/// The state of the others, which only open.
const OPEN: &str = "open";

/// A master key that the database knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMasterKey {
    /// Its fingerprint.
    pub id: KeyId,
    /// Whether it is the one that seals.
    pub active: bool,
    /// When the database first heard of it.
    pub first_seen_at: Timestamp,
    /// When it began to seal.
    pub activated_at: Option<Timestamp>,
    /// How many data keys it seals.
    pub data_keys: u64,
}

/// What a master key is needed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterKeyUse {
    /// Whether it is the one that seals.
    pub active: bool,
    /// How many data keys of tenants it seals.
    pub data_keys: u64,
    /// Of how many tenants.
    pub tenants: u64,
    /// One of them.
    pub example: Option<Slug>,
    /// How many keys of the installation it seals.
    pub instance_keys: u64,
}

/// The master keys that the database knows of.
#[derive(Clone, Debug)]
pub struct MasterKeys(Storage);

impl MasterKeys {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// All of them, the oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self) -> Result<Vec<StoredMasterKey>, StorageError> {
        let core = &self.0.core;
        #[expect(clippy::disallowed_methods, reason = "belongs to no tenant")]
        let query = || master_key::Entity::find().order_by_asc(master_key::Column::FirstSeenAt);
        let rows = core.read(|db| async move { query().all(&db).await }).await?;
        let text = "SELECT SUBSTR(sealed, 2, 8), COUNT(*) FROM \
            (SELECT sealed FROM data_key UNION ALL SELECT sealed FROM instance_key) AS k GROUP BY SUBSTR(sealed, 2, 8)";
        let counts = core.read(|db| {
            let counts = statement(db.get_database_backend(), text, Vec::new());
            async move { db.query_all_raw(counts).await }
        });
        let mut seals = Vec::new();
        for row in counts.await? {
            seals.push((id_of(get(&row, 0)?)?, u64::try_from(get::<i64>(&row, 1)?).unwrap_or(0)));
        }
        let key = |row: master_key::Model| {
            let id = id_of(row.id)?;
            let data_keys = seals.iter().find(|(sealing, _)| *sealing == id).map_or(0, |(_, count)| *count);
            Ok(StoredMasterKey {
                id,
                active: row.state == ACTIVE,
                first_seen_at: Timestamp::from_millis(row.first_seen_at),
                activated_at: row.activated_at.map(Timestamp::from_millis),
                data_keys,
            })
        };
        rows.into_iter().map(key).collect()
    }

    /// Writes down keys that are at hand somewhere, if they are not known yet.
    ///
    /// # Errors
    /// The database fails.
    pub async fn saw(&self, ids: &[KeyId]) -> Result<(), StorageError> {
        saw(&self.0.core, ids).await
    }
}

fn id_of(bytes: Vec<u8>) -> Result<KeyId, StorageError> {
    let id: Result<[u8; 8], _> = bytes.try_into();
    id.map(KeyId::from).map_err(|_| StorageError::inconsistent("master_key", "id"))
}

/// Writes down the master keys that are not known yet.
pub(crate) async fn saw(core: &Core, ids: &[KeyId]) -> Result<(), StorageError> {
    for id in ids {
        #[expect(clippy::disallowed_methods, reason = "belongs to no tenant")]
        let known = master_key::Entity::find_by_id(id.as_bytes().to_vec()).one(&core.reader).await?;
        if known.is_some() {
            continue;
        }
        let row = master_key::ActiveModel {
            id: Set(id.as_bytes().to_vec()),
            first_seen_at: Set(core.clock.now().millis()),
            state: Set(OPEN.to_owned()),
            activated_at: Set(None),
        };
        let inserted = master_key::Entity::insert(row).exec_without_returning(&core.writer).await;
        match inserted.map_err(StorageError::from) {
            Ok(_) | Err(StorageError::NotUnique { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The key that seals. In a database where none does yet, it is from now on the one that the configuration names.
pub(crate) async fn active(core: &Core) -> Result<KeyId, StorageError> {
    if let Some(active) = find_active(&core.reader).await? {
        return Ok(active);
    }
    let tx = tx::begin(core).await?;
    // Nodes that are first at the same time queue here: their keys are written down already.
    #[expect(clippy::disallowed_methods, reason = "belongs to no tenant")]
    let all = master_key::Entity::find().order_by_asc(master_key::Column::Id).lock_exclusive();
    all.all(&tx).await?;
    if let Some(active) = find_active(&tx).await? {
        return Ok(active);
    }
    let first = core.master_keys.first().id();
    activate(&tx, first, core.clock.now()).await?;
    tx.commit().await?;
    Ok(first)
}

async fn find_active<C: ConnectionTrait>(db: &C) -> Result<Option<KeyId>, StorageError> {
    #[expect(clippy::disallowed_methods, reason = "belongs to no tenant")]
    let active = master_key::Entity::find().filter(master_key::Column::State.eq(ACTIVE)).one(db).await?;
    active.map(|row| id_of(row.id)).transpose()
}

async fn activate<C: ConnectionTrait>(tx: &C, id: KeyId, now: Timestamp) -> Result<(), StorageError> {
    #[expect(clippy::disallowed_methods, reason = "belongs to no tenant")]
    let update = master_key::Entity::update_many;
    let others = master_key::ActiveModel { state: Set(OPEN.to_owned()), ..Default::default() };
    update().filter(master_key::Column::State.eq(ACTIVE)).set(others).exec(tx).await?;
    let this = master_key::ActiveModel {
        state: Set(ACTIVE.to_owned()),
        activated_at: Set(Some(now.millis())),
        ..Default::default()
    };
    let active = update().filter(master_key::Column::Id.eq(id.as_bytes().to_vec())).set(this).exec(tx).await?;
    if active.rows_affected == 0 { Err(StorageError::NotFound) } else { Ok(()) }
}

/// The key to seal with in a transaction. The database names it, and it stays the one until the commit: so nobody seals by
/// a key that is being removed because they have not heard of it yet.
pub(crate) async fn sealing<C: ConnectionTrait>(tx: &C, core: &Core) -> Result<MasterKey, StorageError> {
    #[expect(clippy::disallowed_methods, reason = "belongs to no tenant")]
    let active = master_key::Entity::find().filter(master_key::Column::State.eq(ACTIVE)).lock_shared().one(tx).await?;
    match active {
        Some(row) => Ok(core.master_keys.get(id_of(row.id)?)?),
        // Before the first start.
        None => Ok(core.master_keys.first().clone()),
    }
}

/// Writes about master keys. All their rows stay locked until the transaction ends.
#[derive(Clone, Copy, Debug)]
pub struct TxMasterKeys<'a>(&'a Tx);

impl<'a> TxMasterKeys<'a> {
    pub(crate) fn new(tx: &'a Tx) -> Self {
        Self(tx)
    }

    /// Lets a key seal from now on, if `may` allows it: it is told the nodes that are live. What other keys sealed stays
    /// under them.
    ///
    /// # Errors
    /// What `may` fails with; [`StorageError::NotFound`] if the database does not know the key.
    pub async fn activate<E: From<StorageError>>(
        &self,
        id: KeyId,
        may: impl FnOnce(&[Node]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Tx { core, tx, .. } = self.0;
        self.locked(id).await?;
        may(&nodes::live(tx, core).await?)?;
        Ok(activate(tx, id, core.clock.now()).await?)
    }

    /// Forgets a key, if `may` allows it: it is told what the key is needed for.
    ///
    /// # Errors
    /// What `may` fails with; [`StorageError::NotFound`] if the database does not know the key.
    pub async fn remove<E: From<StorageError>>(
        &self,
        id: KeyId,
        may: impl FnOnce(&MasterKeyUse) -> Result<(), E>,
    ) -> Result<(), E> {
        let active = self.locked(id).await?;
        may(&self.needed(id, active).await?)?;
        #[expect(clippy::disallowed_methods, reason = "belongs to no tenant")]
        let removal = master_key::Entity::delete_by_id(id.as_bytes().to_vec());
        removal.exec(&self.0.tx).await.map_err(StorageError::from)?;
        Ok(())
    }

    /// Locks all keys; whether this one seals.
    async fn locked(&self, id: KeyId) -> Result<bool, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "belongs to no tenant")]
        let all = master_key::Entity::find().order_by_asc(master_key::Column::Id).lock_exclusive();
        let rows = all.all(&self.0.tx).await?;
        let row = rows.into_iter().find(|row| row.id == id.as_bytes()).ok_or(StorageError::NotFound)?;
        Ok(row.state == ACTIVE)
    }

    async fn needed(&self, id: KeyId, active: bool) -> Result<MasterKeyUse, StorageError> {
        let tx = &self.0.tx;
        let ask = |text: &str| {
            let ask = statement(tx.get_database_backend(), text, vec![bytes(id.as_bytes())]);
            async move { tx.query_one_raw(ask).await }
        };
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let of_tenants =
            ask("SELECT COUNT(*), COUNT(DISTINCT tenant_id) FROM data_key WHERE SUBSTR(sealed, 2, 8) = ?").await?;
        let of_instance = ask("SELECT COUNT(*) FROM instance_key WHERE SUBSTR(sealed, 2, 8) = ?").await?;
        let example = ask("SELECT t.slug FROM data_key d JOIN tenant t ON t.id = d.tenant_id \
            WHERE SUBSTR(d.sealed, 2, 8) = ? ORDER BY t.slug LIMIT 1")
        .await?;
        let (data_keys, tenants) = match of_tenants {
            Some(row) => (count(get(&row, 0)?), count(get(&row, 1)?)),
            None => (0, 0),
        };
        Ok(MasterKeyUse {
            active,
            data_keys,
            tenants,
            example: example.map(|row| ascii(get(&row, 0)?, "tenant", "slug")).transpose()?,
            instance_keys: of_instance.map(|row| get(&row, 0)).transpose()?.map_or(0, count),
        })
    }
}
