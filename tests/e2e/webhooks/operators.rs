//! What an operator does with webhooks: secrets that turn, receipts, telling again.

use serde_json::json;

use super::{add, log_in, quick};
use crate::harness::{Gateway, PATIENCE, Receiver, within};

#[tokio::test]
async fn a_secret_is_shown_once_and_two_count_while_it_is_rotated() {
    let gateway = quick(Gateway::dev()).await;
    let receiver = Receiver::start().await;
    let made = add(&gateway, "orders", &receiver.url(), &["user.created"]).await;
    assert!(made.secret.starts_with("whsec_"));
    for path in ["/webhooks", &format!("/webhooks/{}", made.id), "/state?tenant=demo"] {
        assert!(!gateway.operator().get(path).await.text.contains(&made.secret), "{path}");
    }
    let rotated = gateway.command(["webhook", "rotate", &made.id, "--json"]).run().await.json();
    let newer = rotated["secret"].as_str().unwrap();
    log_in(&gateway, "oAda").await;
    receiver.taken(1).await[0].is_signed_with(&[newer, &made.secret]);
    let again = gateway.remote(["webhook", "rotate", &made.id, "--overlap-hours", "0", "--json"]).run().await.json();
    log_in(&gateway, "oEve").await;
    receiver.taken(2).await[1].is_signed_with(&[again["secret"].as_str().unwrap()]);
    let database = std::fs::read(gateway.data().join("wxgate.db")).unwrap();
    let text = made.secret.trim_start_matches("whsec_").as_bytes();
    assert!(!database.windows(text.len()).any(|bytes| bytes == text));
}

#[tokio::test]
async fn what_was_taken_is_told_again_when_an_operator_says_so() {
    let gateway = quick(Gateway::dev()).await;
    let receiver = Receiver::start().await;
    let made = add(&gateway, "orders", &receiver.url(), &["user.created"]).await;
    log_in(&gateway, "oAda").await;
    let first = receiver.taken(1).await;
    let event = first[0].headers["webhook-id"].clone();
    within(PATIENCE, "it is written down", async || {
        let receipts = gateway.command(["webhook", "deliveries", &made.id, "--state", "delivered", "--json"]);
        (receipts.run().await.json()[0]["event"] == event.as_str()).then_some(())
    })
    .await;
    let told = gateway.command(["webhook", "replay", &made.id, "--event", &event, "--json"]).run().await.json();
    assert_eq!(told, json!({ "replayed": 1 }));
    let taken = receiver.taken(2).await;
    assert_eq!((&taken[1].headers["webhook-id"], &taken[1].body), (&event, &taken[0].body));
    let none = gateway.remote(["webhook", "replay", &made.id, "--json"]).run().await.json();
    assert_eq!(none, json!({ "replayed": 0 }), "nothing failed");
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_disabled_and_enabled_again_gets_what_waited() {
    let gateway = quick(Gateway::dev()).await;
    let receiver = Receiver::start().await;
    let made = add(&gateway, "orders", &receiver.url(), &["user.created"]).await;
    receiver.answer("410 Gone");
    let ada = log_in(&gateway, "oAda").await;
    let path = format!("/webhooks/{}", made.id);
    let shown = within(PATIENCE, "it is disabled", async || {
        Some(gateway.operator().get(&path).await.ok()).filter(|shown| shown["status"] == "gone")
    });
    assert_eq!(shown.await["waiting"], 1);
    log_in(&gateway, "oMeanwhile").await;
    receiver.answer("200 OK");
    let enabled = gateway.operator().patch(&path, &json!({ "enabled": true })).await.ok();
    assert_eq!(enabled["status"], "enabled");
    let taken = receiver.taken(1).await;
    assert_eq!(taken[0].event()["data"]["user_id"], ada["user"]["id"]);
    gateway.remote(["webhook", "remove", &made.id, "--yes"]).run().await.ok();
    gateway.operator().get(&path).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn what_an_operator_gets_wrong_is_said() {
    let gateway = quick(Gateway::dev()).await;
    let operator = gateway.operator();
    let hook = json!({ "tenant": "demo", "name": "orders", "url": "https://orders.example/" });
    operator.post("/webhooks", &hook).await.status_is(201);
    operator.post("/webhooks", &hook).await.refused(409, "TAKEN");
    let eaten = json!({ "tenant": "demo", "name": "x", "url": "https://orders.example/", "events": ["user.eaten"] });
    let told = operator.post("/webhooks", &eaten).await.refused(400, "REQUEST_INVALID");
    assert!(told["detail"].as_str().unwrap().contains("user.erased"), "{told}");
    for number in 1..20 {
        let hook = json!({ "tenant": "demo", "name": format!("n{number}"), "url": "https://orders.example/" });
        operator.post("/webhooks", &hook).await.status_is(201);
    }
    let one_more = json!({ "tenant": "demo", "name": "n20", "url": "https://orders.example/" });
    operator.post("/webhooks", &one_more).await.refused(409, "FULL");
}
