//! Attempts at receivers of every kind.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wxgate_crypto::{Random, WebhookSecret};
use wxgate_domain::{Attempt, AttemptError, Clock, EventId, WebhookUrl};

use super::Reach;
use super::sender::{Message, Sender};
use crate::service::testing::START;

const TIMEOUT: Duration = Duration::from_millis(500);

fn sender(allowed: &[&str], own: &[SocketAddr]) -> Sender {
    let allowed: Vec<_> = allowed.iter().map(|network| network.parse().unwrap()).collect();
    Sender::new(Reach::new(&allowed, own), TIMEOUT, Clock::manual(START))
}

async fn send(sender: &Sender, url: &str) -> Attempt {
    let (random, url) = (Random::seeded(7), url.parse::<WebhookUrl>().unwrap());
    let secrets = [WebhookSecret::generate(&random), WebhookSecret::generate(&random)];
    let event = EventId::new(START, &random);
    sender.send(Message { url: &url, secrets: &secrets, event, body: b"{}" }).await
}

/// A receiver that answers one request so; what it was sent.
async fn receiver(answer: &'static str) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"{}") {
            let mut buffer = [0; 4_096];
            let read = connection.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the request broke off");
            received.extend_from_slice(&buffer[..read]);
        }
        connection.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(received).unwrap()
    });
    (address, received)
}

#[tokio::test]
async fn a_request_carries_its_id_its_time_and_a_signature_by_each_secret() {
    let (address, received) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
    let sender = sender(&["127.0.0.0/8"], &[]);
    assert_eq!(send(&sender, &format!("http://{address}/hook?a=b")).await, Attempt::Answered(204));
    let received = received.await.unwrap();
    let header = |name: &str| {
        let line = received.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name}: {received}")).to_owned()
    };
    assert!(received.starts_with("POST /hook?a=b HTTP/1.1"), "{received}");
    assert_eq!((header("content-type"), header("webhook-timestamp")), ("application/json".into(), "1795305600".into()));
    let random = Random::seeded(7);
    let secrets = [WebhookSecret::generate(&random), WebhookSecret::generate(&random)];
    let id = header("webhook-id");
    let signatures = secrets.map(|secret| secret.sign(&id, START.seconds(), b"{}"));
    assert_eq!(header("webhook-signature"), signatures.join(" "));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, asked) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
    let answer =
        format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\n\r\n");
    let (address, _) = receiver(Box::leak(answer.into_boxed_str())).await;
    let sender = sender(&["127.0.0.0/8"], &[]);
    assert_eq!(send(&sender, &format!("http://{address}/")).await, Attempt::Answered(307));
    assert!(!asked.is_finished());
}

#[tokio::test]
async fn a_name_that_stands_for_this_machine_is_refused_when_it_is_resolved() {
    let (address, received) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
    let port = address.port();
    let nowhere = sender(&[], &[]);
    for url in [
        format!("https://localhost:{port}/"),
        format!("http://localhost:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://0x7f000001:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        assert_eq!(send(&nowhere, &url).await, Attempt::Unanswered(AttemptError::Forbidden), "{url}");
    }
    assert!(!received.is_finished());
    let allowed = sender(&["127.0.0.0/8", "::1"], &[]);
    assert_eq!(send(&allowed, &format!("http://localhost:{port}/")).await, Attempt::Answered(204));
}

#[tokio::test]
async fn this_process_is_refused_by_name_and_by_address_whatever_is_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let sender = sender(&["127.0.0.0/8", "::1"], &[own]);
    for url in [format!("http://{own}/"), format!("http://localhost:{}/", own.port())] {
        let refused = send(&sender, &url).await;
        // `localhost` may stand for ::1 too, where nobody listens.
        let nobody = refused == Attempt::Unanswered(AttemptError::Unreachable) && url.contains("localhost");
        assert!(nobody || refused == Attempt::Unanswered(AttemptError::Forbidden), "{url}: {refused:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_silent_absent_or_endless_costs_no_more_than_its_time() {
    let sender = sender(&["127.0.0.0/8"], &[]);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    assert_eq!(send(&sender, &url).await, Attempt::Unanswered(AttemptError::Timeout));
    drop(silent);
    assert_eq!(send(&sender, &url).await, Attempt::Unanswered(AttemptError::Unreachable));
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n{}", "x".repeat(100_000));
    let (address, _) = receiver(Box::leak(endless.into_boxed_str())).await;
    assert_eq!(send(&sender, &format!("http://{address}/")).await, Attempt::Answered(200));
}
