//! Two gateways on one database, and an app whose tokens end one another: one fetches, both have it.

use std::path::Path;

use serde_json::{Value, json};
use wxgate_crypto::{Digest, encoding};

use super::answers;
use crate::harness::database::{Engine, TestDatabase};
use crate::harness::oauth::{ServiceClient, service_client};
use crate::harness::process::Process;
use crate::harness::{APP, Client, Gateway, PATIENCE, within};

const LEGACY: &str = "/cgi-bin/token";

/// A second gateway with the configuration of the first, in a folder of its own.
fn second(gateway: &Gateway, folder: &Path) -> Process {
    let text = |path: &Path| serde_json::to_string(&path.display().to_string()).unwrap();
    let data_dir = |path: &Path| format!("data_dir = {}", text(path));
    let config =
        std::fs::read_to_string(gateway.config()).unwrap().replace(&data_dir(&gateway.data()), &data_dir(folder));
    std::fs::write(folder.join("wxgate.toml"), config).unwrap();
    let arguments = ["serve", "--config", &folder.join("wxgate.toml").display().to_string()].map(str::to_owned);
    let environment = [
        ("WXGATE__WECHAT__URL", gateway.simulator().url()),
        ("WXGATE__WECHAT__ALLOW_OTHER_HOSTS", "true"),
        ("WXGATE__HTTP__DRAIN_SECONDS", "0"),
    ];
    Process::start(folder, "second", &arguments, &environment.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

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
    let folder = tempfile::tempdir().unwrap();
    let mut process = second(&gateway, folder.path());
    let listen = within(PATIENCE, "the second gateway is ready", async || {
        process.assert_alive();
        serde_json::from_slice::<Value>(&std::fs::read(folder.path().join("listen.json")).ok()?).ok()
    });
    let other = Client::new(format!("http://{}", listen.await["public"].as_str().unwrap()));
    let one = gateway.client();

    let (first, second) = tokio::join!(token(one, &shop), token(&other, &shop));
    assert_eq!(first, second);
    assert_eq!(answers(gateway.simulator(), LEGACY).await, [0]);

    gateway.simulator().end_tokens(APP).await;
    assert_eq!(report(one, &shop, &first).await, "replaced");
    assert_eq!(report(&other, &shop, &first).await, "replaced");
    let (third, fourth) = (token(one, &shop).await, token(&other, &shop).await);
    assert!(third == fourth && third != first);
    assert!(gateway.simulator().takes(&third).await);
    assert_eq!(answers(gateway.simulator(), LEGACY).await, [0, 0]);
    assert_eq!(answers(gateway.simulator(), super::STABLE).await, Vec::<i64>::new());
    assert_eq!(answers(gateway.simulator(), "/cgi-bin/getcallbackip").await, [40001, 0], "one report is looked into");
}
