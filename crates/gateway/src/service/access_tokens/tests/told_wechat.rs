//! A WeChat that answers when the test tells it to, over HTTP.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

/// The server.
pub(super) struct ToldWechat {
    pub(super) url: String,
    calls: mpsc::UnboundedReceiver<Call>,
}

/// A call that waits for its answer. Dropped, it gets none: its connection is closed.
pub(super) struct Call(oneshot::Sender<String>);

impl ToldWechat {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, calls) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, sender.clone()));
            }
        });
        Self { url, calls }
    }

    /// The next call for a token.
    pub(super) async fn call(&mut self) -> Call {
        self.calls.recv().await.unwrap()
    }

    /// Whether a call came that nobody has looked at.
    pub(super) fn was_called(&self) -> bool {
        !self.calls.is_empty()
    }
}

impl Call {
    /// A token of two hours.
    pub(super) fn give(self, token: &str) {
        self.answer(&format!(r#"{{"access_token":"{token}","expires_in":7200}}"#));
    }

    /// WeChat is busy.
    pub(super) fn refuse(self) {
        self.answer(r#"{"errcode":-1,"errmsg":"system error rid: 652d44d0-1d0af18b-5b069232"}"#);
    }

    fn answer(self, body: &str) {
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        // Whoever asked may have left.
        let _ = self.0.send(answer);
    }
}

/// One call per connection.
async fn serve(mut stream: TcpStream, calls: mpsc::UnboundedSender<Call>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("post /cgi-bin/stable_token "), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    stream.read_exact(&mut body).await.unwrap();
    let (sender, answer) = oneshot::channel();
    if calls.send(Call(sender)).is_ok()
        && let Ok(answer) = answer.await
    {
        // As above.
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}
