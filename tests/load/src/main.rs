//! The load harness: what a login, a refresh and a token that is checked cost, beside the least that they could cost and
//! beside what others need for them.
//!
//! It starts the simulated WeChat, the gateway, the floor (`bin/floor`), the tutorial's Flask server, and a login service
//! and npm `oidc-provider` in Node, each as a process of its own, and sends each its requests in turn, round by round, so
//! that all of them meet the same noise of the machine. `tests/load/run` builds everything and runs it;
//! `docs/performance.md` says how to read it.

mod against;
mod http;
mod load;
mod logins;
mod peers;
mod process;
mod report;
mod rows;
mod scale;
mod servers;
mod simulator;
mod tokens;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use tempfile::TempDir;

use crate::load::{Load, count, median};
use crate::peers::Provider;
use crate::report::{Goal, number};
use crate::rows::{Rows, Servers};
use crate::servers::Gateway;

/// Whatever ends a run early.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Logins before the first round, for each connection.
const WARM_UP: usize = 8;

/// Starts whose middle is told.
const STARTS: usize = 5;

#[derive(Parser)]
#[command(about = "Measure what a login and its tokens cost")]
struct Args {
    /// The gateway's binary, built for release.
    #[arg(long)]
    wxgate: PathBuf,
    /// The gunicorn of an environment with flask/requirements.txt; without it the Flask server is left out.
    #[arg(long)]
    gunicorn: Option<PathBuf>,
    /// The folder `node` with its packages installed; without it the servers in Node are left out.
    #[arg(long)]
    node: Option<PathBuf>,
    /// A folder on a real disk for databases and logs; each run makes its own inside and removes it.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Logins of each kind, all rounds together.
    #[arg(long, default_value_t = 20_000)]
    logins: usize,
    /// Rounds that the logins are spread over.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Connections that are kept busy.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Compare with another build of the gateway, instead of all else. Rounds of a thousand logins, and many of them, tell
    /// a difference of a few hundredths.
    #[arg(long, value_name = "WXGATE", conflicts_with = "scale")]
    against: Option<PathBuf>,
    /// Compare an installation with one tenant and a thousand users with one that has so many of both, instead of all
    /// else.
    #[arg(long)]
    scale: bool,
    /// Tenants of the large installation.
    #[arg(long, default_value_t = 10_000)]
    tenants: usize,
    /// Users of the large installation.
    #[arg(long, default_value_t = 1_000_000)]
    users: usize,
    /// A PostgreSQL server to compare on as well: the URL of a database, beside which others may be made (with `psql`).
    #[arg(long)]
    postgres: Option<String>,
    /// A short run that shows that everything works: 200 logins, one round.
    #[arg(long)]
    smoke: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut args = Args::parse();
    if args.smoke {
        (args.logins, args.rounds, args.tenants, args.users) = (200, 1, 50, 2_000);
    }
    args.rounds = args.rounds.max(1);
    let data = tempfile::Builder::new().prefix("wxgate-load-").tempdir_in(args.data.canonicalize()?)?;
    let result = match &args.against {
        Some(other) => against::measure(&args, other, data.path()).await,
        None if args.scale => scale::measure(&args, data.path()).await,
        None => measure(&args, data.path()).await,
    };
    if result.is_err() {
        keep(data);
    }
    result
}

fn keep(data: TempDir) {
    eprintln!("logs are kept in {}", data.keep().display());
}

async fn measure(args: &Args, data: &Path) -> Result<(), Failure> {
    let simulator = simulator::start(&args.wxgate, data).await?;
    let prepared = Gateway::prepare(&args.wxgate, data, simulator.address).await?;
    let floor = peers::floor(data, simulator.address).await?;
    let gateway = prepared.start().await?;
    let flask = match &args.gunicorn {
        Some(gunicorn) => Some(peers::flask(gunicorn, data, simulator.address).await?),
        None => None,
    };
    let (node, provider) = match &args.node {
        Some(node) => {
            let login = peers::node_login(node, data, simulator.address).await?;
            (Some(login), Some(Provider::start(node, data).await?))
        }
        None => (None, None),
    };
    // After whatever follows a start.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let fresh = gateway.memory()?;

    let load = Load { simulator: &simulator, connections: args.connections, clients: Cell::new(0) };
    let servers = Servers {
        gateway: &gateway,
        backend: &prepared.backend,
        floor: &floor,
        flask: flask.as_ref(),
        node: node.as_ref(),
        provider: provider.as_ref(),
    };
    let each = (args.logins / args.rounds).max(1);
    Rows::new().round(&load, &servers, args.logins..args.logins + WARM_UP * args.connections).await?;
    let mut rows = Rows::new();
    for round in 0..args.rounds {
        rows.round(&load, &servers, round * each..(round + 1) * each).await?;
    }
    let used = gateway.memory()?;
    gateway.stop().await?;

    let mut starts = Vec::with_capacity(STARTS);
    let mut idle = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let gateway = prepared.start().await?;
        starts.push(gateway.started_in.as_secs_f64() * 1e3);
        idle.push(mebibytes(gateway.memory()?));
        gateway.stop().await?;
    }
    let provider = provider.map(|provider| provider.server);
    for server in flask.into_iter().chain(node).chain(provider).chain([floor, simulator]) {
        server.stop().await?;
    }

    let cores = available_parallelism()?;
    println!("\n{} round(s) of {each} logins, {} connections, {cores} cores for all", args.rounds, args.connections);
    println!("Each value is the middle one of the rounds. CPU: user and system time of the server for each request.");
    // A short run is too little to judge by.
    let goal = |goal: Goal| (!args.smoke).then_some(goal);
    rows.print(goal);
    number("gateway: memory after start (VmRSS)", mebibytes(fresh), "MiB", goal(Goal::AtMost(30.0)));
    number("gateway: memory after start on the database of this run", median(idle), "MiB", goal(Goal::AtMost(30.0)));
    number("gateway: memory after the run", mebibytes(used), "MiB", None);
    number("gateway: start to ready on the database of this run", median(starts), "ms", goal(Goal::AtMost(300.0)));
    Ok(())
}

fn mebibytes(bytes: u64) -> f64 {
    count(usize::try_from(bytes >> 10).unwrap_or(usize::MAX)) / 1_024.0
}
