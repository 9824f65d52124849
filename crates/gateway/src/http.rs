//! Our HTTP API: routes, wire types, extractors and the one table of error codes.

mod admin;
pub(crate) mod boundary;
pub(crate) mod code;
mod decrypt;
mod discovery;
mod docs;
mod endpoint;
mod erasure;
pub(crate) mod error;
mod extract;
mod forward_auth;
mod health;
mod jwks;
mod login;
mod logout;
mod me;
mod metrics;
pub(crate) mod oauth;
mod openapi;
mod phone;
mod push;
mod refresh;
mod revocations;
pub(crate) mod routes;
pub(crate) mod server;
mod sessions;
mod tutorial;
