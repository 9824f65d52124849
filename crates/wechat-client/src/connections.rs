//! Connections to WeChat.

use std::time::Duration;

use reqwest::{redirect, retry};
use thread_local::ThreadLocal;

use crate::error::ConfigError;

/// Idle connections that are kept for each thread.
const MAX_IDLE: usize = 256;

/// Shorter than servers usually keep idle connections, so that it is us who closes them, and no request meets a
/// connection that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A pool of connections for each thread that calls.
///
/// A connection is driven by the runtime of the thread that opened it. Were it used from another thread, each answer
/// would cost two threads a wake-up, which costs more than the call.
#[derive(Debug)]
pub(crate) struct Connections {
    pools: ThreadLocal<reqwest::Client>,
    https_only: bool,
    connect_timeout: Duration,
}

impl Connections {
    /// No connection is opened yet.
    ///
    /// # Errors
    /// [`ConfigError::Tls`]: found now, not at the first call.
    pub(crate) fn new(https_only: bool, connect_timeout: Duration) -> Result<Self, ConfigError> {
        let connections = Self { pools: ThreadLocal::new(), https_only, connect_timeout };
        connections.of_this_thread()?;
        Ok(connections)
    }

    /// The pool of the thread that asks.
    pub(crate) fn of_this_thread(&self) -> Result<&reqwest::Client, ConfigError> {
        self.pools.get_or_try(|| self.pool())
    }

    fn pool(&self) -> Result<reqwest::Client, ConfigError> {
        reqwest::Client::builder()
            .user_agent(concat!("wxgate/", env!("CARGO_PKG_VERSION")))
            .https_only(self.https_only)
            // One request for each connection: a connection that breaks costs one login, not hundreds.
            .http1_only()
            .connect_timeout(self.connect_timeout)
            .pool_max_idle_per_host(MAX_IDLE)
            .pool_idle_timeout(IDLE_TIMEOUT)
            // The address holds the AppSecret: it goes to the configured host and nowhere else.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            // A code works once, so a request that was sent is never sent again. What remains inside hyper cannot be
            // switched off and is safe: a request is put on another connection only if it was still in the queue of
            // an idle connection that turned out to be closed, and no byte of it was written.
            .retry(retry::never())
            // Also if another crate of the program switches these features of reqwest on.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .build()
            .map_err(|_| ConfigError::Tls)
    }
}
