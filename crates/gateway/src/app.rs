//! The composition root: what the process is made of, how it starts and how it stops.

mod shared;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use wxgate_crypto::Random;
use wxgate_domain::{Clock, NodeId};
use wxgate_storage::{Node, Storage, StorageError};
use wxgate_wechat_client::{CallObserver, Client, ClientConfig};

use self::shared::Shared;
use crate::background::{Checkpoints, Readiness, forget_full_buckets, keep_node, keep_signing_keys, work};
use crate::config::{Config, Wechat};
use crate::http::boundary::Listener;
use crate::http::own_hosts::OwnHosts;
use crate::http::server::serve;
use crate::master_keys::MasterKeys;
use crate::metrics::Metrics;
use crate::service::access_tokens::AccessTokens;
use crate::service::account::Accounts;
use crate::service::admin::{Caller, Desk};
use crate::service::broker::Broker;
use crate::service::clients::Clients;
use crate::service::directory::Directory;
use crate::service::forward_auth::ForwardAuth;
use crate::service::jobs::Jobs;
use crate::service::limits::Limits;
use crate::service::login::Logins;
use crate::service::meters::Meters;
use crate::service::oauth::OAuth;
use crate::service::platforms::Platforms;
use crate::service::push::Pushes;
use crate::service::refresh::Refreshes;
use crate::service::revocations::Revocations;
use crate::service::revoked::Revoked;
use crate::service::verified::Verified;
use crate::service::webhooks::{Reach, Webhooks};

/// How long exchanges under way may take when the process stops.
const FINISH: Duration = Duration::from_secs(10);

/// What every request can reach.
pub(crate) struct Gateway {
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) directory: Directory,
    pub(crate) logins: Arc<Logins>,
    pub(crate) refreshes: Refreshes,
    pub(crate) accounts: Accounts,
    pub(crate) access_tokens: AccessTokens,
    pub(crate) platforms: Platforms,
    pub(crate) broker: Broker,
    pub(crate) verified: Verified,
    pub(crate) forward_auth: ForwardAuth,
    pub(crate) revocations: Revocations,
    pub(crate) clients: Clients,
    pub(crate) oauth: OAuth,
    pub(crate) pushes: Pushes,
    pub(crate) desk: Desk,
    pub(crate) readiness: Readiness,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Under which names the admin listener is asked.
    pub(crate) own_hosts: OwnHosts,
}

impl Gateway {
    /// Starts what runs beside the requests, until the process ends.
    fn run_beside(&self, storage: &Storage) {
        tokio::spawn(self.directory.clone().follow_changes());
        tokio::spawn(self.revocations.clone().follow());
        tokio::spawn(self.readiness.clone().watch(storage.clone()));
        tokio::spawn(forget_full_buckets(self.limits.clone()));
        tokio::spawn(self.access_tokens.clone().keep(self.readiness.stopping()));
        tokio::spawn(self.platforms.clone().keep(self.readiness.stopping()));
        tokio::spawn(keep_signing_keys(self.desk.serve(Caller::system()).signing_keys()));
    }
}

/// The two sockets, bound before anything else, so that a taken port is found at once.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) public: TcpListener,
    pub(crate) admin: TcpListener,
}

/// Where everything listens, as written to `listen.json`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) simulator: Option<SocketAddr>,
}

/// A running gateway.
pub(crate) struct App {
    servers: Vec<Running>,
    readiness: Readiness,
    drain: Duration,
    tasks: TaskTracker,
    checkpoints: Checkpoints,
    meters: Arc<Meters>,
    /// What must come to its end before the database is closed.
    beside: TaskTracker,
    storage: Storage,
}

/// A listener that serves, and how to stop it.
type Running = (ServerHandle, JoinHandle<std::io::Result<()>>);

/// Why the process does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    #[error("the database refused: {0}")]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Check(#[from] wxgate_storage::StartError),
    #[error(transparent)]
    Wechat(#[from] wxgate_wechat_client::ConfigError),
}

impl App {
    /// Puts the parts together over a started storage, reads what was revoked, and serves.
    pub(crate) async fn start(config: &Config, parts: Parts, sockets: Sockets) -> Result<Self, StartError> {
        let Parts { clock, random, metrics, storage } = parts.clone();
        let node = node(&sockets, &clock, &random, &config.database.master_keys)?;
        storage.nodes().seen(&node).await?;
        // A key may have been activated before this node was seen.
        storage.check().await?;
        let (revoked, revoked_follower) = Revoked::load(storage.clone(), clock.clone()).await?;
        let readiness = Readiness::new();
        let tasks = TaskTracker::new();
        let meters = Meters::new(clock.clone(), storage.clone());
        let wechat = wechat(&config.wechat, meters.observer(metrics.clone()))?;
        let time = (clock.clone(), random.clone());
        let desk = desk(config, time, storage.clone(), wechat.clone(), meters.clone(), tasks.clone());
        let shared = Shared::new(config, parts, wechat, desk.platforms.clone(), tasks.clone());
        let verified = Verified::new(shared.directory.clone(), clock, revoked.clone());
        let (forward_auth, policies) = ForwardAuth::load(storage.clone(), verified.clone()).await?;
        tokio::spawn(revoked_follower.follow());
        tokio::spawn(policies.follow());

        let (logins, refreshes) = (shared.logins(), shared.refreshes());
        let gateway = Gateway {
            accounts: shared.accounts(&logins, &revoked),
            broker: Broker::new(shared.access_tokens.clone(), shared.limits.clone()),
            clients: shared.clients(),
            oauth: shared.oauth(&refreshes, &verified, &revoked),
            pushes: shared.pushes(),
            revocations: shared.revocations(revoked, &readiness),
            logins,
            refreshes,
            verified,
            forward_auth,
            desk,
            readiness: readiness.clone(),
            trusted_proxies: config.http.trusted_proxies.clone(),
            own_hosts: OwnHosts::of(config.listen.admin.ip(), &config.listen.admin_hosts),
            clock: shared.clock,
            random: shared.random,
            metrics: shared.metrics,
            limits: shared.limits,
            directory: shared.directory,
            access_tokens: shared.access_tokens,
            platforms: shared.platforms,
        };
        gateway.run_beside(&storage);
        let checkpoints = Checkpoints::new(storage.clone(), config.checkpoint_file.clone());
        tokio::spawn(checkpoints.clone().keep());
        let webhooks = webhooks(config, &storage, &gateway, &sockets)?;
        let beside = live_and_work(&storage, (node, config.database.master_keys.clone()), &readiness);
        beside.spawn(webhooks.keep(readiness.stopping()));
        beside.spawn(meters.clone().keep(readiness.stopping()));
        let servers = listen_on_both(config, gateway, sockets)?;
        Ok(Self { servers, readiness, drain: config.http.drain, tasks, checkpoints, meters, beside, storage })
    }

    /// Stops in the order that loses nothing: turn away, stop accepting, finish, drain, checkpoint.
    pub(crate) async fn stop(self) {
        self.readiness.stop();
        tokio::time::sleep(self.drain).await;
        for (handle, _) in &self.servers {
            handle.pause().await;
        }
        // Exchanges live on the servers' threads, also those whose callers have left.
        self.tasks.close();
        if tokio::time::timeout(FINISH, self.tasks.wait()).await.is_err() {
            tracing::warn!("some exchanges with WeChat did not end in time");
        }
        for (handle, running) in self.servers {
            handle.stop(true).await;
            let _ = running.await;
        }
        self.beside.close();
        if tokio::time::timeout(FINISH, self.beside.wait()).await.is_err() {
            tracing::warn!("work in the background did not end in time");
        }
        self.meters.finish().await;
        self.checkpoints.finish().await;
        self.storage.stop().await;
        tracing::info!("stopped");
    }
}

/// Says to other nodes that this one is there, and does jobs, until the process stops.
fn live_and_work(storage: &Storage, (node, keys): (Node, MasterKeys), readiness: &Readiness) -> TaskTracker {
    let beside = TaskTracker::new();
    let jobs = Jobs { storage: storage.clone(), node: node.id };
    beside.spawn(keep_node(storage.clone(), node, keys, readiness.stopping()));
    beside.spawn(work(jobs, readiness.stopping()));
    beside
}

/// Who tells the tenants' services, and never this process itself.
fn webhooks(config: &Config, storage: &Storage, gateway: &Gateway, sockets: &Sockets) -> std::io::Result<Webhooks> {
    let Addresses { public, admin, .. } = sockets.addresses(None)?;
    let reach = Reach::new(&config.webhooks.allow_networks, &[public, admin]);
    let telling = (gateway.clock.clone(), gateway.metrics.clone());
    Ok(Webhooks::new(storage, telling, &config.webhooks, reach))
}

/// Serves both listeners from now on.
fn listen_on_both(config: &Config, gateway: Gateway, sockets: Sockets) -> std::io::Result<Vec<Running>> {
    let gateway = web::Data::new(gateway);
    let servers = [
        serve(gateway.clone(), sockets.public, Listener::Public, config.listen.workers)?,
        serve(gateway, sockets.admin, Listener::Admin, 1)?,
    ];
    Ok(servers.map(|server| (server.handle(), actix_web::rt::spawn(server))).into())
}

/// Who this process is among those that serve.
fn node(sockets: &Sockets, clock: &Clock, random: &Random, keys: &MasterKeys) -> std::io::Result<Node> {
    let Addresses { public, admin, .. } = sockets.addresses(None)?;
    let started_at = clock.now();
    Ok(Node {
        id: NodeId::new(started_at, random),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        address: format!("{public}, admin {admin}"),
        master_keys: keys.ids(),
        started_at,
    })
}

/// What is there before the gateway is put together.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) storage: Storage,
}

impl Sockets {
    /// Binds both addresses; port 0 takes a free one.
    pub(crate) fn bind(public: SocketAddr, admin: SocketAddr) -> std::io::Result<Self> {
        Ok(Self { public: listen(public)?, admin: listen(admin)? })
    }

    /// Where they really listen.
    pub(crate) fn addresses(&self, simulator: Option<SocketAddr>) -> std::io::Result<Addresses> {
        Ok(Addresses { public: self.public.local_addr()?, admin: self.admin.local_addr()?, simulator })
    }
}

/// Binds one address, and says which one if that fails.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| std::io::Error::new(error.kind(), format!("{address}: {error}")))
}

impl Addresses {
    /// Writes `listen.json` at once and whole: whoever sees the file can connect.
    pub(crate) fn publish(&self, data_dir: &Path) -> std::io::Result<()> {
        let target = listen_json(data_dir);
        let draft = target.with_extension("json.new");
        std::fs::write(&draft, serde_json::to_vec_pretty(self).unwrap_or_default())?;
        std::fs::rename(draft, target)
    }

    /// Where the simulated WeChat of the trial on this folder listens; `None` where there is no trial with one.
    pub(crate) fn simulator_on(data_dir: &Path) -> Option<SocketAddr> {
        let written = std::fs::read(listen_json(data_dir)).ok()?;
        serde_json::from_slice::<Self>(&written).ok()?.simulator
    }

    /// Removes what an earlier start left behind.
    pub(crate) fn withdraw(data_dir: &Path) {
        let _ = std::fs::remove_file(listen_json(data_dir));
    }
}

fn listen_json(data_dir: &Path) -> PathBuf {
    data_dir.join("listen.json")
}

/// What operators' moves are made with.
pub(crate) fn desk(
    config: &Config,
    (clock, random): (Clock, Random),
    storage: Storage,
    wechat: Client,
    meters: Arc<Meters>,
    tasks: TaskTracker,
) -> Desk {
    let platforms = Platforms::new((clock.clone(), random.clone()), storage.clone(), wechat.clone(), tasks);
    let (public_url, refusals) = (config.public_url.as_str().into(), Arc::default());
    let master_keys = config.database.master_keys.clone();
    Desk { storage, clock, random, wechat, platforms, master_keys, public_url, refusals, meters }
}

/// The client of WeChat's API.
pub(crate) fn wechat(config: &Wechat, observer: CallObserver) -> Result<Client, wxgate_wechat_client::ConfigError> {
    Client::new(ClientConfig {
        base_url: config.url.clone(),
        signed_url: config.signed_url.clone(),
        connect_timeout: config.connect_timeout,
        total_timeout: config.total_timeout,
        max_in_flight_per_app: config.calls_per_app,
        observer,
        ..ClientConfig::default()
    })
}
