//! The simulator as its users see it: over HTTP, on a port of its own.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed; the exemption of tests does not reach their helpers"
)]

mod access;
mod business;
mod client_data;
mod code2session;
mod component;
mod conditions;
mod faults;
mod harness;
mod lifecycle;
mod operations;
mod push;
mod steering;
mod tokens;
