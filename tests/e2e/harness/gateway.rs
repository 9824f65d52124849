//! A gateway as a process, in a folder of its own.

use std::future::{Future, IntoFuture};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitStatus;

use serde_json::Value;
use tempfile::TempDir;
use wxgate_crypto::{MasterKey, Random};

use super::cli::{self, Cli, NO_WECHAT};
use super::client::Client;
use super::database::TestDatabase;
use super::process::Process;
use super::simulator::{Simulator, SimulatorProcess};
use super::{APP, OTHER_APP, PATIENCE, within};

/// The public URL of `serve`, under which nothing listens: a proxy would.
const SERVE_URL: &str = "https://login.example.com";

/// The AppSecrets of the demo apps under `serve`.
pub(crate) const SECRETS: [(&str, &str); 2] =
    [(APP, "5ec2e7000000000000000000000000a1"), (OTHER_APP, "5ec2e7000000000000000000000000a2")];

/// A running gateway; killed when dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    process: Process,
    client: Client,
    admin: Client,
    simulator: Option<Simulator>,
    own_simulator: Option<SimulatorProcess>,
    public_url: String,
    launch: Launch,
    folder: TempDir,
}

/// How a gateway is to be started: awaiting it starts it.
#[derive(Debug)]
pub(crate) struct Launch {
    mode: Mode,
    apps: Vec<String>,
    wechat_url: Option<String>,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
}

#[derive(Debug)]
enum Mode {
    Dev,
    Serve(TestDatabase),
}

impl Gateway {
    /// `wxgate dev`: SQLite, the simulator inside, the demo tenant with two demo apps in one union group.
    pub(crate) fn dev() -> Launch {
        Launch::new(Mode::Dev)
    }

    /// `wxgate serve` on a database that `migrate up`, `tenant add` and `app add` have prepared, with tenant, union
    /// group and apps as `dev` has them, and `wxgate sim` as a process of its own that outlives restarts.
    pub(crate) fn serve(database: TestDatabase) -> Launch {
        Launch::new(Mode::Serve(database))
    }

    /// A client of the public listener.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A client of the admin listener.
    pub(crate) fn admin(&self) -> &Client {
        &self.admin
    }

    /// The simulator that answers for WeChat.
    pub(crate) fn simulator(&self) -> &Simulator {
        self.simulator.as_ref().expect("another WeChat answers")
    }

    /// The simulator's own process under `serve`.
    pub(crate) fn simulator_process(&mut self) -> &mut SimulatorProcess {
        self.own_simulator.as_mut().expect("the simulator has no process of its own")
    }

    /// The `public_url` of its configuration, with which every issuer begins.
    pub(crate) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The folder with everything it wrote: `data` (dev) or the configuration and database (serve), and its log.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder, which an operator would back up.
    pub(crate) fn data(&self) -> PathBuf {
        data(self.folder.path())
    }

    /// The configuration file, for commands.
    pub(crate) fn config(&self) -> PathBuf {
        config(self.folder.path())
    }

    /// The log so far: standard error of this process and of those before a restart.
    pub(crate) fn log(&self) -> String {
        self.process.stderr()
    }

    /// What it told its user on standard output.
    pub(crate) fn stdout(&self) -> String {
        self.process.stdout()
    }

    /// A command on this gateway's database.
    pub(crate) fn command<const N: usize>(&self, arguments: [&str; N]) -> Cli {
        cli::wxgate(arguments).config(&self.config()).asking(self.simulator.as_ref().map_or(NO_WECHAT, Simulator::url))
    }

    /// A command that asks this running gateway, as its operator.
    pub(crate) fn remote<const N: usize>(&self, arguments: [&str; N]) -> Cli {
        let key_file = self.data().join("admin-key").display().to_string();
        cli::wxgate(arguments).through(self.admin.base(), &key_file)
    }

    /// Adds an app by command, tells the simulator of it, and waits until this gateway serves it.
    pub(crate) async fn add_app(&self, tenant: &str, appid: &str, group: Option<&str>) {
        let secret = format!("5ec2e7{appid:0>26}");
        if let Some(simulator) = &self.simulator {
            simulator.put_app(appid, &secret, group).await;
        }
        let mut add = self.command(["app", "add", "--tenant", tenant, "--appid", appid, "--secret-file", "-"]);
        if let Some(group) = group {
            add = add.argument("--union-group").argument(group);
        }
        add.stdin(&secret).run().await.ok();
        self.comes_to_answer(appid, "CODE_INVALID").await;
    }

    /// Waits until an attempt on an app ends in this code. The attempt's code has an impossible shape, which is looked
    /// at after the app: `APP_UNKNOWN`, `APP_DISABLED`, or `CODE_INVALID` for an app that is served.
    pub(crate) async fn comes_to_answer(&self, appid: &str, code: &str) {
        within(PATIENCE, &format!("{appid} answers {code}"), async || {
            (self.client.login_with(appid, "?").await.json()["code"] == code).then_some(())
        })
        .await;
    }

    /// The value of one metric, by its whole name with labels as rendered; 0 if it was never counted.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let page = self.admin.get("/metrics").await;
        assert_eq!(page.status, 200);
        let line = page.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        line.unwrap_or(0)
    }

    /// SIGKILL.
    pub(crate) fn kill9(&mut self) {
        self.process.kill9();
    }

    /// SIGTERM, without waiting.
    pub(crate) fn ask_to_end(&self) {
        self.process.ask_to_end();
    }

    /// SIGTERM, then waits for the end.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.process.ask_to_end();
        self.process.ended().await
    }

    /// Starts it again after [`Gateway::kill9`] or [`Gateway::terminate`], on the same data; ports may change.
    pub(crate) async fn restart(&mut self) {
        self.process.kill9();
        self.process = self.launch.start_process(self.folder.path(), self.simulator.as_ref());
        let (client, admin, simulator) = ready(&mut self.process, self.folder.path()).await;
        self.client = client;
        self.admin = admin;
        self.simulator = self.own_simulator.as_deref().cloned().or(simulator);
    }
}

impl Launch {
    fn new(mode: Mode) -> Self {
        // Nobody sends new connections here while a test stops its gateway.
        let environment = vec![("WXGATE__HTTP__DRAIN_SECONDS".to_owned(), "0".to_owned())];
        Self { mode, apps: Vec::new(), wechat_url: None, environment, arguments: Vec::new() }
    }

    /// An app instead of the demo apps: `APPID=SECRET`, as `--app` takes it.
    pub(crate) fn app(mut self, app: impl Into<String>) -> Self {
        self.apps.push(app.into());
        self
    }

    /// Another WeChat than the simulator.
    pub(crate) fn wechat_url(mut self, url: impl Into<String>) -> Self {
        self.wechat_url = Some(url.into());
        self
    }

    /// An environment variable, for example `WXGATE__LOG__LEVEL`.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more argument.
    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    async fn start(self) -> Gateway {
        let folder = tempfile::tempdir().unwrap();
        let own_simulator = match self.mode {
            Mode::Serve(_) if self.wechat_url.is_none() => Some(self.prepare_simulator().await),
            _ => None,
        };
        let own: Option<Simulator> = own_simulator.as_deref().cloned();
        if let Mode::Serve(database) = &self.mode {
            // Another WeChat than the simulator hears of logins alone.
            let wechat = own.as_ref().map_or(NO_WECHAT, Simulator::url);
            self.prepare_database(folder.path(), database, wechat).await;
        }
        let mut process = self.start_process(folder.path(), own.as_ref());
        let (client, admin, simulator) = ready(&mut process, folder.path()).await;
        let public_url = match self.mode {
            Mode::Dev => client.base().to_owned(),
            Mode::Serve(_) => SERVE_URL.to_owned(),
        };
        let simulator = own.or(simulator);
        Gateway { process, client, admin, simulator, own_simulator, public_url, launch: self, folder }
    }

    fn start_process(&self, folder: &Path, own_simulator: Option<&Simulator>) -> Process {
        let mut arguments: Vec<String> = Vec::new();
        let mut environment = self.environment.clone();
        match self.mode {
            Mode::Dev => {
                let zero = "127.0.0.1:0";
                arguments.extend(["dev", "--listen", zero, "--admin-listen", zero].map(str::to_owned));
                arguments.extend(["--simulator-listen", zero, "--data"].map(str::to_owned));
                arguments.push(data(folder).display().to_string());
                for app in &self.apps {
                    arguments.extend(["--app".to_owned(), app.clone()]);
                }
                if let Some(url) = &self.wechat_url {
                    arguments.extend(["--wechat-url".to_owned(), url.clone()]);
                }
            }
            Mode::Serve(_) => {
                arguments.extend(["serve".to_owned(), "--config".to_owned(), config(folder).display().to_string()]);
                let wechat = self.wechat_url.as_deref().or(own_simulator.map(Simulator::url)).unwrap();
                environment.push(("WXGATE__WECHAT__URL".to_owned(), wechat.to_owned()));
                environment.push(("WXGATE__WECHAT__ALLOW_OTHER_HOSTS".to_owned(), "true".to_owned()));
            }
        }
        arguments.extend(self.arguments.iter().cloned());
        // What an earlier process announced is no news of the next one.
        let _ = std::fs::remove_file(data(folder).join("listen.json"));
        Process::start(folder, "gateway", &arguments, &environment)
    }

    fn demo_apps(&self) -> Vec<(String, String)> {
        if self.apps.is_empty() {
            return SECRETS.map(|(appid, secret)| (appid.to_owned(), secret.to_owned())).to_vec();
        }
        let split = |app: &String| app.split_once('=').map(|(id, secret)| (id.to_owned(), secret.to_owned())).unwrap();
        self.apps.iter().map(split).collect()
    }

    async fn prepare_simulator(&self) -> SimulatorProcess {
        let apps: Vec<_> = self.demo_apps().iter().map(|(appid, secret)| format!("{appid}={secret}@demo")).collect();
        let apps: Vec<_> = apps.iter().map(String::as_str).collect();
        SimulatorProcess::start(&apps).await
    }

    /// Writes the configuration, and fills the database with the commands that an operator would use.
    async fn prepare_database(&self, folder: &Path, database: &TestDatabase, wechat: &str) {
        std::fs::create_dir_all(data(folder)).unwrap();
        let master_key = MasterKey::generate(&Random::system().unwrap());
        std::fs::write(data(folder).join("master-key"), master_key.expose()).unwrap();
        let text = |value: &str| serde_json::to_string(value).unwrap();
        let lines = [
            format!("public_url = {}", text(SERVE_URL)),
            format!("data_dir = {}", text(&data(folder).display().to_string())),
            "[listen]\npublic = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"".to_owned(),
            format!("[database]\nurl = {}\nconnections = 5", text(&database.url(&data(folder)))),
            format!("[master_key]\nvalue_file = {}", text(&data(folder).join("master-key").display().to_string())),
        ];
        let config = config(folder);
        std::fs::write(&config, lines.join("\n")).unwrap();
        cli::wxgate(["migrate", "up"]).config(&config).run().await.ok();
        cli::wxgate(["tenant", "add", "demo"]).config(&config).run().await.ok();
        cli::wxgate(["union-group", "add", "--tenant", "demo", "demo"]).config(&config).run().await.ok();
        for (appid, secret) in self.demo_apps() {
            let add =
                ["app", "add", "--tenant", "demo", "--union-group", "demo", "--secret-file", "-", "--appid", &appid];
            cli::wxgate(add).config(&config).asking(wechat).stdin(&secret).run().await.ok();
        }
    }
}

impl IntoFuture for Launch {
    type Output = Gateway;
    type IntoFuture = Pin<Box<dyn Future<Output = Gateway>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn config(folder: &Path) -> PathBuf {
    data(folder).join("wxgate.toml")
}

/// Waits until the process has said where it listens and answers there.
async fn ready(process: &mut Process, folder: &Path) -> (Client, Client, Option<Simulator>) {
    let path = data(folder).join("listen.json");
    let listen = within(PATIENCE, "the gateway writes listen.json", async || {
        process.assert_alive();
        serde_json::from_slice::<Value>(&std::fs::read(&path).ok()?).ok()
    });
    let listen = listen.await;
    let base = |key: &str| listen[key].as_str().map(|address| format!("http://{address}"));
    let (client, admin) = (Client::new(base("public").unwrap()), Client::new(base("admin").unwrap()));
    within(PATIENCE, "the gateway is ready", async || {
        process.assert_alive();
        let reply = client.try_send(client.request(reqwest::Method::GET, "/readyz")).await.ok()?;
        (reply.status == 200).then_some(())
    })
    .await;
    (client, admin, base("simulator").map(Simulator::at))
}
