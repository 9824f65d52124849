//! A tenant's data keys.

use clap::Args;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, DataKeyPurpose, Slug};
use wxgate_storage::StoredDataKey;

use super::jobs::JobReply;
use super::master_keys::Fingerprint;
use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListDataKeys>();
    visitor.visit::<RotateDataKey>();
    visitor.visit::<RemoveDataKey>();
}

/// A data key, without itself.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DataKeyReply {
    /// Its number, unique within its tenant.
    pub(crate) number: u32,
    /// `seal`, `digest`, `refresh_mac` or `audit`.
    #[schema(value_type = String)]
    pub(crate) purpose: DataKeyPurpose,
    /// `active` makes what is new; `old` is there for what it made.
    pub(crate) state: String,
    /// The fingerprint of the master key that seals it.
    #[schema(value_type = String)]
    pub(crate) master_key: Fingerprint,
    /// Seconds since 1970.
    pub(crate) created_at: i64,
}

impl From<StoredDataKey> for DataKeyReply {
    fn from(key: StoredDataKey) -> Self {
        Self {
            number: key.number,
            purpose: key.purpose,
            state: if key.newest { "active" } else { "old" }.to_owned(),
            master_key: Fingerprint(key.master_key),
            created_at: key.created_at.seconds(),
        }
    }
}

/// The data keys of a tenant, by number.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListDataKeys {
    /// The tenant: its slug or id.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// How many at most: 1 to 500, else 100.
    #[arg(skip)]
    #[serde(default)]
    #[schema(value_type = u16, minimum = 1, maximum = 500)]
    pub(crate) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    #[arg(skip)]
    pub(crate) cursor: Option<String>,
}

impl Operation for ListDataKeys {
    type Reply = Page<DataKeyReply>;
    const ROUTE: Route = Route {
        id: "listDataKeys",
        method: Method::Get,
        path: "/data-keys",
        scope: AdminScope::Secrets,
        summary: "List the data keys of a tenant.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant(&self.tenant).await?;
        let keys = admin.data_keys(&tenant).await?.into_iter().map(DataKeyReply::from).collect();
        // As wide as the widest number, so that the order of the names is that of the numbers.
        Ok(Page::of(keys, self.cursor.as_deref(), self.limit, |key: &DataKeyReply| format!("{:010}", key.number)))
    }
}

/// A purpose that is to get a new key, used at once for what is new.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateDataKey {
    /// The tenant: its slug or id.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// What the key is for: seal, digest, refresh_mac or audit.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) purpose: DataKeyPurpose,
}

/// A new data key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RotatedDataKeyReply {
    pub(crate) key: DataKeyReply,
    /// For what is sealed: the job that seals anew what older keys sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) job: Option<JobReply>,
}

impl Operation for RotateDataKey {
    type Reply = RotatedDataKeyReply;
    const ROUTE: Route = Route {
        id: "rotateDataKey",
        method: Method::Post,
        path: "/data-keys/rotate",
        scope: AdminScope::Secrets,
        summary: "Make a new data key for a purpose.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant(&self.tenant).await?;
        let (key, job) = admin.rotate_data_key(&tenant, self.purpose).await?;
        Ok(RotatedDataKeyReply { key: key.into(), job: job.map(JobReply::from) })
    }
}

/// An old data key that is to be removed. Nothing may need it.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveDataKey {
    /// The tenant: its slug or id.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// The key's number.
    #[serde(deserialize_with = "number")]
    pub(crate) number: u32,
}

/// From a number, or from the text of an address.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Number(u32),
        Text(String),
    }
    match Given::deserialize(deserializer)? {
        Given::Number(number) => Ok(number),
        Given::Text(text) => text.parse().map_err(|_| serde::de::Error::custom("must be a number")),
    }
}

impl Operation for RemoveDataKey {
    type Reply = ();
    const ROUTE: Route = Route {
        id: "removeDataKey",
        method: Method::Delete,
        path: "/data-keys/{number}",
        scope: AdminScope::Secrets,
        summary: "Remove an old data key that nothing needs.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant(&self.tenant).await?;
        admin.remove_data_key(&tenant, self.number).await
    }
}
