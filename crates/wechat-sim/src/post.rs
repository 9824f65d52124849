//! Sends a push, or the verification of an address: one request over plain HTTP, as small as it can be.
//!
//! Pushes go to programs under test on this machine, so there is no TLS here and no client library.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};

use crate::push::Push;

/// WeChat closes the connection after five seconds without an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer that is read.
const MAX_ANSWER: u64 = 64 * 1024;

/// What came back.
#[derive(Serialize)]
pub(crate) struct Delivery {
    /// Absent if there was no answer within five seconds.
    status: Option<u16>,
    body: String,
}

/// Why nothing was sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSent {
    #[error("url must be http://host:port/path")]
    Url,
    #[error("url must lead to this machine, unless the simulator is exposed")]
    NotLoopback,
}

/// Where a push goes: host with port, and path.
fn target(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len()))?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    (!host.is_empty() && plain(url)).then_some((host, if path.is_empty() { "/" } else { path }))
}

impl Delivery {
    /// Whether WeChat takes it for accepted: it does not ask again.
    pub(crate) fn is_answer(&self) -> bool {
        self.status == Some(200) && matches!(self.body.as_str(), "success" | "")
    }

    /// Whether the answer to a verification is exactly this.
    pub(crate) fn echoes(&self, echostr: &str) -> bool {
        self.status == Some(200) && self.body == echostr
    }
}

/// Sends a push, and returns what was answered.
pub(crate) async fn post(url: &str, push: &Push, anywhere: bool) -> Result<Delivery, NotSent> {
    let body = format!(
        "Content-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        push.content_type,
        push.body.len(),
        push.body
    );
    send("POST", url, (&push.query, &body), anywhere).await
}

/// Sends a verification, and returns what was answered.
pub(crate) async fn get(url: &str, query: &str, anywhere: bool) -> Result<Delivery, NotSent> {
    send("GET", url, (query, "Connection: close\r\n\r\n"), anywhere).await
}

async fn send(method: &str, url: &str, (query, rest): (&str, &str), anywhere: bool) -> Result<Delivery, NotSent> {
    let (host, path) = target(url).ok_or(NotSent::Url)?;
    let with_port = if host.rsplit(']').next().is_some_and(|rest| rest.contains(':')) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let address = lookup_host(with_port).await.ok().and_then(|mut found| found.next()).ok_or(NotSent::Url)?;
    if !anywhere && !address.ip().to_canonical().is_loopback() {
        return Err(NotSent::NotLoopback);
    }
    let joint = if path.contains('?') { '&' } else { '?' };
    let request = format!("{method} {path}{joint}{query} HTTP/1.1\r\nHost: {host}\r\n{rest}");
    let answer = tokio::time::timeout(PATIENCE, exchange(address, &request)).await;
    Ok(answer
        .ok()
        .and_then(Result::ok)
        .map_or_else(|| Delivery { status: None, body: String::new() }, |text| read(&text)))
}

async fn exchange(address: SocketAddr, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn read(answer: &str) -> Delivery {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Delivery { status, body: body.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_are_targets() {
        assert_eq!(target("http://127.0.0.1:80/a?b=c"), Some(("127.0.0.1:80", "/a?b=c")));
        assert_eq!(target("http://[::1]:80"), Some(("[::1]:80", "/")));
        for wrong in
            ["", "https://127.0.0.1/", "127.0.0.1/", "http:///path", "http://a/\r\nX: y", "http://a/#b", "http://a b/"]
        {
            assert_eq!(target(wrong), None, "{wrong}");
        }
    }
}
