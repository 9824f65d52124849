//! Nodes: the processes that serve. Each says every few seconds that it is there and which master keys it has.

use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use wxgate_crypto::KeyId;
use wxgate_domain::{NodeId, Timestamp};

use crate::entity::node;
use crate::error::StorageError;
use crate::sql;
use crate::storage::{Core, Storage};

/// How long a node counts as live without a word of it.
const LIVE: Duration = Duration::from_secs(30);
/// How long a node that is silent is remembered.
const REMEMBERED: Duration = Duration::from_hours(1);
/// Most nodes that are read.
const MOST: u64 = 1_000;

/// A process that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id, another one at each start.
    pub id: NodeId,
    /// The version of its program.
    pub version: String,
    /// Where it listens, for people.
    pub address: String,
    /// The master keys that it has at hand.
    pub master_keys: Vec<KeyId>,
    /// When it began to serve.
    pub started_at: Timestamp,
}

/// The processes that serve.
#[derive(Clone, Debug)]
pub struct Nodes(Storage);

impl Nodes {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// Says that a node is there. The time is the database's.
    ///
    /// # Errors
    /// The database fails.
    pub async fn seen(&self, node: &Node) -> Result<(), StorageError> {
        let core = &self.0.core;
        let now = sql::now(&core.writer, &core.clock).await?;
        let keys: Vec<String> = node.master_keys.iter().map(ToString::to_string).collect();
        let keys = serde_json::to_string(&keys).map_err(|_| StorageError::inconsistent("node", "master_keys"))?;
        let row = node::ActiveModel {
            id: Set(node.id.uuid()),
            version: Set(node.version.clone()),
            address: Set(node.address.clone()),
            master_keys: Set(keys),
            started_at: Set(node.started_at.millis()),
            seen_at: Set(now.millis()),
        };
        #[expect(clippy::disallowed_methods, reason = "a node belongs to no tenant")]
        let update = node::Entity::update_many().filter(node::Column::Id.eq(node.id.uuid()));
        if update.set(row.clone()).exec(&core.writer).await?.rows_affected == 0 {
            node::Entity::insert(row).exec_without_returning(&core.writer).await?;
        }
        Ok(())
    }

    /// The nodes that said within half a minute that they are there, by their ids.
    ///
    /// # Errors
    /// The database fails.
    pub async fn live(&self) -> Result<Vec<Node>, StorageError> {
        live(&self.0.core.writer, &self.0.core).await
    }

    /// Forgets a node that serves no more.
    ///
    /// # Errors
    /// The database fails.
    pub async fn left(&self, id: NodeId) -> Result<(), StorageError> {
        #[expect(clippy::disallowed_methods, reason = "a node belongs to no tenant")]
        let left = node::Entity::delete_by_id(id.uuid());
        left.exec(&self.0.core.writer).await?;
        Ok(())
    }
}

/// The nodes that are there, as a transaction sees them.
pub(crate) async fn live<C: ConnectionTrait>(db: &C, core: &Core) -> Result<Vec<Node>, StorageError> {
    let since = sql::now(db, &core.clock).await?.minus(LIVE);
    #[expect(clippy::disallowed_methods, reason = "a node belongs to no tenant")]
    let live = node::Entity::find().filter(node::Column::SeenAt.gte(since.millis()));
    let rows = live.order_by_asc(node::Column::Id).limit(MOST).all(db).await?;
    rows.into_iter().map(of_row).collect()
}

fn of_row(row: node::Model) -> Result<Node, StorageError> {
    let malformed = || StorageError::inconsistent("node", "master_keys");
    let keys: Vec<String> = serde_json::from_str(&row.master_keys).map_err(|_| malformed())?;
    let keys = keys.iter().map(|key| key.parse().map_err(|_| malformed()));
    Ok(Node {
        id: row.id.into(),
        version: row.version,
        address: row.address,
        master_keys: keys.collect::<Result<_, _>>()?,
        started_at: Timestamp::from_millis(row.started_at),
    })
}

/// Forgets nodes of which nothing was heard for long.
pub(crate) async fn purge(core: &Core) -> Result<(), StorageError> {
    let cutoff = sql::now(&core.writer, &core.clock).await?.minus(REMEMBERED);
    #[expect(clippy::disallowed_methods, reason = "a node belongs to no tenant")]
    let silent = node::Entity::delete_many().filter(node::Column::SeenAt.lt(cutoff.millis()));
    silent.exec(&core.writer).await?;
    Ok(())
}
