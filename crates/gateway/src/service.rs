//! The use cases. No HTTP here: what comes in and goes out are the domain's types.

pub(crate) mod access_tokens;
pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod again;
pub(crate) mod broker;
pub(crate) mod clients;
pub(crate) mod codes;
pub(crate) mod directory;
pub(crate) mod erasure;
pub(crate) mod forward_auth;
pub(crate) mod jobs;
pub(crate) mod limits;
pub(crate) mod links;
pub(crate) mod login;
pub(crate) mod merge;
pub(crate) mod merge_tokens;
pub(crate) mod meters;
pub(crate) mod oauth;
pub(crate) mod phone;
pub(crate) mod platforms;
pub(crate) mod push;
pub(crate) mod refresh;
pub(crate) mod revocations;
pub(crate) mod revoked;
pub(crate) mod session_check;
pub(crate) mod signed_calls;
pub(crate) mod signing_keys;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod tokens;
pub(crate) mod user_data;
pub(crate) mod verified;
pub(crate) mod webhooks;
