//! A tenant's service that is told of events: it does as it is told, and keeps what it was sent.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use wxgate_crypto::{Secret, WebhookSecret, encoding};

use super::{PATIENCE, within};

/// A request that a receiver was sent.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Headers by their names in small letters.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
    /// What it was answered.
    pub(crate) status: u16,
}

impl Told {
    /// What it says.
    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Fails unless it is signed with every one of these secrets, and with no other.
    #[track_caller]
    pub(crate) fn is_signed_with(&self, secrets: &[&str]) {
        let (id, timestamp) = (&self.headers["webhook-id"], self.headers["webhook-timestamp"].parse().unwrap());
        let sign = |secret: &&str| {
            let bytes = encoding::base64(secret.strip_prefix("whsec_").unwrap()).unwrap();
            WebhookSecret::from_bytes(Secret::new(bytes)).unwrap().sign(id, timestamp, self.body.as_bytes())
        };
        let signatures: Vec<_> = secrets.iter().map(sign).collect();
        assert_eq!(self.headers["webhook-signature"], signatures.join(" "));
    }
}

/// A receiver; gone when dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
    answers: Arc<Mutex<Answers>>,
    serving: JoinHandle<()>,
}

/// What it answers: these first, then always the same.
#[derive(Debug)]
struct Answers {
    first: Vec<String>,
    then: String,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    /// One that takes everything.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let answers = Arc::new(Mutex::new(Answers { first: Vec::new(), then: "204 No Content".to_owned() }));
        let (kept, given) = (told.clone(), answers.clone());
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, kept.clone(), given.clone()));
            }
        });
        Self { address, told, answers, serving }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/wxgate", self.address)
    }

    /// From now on it answers so: a status with its reason, and perhaps headers.
    pub(crate) fn answer(&self, then: &str) {
        then.clone_into(&mut self.answers.lock().unwrap().then);
    }

    /// The next answers are these.
    pub(crate) fn answer_first(&self, answers: &[&str]) {
        self.answers.lock().unwrap().first = answers.iter().rev().map(|answer| (*answer).to_owned()).collect();
    }

    /// All that it was told so far.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// The events that it took, once there are so many.
    pub(crate) async fn taken(&self, count: usize) -> Vec<Told> {
        within(PATIENCE, &format!("{count} events are taken"), async || {
            let told = self.told();
            let taken: Vec<_> = told.into_iter().filter(|told| (200..300).contains(&told.status)).collect();
            (taken.len() >= count).then_some(taken)
        })
        .await
    }

    /// What it was told, taken or not, once it was so often.
    pub(crate) async fn tried(&self, count: usize) -> Vec<Told> {
        within(PATIENCE, &format!("{count} attempts"), async || Some(self.told()).filter(|told| told.len() >= count))
            .await
    }
}

async fn serve(mut connection: TcpStream, told: Arc<Mutex<Vec<Told>>>, answers: Arc<Mutex<Answers>>) {
    let mut read = Vec::new();
    loop {
        let Some((headers, body)) = request(&mut connection, &mut read).await else { return };
        let answer = {
            let mut answers = answers.lock().unwrap();
            answers.first.pop().unwrap_or_else(|| answers.then.clone())
        };
        let status = answer.split(' ').next().unwrap().parse().unwrap();
        told.lock().unwrap().push(Told { headers, body, status });
        let length = if status == 204 { "" } else { "Content-Length: 0\r\n" };
        let answer = format!("HTTP/1.1 {answer}\r\n{length}\r\n");
        if connection.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// One request: its headers and its body. What was read beyond it stays in `read`.
async fn request(connection: &mut TcpStream, read: &mut Vec<u8>) -> Option<(HashMap<String, String>, String)> {
    loop {
        let text = String::from_utf8_lossy(read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let headers: HashMap<_, _> = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                let body = body[..length].to_owned();
                read.drain(..head.len() + 4 + length);
                return Some((headers, body));
            }
        }
        let mut buffer = [0; 8_192];
        match connection.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(more) => read.extend_from_slice(&buffer[..more]),
        }
    }
}
