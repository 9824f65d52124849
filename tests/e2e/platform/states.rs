//! The state of an authorisation: it counts once, for whoever started it, and for nobody who may no longer.

use reqwest::Url;
use serde_json::{Value, json};

use super::world::{PLATFORM, SHOP, World};
use crate::harness::Gateway;

/// What an admin copies out of the browser.
fn copied(address: &str) -> Value {
    let address = Url::parse(address).unwrap();
    let value = |name: &str| address.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned();
    json!({ "state": value("state"), "auth_code": value("auth_code") })
}

#[tokio::test]
async fn a_state_counts_once() {
    let gateway = Gateway::dev().await;
    let world = World::with_ticket(&gateway).await;
    for pushed in [false, true] {
        let started = world.start().await;
        let address = world.agree(SHOP, &started, json!({ "pushed": pushed })).await;
        let page = world.come_back(&address).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(world.come_back(&address).await.status, 403, "pushed: {pushed}");
    }
    let log = gateway.log();
    assert!(!log.contains("queryauthcode") && !log.contains("refreshtoken"), "neither code nor token is written down");
}

#[tokio::test]
async fn nobody_else_brings_what_an_admin_started() {
    let gateway = Gateway::dev().await;
    let world = World::with_ticket(&gateway).await;
    let (one, other) = (gateway.operator().admin_of("demo").await, gateway.operator().admin_of("demo").await);
    let path = format!("/platforms/{PLATFORM}/authorizations");
    let started = one.post(&path, &json!({ "app": SHOP })).await.ok();
    let address = world.agree(SHOP, &started, json!({ "pushed": false })).await;
    let finish = format!("{path}/finish");
    other.post(&finish, &copied(&address)).await.refused(403, "AUTHORIZATION_REFUSED");
    let mut wrong = copied(&address);
    wrong["state"] = json!("another-state");
    one.post(&finish, &wrong).await.refused(403, "AUTHORIZATION_REFUSED");
    assert_eq!(one.post(&finish, &copied(&address)).await.ok()["app"], SHOP);
    one.post(&finish, &copied(&address)).await.refused(403, "AUTHORIZATION_REFUSED");
    let log = gateway.operator().get("/audit?tenant=demo&action=platform.attach").await.ok();
    assert!(log["items"][0]["actor"].as_str().unwrap().starts_with("key:"), "{log}");
}

#[tokio::test]
async fn an_admin_who_is_gone_brings_nobody() {
    let gateway = Gateway::dev().await;
    let world = World::with_ticket(&gateway).await;
    let key = json!({ "name": "leaver", "tenant": "demo", "scopes": ["read", "write"] });
    let made = gateway.operator().post("/admin-keys", &key).await.json();
    let leaver = gateway.operator().with_key(made["secret"].as_str().unwrap());
    let started = leaver.post(&format!("/platforms/{PLATFORM}/authorizations"), &json!({})).await.ok();
    let address = world.agree(SHOP, &started, json!({ "pushed": false })).await;
    gateway.operator().delete(&format!("/admin-keys/{}", made["id"].as_str().unwrap())).await;
    assert_eq!(world.come_back(&address).await.status, 403);
    assert_eq!(world.known(SHOP).await, Value::Null);
}

/// What was asked for one mini-program attaches no other one. What that one granted is parked.
#[tokio::test]
async fn another_app_than_the_one_that_was_asked_is_parked() {
    let gateway = Gateway::dev().await;
    let world = World::with_ticket(&gateway).await;
    let started = gateway.command(["platform", "authorize", PLATFORM, "--app", "wxother", "--json"]).run().await.json();
    let address = world.agree(SHOP, &started, json!({ "pushed": false })).await;
    assert_eq!(world.come_back(&address).await.status, 403);
    let known = world.until_known(SHOP, "parked").await;
    assert_eq!(known["is_granted"], true);
}
