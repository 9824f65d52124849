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
