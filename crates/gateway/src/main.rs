//! wxgate: one auth service for all your WeChat mini-programs.
#![doc = include_str!("../README.md")]

mod app;
mod background;
mod cli;
mod config;
mod http;
mod master_keys;
mod metrics;
mod operation;
mod service;
mod telemetry;

/// Threads free what others allocated, all the time: a login and its batch. This one is made for it, and serves SQLite and
/// aws-lc as well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
