//! What is refused before a login begins: each with one shape, one code, and nothing of our insides.

mod bodies;
mod listeners;

use std::collections::HashSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{APP, Client, Gateway, Reply};

/// Words that only our own code, or a library's, would write.
const INSIDES: [&str; 12] =
    ["actix", "serde", "sqlx", "sea_orm", "wxgate_", "panicked", "src/", "::", "sqlite", "line 1", "column", "errcode"];

/// Fails if a refusal tells anything of how we work.
#[track_caller]
fn tells_nothing(reply: &Reply) {
    let text = reply.text.to_lowercase().replace("urn:wxgate:error:", "");
    for word in INSIDES {
        assert!(!text.contains(word), "{word} in {}", reply.text);
    }
    assert_eq!(reply.header("server"), "");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
}

async fn ask(gateway: &Gateway, method: Method, path: &str) -> Reply {
    gateway.client().send(gateway.client().request(method, path)).await
}

/// Sends bytes as they are on a connection of their own, and reads until it closes or falls silent after an answer.
async fn conversation(client: &Client, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(client.authority()).await.unwrap();
    // The other side may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut reply = Vec::new();
    while let Ok(Ok(1..)) = timeout(Duration::from_millis(500), stream.read_buf(&mut reply)).await {}
    String::from_utf8_lossy(&reply).into_owned()
}

#[tokio::test]
async fn unknown_addresses_are_not_found() {
    let gateway = Gateway::dev().await;
    for path in [
        "/",
        "/nothing",
        "/v1",
        "/v1/apps/x/logi",
        "/v1/apps//login",
        "/v1/apps/x/login/",
        "/t/demo/jwks",
        "/admin/v1/apps",
    ] {
        for method in [Method::GET, Method::POST] {
            let reply = ask(&gateway, method, path).await;
            reply.refused(404, "NOT_FOUND");
            tells_nothing(&reply);
        }
    }
    for path in ["/t/nobody/jwks.json", "/t/UPPER/jwks.json", "/t/nobody/.well-known/openid-configuration"] {
        let reply = ask(&gateway, Method::GET, path).await;
        reply.refused(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn unknown_apps_are_named_as_such() {
    let gateway = Gateway::dev().await;
    let upper = APP.to_uppercase();
    for appid in ["wx0000000000000000", &upper, "%00", "a%20b", "..%2F..", "%F0%9F%8E%88", "-"] {
        let reply = gateway.client().login_with(appid, "code").await;
        reply.refused(404, "APP_UNKNOWN");
        tells_nothing(&reply);
    }
    assert_eq!(gateway.simulator().exchanges().await, 0);
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let gateway = Gateway::dev().await;
    let login = format!("/v1/apps/{APP}/login");
    let cases = [
        (Method::GET, login.as_str(), "POST"),
        (Method::PUT, &login, "POST"),
        (Method::DELETE, &login, "POST"),
        (Method::OPTIONS, &login, "POST"),
        (Method::POST, "/t/demo/jwks.json", "GET, HEAD"),
        (Method::POST, "/.well-known/jwks.json", "GET, HEAD"),
        (Method::DELETE, "/t/demo/.well-known/openid-configuration", "GET, HEAD"),
        (Method::POST, "/livez", "GET, HEAD"),
        (Method::PATCH, "/readyz", "GET, HEAD"),
    ];
    for (method, path, allow) in cases {
        let reply = ask(&gateway, method.clone(), path).await;
        reply.refused(405, "METHOD_NOT_ALLOWED");
        assert_eq!(reply.header("allow"), allow, "{method} {path}");
        tells_nothing(&reply);
    }
    let reply = ask(&gateway, Method::DELETE, "/user/wxlogin").await;
    reply.tutorial_refused(405, "METHOD_NOT_ALLOWED");
    assert_eq!(reply.header("allow"), "GET, POST");
}

#[tokio::test]
async fn every_reply_has_an_id_that_finds_its_line_in_the_log() {
    // At debug, for what probes are given is no line at info.
    let gateway = Gateway::dev().env("WXGATE__LOG__FORMAT", "json").env("WXGATE__LOG__LEVEL", "debug").await;
    let issued = gateway.simulator().code(APP).await;
    let client = gateway.client();
    let replies = [
        client.login_with(APP, &issued.code).await,
        client.login_with(APP, "").await,
        client.get("/t/demo/jwks.json").await,
        client.get("/nothing").await,
        client.get("/livez").await,
        client.post("/user/wxlogin", &json!({})).await,
        client.send(client.request(Method::GET, "/livez").header("X-Request-Id", "mine")).await,
    ];
    let ids: HashSet<_> = replies.iter().map(|reply| reply.header("x-request-id").to_owned()).collect();
    assert_eq!(ids.len(), replies.len(), "each has its own: {ids:?}");
    let log = gateway.log();
    for id in &ids {
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!(log.matches(&format!(r#""request.id":"{id}""#)).count(), 1, "one line for {id}");
    }
}

#[tokio::test]
async fn two_different_apps_in_one_request_are_refused() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let with_header = |appid: &str| {
        let request = client.request(Method::POST, &format!("/v1/apps/{APP}/login"));
        client.send(request.header("X-App-Id", appid).json(&json!({ "code": "c" })))
    };
    with_header("wx000000000000de02").await.refused(400, "APP_MISMATCH");
    with_header(APP).await.refused(400, "CODE_INVALID");

    let joined = client.request(Method::POST, "/user/wxlogin").header("X-App-Id", format!("{APP}, wx1"));
    client.send(joined.json(&json!({ "platCode": "x" }))).await.tutorial_refused(400, "APP_MISMATCH");
    let twice = client.request(Method::POST, "/user/wxlogin").header("X-App-Id", APP).header("X-App-Id", "wx1");
    client.send(twice.json(&json!({ "platCode": "c" }))).await.tutorial_refused(400, "APP_MISMATCH");
}
