//! The load harness: what a login costs, beside the least that it could cost and beside the server it replaces.
//!
//! It starts the simulated WeChat, the gateway, the floor (`bin/floor.rs`) and the tutorial's Flask server, each as a
//! process of its own, and sends each the same number of logins in turn, round by round, so that all of them meet the
//! same noise of the machine. `tests/load/run` builds everything and runs it; `docs/performance.md` says how to read it.

mod http;
mod load;
mod process;
mod report;
mod servers;
mod simulator;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use tempfile::TempDir;

use crate::load::{Load, count, median};
use crate::process::Server;
use crate::report::{Goal, Row, number, ratio, table};
use crate::servers::Gateway;
use crate::simulator::User;

/// Whatever ends a run early.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One login of the Flask server for so many of the others: it is slow, one is as costly as the next, and meanwhile the
/// gateway's idle connections to the simulator (which keeps them for five seconds) are not to grow old.
const FLASK_SHARE: usize = 20;

/// Logins before the first round, for each connection.
const WARM_UP: usize = 8;

/// Starts whose middle is told.
const STARTS: usize = 5;

#[derive(Parser)]
#[command(about = "Measure what a login costs")]
struct Args {
    /// The gateway's binary, built for release.
    #[arg(long)]
    wxgate: PathBuf,
    /// The gunicorn of an environment with flask/requirements.txt; without it the Flask server is left out.
    #[arg(long)]
    gunicorn: Option<PathBuf>,
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
    /// A short run that shows that everything works: 200 logins, one round.
    #[arg(long)]
    smoke: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut args = Args::parse();
    if args.smoke {
        (args.logins, args.rounds) = (200, 1);
    }
    args.rounds = args.rounds.max(1);
    let data = tempfile::Builder::new().prefix("wxgate-load-").tempdir_in(args.data.canonicalize()?)?;
    let result = measure(&args, data.path()).await;
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
    let floor = servers::floor(data, simulator.address).await?;
    let gateway = prepared.start().await?;
    let flask = match &args.gunicorn {
        Some(gunicorn) => Some(servers::flask(gunicorn, data, simulator.address).await?),
        None => None,
    };
    // After whatever follows a start.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let fresh = gateway.memory()?;

    let load = Load { simulator: &simulator, connections: args.connections, clients: Cell::new(0) };
    let mut rows = Rows::new();
    let each = (args.logins / args.rounds).max(1);
    rows.round(&load, &floor, &gateway, flask.as_ref(), args.logins..args.logins + WARM_UP * args.connections).await?;
    rows = Rows::new();
    for round in 0..args.rounds {
        rows.round(&load, &floor, &gateway, flask.as_ref(), round * each..(round + 1) * each).await?;
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
    for server in flask.into_iter().chain([floor, simulator]) {
        server.stop().await?;
    }

    let cores = available_parallelism()?;
    println!("\n{} round(s) of {each} logins, {} connections, {cores} cores for all", args.rounds, args.connections);
    println!("Each value is the middle one of the rounds. CPU: user and system time of the server for each login.\n");
    // A short run is too coarse to judge by: processor time is counted in 10 ms.
    let goal = |goal: Goal| (!args.smoke).then_some(goal);
    rows.print(goal);
    println!();
    number("gateway: memory after start (VmRSS)", mebibytes(fresh), "MiB", goal(Goal::AtMost(30.0)));
    number("gateway: memory after start on the database of this run", median(idle), "MiB", goal(Goal::AtMost(30.0)));
    number("gateway: memory after the run", mebibytes(used), "MiB", None);
    number("gateway: start to ready on the database of this run", median(starts), "ms", goal(Goal::AtMost(300.0)));
    Ok(())
}

fn mebibytes(bytes: u64) -> f64 {
    count(usize::try_from(bytes >> 10).unwrap_or(usize::MAX)) / 1_024.0
}

/// The kinds of logins.
struct Rows {
    floor: Row,
    first: Row,
    returning: Row,
    tutorial: Row,
    flask: Row,
}

impl Rows {
    fn new() -> Self {
        Self {
            floor: Row::new("floor"),
            first: Row::new("gateway, first login"),
            returning: Row::new("gateway, returning user"),
            tutorial: Row::new("gateway, tutorial's request"),
            flask: Row::new("Flask, tutorial's request"),
        }
    }

    async fn round(
        &mut self,
        load: &Load<'_>,
        floor: &Server,
        gateway: &Server,
        flask: Option<&Server>,
        users: std::ops::Range<usize>,
    ) -> Result<(), Failure> {
        let of_flask = users.clone().step_by(FLASK_SHARE).map(|number| User::of_app(0, number)).collect::<Vec<_>>();
        let users: Vec<_> = users.map(User::number).collect();
        // The gateway right after the floor, because their ratio is the closest.
        self.first.rounds.push(load.native(gateway, &users).await?);
        self.floor.rounds.push(load.native(floor, &users).await?);
        self.returning.rounds.push(load.native(gateway, &users).await?);
        let path = |user: &User| format!("/apps/{}/user/wxlogin", user.appid);
        self.tutorial.rounds.push(load.tutorial(gateway, &users, path).await?);
        if let Some(flask) = flask {
            let path = |_: &User| "/user/wxlogin".to_owned();
            self.flask.rounds.push(load.tutorial(flask, &of_flask, path).await?);
        }
        Ok(())
    }

    fn print(&self, goal: impl Fn(Goal) -> Option<Goal>) {
        table(&[&self.floor, &self.returning, &self.first, &self.tutorial, &self.flask]);
        println!("\nRatios of CPU: the middle round, and least and most");
        ratio(&self.returning, &self.floor, goal(Goal::AtMost(1.5)));
        ratio(&self.first, &self.floor, None);
        ratio(&self.flask, &self.returning, goal(Goal::AtLeast(14.0)));
        ratio(&self.flask, &self.tutorial, None);
    }
}
