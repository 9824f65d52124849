//! The gateway.

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use tokio::process::Command;

use crate::Failure;
use crate::http::{get, send};
use crate::process::Server;
use crate::simulator::{APPS, SECRET, appid};

/// Whose apps they are.
pub(crate) const TENANT: &str = "load";
/// What a proxy asks about.
pub(crate) const POLICY: &str = "load";
/// Whom all tokens are for.
const AUDIENCE: &str = "load-api";

/// A gateway's data folder, ready to be served from again and again.
pub(crate) struct Gateway {
    wxgate: PathBuf,
    data: PathBuf,
    /// How a backend proves who it is: the value of its `Authorization`.
    pub(crate) backend: String,
}

#[derive(Deserialize)]
struct ServiceClient {
    id: String,
    secret: String,
}

#[derive(Deserialize)]
struct Listen {
    public: SocketAddr,
}

impl Gateway {
    /// Makes configuration, database, tenant and apps with the commands that an operator would use.
    ///
    /// # Errors
    /// A command fails.
    pub(crate) async fn prepare(wxgate: &Path, data: &Path, simulator: SocketAddr) -> Result<Self, Failure> {
        let mut gateway = Self::empty(wxgate, data.join("gateway"), simulator, None).await?;
        gateway.run(&["tenant", "add", TENANT]).await?;
        gateway.run(&["audience", "add", "--tenant", TENANT, AUDIENCE]).await?;
        for app in 0..APPS {
            gateway.run(&["app", "add", "--tenant", TENANT, "--appid", &appid(app)]).await?;
            gateway.run(&["app", "policy", &appid(app), "--audience", AUDIENCE]).await?;
        }
        gateway.run(&["policy", "add", "--tenant", TENANT, POLICY, "--audience", AUDIENCE]).await?;
        let backend = ["service-client", "add", "--tenant", TENANT, "backend", "--audience", AUDIENCE];
        let client = gateway.run(&[&backend[..], &["--introspect", "--json"]].concat()).await?;
        let ServiceClient { id, secret } = serde_json::from_slice(&client)?;
        gateway.backend = format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
        Ok(gateway)
    }

    /// Makes configuration and database in a folder of its own: SQLite, or the database of this URL.
    ///
    /// # Errors
    /// A command fails.
    pub(crate) async fn empty(
        wxgate: &Path,
        data: PathBuf,
        simulator: SocketAddr,
        database: Option<&str>,
    ) -> Result<Self, Failure> {
        fs::create_dir(&data)?;
        let gateway = Self { wxgate: wxgate.to_owned(), data, backend: String::new() };
        fs::write(gateway.data.join("master-key"), master_key()?)?;
        fs::write(gateway.config(), gateway.settings(simulator, database))?;
        gateway.run(&["migrate", "up"]).await?;
        Ok(gateway)
    }

    /// A file of this name in its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    /// Starts it; how long that took counts until `/readyz` says yes.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) async fn start(&self) -> Result<Server, Failure> {
        let listen = self.data.join("listen.json");
        if listen.exists() {
            fs::remove_file(&listen)?;
        }
        let mut command = Command::new(&self.wxgate);
        command.arg("serve").arg("--config").arg(self.config());
        let address = || Some(serde_json::from_slice::<Listen>(&fs::read(&listen).ok()?).ok()?.public);
        let mut server = Server::start("the gateway", command, &self.data.join("gateway.log"), address).await?;
        let listening = Instant::now();
        let probe = get("/readyz", "");
        while send(server.address, &probe).await?.status != 200 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.started_in += listening.elapsed();
        Ok(server)
    }

    fn config(&self) -> PathBuf {
        self.file("wxgate.toml")
    }

    /// What is not default: where things are, and that each request names its client's address as a proxy would.
    fn settings(&self, simulator: SocketAddr, database: Option<&str>) -> String {
        let data = self.data.display();
        let database = database.map_or_else(|| format!("sqlite://{data}/wxgate.db"), str::to_owned);
        format!(
            r#"public_url = "http://127.0.0.1:8080"
data_dir = "{data}"
[listen]
public = "127.0.0.1:0"
admin = "127.0.0.1:0"
[http]
trusted_proxies = ["127.0.0.1"]
drain_seconds = 0
[database]
url = "{database}"
[master_key]
value_file = "{data}/master-key"
[wechat]
url = "http://{simulator}"
allow_other_hosts = true
"#
        )
    }

    /// Runs a command on its database; what it prints.
    ///
    /// # Errors
    /// The command fails.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
        let mut command = Command::new(&self.wxgate);
        command.args(arguments).arg("--config").arg(self.config()).env("WXGATE_APP_SECRET", SECRET);
        let output = command.output().await?;
        if !output.status.success() {
            return Err(format!("wxgate {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(output.stdout)
    }
}

fn master_key() -> std::io::Result<String> {
    let mut key = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(BASE64_STANDARD.encode(key))
}
