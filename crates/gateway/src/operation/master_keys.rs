//! Master keys. Operators only.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_crypto::KeyId;
use wxgate_domain::{AdminScope, Timestamp};
use wxgate_storage::{Node, StoredMasterKey};

use super::jobs::JobReply;
use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError, RemovedMasterKey};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListMasterKeys>();
    visitor.visit::<ActivateMasterKey>();
    visitor.visit::<RewrapKeys>();
    visitor.visit::<RemoveMasterKey>();
}

/// The fingerprint of a master key, 16 hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprint(pub(crate) KeyId);

impl std::str::FromStr for Fingerprint {
    type Err = wxgate_crypto::MalformedKeyId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A master key, as the database knows it. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MasterKeyReply {
    /// Its fingerprint.
    #[schema(value_type = String)]
    pub(crate) id: Fingerprint,
    /// `active` seals; `open` only opens.
    pub(crate) state: String,
    /// How many data keys it seals.
    pub(crate) data_keys: u64,
    /// The addresses of the running gateways that have it.
    pub(crate) nodes: Vec<String>,
    /// Those of the gateways that lack it.
    pub(crate) lacking_nodes: Vec<String>,
    pub(crate) first_seen_at: i64,
    /// When it began to seal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) activated_at: Option<i64>,
}

impl MasterKeyReply {
    fn of(key: &StoredMasterKey, nodes: &[Node]) -> Self {
        let addresses = |with: bool| {
            nodes.iter().filter(move |node| node.master_keys.contains(&key.id) == with).map(|node| node.address.clone())
        };
        Self {
            id: Fingerprint(key.id),
            state: if key.active { "active" } else { "open" }.to_owned(),
            data_keys: key.data_keys,
            nodes: addresses(true).collect(),
            lacking_nodes: addresses(false).collect(),
            first_seen_at: key.first_seen_at.seconds(),
            activated_at: key.activated_at.map(Timestamp::seconds),
        }
    }
}

/// The master keys that the database knows of, by fingerprint.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListMasterKeys {
    /// How many at most: 1 to 500, else 100.
    #[serde(default)]
    #[schema(value_type = u16, minimum = 1, maximum = 500)]
    pub(crate) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    pub(crate) cursor: Option<String>,
}

impl Operation for ListMasterKeys {
    type Reply = Page<MasterKeyReply>;
    const ROUTE: Route = Route {
        id: "listMasterKeys",
        method: Method::Get,
        path: "/master-keys",
        scope: AdminScope::Secrets,
        summary: "List the master keys by their fingerprints.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let (mut keys, nodes) = admin.master_keys().await?;
        keys.sort_unstable_by_key(|key| key.id);
        let keys = keys.iter().map(|key| MasterKeyReply::of(key, &nodes)).collect();
        Ok(Page::of(keys, self.cursor.as_deref(), self.limit, |key: &MasterKeyReply| key.id.0.to_string()))
    }
}

/// A master key that is to seal from now on. Every running gateway must have it.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActivateMasterKey {
    /// Its fingerprint.
    #[schema(value_type = String)]
    pub(crate) key: Fingerprint,
}

impl Operation for ActivateMasterKey {
    type Reply = MasterKeyReply;
    const ROUTE: Route = Route {
        id: "activateMasterKey",
        method: Method::Post,
        path: "/master-keys/{key}/activate",
        scope: AdminScope::Secrets,
        summary: "Let a master key seal from now on.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let id = self.key.0;
        admin.activate_master_key(id).await?;
        let (keys, nodes) = admin.master_keys().await?;
        let key = keys.iter().find(|key| key.id == id).ok_or(AdminError::NoMasterKey(id))?;
        Ok(MasterKeyReply::of(key, &nodes))
    }
}

/// All that other master keys sealed is to be sealed by the active one.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RewrapKeys {}

impl Operation for RewrapKeys {
    type Reply = JobReply;
    const ROUTE: Route = Route {
        id: "rewrapKeys",
        method: Method::Post,
        path: "/master-keys/rewrap",
        scope: AdminScope::Secrets,
        summary: "Have all keys sealed by the active master key.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        Ok(admin.rewrap().await?.into())
    }
}

/// A master key that is to be forgotten. Nothing may need it.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveMasterKey {
    /// Its fingerprint.
    #[schema(value_type = String)]
    pub(crate) key: Fingerprint,
}

/// What is left of a master key that was removed. Backups of before still need it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RemovedMasterKeyReply {
    /// Its fingerprint.
    #[schema(value_type = String)]
    pub(crate) id: Fingerprint,
    /// The files that were removed where this was done.
    pub(crate) removed_files: Vec<String>,
    /// The entry of the configuration there that still names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) configured_in: Option<String>,
    /// The addresses of the running gateways that still have it.
    pub(crate) nodes: Vec<String>,
}

impl Operation for RemoveMasterKey {
    type Reply = RemovedMasterKeyReply;
    const ROUTE: Route = Route {
        id: "removeMasterKey",
        method: Method::Delete,
        path: "/master-keys/{key}",
        scope: AdminScope::Secrets,
        summary: "Forget a master key that nothing needs.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let RemovedMasterKey { files, entry, nodes } = admin.remove_master_key(self.key.0).await?;
        Ok(RemovedMasterKeyReply {
            id: self.key,
            removed_files: files.iter().map(|file| file.display().to_string()).collect(),
            configured_in: entry,
            nodes: nodes.into_iter().map(|node| node.address).collect(),
        })
    }
}
