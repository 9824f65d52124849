//! Whom nobody makes the gateway call (security-tests.md 38).

use serde_json::{Value, json};

use super::{add, log_in, quick};
use crate::harness::gateway::Launch;
use crate::harness::{Gateway, PATIENCE, Receiver, within};

fn nothing_allowed() -> Launch {
    quick(Gateway::dev()).env("WXGATE__WEBHOOKS__ALLOW_NETWORKS", "")
}

/// What the receipt of the first event says, once it was tried.
async fn tried(gateway: &Gateway, webhook: &str) -> Value {
    within(PATIENCE, "it is tried", async || {
        let receipts = gateway.operator().get(&format!("/webhooks/{webhook}/deliveries")).await.ok();
        Some(receipts["items"][0].clone()).filter(|receipt| receipt["attempts"].as_u64() > Some(0))
    })
    .await
}

#[tokio::test]
async fn private_local_and_metadata_addresses_are_refused_by_name_and_by_number() {
    let gateway = nothing_allowed().await;
    let receiver = Receiver::start().await;
    let own = receiver.url();
    let port = own.rsplit(':').next().unwrap().to_owned();
    let mut made = Vec::new();
    for (number, url) in [
        own.clone(),
        format!("https://localhost:{port}"),
        format!("https://[::ffff:127.0.0.1]:{port}"),
        format!("https://0177.0.0.1:{port}"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://10.0.0.1/".to_owned(),
        "https://[64:ff9b::7f00:1]/".to_owned(),
        "https://[2002:7f00:1::]/".to_owned(),
        "https://100.64.0.1/".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let add = json!({ "tenant": "demo", "name": format!("hook {number}"), "url": url, "events": ["user.created"] });
        let reply = gateway.operator().post("/webhooks", &add).await;
        reply.status_is(201);
        made.push((url.clone(), reply.json()["id"].as_str().unwrap().to_owned()));
    }
    log_in(&gateway, "oAda").await;
    for (url, id) in made {
        let receipt = tried(&gateway, &id).await;
        assert_eq!((&receipt["last_error"], receipt.get("last_status")), (&json!("forbidden"), None), "{url}");
    }
    assert!(receiver.told().is_empty());
}

#[tokio::test]
async fn the_gateways_own_listeners_are_refused_though_their_network_is_allowed() {
    let gateway = quick(Gateway::dev()).await;
    for listener in [gateway.client().base(), gateway.admin().base()] {
        let url = format!("{listener}/livez");
        let add = json!({ "tenant": "demo", "name": url, "url": url, "events": ["user.created"] });
        let made = gateway.operator().post("/webhooks", &add).await;
        made.status_is(201);
        log_in(&gateway, &format!("oAda{}", url.len())).await;
        log_in(&gateway, &format!("o{}", made.json()["id"].as_str().unwrap())).await;
        let receipt = tried(&gateway, made.json()["id"].as_str().unwrap()).await;
        assert_eq!(receipt["last_error"], "forbidden", "{url}");
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_leads_nowhere() {
    let gateway = quick(Gateway::dev()).await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let made = add(&gateway, "orders", &receiver.url(), &["user.created"]).await;
    receiver.answer(&format!("308 Permanent Redirect\r\nLocation: {}", elsewhere.url()));
    log_in(&gateway, "oAda").await;
    receiver.tried(3).await;
    assert!(elsewhere.told().is_empty());
    let receipt = tried(&gateway, &made.id).await;
    assert_eq!((&receipt["last_status"], &receipt["state"]), (&json!(308), &json!("waiting")));
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_when_it_is_given() {
    let gateway = quick(Gateway::dev()).await;
    for url in ["ftp://a.example", "https://user:password@a.example", "https://a.example/#x", "a.example", ""] {
        let add = json!({ "tenant": "demo", "name": "orders", "url": url });
        gateway.operator().post("/webhooks", &add).await.refused(400, "REQUEST_INVALID");
    }
}
