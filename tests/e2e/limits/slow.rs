//! Requests that never end: bounded in time, and in nobody's way.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::{APP, Gateway, PATIENCE};

/// Sends a beginning and nothing more; returns what came back until the other side closed, and after how long.
async fn half_a_request(authority: String, beginning: String) -> (String, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(authority).await.unwrap();
    stream.write_all(beginning.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut reply)).await.expect("the connection closes");
    (String::from_utf8_lossy(&reply).into_owned(), began.elapsed())
}

#[tokio::test]
async fn half_a_request_is_given_up_and_blocks_nobody() {
    let gateway = Gateway::dev().await;
    let authority = gateway.client().authority().to_owned();
    let body = format!(
        "POST /v1/apps/{APP}/login HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n{{\"code\":"
    );
    let head = format!("POST /v1/apps/{APP}/login HTTP/1.1\r\nHost: {authority}\r\nX-Slow: ");
    let mut slow = JoinSet::new();
    for number in 0..60 {
        let beginning = if number % 2 == 0 { body.clone() } else { head.clone() };
        let authority = authority.clone();
        slow.spawn(async move { (number % 2 == 0, half_a_request(authority, beginning).await) });
    }

    let began = Instant::now();
    for _ in 0..10 {
        let issued = gateway.simulator().code(APP).await;
        gateway.client().login_with(APP, &issued.code).await.ok();
    }
    assert!(began.elapsed() < Duration::from_secs(8), "logins waited for half requests: {:?}", began.elapsed());

    for (is_body, (reply, took)) in slow.join_all().await {
        assert!((Duration::from_secs(8)..Duration::from_secs(25)).contains(&took), "closed after {took:?}");
        assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
        assert_eq!(reply.contains("REQUEST_TIMEOUT"), is_body, "{reply}");
    }
    assert_eq!(gateway.simulator().exchanges().await, 10);
}
