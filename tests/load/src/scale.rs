//! What many tenants and many users cost: the same requests to a small and to a large installation, in turn.

mod database;
mod seed;

use std::cell::Cell;
use std::ops::Range;
use std::path::Path;

use self::database::Database;
use crate::load::{Load, count};
use crate::logins::tokens;
use crate::process::Server;
use crate::report::{Goal, Row, number, ratio, table};
use crate::servers::Gateway;
use crate::simulator::{APPS, User, add_apps};
use crate::{Args, Failure, mebibytes};

/// Users of the small installation.
const FEW_USERS: usize = 1_000;

/// An installation: its tenants, apps and users.
#[derive(Clone, Debug)]
struct Size {
    name: &'static str,
    tenants: usize,
    /// The numbers of its apps. Those of the small one are many, because each app has a limit.
    apps: Range<usize>,
    users: usize,
}

impl Size {
    fn small() -> Self {
        Self { name: "small", tenants: 1, apps: 0..APPS, users: FEW_USERS }
    }

    /// One app for each tenant. Its apps are others than the small one's, as the codes come from one simulator.
    fn large(tenants: usize, users: usize) -> Self {
        Self { name: "large", tenants, apps: APPS..APPS + tenants, users }
    }

    /// The tenant that has this app.
    fn tenant_of(&self, app: usize) -> String {
        format!("t{:05}", (app - self.apps.start) % self.tenants)
    }

    /// The user of this number; users and apps are spread evenly.
    fn user(&self, number: usize) -> User {
        User::of_app(self.apps.start + number % self.apps.len(), number)
    }

    /// So many different users, far from one another. Each round has others, until all have had their turn.
    fn some_users(&self, round: usize, many: usize) -> Vec<User> {
        let step = (self.users / many.max(1)).max(1);
        (0..many).map(|number| self.user((number * step + round) % self.users)).collect()
    }
}

/// An installation that serves.
struct Installation {
    size: Size,
    prepared: Gateway,
    server: Server,
    login: Row,
    refresh: Row,
    keys: Row,
}

impl Installation {
    async fn new(
        args: &Args,
        data: &Path,
        simulator: &Server,
        size: Size,
        database: &Database,
    ) -> Result<Self, Failure> {
        let folder = data.join(format!("{}-{}", database.name(), size.name));
        let url = database.create(size.name).await?;
        let prepared = Gateway::empty(&args.wxgate, folder, simulator.address, url.as_deref()).await?;
        seed::all(&prepared, &size).await?;
        let server = prepared.start().await?;
        let [login, refresh, keys] = match size.name {
            "small" => ["small, login", "small, refresh", "small, JWKS"],
            _ => ["large, login", "large, refresh", "large, JWKS"],
        };
        Ok(Self { size, prepared, server, login: Row::new(login), refresh: Row::new(refresh), keys: Row::new(keys) })
    }

    /// Every tenant is used once, as it is in daily work: keys are unsealed on first use.
    async fn warm_up(&self, load: &Load<'_>) -> Result<(), Failure> {
        let once: Vec<_> = (0..self.size.apps.len()).map(|app| self.size.user(app)).collect();
        load.native(&self.server, &once).await?;
        Ok(())
    }

    async fn round(&mut self, load: &Load<'_>, round: usize, logins: usize) -> Result<(), Failure> {
        let users = self.size.some_users(round, logins.min(self.size.users));
        let (sample, answers) = load.native(&self.server, &users).await?;
        self.login.rounds.push(sample);
        self.refresh.rounds.push(load.refresh(&self.server, &tokens(&answers)?).await?);
        let paths = (0..logins).map(|number| {
            let app = self.size.apps.start + number % self.size.apps.len();
            format!("/t/{}/jwks.json", self.size.tenant_of(app))
        });
        self.keys.rounds.push(load.keys_of(&self.server, paths).await?);
        Ok(())
    }
}

/// Compares both installations on SQLite, and on PostgreSQL where there is one.
pub(crate) async fn measure(args: &Args, data: &Path) -> Result<(), Failure> {
    let simulator = crate::simulator::start(&args.wxgate, data).await?;
    add_apps(simulator.address, APPS..APPS + args.tenants).await?;
    let servers = args.postgres.iter().map(|url| Database::Postgres(url.clone()));
    for database in std::iter::once(Database::Sqlite).chain(servers) {
        compare(args, data, &simulator, &database).await?;
    }
    simulator.stop().await
}

async fn compare(args: &Args, data: &Path, simulator: &Server, database: &Database) -> Result<(), Failure> {
    let mut small = Installation::new(args, data, simulator, Size::small(), database).await?;
    let large = Size::large(args.tenants, args.users);
    let mut large = Installation::new(args, data, simulator, large, database).await?;
    let load = Load { simulator, connections: args.connections, clients: Cell::new(0) };
    let each = (args.logins / args.rounds).clamp(1, FEW_USERS * 5);
    small.warm_up(&load).await?;
    large.warm_up(&load).await?;
    for round in 0..args.rounds {
        small.round(&load, round, each).await?;
        large.round(&load, round, each).await?;
    }
    let goal = |goal: Goal| (!args.smoke).then_some(goal);
    println!(
        "\n{}: 1 tenant and {FEW_USERS} users, and {} tenants and {} users; {} round(s)",
        database.name(),
        args.tenants,
        args.users,
        args.rounds
    );
    table("requests", &[&small.login, &large.login, &small.refresh, &large.refresh, &small.keys, &large.keys]);
    println!("\nRatios of CPU: the middle round, and least and most");
    ratio(&large.login, &small.login, goal(Goal::AtMost(1.2)));
    ratio(&large.refresh, &small.refresh, goal(Goal::AtMost(1.2)));
    ratio(&large.keys, &small.keys, goal(Goal::AtMost(1.2)));
    println!();
    for mut installation in [small, large] {
        let name = installation.size.name;
        number(&format!("{name}: memory after the run"), mebibytes(installation.server.memory()?), "MiB", None);
        installation.server.stop().await?;
        installation.server = installation.prepared.start().await?;
        let start = installation.server.started_in.as_secs_f64() * 1e3;
        number(&format!("{name}: start to ready"), start, "ms", goal(Goal::AtMost(500.0)));
        number(&format!("{name}: memory after start"), mebibytes(installation.server.memory()?), "MiB", None);
        number(&format!("{name}: users"), count(installation.size.users), "", None);
        installation.server.stop().await?;
    }
    database.drop_all().await
}
