//! One file per kind of row: its queries, and the way between rows and the domain.

pub(crate) mod access_tokens;
pub(crate) mod admin_keys;
pub(crate) mod apps;
pub(crate) mod audiences;
pub(crate) mod data_keys;
pub(crate) mod deliveries;
pub(crate) mod events;
pub(crate) mod forward_auth_policies;
pub(crate) mod idempotency;
pub(crate) mod identities;
pub(crate) mod instance;
pub(crate) mod jobs;
pub(crate) mod master_keys;
pub(crate) mod merge_candidates;
pub(crate) mod merge_tokens;
pub(crate) mod merges;
pub(crate) mod nodes;
pub(crate) mod phone_budgets;
pub(crate) mod phone_codes;
pub(crate) mod phones;
pub(crate) mod platforms;
pub(crate) mod push_marks;
pub(crate) mod push_renewal;
pub(crate) mod push_settings;
pub(crate) mod receipts;
pub(crate) mod revocations;
pub(crate) mod service_clients;
pub(crate) mod sessions;
pub(crate) mod signing_keys;
pub(crate) mod tenants;
pub(crate) mod tombstones;
pub(crate) mod union_groups;
pub(crate) mod users;
pub(crate) mod webhooks;
pub(crate) mod wechat_calls;

use std::str::FromStr;

use crate::error::StorageError;

/// A number of ours that the engines keep as a signed one.
pub(crate) fn unsigned(value: i32, table: &'static str, column: &'static str) -> Result<u32, StorageError> {
    u32::try_from(value).map_err(|_| StorageError::inconsistent(table, column))
}

/// An id that is kept as text, if there is one.
pub(crate) fn parsed<T: FromStr>(
    text: Option<String>,
    table: &'static str,
    column: &'static str,
) -> Result<Option<T>, StorageError> {
    text.map(|text| text.parse().map_err(|_| StorageError::inconsistent(table, column))).transpose()
}

/// An id that is kept as bytes.
pub(crate) fn ascii<T: FromStr>(bytes: Vec<u8>, table: &'static str, column: &'static str) -> Result<T, StorageError> {
    let text = String::from_utf8(bytes).map_err(|_| StorageError::inconsistent(table, column))?;
    text.parse().map_err(|_| StorageError::inconsistent(table, column))
}
