//! Connections to receivers: each address is checked when it is resolved, which is when a connection is opened.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, redirect, retry};
use wxgate_domain::WebhookUrl;

use super::address::Reach;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Shorter than servers keep idle connections, so that no request meets one that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The address is one that nobody may be made to call.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the address is not one that webhooks may call")]
pub(super) struct Forbidden;

impl Forbidden {
    /// Whether this is why a request failed.
    pub(super) fn is_cause_of(error: &reqwest::Error) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = error.source();
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// One pool for everything that is checked alike.
#[derive(Debug)]
pub(super) struct Connections {
    reach: Reach,
    timeout: Duration,
    pools: Mutex<HashMap<Check, Client>>,
}

/// What an address is checked for. There are few of them: a port counts only where this process listens too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Check {
    plain: bool,
    own_port: Option<u16>,
}

impl Connections {
    /// No connection is opened yet.
    pub(super) fn new(reach: Reach, timeout: Duration) -> Self {
        Self { reach, timeout, pools: Mutex::default() }
    }

    /// The connections for this address.
    ///
    /// # Errors
    /// [`Forbidden`]: it is an address by itself, and not one to call. What a name stands for is found out later.
    pub(super) fn to(&self, url: &WebhookUrl) -> Result<Client, CannotCall> {
        let port = url.as_url().port_or_known_default().unwrap_or_default();
        let literal = match url.host() {
            Some(url::Host::Ipv4(address)) => Some(address.into()),
            Some(url::Host::Ipv6(address)) => Some(address.into()),
            _ => None,
        };
        if literal.is_some_and(|address| !self.reach.permits(address, port, url.is_plain())) {
            return Err(Forbidden.into());
        }
        let own_port = Some(port).filter(|port| self.reach.is_own_port(*port));
        let check = Check { plain: url.is_plain(), own_port };
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&check) {
            return Ok(pool.clone());
        }
        let pool = self.pool(check)?;
        pools.insert(check, pool.clone());
        Ok(pool)
    }

    fn pool(&self, check: Check) -> Result<Client, CannotCall> {
        let pool = Client::builder()
            .user_agent(concat!("wxgate/", env!("CARGO_PKG_VERSION")))
            .https_only(!check.plain)
            // One request for each connection: one that breaks costs one event.
            .http1_only()
            .dns_resolver(Resolver { reach: self.reach.clone(), check })
            .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
            .timeout(self.timeout)
            .pool_max_idle_per_host(4)
            .pool_idle_timeout(IDLE_TIMEOUT)
            // A proxy or a redirect would go where nothing is checked.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never())
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .build();
        pool.map_err(|_| CannotCall::Tls)
    }
}

/// Why no connection is even tried.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum CannotCall {
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("TLS cannot be set up on this machine")]
    Tls,
}

/// Resolves a name to those of its addresses that may be called.
struct Resolver {
    reach: Reach,
    check: Check,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, Check { plain, own_port }) = (self.reach.clone(), self.check);
        Box::pin(async move {
            let port = own_port.unwrap_or_default();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let permitted: Vec<_> = found.into_iter().filter(|found| reach.permits(found.ip(), port, plain)).collect();
            if permitted.is_empty() {
                return Err(Forbidden.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}
