//! A second gateway on the database of the first.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::client::Client;
use super::gateway::Gateway;
use super::process::Process;
use super::{PATIENCE, within};

/// A second `wxgate serve` with the configuration of the first, in a folder of its own.
#[derive(Debug)]
pub(crate) struct SecondGateway {
    process: Process,
    client: Client,
    folder: TempDir,
}

impl SecondGateway {
    /// Starts it, and waits until it serves.
    pub(crate) async fn beside(gateway: &Gateway) -> Self {
        Self::with(gateway, &[]).await
    }

    /// The same, with variables of its environment that each name a folder inside its own.
    pub(crate) async fn with(gateway: &Gateway, folders: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = |path: &Path| serde_json::to_string(&path.display().to_string()).unwrap();
        let data_dir = |path: &Path| format!("data_dir = {}", text(path));
        let config = std::fs::read_to_string(gateway.config()).unwrap();
        let config = config.replace(&data_dir(&gateway.data()), &data_dir(folder.path()));
        let file = folder.path().join("wxgate.toml");
        std::fs::write(&file, config).unwrap();
        let mut environment: Vec<(String, String)> = [
            ("WXGATE__WECHAT__URL", gateway.simulator().url()),
            ("WXGATE__WECHAT__ALLOW_OTHER_HOSTS", "true"),
            ("WXGATE__HTTP__DRAIN_SECONDS", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (variable, name) in folders {
            let own = folder.path().join(name);
            std::fs::create_dir(&own).unwrap();
            environment.push(((*variable).to_owned(), own.display().to_string()));
        }
        let arguments = ["serve", "--config", &file.display().to_string()].map(str::to_owned);
        let mut process = Process::start(folder.path(), "second", &arguments, &environment);
        let listen = within(PATIENCE, "the second gateway is ready", async || {
            process.assert_alive();
            serde_json::from_slice::<Value>(&std::fs::read(folder.path().join("listen.json")).ok()?).ok()
        });
        let client = Client::new(format!("http://{}", listen.await["public"].as_str().unwrap()));
        Self { process, client, folder }
    }

    /// A client of its public listener.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// SIGTERM, then waits for the end, which is to be a good one.
    pub(crate) async fn terminate(&mut self) {
        self.process.ask_to_end();
        assert!(self.process.ended().await.success());
    }

    /// SIGKILL.
    pub(crate) fn kill9(&mut self) {
        self.process.kill9();
    }
}
