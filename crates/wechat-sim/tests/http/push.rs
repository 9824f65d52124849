//! Pushes, sent to a server that only remembers what came.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::harness::{APP, Sim};

fn event(more: &Value) -> Value {
    let mut body = json!({
        "appid": APP, "token": "a-token", "encoding_aes_key": "A".repeat(43), "mode": "safe", "format": "json",
        "message": {"Event": "user_authorization_cancellation", "OpenID": "oAlice"},
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_arrives_as_often_as_it_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/wechat/push/{APP}", listener.local_addr().unwrap());
    let receiver = tokio::spawn(async move {
        let mut requests = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = String::new();
            while !request.ends_with('}') {
                let mut part = [0; 4096];
                let length = stream.read(&mut part).await.unwrap();
                request.push_str(std::str::from_utf8(&part[..length]).unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsuccess").await.unwrap();
            requests.push(request);
        }
        requests
    });
    let sim = Sim::start().await;
    let reply = sim.post("/sim/push", event(&json!({"url": url, "times": 2}))).await;
    assert_eq!(reply["deliveries"], json!([{"status": 200, "body": "success"}, {"status": 200, "body": "success"}]));
    let requests = receiver.await.unwrap();
    assert_eq!(requests[0], requests[1], "a duplicate is the same byte for byte");
    let query = reply["push"]["query"].as_str().unwrap();
    assert!(requests[0].starts_with(&format!("POST /wechat/push/{APP}?{query} HTTP/1.1\r\n")), "{}", requests[0]);
    assert!(requests[0].ends_with(reply["push"]["body"].as_str().unwrap()));
}

/// A server that answers one request after another with these texts.
async fn answering(answers: &[&'static str]) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/wechat/push/{APP}", listener.local_addr().unwrap());
    let answers = answers.to_vec();
    let server = tokio::spawn(async move {
        let mut heads = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 64 * 1024];
            let length = stream.read(&mut request).await.unwrap();
            heads.push(String::from_utf8_lossy(&request[..length]).lines().next().unwrap().to_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        heads
    });
    (url, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_repeated_until_it_is_answered_and_three_times_at_most() {
    let sim = Sim::start().await;
    let (busy, done) = ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nsuccess");
    let (url, server) = answering(&[busy, done]).await;
    let reply = sim.post("/sim/push", event(&json!({"url": url, "until_answered": true}))).await;
    assert_eq!(reply["deliveries"], json!([{"status": 503, "body": ""}, {"status": 200, "body": "success"}]));
    let heads = server.await.unwrap();
    assert_eq!(heads[0], heads[1]);
    let never = json!({"url": "http://127.0.0.1:1/", "until_answered": true});
    assert_eq!(sim.post("/sim/push", event(&never)).await["deliveries"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_verified_by_its_echo() {
    let sim = Sim::start().await;
    let (url, server) = answering(&["HTTP/1.1 200 OK\r\n\r\n42", "HTTP/1.1 200 OK\r\n\r\n\"42\""]).await;
    let verify =
        json!({"url": url, "token": "AAAAA", "echostr": "42", "timestamp": 1_714_036_504, "nonce": "1514711492"});
    let verified = sim.post("/sim/push/verify", verify.clone()).await;
    assert_eq!(verified["verified"], true, "{verified}");
    assert_eq!(sim.post("/sim/push/verify", verify).await["verified"], false);
    // WeChat's own example.
    let head = &server.await.unwrap()[0];
    assert!(head.contains("signature=f464b24fc39322e44b38aa78f5edd27bd1441696&echostr=42&"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_address_a_push_is_shown() {
    let sim = Sim::start().await;
    let reply = sim.post("/sim/push", event(&json!({"mode": "plain", "format": "xml"}))).await;
    assert_eq!((&reply["deliveries"], &reply["push"]["content_type"]), (&json!([]), &json!("text/xml")));
    assert!(reply["push"]["body"].as_str().unwrap().contains("<OpenID><![CDATA[oAlice]]></OpenID>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_and_foreign_addresses_are_refused() {
    let sim = Sim::start().await;
    for wrong in [
        event(&json!({"encoding_aes_key": "short"})),
        event(&json!({"mode": "secret"})),
        event(&json!({"flaw": "none"})),
        event(&json!({"url": "https://127.0.0.1/"})),
        event(&json!({"url": "http://192.0.2.1/"})),
    ] {
        assert_eq!(sim.refused(Method::POST, "/sim/push", Some(wrong.clone())).await.0, 400, "{wrong}");
    }
    // Nobody listens there.
    let nowhere = sim.post("/sim/push", event(&json!({"url": "http://127.0.0.1:1/"}))).await;
    assert_eq!(nowhere["deliveries"], json!([{"status": null, "body": ""}]));
}
