//! Black-box stories: the built binary as a process of its own, with a WeChat beside it, over HTTP and the command line.
//!
//! Each test has its own processes, ports and data folder, so they run in any order and beside each other. Nothing
//! sleeps for a while and hopes: what takes time is polled until it is so, with a deadline.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

mod harness;

mod access_tokens;
mod account;
mod admin_apps;
mod admin_listener;
mod api_security;
mod audit;
mod backup;
mod broker;
mod cli;
mod codes;
mod compat;
mod decrypt;
mod decryption;
mod doctor;
mod document;
mod erasure;
mod errors;
mod forward_auth;
mod forward_auth_proxies;
mod idempotency;
mod isolation;
mod key_rotation;
mod leaks;
mod limits;
mod links;
mod login;
mod many_apps;
mod merge;
mod oauth_introspect;
mod oauth_requests;
mod oauth_revoke;
mod oauth_token;
mod phone;
mod platform;
mod push;
mod refresh;
mod restart;
mod revocations;
mod signing_keys;
mod state;
mod tenant_removal;
mod tutorial_client;
mod webhooks;
mod wechat_faults;
