//! Two builds of the gateway, request by request in turn: what a change is worth where neighbours move every time by more.

use std::cell::Cell;
use std::ops::Range;
use std::path::Path;

use crate::load::Load;
use crate::logins::tokens;
use crate::process::Server;
use crate::report::{Row, ratio, table};
use crate::servers::{Gateway, TENANT};
use crate::simulator::User;
use crate::{Args, Failure, WARM_UP};

/// One of both, and what its requests cost.
struct Build {
    prepared: Gateway,
    server: Server,
    rows: [Row; 4],
}

impl Build {
    async fn start(wxgate: &Path, data: &Path, simulator: &Server, rows: [&'static str; 4]) -> Result<Self, Failure> {
        std::fs::create_dir(data)?;
        let prepared = Gateway::prepare(wxgate, data, simulator.address).await?;
        let server = prepared.start().await?;
        Ok(Self { prepared, server, rows: rows.map(Row::new) })
    }

    async fn round(&mut self, load: &Load<'_>, users: Range<usize>) -> Result<(), Failure> {
        let users: Vec<_> = users.map(User::number).collect();
        // Once before, so that all are returning users.
        load.native(&self.server, &users).await?;
        let (login, answers) = load.native(&self.server, &users).await?;
        let tokens = tokens(&answers)?;
        let refresh = load.refresh(&self.server, &tokens).await?;
        let introspection = load.introspect(&self.server, &self.prepared.backend, &tokens, tokens.len() * 5).await?;
        let keys = load.keys(&self.server, &format!("/t/{TENANT}/jwks.json"), tokens.len() * 5).await?;
        for (row, sample) in self.rows.iter_mut().zip([login, refresh, introspection, keys]) {
            row.rounds.push(sample);
        }
        Ok(())
    }
}

/// Compares the gateway with another build of it.
pub(crate) async fn measure(args: &Args, other: &Path, data: &Path) -> Result<(), Failure> {
    let simulator = crate::simulator::start(&args.wxgate, data).await?;
    let names = ["this, login", "this, refresh", "this, introspection", "this, JWKS"];
    let mut this = Build::start(&args.wxgate, &data.join("this"), &simulator, names).await?;
    let names = ["other, login", "other, refresh", "other, introspection", "other, JWKS"];
    let mut other = Build::start(other, &data.join("other"), &simulator, names).await?;
    let load = Load { simulator: &simulator, connections: args.connections, clients: Cell::new(0) };
    let each = (args.logins / args.rounds).max(1);
    let warm_up = args.logins..args.logins + WARM_UP * args.connections;
    for build in [&this, &other] {
        let users: Vec<_> = warm_up.clone().map(User::number).collect();
        load.native(&build.server, &users).await?;
    }
    for round in 0..args.rounds {
        let users = round * each..(round + 1) * each;
        // Neither is always the one that comes second.
        let (first, second) = if round % 2 == 0 { (&mut this, &mut other) } else { (&mut other, &mut this) };
        first.round(&load, users.clone()).await?;
        second.round(&load, users).await?;
    }
    println!("\n{} round(s) of {each}, {} connections", args.rounds, args.connections);
    let pairs = || this.rows.iter().zip(&other.rows);
    table("requests", &pairs().flat_map(|(this, other)| [this, other]).collect::<Vec<_>>());
    println!("\nRatios of CPU: the middle round, and least and most");
    pairs().for_each(|(this, other)| ratio(this, other, None));
    for server in [this.server, other.server, simulator] {
        server.stop().await?;
    }
    Ok(())
}
