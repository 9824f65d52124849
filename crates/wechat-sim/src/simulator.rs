//! A running simulator.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use tokio::task::JoinHandle;

use crate::guard;
use crate::hang_up;
use crate::routes::{self, Shared};
use crate::state::{SteeringError, World};

/// Connections open at once. Each takes two descriptors, so this stays clear of common limits.
const MAX_CONNECTIONS: usize = 10_000;

/// How long a connection may be open before its first request. Clients keep connections that they opened and did not need:
/// told of a time-out on one of them, they would take it for the answer to their next call.
const FIRST_REQUEST: Duration = Duration::from_mins(5);

/// Longer than clients keep idle connections, so that none is closed under a request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Where a simulator listens and whom it knows.
#[derive(Debug)]
pub struct SimulatorConfig {
    /// The address to listen on. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// The mini-programs known from the start; more can be added over HTTP.
    pub apps: Vec<SimulatedApp>,
    /// Whether to allow an address that other machines can reach, and any `Host`. Whoever reaches the simulator
    /// can log in as anybody in front of whatever trusts it.
    pub expose: bool,
    /// Whether an app that was never named exists from the moment somebody asks with its appid and a secret: that one is
    /// then its secret. Apps that were removed stay unknown.
    pub adopts: bool,
}

/// A mini-program registered with the simulated WeChat.
#[derive(Clone)]
pub struct SimulatedApp {
    /// 1 to 64 characters of `[A-Za-z0-9_-]`; WeChat's own are `wx` and 16 hex digits.
    pub appid: String,
    /// The AppSecret: 1 to 128 visible ASCII characters; WeChat's own are 32 hex digits.
    pub secret: String,
    /// The Open Platform account that the app is bound to. Users of a bound app have a unionid.
    pub union_group: Option<String>,
}

impl fmt::Debug for SimulatedApp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SimulatedApp")
            .field("appid", &self.appid)
            .field("secret", &"[redacted]")
            .field("union_group", &self.union_group)
            .finish()
    }
}

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is not a loopback address, and `expose` is not set.
    #[error("the simulator listens on loopback addresses only, {0} is none: exposing it must be asked for")]
    NotLoopback(SocketAddr),
    /// The address is taken or not ours.
    #[error("the simulator cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// An app's data is not valid; the text says which field and why.
    #[error("app {index}: {reason}")]
    InvalidApp {
        /// Position in [`SimulatorConfig::apps`], from 0.
        index: usize,
        /// What is wrong, without the value.
        reason: String,
    },
    /// The operating system gave no random seed.
    #[error("no randomness from the operating system")]
    NoRandomness,
}

impl StartError {
    fn invalid_app(index: usize, error: &SteeringError) -> Self {
        Self::InvalidApp { index, reason: error.to_string() }
    }
}

/// A running simulator. It stops with [`Simulator::stop`], or when it is dropped.
pub struct Simulator {
    address: SocketAddr,
    world: Data<Shared>,
    handle: ServerHandle,
    server: Option<JoinHandle<io::Result<()>>>,
}

impl Simulator {
    /// Listens and serves, on a worker thread of its own. It installs no signal handlers.
    ///
    /// Connections are accepted from the return on. It must be called inside a Tokio runtime, of any kind.
    #[expect(clippy::unused_async, reason = "an async fn can only run where the runtime is that it spawns on")]
    pub async fn start(config: SimulatorConfig) -> Result<Self, StartError> {
        let SimulatorConfig { listen, apps, expose, adopts } = config;
        if !expose && !listen.ip().to_canonical().is_loopback() {
            return Err(StartError::NotLoopback(listen));
        }
        let mut world = World::new(adopts).map_err(|_| StartError::NoRandomness)?;
        for (index, app) in apps.into_iter().enumerate() {
            world.put_app(app).map_err(|error| StartError::invalid_app(index, &error))?;
        }
        let world = Data::new(Shared::new(world, expose));
        let shared = world.clone();
        let server = HttpServer::new(move || {
            App::new().app_data(shared.clone()).wrap(from_fn(guard::admit)).configure(routes::configure)
        })
        .workers(1)
        .max_connections(MAX_CONNECTIONS)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(FIRST_REQUEST)
        .on_connect(hang_up::remember)
        .disable_signals()
        .bind(listen)
        .map_err(|source| StartError::Listen { address: listen, source })?;
        let address = server.addrs().first().copied().unwrap_or(listen);
        let server = server.run();
        let handle = server.handle();
        Ok(Self { address, world, handle, server: Some(tokio::spawn(server)) })
    }

    /// Adds a mini-program, or replaces what is known of it, as `POST /sim/apps` does.
    pub fn put_app(&self, app: SimulatedApp) -> Result<(), StartError> {
        self.world.world().put_app(app).map_err(|error| StartError::invalid_app(0, &error))
    }

    /// The address it listens on, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for clients on this machine, say `http://127.0.0.1:8082`: WeChat's routes and `/sim` are below it.
    pub fn url(&self) -> String {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// Stops at once: open connections are closed, whatever they wait for.
    pub async fn stop(mut self) {
        self.handle.stop(false).await;
        if let Some(server) = self.server.take() {
            // The server has no result of its own to lose.
            let _ = server.await;
        }
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Simulator({})", self.address)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // The command is sent by the call; the future would only wait for the end.
        drop(self.handle.stop(false));
    }
}
