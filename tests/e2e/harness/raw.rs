//! Requests as bytes, for what no client library would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::Client;

/// A reply as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawReply {
    /// 0 if the other side closed without a word.
    pub(crate) status: u16,
    pub(crate) head: String,
}

impl RawReply {
    /// A header's text, empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
        found.next().unwrap_or_default()
    }
}

/// Sends one request as it is, on a connection of its own: `GET /a\tb` and header lines without their ends.
pub(crate) async fn exchange(client: &Client, request_line: &str, headers: &[&str]) -> RawReply {
    let mut stream = TcpStream::connect(client.authority()).await.unwrap();
    let mut text = format!("{request_line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", client.authority());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    // The other side may close before it has read everything.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut reply = Vec::new();
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut reply)).await.unwrap();
    let text = String::from_utf8_lossy(&reply);
    let head = text.split("\r\n\r\n").next().unwrap_or_default().to_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    RawReply { status, head }
}
