//! The configuration: read from its layers, checked as a whole, then only types.

mod layers;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use wxgate_crypto::{MasterKey, Secret};
use wxgate_domain::{Network, Slug};
use wxgate_storage::DatabaseUrl;
use wxgate_wechat_client::BaseUrl;

use crate::master_keys::{Configured, MasterKeys};

pub(crate) use layers::{Layers, Problem};

/// Everything the process needs to know, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Without a trailing slash.
    pub(crate) public_url: String,
    pub(crate) data_dir: Option<PathBuf>,
    /// Where erasures are written down outside the database, if anywhere.
    pub(crate) erasure_journal: Option<PathBuf>,
    pub(crate) listen: Listen,
    pub(crate) http: Http,
    pub(crate) database: Database,
    pub(crate) wechat: Wechat,
    pub(crate) limits: Limits,
    pub(crate) webhooks: Webhooks,
    pub(crate) jwks_tenants: Vec<Slug>,
    /// Where checkpoints of the audit logs are kept, beside the log.
    pub(crate) checkpoint_file: Option<PathBuf>,
    pub(crate) log: Log,
}

#[derive(Clone, Debug)]
pub(crate) struct Listen {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// Names under which the admin listener is asked.
    pub(crate) admin_hosts: Vec<String>,
    /// Threads that serve the public listener.
    pub(crate) workers: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Http {
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) drain: Duration,
}

#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) url: DatabaseUrl,
    pub(crate) connections: u32,
    pub(crate) master_keys: MasterKeys,
}

#[derive(Clone, Debug)]
pub(crate) struct Wechat {
    pub(crate) url: BaseUrl,
    /// What signed calls name instead, if `url` is that of a relay.
    pub(crate) signed_url: Option<BaseUrl>,
    pub(crate) connect_timeout: Duration,
    pub(crate) total_timeout: Duration,
    pub(crate) calls_per_app: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) address_per_second: u32,
    pub(crate) address_burst: u32,
    /// Percent of an app's limit that suspect addresses share.
    pub(crate) suspect_percent: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Webhooks {
    /// What may be called beside the public internet.
    pub(crate) allow_networks: Vec<Network>,
    /// The shortest pause after a failure.
    pub(crate) first_retry: Duration,
    /// For one attempt.
    pub(crate) timeout: Duration,
    /// Webhooks that are told of something at once.
    pub(crate) in_flight: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    pub(crate) level: tracing::Level,
    pub(crate) format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// All that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Invalid(Vec<Problem>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} problem(s):", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// The layers for an operator's file: defaults, the file, the environment.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn layers(file: &Path) -> std::io::Result<Layers> {
    let mut layers = Layers::defaults();
    layers.file(&file.display().to_string(), &std::fs::read_to_string(file)?);
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    layers.environment(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))));
    Ok(layers)
}

impl Config {
    /// Checks the layers and turns them into types.
    ///
    /// # Errors
    /// Every problem at once, those of the layers included.
    pub(crate) fn check(mut layers: Layers) -> Result<Self, Invalid> {
        let config = Reader(&mut layers).config();
        match config {
            Some(config) if layers.problems().is_empty() => Ok(config),
            _ => Err(Invalid(layers.problems().to_vec())),
        }
    }
}

/// Reads keys; what cannot be read becomes a problem and `None`.
struct Reader<'a>(&'a mut Layers);

impl Reader<'_> {
    fn config(&mut self) -> Option<Config> {
        // Each part is read before any is unwrapped: all problems are to be found in one run.
        let public_url = self.public_url();
        let listen = self.listen();
        let http = self.http();
        let database = self.database();
        let wechat = self.wechat();
        let limits = self.limits();
        let webhooks = self.webhooks();
        let jwks_tenants = self.jwks_tenants();
        let log = self.log();
        let checkpoint_file = self.checkpoint_file();
        let data_dir = Some(self.0.text("data_dir")).filter(|path| !path.is_empty());
        let data_dir = data_dir.map(|path| self.0.path("data_dir", &path));
        if data_dir.as_ref().is_some_and(|path| !path.is_dir()) {
            self.0.reject("data_dir", "is not a folder; make it first");
        }
        let erasure_journal = self.erasure_journal(data_dir.as_deref());
        Some(Config {
            public_url: public_url?,
            data_dir,
            erasure_journal,
            listen: listen?,
            http,
            database: database?,
            wechat: wechat?,
            limits,
            webhooks,
            jwks_tenants,
            checkpoint_file,
            log: log?,
        })
    }

    fn parse<T>(&mut self, key: &str, what: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let parsed = parse(&self.0.text(key));
        if parsed.is_none() {
            self.0.reject(key, what);
        }
        parsed
    }

    fn public_url(&mut self) -> Option<String> {
        self.parse("public_url", "must be https://host[:port] without a path, or http on a loopback address", |text| {
            let url = url::Url::parse(text).ok()?;
            let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
            let secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
            (bare && secure && url.username().is_empty() && url.password().is_none())
                .then(|| url.origin().ascii_serialization())
        })
    }

    /// Beside what else is written, unless it has a place of its own.
    fn erasure_journal(&mut self, data_dir: Option<&Path>) -> Option<PathBuf> {
        let text = self.0.text("erasure_journal");
        if text.is_empty() {
            return data_dir.map(|folder| folder.join("erasures.jsonl"));
        }
        let path = self.0.path("erasure_journal", &text);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if !folder.is_none_or(Path::is_dir) {
            self.0.reject("erasure_journal", "is not in a folder; make it first");
        }
        Some(path)
    }

    fn listen(&mut self) -> Option<Listen> {
        let socket = "must be an IP address and a port, such as 127.0.0.1:8080";
        let public = self.parse("listen.public", socket, |text| text.parse().ok());
        let admin = self.parse("listen.admin", socket, |text| text.parse().ok());
        if admin.is_some_and(|a: SocketAddr| !a.ip().is_loopback()) && !self.0.switch("listen.admin_behind_tls") {
            self.0.reject("listen.admin", "is not a loopback address: it needs listen.admin_behind_tls = true");
        }
        let admin_hosts = self.0.list("listen.admin_hosts");
        for wrong in admin_hosts.iter().filter(|name| !is_host(name)) {
            self.0
                .reject("listen.admin_hosts", format!("{wrong:?} is not the name of a host, without scheme and port"));
        }
        let workers = match self.0.number("listen.workers", 0, 1_024) {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        Some(Listen { public: public?, admin: admin?, admin_hosts, workers })
    }

    fn http(&mut self) -> Http {
        let mut trusted_proxies = Vec::new();
        for text in self.0.list("http.trusted_proxies") {
            match network(&text) {
                Some(network) => trusted_proxies.push(network),
                None => self.0.reject("http.trusted_proxies", format!("{text:?} is no address or network")),
            }
        }
        Http { trusted_proxies, drain: Duration::from_secs(self.0.number("http.drain_seconds", 0, 60)) }
    }

    fn database(&mut self) -> Option<Database> {
        let url = self.secret("database.url").map(|(key, text)| (self.beside_the_file(&key, text), key));
        let url = url.and_then(|(text, key)| match DatabaseUrl::parse(&text) {
            Ok(url) => Some(url),
            Err(error) => {
                self.0.reject(&key, error.to_string());
                None
            }
        });
        let master_keys = self.master_keys();
        let connections = self.0.number("database.connections", 1, 1_000);
        Some(Database { url: url?, connections, master_keys: master_keys? })
    }

    fn master_keys(&mut self) -> Option<MasterKeys> {
        let first = self.secret("master_key.value").and_then(|(key, text)| self.master_key(&key, key.clone(), &text));
        let mut old = Vec::new();
        for path in self.0.list("master_key.old_files") {
            let text = self.read("master_key.old_files", &path);
            let entry = format!("master_key.old_files ({path})");
            old.extend(text.and_then(|text| self.master_key("master_key.old_files", entry, &text)));
        }
        let folder = Some(self.0.text("master_key.folder")).filter(|path| !path.is_empty());
        let folder = folder.map(|path| self.0.path("master_key.folder", &path));
        let loaded = MasterKeys::load(first?, old, folder);
        loaded.map_err(|error| self.0.reject("master_key.folder", error.to_string())).ok()
    }

    /// An SQLite file of the operator's configuration is looked for beside it.
    fn beside_the_file(&self, key: &str, url: Secret<String>) -> Secret<String> {
        let Some(path) = url.expose().strip_prefix("sqlite:") else { return url };
        let path = self.0.path(key, path.strip_prefix("//").unwrap_or(path));
        Secret::new(format!("sqlite:{}", path.display()))
    }

    fn master_key(&mut self, key: &str, entry: String, text: &Secret<String>) -> Option<Configured> {
        let parsed = MasterKey::parse(text).map_err(|error| self.0.reject(key, error.to_string()));
        parsed.ok().map(|key| Configured { entry, key })
    }

    fn wechat(&mut self) -> Option<Wechat> {
        let allow_other_hosts = self.0.switch("wechat.allow_other_hosts");
        let url = match BaseUrl::parse(&self.0.text("wechat.url"), allow_other_hosts) {
            Ok(url) => Some(url),
            Err(error) => {
                self.0.reject("wechat.url", error.to_string());
                None
            }
        };
        let signed_url = match self.0.text("wechat.signed_url").as_str() {
            "" => None,
            text => match BaseUrl::parse(text, allow_other_hosts) {
                Ok(url) => Some(url),
                Err(error) => {
                    self.0.reject("wechat.signed_url", error.to_string());
                    None
                }
            },
        };
        let connect_timeout = Duration::from_millis(self.0.number("wechat.connect_timeout_ms", 50, 10_000));
        let total_timeout = Duration::from_millis(self.0.number("wechat.total_timeout_ms", 50, 3_000));
        if connect_timeout >= total_timeout {
            self.0.reject("wechat.connect_timeout_ms", "must be below wechat.total_timeout_ms");
        }
        let calls_per_app = self.0.number("wechat.calls_per_app", 1, 10_000);
        Some(Wechat { url: url?, signed_url, connect_timeout, total_timeout, calls_per_app })
    }

    fn limits(&mut self) -> Limits {
        Limits {
            address_per_second: self.0.number("limits.address_per_second", 1, 1_000_000),
            address_burst: self.0.number("limits.address_burst", 1, 1_000_000),
            suspect_percent: self.0.number("limits.suspect_percent", 1, 100),
        }
    }

    fn webhooks(&mut self) -> Webhooks {
        let mut allow_networks = Vec::new();
        for text in self.0.list("webhooks.allow_networks") {
            match text.parse() {
                Ok(network) => allow_networks.push(network),
                Err(_) => self.0.reject("webhooks.allow_networks", format!("{text:?} is no address or network")),
            }
        }
        Webhooks {
            allow_networks,
            first_retry: Duration::from_millis(self.0.number("webhooks.first_retry_ms", 10, 60_000)),
            timeout: Duration::from_millis(self.0.number("webhooks.timeout_ms", 100, 30_000)),
            in_flight: self.0.number("webhooks.in_flight", 1, 1_000),
        }
    }

    fn jwks_tenants(&mut self) -> Vec<Slug> {
        let mut slugs = Vec::new();
        for text in self.0.list("jwks.tenants") {
            match text.parse() {
                Ok(slug) => slugs.push(slug),
                Err(_) => self.0.reject("jwks.tenants", format!("{text:?} is no tenant's name")),
            }
        }
        slugs
    }

    fn checkpoint_file(&mut self) -> Option<PathBuf> {
        const KEY: &str = "audit.checkpoint_file";
        let path = Some(self.0.text(KEY)).filter(|path| !path.is_empty())?;
        let path = self.0.path(KEY, &path);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if path.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
            self.0.reject(KEY, "must be a file in a folder that is there");
        }
        Some(path)
    }

    fn log(&mut self) -> Option<Log> {
        let level = self.parse("log.level", "must be trace, debug, info, warn or error", |text| text.parse().ok());
        let format = self.parse("log.format", "must be text or json", |text| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        });
        Some(Log { level: level?, format: format? })
    }

    /// A value that stands in `key` or in the file that `key_file` names, exactly one of the two; and which it was.
    fn secret(&mut self, key: &str) -> Option<(String, Secret<String>)> {
        let file_key = format!("{key}_file");
        let (value, path) = (self.0.text(key), self.0.text(&file_key));
        match (value.is_empty(), path.is_empty()) {
            (false, true) => Some((key.to_owned(), Secret::new(value))),
            (true, false) => self.read(&file_key, &path).map(|text| (file_key, text)),
            (false, false) => {
                self.0.reject(key, format!("is given beside {file_key}: give one of the two"));
                None
            }
            (true, true) => {
                self.0.reject(key, format!("is required: give it or {file_key}"));
                None
            }
        }
    }

    fn read(&mut self, key: &str, path: &str) -> Option<Secret<String>> {
        let path = self.0.path(key, path);
        match std::fs::read_to_string(&path) {
            Ok(text) => Some(Secret::new(text.trim().to_owned())),
            Err(error) => {
                self.0.reject(key, format!("{} cannot be read: {}", path.display(), error.kind()));
                None
            }
        }
    }
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A network, or a single address as the network of itself.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
}

/// Keys whose values are never printed.
pub(crate) fn is_secret(key: &str) -> bool {
    matches!(key, "database.url" | "master_key.value")
}

/// Whether a text can be the name of a host: letters, digits, hyphens and dots, without a port.
fn is_host(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    (1..=253).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests;
