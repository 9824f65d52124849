//! How the gateway is called: with timeouts, without redirects and proxies, and never more than a bounded answer.

use std::time::Duration;

use reqwest::header::CONTENT_ENCODING;
use reqwest::{Client, Response, Url, redirect, retry};

use crate::builder::BuildError;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Shorter than servers keep idle connections, so that no request meets one that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest answer that is read, in bytes: that of a page and of a key set.
pub(crate) const MAX_BODY: usize = 1024 * 1024;

/// A client for the gateway's address that keeps at most `idle` connections.
///
/// A connection is driven by the runtime that opened it. Whoever calls from several, of which one can end, keeps none: a
/// handshake every few minutes costs less than that trouble.
pub(crate) fn client(https_only: bool, idle: usize) -> Result<Client, BuildError> {
    Client::builder()
        .user_agent(concat!("wxgate-verifier/", env!("CARGO_PKG_VERSION")))
        .https_only(https_only)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(idle)
        .pool_idle_timeout(IDLE_TIMEOUT)
        // Keys and revocations come from the configured host and nobody it points to.
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        // Also if another crate of the program switches these features of reqwest on: a small answer may not grow.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .build()
        .map_err(|_| BuildError::Tls)
}

/// Reads the body, but never more than [`MAX_BODY`]; `None` if it is longer, encoded, or breaks off.
pub(crate) async fn body(mut response: Response) -> Option<Vec<u8>> {
    let encoding = response.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return None;
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if chunk.len() > MAX_BODY.saturating_sub(body.len()) {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

/// What went wrong, in words of our own: the library's name the address with everything in it.
pub(crate) fn why(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it took too long"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}

/// Whether the address is safe to trust: encrypted, or inside this machine.
pub(crate) fn is_private_to_us(url: &Url) -> bool {
    let loopback = match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
        None => false,
    };
    match url.scheme() {
        "https" => url.has_host(),
        "http" => loopback,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_this_machine_is_trusted() {
        let safe = |url: &str| is_private_to_us(&url.parse().unwrap());
        for url in [
            "https://auth.example.com/t/a",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(safe(url), "{url}");
        }
        for url in
            ["http://auth.example.com", "http://10.0.0.1", "http://localhost.evil.example", "http://[::2]", "ftp://a"]
        {
            assert!(!safe(url), "{url}");
        }
    }
}
