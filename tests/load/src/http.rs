//! The generator: a closed loop of keep-alive connections, each sending its next request when the last is answered.
//!
//! Written by hand because it shares the machine with what it measures: it parses no more of an answer than it must.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest wait for one answer. Far beyond what any server here needs; it only keeps a broken run from hanging.
const LONGEST: Duration = Duration::from_secs(30);

/// An answer and how long it took.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) took: Duration,
}

/// What came of many requests.
#[derive(Debug)]
pub(crate) struct Replies {
    /// In the order of the requests.
    pub(crate) replies: Vec<Reply>,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
}

/// The type of most bodies.
pub(crate) const JSON: &str = "application/json";
/// The type of what OAuth endpoints take.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A request with a body of this type, ready to be sent.
pub(crate) fn post(path: &str, media_type: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {media_type}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A request without a body, ready to be sent.
pub(crate) fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n").into_bytes()
}

/// Sends all requests over this many connections.
///
/// # Errors
/// A connection failed; what the server answers is no error.
pub(crate) async fn send_all(
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    connections: usize,
) -> std::io::Result<Replies> {
    let requests = Arc::new(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let running: Vec<_> = (0..connections.min(requests.len()))
        .map(|_| tokio::spawn(send_in_turn(address, Arc::clone(&requests), Arc::clone(&next))))
        .collect();
    let mut replies = Vec::with_capacity(requests.len());
    for connection in running {
        replies.extend(connection.await??);
    }
    let elapsed = started.elapsed();
    replies.sort_unstable_by_key(|(index, _)| *index);
    Ok(Replies { replies: replies.into_iter().map(|(_, reply)| reply).collect(), elapsed })
}

async fn send_in_turn(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
) -> std::io::Result<Vec<(usize, Reply)>> {
    let mut connection = Connection { address, stream: None, buffer: Vec::with_capacity(8 * 1024) };
    let mut replies = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(index) else { return Ok(replies) };
        let reply = tokio::time::timeout(LONGEST, connection.exchange(request)).await;
        replies.push((index, reply.map_err(|_| Error::from(ErrorKind::TimedOut))??));
    }
}

/// Sends one request on a connection of its own.
///
/// # Errors
/// There is nobody, or the connection broke.
pub(crate) async fn send(address: SocketAddr, request: &[u8]) -> std::io::Result<Reply> {
    Connection { address, stream: None, buffer: Vec::new() }.exchange(request).await
}

struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    async fn exchange(&mut self, request: &[u8]) -> std::io::Result<Reply> {
        let started = Instant::now();
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address).await?,
        };
        stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(Error::new(ErrorKind::UnexpectedEof, "the server hung up in the middle"));
            }
            let Some(head) = Head::parse(&self.buffer)? else { continue };
            let Some(body) = self.buffer.get(head.length..head.length + head.body) else { continue };
            let reply = Reply { status: head.status, body: body.to_vec(), took: started.elapsed() };
            // gunicorn's plain workers hang up after each answer.
            if !head.closes {
                self.stream = Some(stream);
            }
            return Ok(reply);
        }
    }
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What is read of an answer's head.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes up to the body.
    length: usize,
    /// Bytes of the body.
    body: usize,
    closes: bool,
}

impl Head {
    /// `None` while the head is not whole. Every server here names the length of its bodies.
    fn parse(bytes: &[u8]) -> std::io::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let invalid = || Error::new(ErrorKind::InvalidData, "an answer that is no HTTP/1.1 with a length");
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| invalid())?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let (mut body, mut closes) = (None, false);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                body = value.parse().ok();
            } else if name.eq_ignore_ascii_case("connection") {
                closes = value.eq_ignore_ascii_case("close");
            }
        }
        let (status, body) = status.zip(body).ok_or_else(invalid)?;
        Ok(Some(Self { status, length: end + 4, body, closes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab";
        for cut in 0..bytes.len() - 2 {
            assert_eq!(Head::parse(&bytes[..cut]).unwrap(), None);
        }
        let head = Head { status: 200, length: bytes.len() - 2, body: 2, closes: true };
        assert_eq!(Head::parse(bytes).unwrap(), Some(head));
    }

    #[test]
    fn an_answer_without_a_length_is_refused() {
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(Head::parse(b"nonsense\r\n\r\n").is_err());
    }

    #[test]
    fn a_request_names_the_length_of_its_body() {
        let text = String::from_utf8(post("/x", JSON, "A: b\r\n", "{}")).unwrap();
        assert!(text.starts_with("POST /x HTTP/1.1\r\n") && text.contains("\r\nA: b\r\nContent-Length: 2\r\n\r\n{}"));
    }
}
