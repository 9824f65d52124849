//! The command line: one binary for everything an operator does.

mod admin;
mod admin_key;
mod api_security;
mod app;
mod audience;
mod audit;
mod backup;
mod completions;
mod config;
mod data_key;
mod db;
mod dev;
mod doctor;
mod door;
mod job;
mod master_key;
mod merge;
mod migrate;
mod platform;
mod policy;
mod print;
mod progress;
mod push_files;
mod serve;
mod service_client;
mod signing_key;
mod sim;
mod state;
mod tenant;
mod union_group;
mod user;
mod webhook;

use std::process::ExitCode;
use std::thread::available_parallelism;

use actix_web::rt::System;
use clap::{CommandFactory, Parser, Subcommand};
use tokio::runtime::Builder;

use crate::telemetry;

/// One auth service for all your WeChat mini-programs.
#[derive(Debug, Parser)]
#[command(name = "wxgate", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Example:\n  wxgate dev        a complete trial with a simulated WeChat, nothing to set up")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Dev),
    Serve(serve::Serve),
    Sim(sim::Sim),
    Migrate(migrate::Migrate),
    Config(config::ConfigCommand),
    Completions(completions::Completions),
    Doctor(doctor::Doctor),
    Db(db::DbCommand),
    Backup(backup::BackupCommand),
    Tenant(tenant::TenantCommand),
    App(app::AppCommand),
    Platform(platform::PlatformCommand),
    UnionGroup(union_group::UnionGroupCommand),
    Audience(audience::AudienceCommand),
    Policy(policy::PolicyCommand),
    ServiceClient(service_client::ServiceClientCommand),
    User(user::UserCommand),
    Merge(merge::MergeCommand),
    AdminKey(admin_key::AdminKeyCommand),
    Audit(audit::AuditCommand),
    SigningKey(signing_key::SigningKeyCommand),
    MasterKey(master_key::MasterKeyCommand),
    DataKey(data_key::DataKeyCommand),
    Apply(state::Apply),
    Export(state::Export),
    Job(job::JobCommand),
    Webhook(webhook::WebhookCommand),
}

/// An error for the person at the keyboard.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Threads for what is done beside HTTP, which has a thread on each core: commits and background work. With as many again
/// they would wake each other for nothing.
fn background_threads() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// Runs the command that was asked for.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match Builder::new_multi_thread().worker_threads(background_threads()).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return print::failure(&error),
    };
    // Under a system, a thread that serves HTTP is woken once for all that it waits for, and not for each.
    let system = System::with_tokio_rt(|| runtime);
    // A core dump would hold every secret of the process.
    let _ = rlimit::setrlimit(rlimit::Resource::CORE, 0, 0);
    let outcome = system.block_on(async {
        match cli.command {
            // These say more than whether they failed.
            Command::Audit(command) => return command.run().await,
            Command::Doctor(command) => return Ok(command.run().await),
            Command::Dev(command) => command.run().await,
            Command::Serve(command) => command.run().await,
            Command::Sim(command) => command.run().await,
            Command::Migrate(command) => command.run().await,
            Command::Config(command) => command.run(),
            Command::Completions(command) => command.run(&mut Cli::command()),
            Command::Db(command) => command.run().await,
            Command::Backup(command) => command.run().await,
            Command::Tenant(command) => command.run().await,
            Command::App(command) => command.run().await,
            Command::Platform(command) => command.run().await,
            Command::UnionGroup(command) => command.run().await,
            Command::Audience(command) => command.run().await,
            Command::Policy(command) => command.run().await,
            Command::ServiceClient(command) => command.run().await,
            Command::User(command) => command.run().await,
            Command::Merge(command) => command.run().await,
            Command::AdminKey(command) => command.run().await,
            Command::SigningKey(command) => command.run().await,
            Command::MasterKey(command) => command.run().await,
            Command::DataKey(command) => command.run().await,
            Command::Apply(command) => command.run().await,
            Command::Export(command) => command.run().await,
            Command::Job(command) => command.run().await,
            Command::Webhook(command) => command.run().await,
        }
        .map(|()| ExitCode::SUCCESS)
    });
    telemetry::finish();
    match outcome {
        Ok(status) => status,
        Err(error) => print::failure(error.as_ref()),
    }
}
