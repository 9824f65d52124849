//! `wxgate sim`: the simulated WeChat alone.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use clap::Args;
use wxgate_wechat_sim::{SimulatedApp, Simulator, SimulatorConfig};

use super::serve::termination;
use super::{Failure, print};

/// A simulated WeChat for tests: its API under its own paths, steered under /sim.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wxgate sim --listen 127.0.0.1:0 --app wx0123456789abcdef=secret")]
pub(super) struct Sim {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
    /// A mini-program to know from the start: APPID=SECRET or APPID=SECRET@UNION-GROUP.
    #[arg(long = "app", value_name = "APPID=SECRET")]
    apps: Vec<AppArg>,
    /// Listen beyond this machine. Whoever reaches it can log in as anyone.
    #[arg(long)]
    insecure_expose: bool,
}

/// `APPID=SECRET` as given on the command line.
#[derive(Clone)]
pub(super) struct AppArg {
    pub(super) appid: String,
    pub(super) secret: String,
}

impl FromStr for AppArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((appid, secret)) if !appid.is_empty() && !secret.is_empty() => {
                Ok(Self { appid: appid.to_owned(), secret: secret.to_owned() })
            }
            _ => Err("write APPID=SECRET"),
        }
    }
}

impl fmt::Debug for AppArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppArg({})", self.appid)
    }
}

impl AppArg {
    /// A simulated app; a simulated secret may be followed by `@` and a union group.
    fn simulated(self) -> SimulatedApp {
        let (secret, union_group) = match self.secret.split_once('@') {
            Some((secret, group)) => (secret.to_owned(), Some(group.to_owned())),
            None => (self.secret, None),
        };
        SimulatedApp { appid: self.appid, secret, union_group }
    }
}

impl Sim {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let apps = self.apps.into_iter().map(AppArg::simulated).collect();
        let stop = termination()?;
        let config = SimulatorConfig { listen: self.listen, apps, expose: self.insecure_expose, adopts: false };
        let simulator = Simulator::start(config).await?;
        print::line(format!("simulated WeChat listening on {}", simulator.url()));
        stop.first().await;
        simulator.stop().await;
        Ok(())
    }
}
