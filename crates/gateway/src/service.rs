//! The use cases. No HTTP here: what comes in and goes out are the domain's types.

#[allow(dead_code, reason = "the calls that need a token come next")]
pub(crate) mod access_tokens;
pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod clients;
pub(crate) mod codes;
pub(crate) mod directory;
pub(crate) mod erasure;
pub(crate) mod forward_auth;
pub(crate) mod jobs;
pub(crate) mod limits;
pub(crate) mod login;
pub(crate) mod merge_tokens;
pub(crate) mod oauth;
pub(crate) mod phone;
pub(crate) mod push;
pub(crate) mod refresh;
pub(crate) mod revocations;
pub(crate) mod revoked;
pub(crate) mod signing_keys;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod tokens;
pub(crate) mod user_data;
pub(crate) mod verified;
