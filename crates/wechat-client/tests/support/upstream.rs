//! A tiny server that answers with recorded documents, byte for byte, and counts what it saw.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

/// What happens after a request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes; the connection stays open.
    Keep(Vec<u8>),
    /// These bytes, then the end of the connection.
    Close(Vec<u8>),
    /// These bytes, then nothing, for ever.
    Stall(Vec<u8>),
    /// The first bytes, then the second ones one by one, ten milliseconds apart.
    Drip(Vec<u8>, Vec<u8>),
    /// The first bytes, then the second ones for ever.
    Endless(Vec<u8>, Vec<u8>),
}

/// What happens to a connection.
enum Door {
    /// Requests are answered in this order; the last answer repeats.
    Open(Mutex<VecDeque<Answer>>),
    /// It is closed at once.
    Slam,
    /// Nothing, for ever.
    Silence,
}

#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    /// Each request, head and body.
    pub(crate) requests: Vec<String>,
}

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: watch::Sender<Seen>,
    closed: Arc<Notify>,
    door: Arc<Door>,
}

impl Upstream {
    pub(crate) async fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start(Door::Open(Mutex::new(answers.into_iter().collect()))).await
    }

    /// For answers that depend on where they come from.
    pub(crate) async fn answering_at(answers: impl FnOnce(&str) -> Vec<Answer>) -> Self {
        let upstream = Self::start(Door::Open(Mutex::default())).await;
        if let Door::Open(waiting) = &*upstream.door {
            *waiting.lock().unwrap() = answers(&upstream.url()).into();
        }
        upstream
    }

    pub(crate) async fn slamming() -> Self {
        Self::start(Door::Slam).await
    }

    pub(crate) async fn silent() -> Self {
        Self::start(Door::Silence).await
    }

    async fn start(door: Door) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, closed, door) = (watch::Sender::default(), Arc::new(Notify::new()), Arc::new(door));
        tokio::spawn(accept(listener, door.clone(), seen.clone(), closed.clone()));
        Self { address, seen, closed, door }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until so many requests have arrived.
    pub(crate) async fn requests(&self, count: usize) {
        self.seen.subscribe().wait_for(|seen| seen.requests.len() >= count).await.unwrap();
    }

    /// Waits until the client has noticed that a connection was closed.
    pub(crate) async fn closed(&self) {
        self.closed.notified().await;
    }
}

async fn accept(listener: TcpListener, door: Arc<Door>, seen: watch::Sender<Seen>, closed: Arc<Notify>) {
    while let Ok((stream, _)) = listener.accept().await {
        seen.send_modify(|seen| seen.connections += 1);
        tokio::spawn(serve(stream, door.clone(), seen.clone(), closed.clone()));
    }
}

async fn serve(mut stream: TcpStream, door: Arc<Door>, seen: watch::Sender<Seen>, closed: Arc<Notify>) {
    let answers = match &*door {
        Door::Open(answers) => answers,
        Door::Slam => return,
        Door::Silence => return until_closed(&mut stream).await,
    };
    while let Some(request) = request(&mut stream).await {
        let answer = {
            let mut answers = answers.lock().unwrap();
            if answers.len() > 1 { answers.pop_front().unwrap() } else { answers.front().unwrap().clone() }
        };
        seen.send_modify(|seen| seen.requests.push(request));
        // The client may have left; what it saw until then is its own affair.
        let _ = give(&mut stream, answer, &closed).await;
    }
}

async fn give(stream: &mut TcpStream, answer: Answer, closed: &Notify) -> std::io::Result<()> {
    match answer {
        Answer::Keep(bytes) => stream.write_all(&bytes).await?,
        Answer::Close(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await?;
            until_closed(stream).await;
            closed.notify_one();
        }
        Answer::Stall(bytes) => {
            stream.write_all(&bytes).await?;
            until_closed(stream).await;
        }
        Answer::Drip(first, bytes) => {
            stream.write_all(&first).await?;
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            for byte in bytes {
                ticks.tick().await;
                stream.write_all(&[byte]).await?;
            }
        }
        Answer::Endless(first, again) => {
            stream.write_all(&first).await?;
            loop {
                stream.write_all(&again).await?;
            }
        }
    }
    Ok(())
}

async fn until_closed(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    while matches!(stream.read(&mut buffer).await, Ok(length) if length > 0) {}
}

async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let mut text = String::from_utf8(head).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let mut body = vec![0; length.unwrap_or_default()];
    stream.read_exact(&mut body).await.ok()?;
    text.push_str(std::str::from_utf8(&body).ok()?);
    Some(text)
}

/// A whole HTTP answer.
pub(crate) fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// An answer as WeChat gives it.
pub(crate) fn wechat(body: &str) -> Vec<u8> {
    http("200 OK", "Content-Type: text/plain\r\n", body)
}
