//! A second WeChat, written by hand and as small as can be: a closure decides every byte of its answers.
//!
//! The simulator behaves as WeChat does; this one contradicts itself, stays silent, or lies about lengths.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A server for `--wechat-url`; it ends with the test.
#[derive(Debug)]
pub(crate) struct Wechat {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    gate: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

/// How a request is answered: with these bytes, maybe later, maybe not to the end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    bytes: Vec<u8>,
    held: bool,
    then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Close,
    StayOpen,
}

impl Answer {
    /// What WeChat usually sends: status 200, JSON labelled as text.
    pub(crate) fn body(body: impl AsRef<[u8]>) -> Self {
        Self::with("200 OK", "text/plain", body)
    }

    /// A status line, a media type and a body, with a length that is true. The connection closes, as announced.
    pub(crate) fn with(status: &str, media_type: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        Self::raw([head.as_bytes(), body].concat())
    }

    /// Exactly these bytes, head and all; then the connection closes.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), held: false, then: Then::Close }
    }

    /// Not a byte, and the connection closes.
    pub(crate) fn hang_up() -> Self {
        Self::raw([])
    }

    /// Not a byte, and the connection stays open for as long as the caller wants.
    pub(crate) fn silence() -> Self {
        Self { bytes: Vec::new(), held: false, then: Then::StayOpen }
    }

    /// Does not close the connection afterwards.
    pub(crate) fn stay_open(self) -> Self {
        Self { then: Then::StayOpen, ..self }
    }

    /// Waits for [`Wechat::release`] before the first byte.
    pub(crate) fn held(self) -> Self {
        Self { held: true, ..self }
    }
}

impl Wechat {
    /// Starts a server; `decide` sees the whole request text and gives the answer.
    pub(crate) async fn start(decide: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), decide)
    }

    /// The same on a socket that listens already.
    pub(crate) fn start_on(listener: TcpListener, decide: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (requests, decide) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(decide));
        let (gate, opened) = watch::channel(false);
        let journal = requests.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (decide, journal, opened) = (decide.clone(), journal.clone(), opened.clone());
                tokio::spawn(async move { serve(stream, &*decide, &journal, opened).await });
            }
        });
        Self { url, requests, gate, accepting }
    }

    /// Answers every code with this person, whose session_key is 16 zero bytes.
    pub(crate) async fn of_person(openid: &str) -> Self {
        let body = format!(r#"{{"session_key":"AAAAAAAAAAAAAAAAAAAAAA==","openid":"{openid}"}}"#);
        Self::start(move |_| Answer::body(&body)).await
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The text of every request so far: request line, headers and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How often it was called.
    pub(crate) fn calls(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// Lets held answers go, those to come as well.
    pub(crate) fn release(&self) {
        self.gate.send_replace(true);
    }
}

impl Drop for Wechat {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    decide: &(impl Fn(&str) -> Answer + Sync),
    journal: &Mutex<Vec<String>>,
    mut opened: watch::Receiver<bool>,
) {
    while let Some(request) = read_request(&mut stream).await {
        let answer = decide(&request);
        journal.lock().unwrap().push(request);
        if answer.held && opened.wait_for(|open| *open).await.is_err() {
            return;
        }
        if stream.write_all(&answer.bytes).await.is_err() {
            return;
        }
        match answer.then {
            Then::Close => return,
            // Silence is not the end of a conversation, but nothing more will be said in it.
            Then::StayOpen if answer.bytes.is_empty() => {
                let _ = stream.read(&mut [0; 1]).await;
                return;
            }
            Then::StayOpen => {}
        }
    }
}

/// One request with its body, as text.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if bytes.len() >= end + 4 + length.unwrap_or(0) {
                return Some(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
