//! `wxgate dev`: a complete trial on one machine.

mod data;
mod seed;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tokio_util::task::TaskTracker;
use wxgate_crypto::{Random, Secret};
use wxgate_domain::Clock;
use wxgate_storage::InstanceKind;
use wxgate_wechat_client::CallObserver;
use wxgate_wechat_sim::{Simulator, SimulatorConfig};

use self::data::DataFolder;
use super::serve::{announce, lock_sqlite, termination};
use super::sim::AppArg;
use super::{Failure, admin, print};
use crate::app::{self, Addresses, App, Parts, Sockets, listen};
use crate::config::{self, Config};
use crate::metrics::Metrics;
use crate::service::admin::Caller;
use crate::service::meters::Meters;
use crate::telemetry;

/// A complete trial: gateway, SQLite database and simulated WeChat, with two demo apps. Run it again, and all is kept.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wxgate dev\n  wxgate dev --app wx0123456789abcdef=APPSECRET --wechat-url https://api.weixin.qq.com"
)]
pub(super) struct Dev {
    /// Where mini-programs connect; port 0 takes a free one. Default: the first start's address, else 127.0.0.1:8080.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where the admin API, its documents, metrics and probes are served.
    #[arg(long, default_value = "127.0.0.1:8081")]
    admin_listen: SocketAddr,
    /// The folder for configuration, master key and database.
    #[arg(long, default_value = "./wxgate-data")]
    data: PathBuf,
    /// Talk to this server instead of the simulated WeChat.
    #[arg(long, value_name = "URL")]
    wechat_url: Option<String>,
    /// Where the simulated WeChat listens.
    #[arg(long, default_value = "127.0.0.1:8082")]
    simulator_listen: SocketAddr,
    /// A mini-program to serve: APPID=SECRET. Without any, two demo apps are made.
    #[arg(long = "app", value_name = "APPID=SECRET")]
    apps: Vec<AppArg>,
    /// Let the admin listener and the simulator be reached from other machines. Whoever reaches the simulator can
    /// log in as anyone.
    #[arg(long)]
    insecure_expose: bool,
}

impl Dev {
    pub(super) async fn run(self) -> Result<(), Failure> {
        self.refuse_exposure()?;
        let stop = termination()?;
        let folder = DataFolder::open(&self.data).map_err(|error| format!("{}: {error}", self.data.display()))?;
        let _lock = lock_sqlite(&folder.database())?;
        Addresses::withdraw(folder.path());
        let random = Random::system()?;
        let admin =
            listen(self.admin_listen).map_err(|error| format!("{error}; choose another with --admin-listen"))?;
        let sockets = Sockets { public: self.bind_public(&folder)?, admin };
        folder.begin(sockets.public.local_addr()?, &random)?;

        let simulator = match &self.wechat_url {
            Some(_) => None,
            None => Some(self.simulator().await?),
        };
        let config = self.config(&folder, &sockets, simulator.as_ref())?;
        telemetry::start(config.log);
        let metrics = Metrics::new();
        let storage = admin::connect(&config, InstanceKind::Dev, random.clone(), metrics.batch_observer()).await?;
        storage.migrate().await?;
        storage.start().await?;
        let wechat = app::wechat(&config.wechat, CallObserver::default())?;
        let (time, meters) = ((Clock::System, random.clone()), Meters::new(Clock::System, storage.clone()));
        let desk = app::desk(&config, time, storage.clone(), wechat, meters, TaskTracker::new());
        let admin = desk.serve(Caller::system());
        let admin_key = folder.admin_key(&admin).await?;
        let appids = seed::apps(&admin, self.apps, simulator.is_some(), &random).await?;
        let url = simulator.as_ref().map(Simulator::url);
        let addresses = sockets.addresses(simulator.as_ref().map(Simulator::address))?;
        if let Some(simulator) = simulator {
            let mut told = HashMap::new();
            seed::introduce(&storage, &simulator, &mut told, true).await?;
            tokio::spawn(seed::keep_introducing(storage.clone(), simulator, told));
        }
        let app = App::start(&config, Parts { clock: Clock::System, random, metrics, storage }, sockets).await?;
        announce(&config, addresses)?;
        welcome(&config, addresses, url.as_deref(), &appids, (&admin_key, &folder));
        stop.then_stop(app).await;
        Ok(())
    }

    fn refuse_exposure(&self) -> Result<(), Failure> {
        let exposed = [self.admin_listen, self.simulator_listen].iter().any(|a| !a.ip().to_canonical().is_loopback());
        if exposed && !self.insecure_expose {
            return Err(
                "the admin listener and the simulator stay on a loopback address, unless you say --insecure-expose"
                    .into(),
            );
        }
        Ok(())
    }

    /// The issuer was fixed at the first start, so its port is tried before any other.
    fn bind_public(&self, folder: &DataFolder) -> Result<std::net::TcpListener, Failure> {
        let first = folder.issuer_port();
        let wanted = self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], first.unwrap_or(8080))));
        if let (0, Some(port)) = (wanted.port(), first)
            && let Ok(socket) = listen(SocketAddr::new(wanted.ip(), port))
        {
            return Ok(socket);
        }
        Ok(listen(wanted).map_err(|error| format!("{error}; choose another address with --listen"))?)
    }

    async fn simulator(&self) -> Result<Simulator, Failure> {
        let config = SimulatorConfig {
            listen: self.simulator_listen,
            apps: Vec::new(),
            expose: self.insecure_expose,
            // In a trial a mini-program exists as soon as somebody wants one.
            adopts: true,
        };
        Ok(Simulator::start(config).await?)
    }

    fn config(&self, folder: &DataFolder, sockets: &Sockets, simulator: Option<&Simulator>) -> Result<Config, Failure> {
        let mut layers = config::layers(&folder.config_file())?;
        layers.command_line("listen.public", sockets.public.local_addr()?.to_string());
        layers.command_line("listen.admin", sockets.admin.local_addr()?.to_string());
        layers.command_line("listen.admin_behind_tls", self.insecure_expose);
        layers.command_line("data_dir", folder.path().display().to_string());
        if let Some(url) = self.wechat_url.clone().or_else(|| simulator.map(Simulator::url)) {
            layers.command_line("wechat.url", url);
            layers.command_line("wechat.allow_other_hosts", true);
        }
        Ok(Config::check(layers)?)
    }
}

/// Says where everything is, with logins to paste.
fn welcome(
    config: &Config,
    addresses: Addresses,
    simulator: Option<&str>,
    appids: &[String],
    (admin_key, folder): (&Secret<String>, &DataFolder),
) {
    let public = format!("http://{}", addresses.public);
    print::line(format!(
        "\nwxgate is ready\n  logins       {public}\n  admin API    http://{0}/admin/v1\n  metrics      http://{0}/metrics",
        addresses.admin
    ));
    print::line(format!("  admin key    {} (also in {})", admin_key.expose(), folder.admin_key_file().display()));
    print::line(format!("  issuer       {}/t/{}", config.public_url, seed::TENANT));
    if !config.public_url.ends_with(&format!(":{}", addresses.public.port())) {
        print::line("               fixed at the first start; whoever verifies must reach this process there");
    }
    print::line(format!("  apps         {}", appids.join(", ")));
    let (Some(simulator), Some(appid)) = (simulator, appids.first()) else { return };
    let json = "-H 'Content-Type: application/json'";
    print::line(format!(
        "  WeChat       {simulator} (simulated)\n\nPaste this first; it gives what wx.login would give on a phone:\n\n  \
         code() {{ curl -s {simulator}/sim/codes {json} -d '{{\"appid\":\"{appid}\"}}' | sed 's/.*\"code\":\"\\([^\"]*\\)\".*/\\1/'; }}"
    ));
    print::line(format!(
        "\nThen log in:\n\n  curl -s {public}/v1/apps/{appid}/login {json} -d '{{\"code\":\"'$(code)'\"}}'"
    ));
    print::line(format!(
        "\nOr as the tutorial's client does:\n\n  \
         curl -s {public}/user/wxlogin -H 'X-App-Id: {appid}' {json} -d '{{\"platCode\":\"'$(code)'\"}}'\n"
    ));
}
