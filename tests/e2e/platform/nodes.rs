//! Two gateways on one database share a platform's token, and fetch the next one once.

use serde_json::json;
use tokio::task::JoinSet;

use super::world::{PLATFORM, SHOP, World};
use crate::harness::database::{Engine, TestDatabase};
use crate::harness::{Gateway, SecondGateway};

/// Logins at the same time at each.
const PEOPLE: usize = 8;

#[tokio::test]
async fn two_gateways_fetch_a_token_once() {
    let Some(database) = TestDatabase::create(Engine::Postgres).await else { return };
    let gateway = Gateway::serve(database).await;
    let world = World::with_ticket(&gateway).await;
    world.attach(SHOP).await;
    let second = SecondGateway::beside(&gateway).await;
    let other = second.client();
    let path = "/cgi-bin/component/api_component_token";
    let fetched = world.calls(path).await.len();
    let issued = gateway.simulator().code(SHOP).await;
    other.login_with(SHOP, &issued.code).await.ok();
    assert_eq!(world.calls(path).await.len(), fetched, "the first one's token serves the second");

    gateway.simulator().steer("/sim/tokens/end", &json!({ "appid": PLATFORM })).await;
    let mut people = JoinSet::new();
    for client in [gateway.client(), other] {
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
    let second = SecondGateway::beside(&gateway).await;
    let other = second.client();
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
