//! A real proxy in front of a service, with the configuration that we ship.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wxgate_crypto::Random;

use super::{PATIENCE, environment, missing, within};

/// The name that the shipped files serve.
pub(crate) const HOST: &str = "orders.example.com";
/// The policy that they ask for.
pub(crate) const POLICY: &str = "orders";

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Caddy,
}

/// A running proxy; killed when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Proxy {
    /// Starts one with its file of `deploy/forward-auth`, in which only the addresses are others: its own, wxgate's and
    /// the service's. `None` (with a word about it) where the program is not at hand; in CI that is a failure.
    pub(crate) async fn start(kind: Kind, wxgate: &str, service: &str) -> Option<Self> {
        let (name, shipped) = match kind {
            Kind::Nginx => ("nginx", "nginx.conf"),
            Kind::Caddy => ("caddy", "Caddyfile"),
        };
        let Some(program) = program(name) else {
            missing(&format!("{name} is not installed"));
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let address = own_address();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/forward-auth").join(shipped);
        let shipped = std::fs::read_to_string(shipped).unwrap();
        let mut command = match kind {
            Kind::Nginx => {
                let site = replace(&shipped, "listen 8000;", &format!("listen {address};"));
                nginx(&program, folder.path(), &addressed(&site, wxgate, service))
            }
            Kind::Caddy => {
                let site = replace(&shipped, ":8000 {", &format!(":{} {{", address.port()));
                caddy(&program, folder.path(), address, &addressed(&site, wxgate, service))
            }
        };
        let log = File::create(folder.path().join("log")).unwrap();
        command.env_clear().env("HOME", folder.path()).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut proxy = Self { child, address, folder };
        within(PATIENCE, "the proxy listens", async || {
            assert!(proxy.child.try_wait().unwrap().is_none(), "{name} ended:\n{}", proxy.log());
            TcpStream::connect(address).await.ok()
        })
        .await;
        Some(proxy)
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Sends these bytes, which may be no proper request, and reads until the proxy hangs up.
    pub(crate) async fn send(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // It may answer and hang up before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut reply = Vec::new();
        let read = async { while let Ok(1..) = stream.read_buf(&mut reply).await {} };
        assert!(timeout(PATIENCE, read).await.is_ok(), "no end of {}", String::from_utf8_lossy(&reply));
        String::from_utf8_lossy(&reply).into_owned()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The shipped file is a part of nginx's own http section. One process, so that none is left when it is killed.
fn nginx(program: &Path, folder: &Path, site: &str) -> Command {
    std::fs::write(folder.join("site.conf"), site).unwrap();
    let temporary =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("{name}_temp_path {name};"));
    let all = format!(
        "daemon off; master_process off; pid pid; error_log stderr; events {{}} http {{ access_log off; {} include site.conf; }}",
        temporary.join(" ")
    );
    std::fs::write(folder.join("nginx.conf"), all).unwrap();
    let mut command = Command::new(program);
    command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder);
    command
}

/// Without the administration endpoint, which would be the same one for all.
fn caddy(program: &Path, folder: &Path, address: SocketAddr, site: &str) -> Command {
    std::fs::write(folder.join("site"), site).unwrap();
    let all = format!("{{\n\tadmin off\n\tdefault_bind {}\n}}\nimport site\n", address.ip());
    std::fs::write(folder.join("Caddyfile"), all).unwrap();
    let mut command = Command::new(program);
    command.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]).current_dir(folder);
    command
}

fn addressed(site: &str, wxgate: &str, service: &str) -> String {
    replace(&replace(site, "127.0.0.1:8080", wxgate), "127.0.0.1:9000", service)
}

#[track_caller]
fn replace(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
    text.replace(from, to)
}

/// An address of its own out of 127.0.0.0/8: what is free there a moment before the proxy takes it stays free.
fn own_address() -> SocketAddr {
    let [a, b, c] = Random::system().unwrap().bytes::<3>();
    let listener = std::net::TcpListener::bind((Ipv4Addr::new(127, a, b, c % 254 + 1), 0)).unwrap();
    listener.local_addr().unwrap()
}

/// Where a program is, also in the folders that are not on everyone's PATH.
fn program(name: &str) -> Option<PathBuf> {
    let path = environment("PATH").unwrap_or_default();
    let mut folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    folders.find_map(|folder| Some(Path::new(folder).join(name)).filter(|path| path.is_file()))
}
