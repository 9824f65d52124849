//! Two gateways on one database share a platform's token, and fetch the next one once.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::world::{PLATFORM, SHOP, World};
use crate::harness::client::Client;
use crate::harness::database::{Engine, TestDatabase};
use crate::harness::process::Process;
use crate::harness::{Gateway, PATIENCE, within};

/// Logins at the same time at each.
const PEOPLE: usize = 8;

/// A second gateway with the configuration of the first, in a folder of its own.
async fn second(gateway: &Gateway, folder: &std::path::Path) -> (Process, Client) {
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let text = |path: &std::path::Path| serde_json::to_string(&path.display().to_string()).unwrap();
    let config = config.replace(&text(&gateway.data()), &text(folder));
    std::fs::write(folder.join("wxgate.toml"), config).unwrap();
    let arguments = ["serve", "--config", &folder.join("wxgate.toml").display().to_string()].map(str::to_owned);
    let environment = [
        ("WXGATE__WECHAT__URL".to_owned(), gateway.simulator().url().to_owned()),
        ("WXGATE__WECHAT__ALLOW_OTHER_HOSTS".to_owned(), "true".to_owned()),
        ("WXGATE__HTTP__DRAIN_SECONDS".to_owned(), "0".to_owned()),
    ];
    let mut process = Process::start(folder, "second", &arguments, &environment);
    let listen = within(PATIENCE, "the second gateway is ready", async || {
        process.assert_alive();
        serde_json::from_slice::<Value>(&std::fs::read(folder.join("listen.json")).ok()?).ok()
    });
    let address = listen.await["public"].as_str().unwrap().to_owned();
    (process, Client::new(format!("http://{address}")))
}

#[tokio::test]
async fn two_gateways_fetch_a_token_once() {
    let Some(database) = TestDatabase::create(Engine::Postgres).await else { return };
    let gateway = Gateway::serve(database).await;
    let world = World::with_ticket(&gateway).await;
    world.attach(SHOP).await;
    let folder = tempfile::tempdir().unwrap();
    let (_process, other) = second(&gateway, folder.path()).await;
    let path = "/cgi-bin/component/api_component_token";
    let fetched = world.calls(path).await.len();
    let issued = gateway.simulator().code(SHOP).await;
    other.login_with(SHOP, &issued.code).await.ok();
    assert_eq!(world.calls(path).await.len(), fetched, "the first one's token serves the second");

    gateway.simulator().steer("/sim/tokens/end", &json!({ "appid": PLATFORM })).await;
    let mut people = JoinSet::new();
    for client in [gateway.client(), &other] {
        for _ in 0..PEOPLE {
            let (client, simulator) = (client.clone(), gateway.simulator().clone());
            people.spawn(async move {
                let issued = simulator.code(SHOP).await;
                client.login_with(SHOP, &issued.code).await.ok();
            });
        }
    }
    people.join_all().await;
    assert_eq!(world.calls(path).await.len(), fetched + 1);
}

#[tokio::test]
async fn a_push_that_one_gateway_took_is_known_to_the_other() {
    let Some(database) = TestDatabase::create(Engine::Postgres).await else { return };
    let gateway = Gateway::serve(database).await;
    let world = World::with_ticket(&gateway).await;
    let folder = tempfile::tempdir().unwrap();
    let (_process, other) = second(&gateway, folder.path()).await;
    let there = format!("{}/wechat/platform/{PLATFORM}", other.base());
    let now = gateway.simulator().seconds().await;
    let push = |ticket: &str, url: &str| {
        let message = json!({
            "InfoType": "component_verify_ticket", "ComponentVerifyTicket": ticket, "CreateTime": now + 1,
        });
        world.push(json!({ "message": message, "timestamp": now, "nonce": "1234", "url": url }))
    };
    assert_eq!(push("ticket@@@one", &world.url()).await.0, 200);
    assert_eq!(push("ticket@@@two", &there).await.0, 403, "time and nonce were used at the first one");
}
