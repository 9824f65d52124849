//! Two gateways on one database, and an app whose tokens end one another: one fetches, both have it.

use serde_json::{Value, json};
use wxgate_crypto::{Digest, encoding};

use super::answers;
use crate::harness::database::{Engine, TestDatabase};
use crate::harness::oauth::{ServiceClient, service_client};
use crate::harness::{APP, Client, Gateway, SecondGateway};

const LEGACY: &str = "/cgi-bin/token";

async fn token(gateway: &Client, by: &ServiceClient) -> String {
    let request = gateway.request(reqwest::Method::GET, &format!("/v1/apps/{APP}/access-token"));
    let reply = gateway.send(request.basic_auth(&by.id, Some(&by.secret))).await.ok();
    reply["access_token"].as_str().unwrap().to_owned()
}

async fn report(gateway: &Client, by: &ServiceClient, token: &str) -> Value {
    let digest = encoding::to_hex(Digest::sha256(token.as_bytes()).as_bytes());
    let request = gateway.request(reqwest::Method::POST, &format!("/v1/apps/{APP}/access-token/dead"));
    let request = request.basic_auth(&by.id, Some(&by.secret)).json(&json!({ "digest": digest }));
    gateway.send(request).await.ok()["outcome"].clone()
}

#[tokio::test]
async fn two_gateways_never_take_a_legacy_token_from_each_other() {
    let Some(database) = TestDatabase::create(Engine::Postgres).await else { return };
    let gateway = Gateway::serve(database).await;
    gateway.command(["app", "policy", APP, "--access-token", "legacy"]).run().await.ok();
    let shop = service_client(&gateway, "demo", "shop", &["--access-token", APP]).await;
    let second = SecondGateway::beside(&gateway).await;
    let (one, other) = (gateway.client(), second.client());

    let (first, second) = tokio::join!(token(one, &shop), token(other, &shop));
    assert_eq!(first, second);
    assert_eq!(answers(gateway.simulator(), LEGACY).await, [0]);

    gateway.simulator().end_tokens(APP).await;
    assert_eq!(report(one, &shop, &first).await, "replaced");
    assert_eq!(report(other, &shop, &first).await, "replaced");
    let (third, fourth) = (token(one, &shop).await, token(other, &shop).await);
    assert!(third == fourth && third != first);
    assert!(gateway.simulator().takes(&third).await);
    assert_eq!(answers(gateway.simulator(), LEGACY).await, [0, 0]);
    assert_eq!(answers(gateway.simulator(), super::STABLE).await, Vec::<i64>::new());
    assert_eq!(answers(gateway.simulator(), "/cgi-bin/getcallbackip").await, [40001, 0], "one report is looked into");
}
