//! What the gateway is compared with: the floor, the tutorial's server in Python, and two servers in Node.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;
use tokio::process::Command;

use crate::Failure;
use crate::http::{FORM, post};
use crate::process::{Server, address_in};
use crate::simulator::{SECRET, appid};

/// Starts the floor, which stands beside this program.
///
/// # Errors
/// It does not start.
pub(crate) async fn floor(data: &Path, simulator: SocketAddr) -> Result<Server, Failure> {
    let mut command = Command::new(std::env::current_exe()?.with_file_name("floor"));
    command.arg("--wechat").arg(format!("http://{simulator}")).args(["--secret", SECRET]);
    command.arg("--database").arg(data.join("floor.db"));
    let log = data.join("floor.log");
    Server::start("the floor", command, &log, || address_in(&log, "listening on http://")).await
}

/// Starts the tutorial's server for the first app, with two workers as for two cores.
///
/// # Errors
/// It does not start.
pub(crate) async fn flask(gunicorn: &Path, data: &Path, simulator: SocketAddr) -> Result<Server, Failure> {
    let mut command = Command::new(gunicorn);
    command.args(["--workers", "2", "--no-control-socket", "--bind", "127.0.0.1:0", "server:app"]);
    command.arg("--chdir").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/flask"));
    command.env("WECHAT_URL", format!("http://{simulator}")).env("APPID", appid(0)).env("APP_SECRET", SECRET);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let log = data.join("flask.log");
    Server::start("Flask", command, &log, || address_in(&log, "Listening at: http://")).await
}

/// Starts the login service in Node, whose packages lie in this folder.
///
/// # Errors
/// It does not start.
pub(crate) async fn node_login(node: &Path, data: &Path, simulator: SocketAddr) -> Result<Server, Failure> {
    let mut command = script(node, "login.mjs");
    command.env("WECHAT_URL", format!("http://{simulator}")).env("APP_SECRET", SECRET);
    command.env("DATABASE", data.join("node.db"));
    let log = data.join("node.log");
    Server::start("Node's login service", command, &log, || address_in(&log, "listening on http://")).await
}

/// npm `oidc-provider`, and what to ask it with.
pub(crate) struct Provider {
    pub(crate) server: Server,
    pub(crate) tokens: ProviderTokens,
}

/// What the provider issued to itself at its start.
#[derive(Deserialize)]
pub(crate) struct ProviderTokens {
    authorization: String,
    pub(crate) refresh: Vec<String>,
    pub(crate) access: Vec<String>,
}

impl Provider {
    /// Starts it; its packages lie in this folder.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) async fn start(node: &Path, data: &Path) -> Result<Self, Failure> {
        let (log, tokens) = (data.join("provider.log"), data.join("provider.json"));
        let mut command = script(node, "provider.mjs");
        command.env("TOKENS", &tokens);
        let address = || address_in(&log, "listening on http://");
        let server = Server::start("oidc-provider", command, &log, address).await?;
        Ok(Self { server, tokens: serde_json::from_slice(&fs::read(tokens)?)? })
    }

    /// A request of its client.
    pub(crate) fn post(&self, path: &str, body: &str) -> Vec<u8> {
        post(path, FORM, &format!("Authorization: {}\r\n", self.tokens.authorization), body)
    }
}

fn script(node: &Path, name: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(node.join(name)).env("NODE_ENV", "production");
    command
}
