//! Our HTTP API: routes, wire types, extractors and the one table of error codes.

mod admin;
pub(crate) mod boundary;
pub(crate) mod code;
mod discovery;
mod docs;
mod endpoint;
pub(crate) mod error;
mod extract;
mod forward_auth;
mod health;
mod jwks;
mod links;
mod login;
mod logout;
mod me;
mod merge;
mod metrics;
pub(crate) mod oauth;
mod openapi;
mod refresh;
mod revocations;
pub(crate) mod routes;
pub(crate) mod server;
mod sessions;
mod tutorial;
