//! Third-party platforms: tickets, authorisations, logins without an AppSecret, and nothing lost by a kill.

mod nodes;
mod pushes;
mod states;
mod world;

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use self::world::{PLATFORM, SHOP, World};
use crate::harness::database::{Engine, TestDatabase, execute};
use crate::harness::{APP, Gateway, PATIENCE, within};

#[tokio::test]
async fn from_the_first_ticket_to_a_login() {
    let gateway = Gateway::dev().await;
    let world = World::new(&gateway).await;
    let told = gateway.command(["platform", "authorize", PLATFORM]).run().await.failed();
    assert!(told.contains("start-tickets"), "{told}");
    // WeChat is asked for tickets, and pushes one.
    gateway.command(["platform", "start-tickets", PLATFORM]).run().await.ok();
    within(PATIENCE, "a ticket comes", async || world.shown().await["ticket_at"].as_i64()).await;
    within(PATIENCE, "the platform has a token", async || world.shown().await["token_until"].as_i64()).await;

    world.attach(SHOP).await;
    let app = gateway.command(["app", "show", SHOP, "--json"]).run().await.json();
    assert_eq!((&app["platform"], app.get("secret")), (&json!({ "appid": PLATFORM }), None), "{app}");
    let known = world.until_known(SHOP, "attached").await;
    assert_eq!((&known["is_granted"], &known["permissions"]), (&json!(true), &json!([17, 18])));
    let first = world.log_in(SHOP, "oAda").await.ok();
    let again = world.log_in(SHOP, "oAda").await.ok();
    assert_eq!(first["user"]["id"], again["user"]["id"]);
    assert_eq!(world.calls("/sns/component/jscode2session").await, [0, 0]);
    assert_eq!(world.calls("/cgi-bin/component/api_component_token").await, [0], "one token for all");
    // The export says how it logs in, and brings nobody under a platform.
    let state = gateway.command(["export", "--tenant", "demo"]).run().await.ok();
    assert!(state.contains(&format!("platform = \"{PLATFORM}\"")), "{state}");
}

/// An app that has an AppSecret comes under a platform with its users, and leaves it with them.
#[tokio::test]
async fn an_app_changes_sides_with_its_users() {
    let gateway = Gateway::dev().await;
    let world = World::with_ticket(&gateway).await;
    let before = world.log_in(APP, "oAda").await.ok();
    world.attach(APP).await;
    let under = world.log_in(APP, "oAda").await.ok();
    assert_eq!(under["user"]["id"], before["user"]["id"]);
    assert_eq!(world.calls("/sns/component/jscode2session").await, [0]);
    let told = gateway.command(["app", "verify", APP]).run().await.failed();
    assert!(told.contains("no AppSecret"), "{told}");
    let told = gateway.command(["platform", "remove", PLATFORM, "--yes"]).run().await.failed();
    assert!(told.contains(APP), "{told}");

    let (_, secret) = crate::harness::gateway::SECRETS.into_iter().find(|(appid, _)| *appid == APP).unwrap();
    gateway.simulator().put_app(APP, secret, Some("demo")).await;
    gateway.command(["app", "rotate-secret", APP, "--secret-file", "-"]).stdin(secret).run().await.ok();
    assert_eq!(world.known(APP).await["state"], "parked");
    let mut visitors = 0;
    within(PATIENCE, "the app logs in by itself", async || {
        visitors += 1; // who asks too often is told to wait
        world.log_in(APP, &format!("oVisitor{visitors}")).await.ok();
        let accepted = world.calls("/sns/jscode2session").await.into_iter().filter(|errcode| *errcode == 0).count();
        (accepted > 1).then_some(())
    })
    .await;
    let after = world.log_in(APP, "oAda").await.ok();
    assert_eq!(after["user"]["id"], before["user"]["id"]);
    gateway.command(["platform", "remove", PLATFORM, "--yes"]).run().await.ok();
}

#[tokio::test]
async fn whoever_withdraws_keeps_their_users_and_logs_nobody_in() {
    let gateway = Gateway::dev().await;
    let world = World::with_ticket(&gateway).await;
    world.attach(SHOP).await;
    let before = world.log_in(SHOP, "oAda").await.ok();
    let gone = json!({ "component_appid": PLATFORM, "appid": SHOP });
    gateway.simulator().take_back("/sim/authorizations", &gone).await;
    world.until_refused(SHOP, "APP_NOT_AUTHORIZED").await;
    let known = world.known(SHOP).await;
    assert_eq!((&known["state"], &known["is_granted"]), (&json!("withdrawn"), &json!(false)));
    let me = gateway.client().request(Method::GET, "/v1/me").bearer_auth(before["access_token"].as_str().unwrap());
    let me = gateway.client().send(me).await.ok();
    assert_eq!(me["id"], before["user"]["id"], "who is logged in stays so");
    let asked = world.calls("/sns/component/jscode2session").await.len();
    world.log_in(SHOP, "oAda").await.refused(403, "APP_NOT_AUTHORIZED");
    assert_eq!(world.calls("/sns/component/jscode2session").await.len(), asked, "WeChat need not be asked");

    world.attach(SHOP).await;
    within(PATIENCE, "the same user logs in", async || {
        let reply = world.log_in(SHOP, "oAda").await;
        (reply.status == 200).then(|| assert_eq!(reply.ok()["user"]["id"], before["user"]["id"]))
    })
    .await;
}

/// WeChat looks at the platform's token before it looks at the code.
#[tokio::test]
async fn a_dead_token_costs_no_code() {
    let gateway = Gateway::dev().await;
    let world = World::with_ticket(&gateway).await;
    world.attach(SHOP).await;
    world.log_in(SHOP, "oAda").await.ok();
    gateway.simulator().steer("/sim/tokens/end", &json!({ "appid": PLATFORM })).await;
    world.log_in(SHOP, "oAda").await.ok();
    assert_eq!(world.calls("/sns/component/jscode2session").await, [0, 40001, 0]);
    assert_eq!(world.calls("/cgi-bin/component/api_component_token").await, [0, 0]);
    // WeChat withdrew and no event came: its own answer counts.
    let gone = json!({ "component_appid": PLATFORM, "appid": SHOP, "pushed": false });
    gateway.simulator().take_back("/sim/authorizations", &gone).await;
    world.log_in(SHOP, "oAda").await.refused(403, "APP_NOT_AUTHORIZED");
}

/// What an app asks with a token works under a platform too, with the token that the app granted.
#[tokio::test]
async fn a_platforms_token_serves_for_phone_numbers_and_session_keys() {
    let gateway = Gateway::dev().await;
    let (world, simulator) = (World::with_ticket(&gateway).await, gateway.simulator());
    world.attach(SHOP).await;
    world.until_known(SHOP, "attached").await;
    let login = world.log_in(SHOP, "oAda").await.ok();
    let token = login["access_token"].as_str().unwrap();
    let ask = async |path: &str, body: serde_json::Value| {
        let request = gateway.client().request(Method::POST, path).bearer_auth(token).json(&body);
        gateway.client().send(request).await
    };
    assert_eq!(ask("/v1/me/session-check", json!({})).await.ok(), json!({ "valid": true }));
    let phone = json!({ "appid": SHOP, "openid": "oAda", "phone": "13800138000" });
    let code = simulator.steer("/sim/phone-codes", &phone).await["code"].clone();
    assert_eq!(ask("/v1/me/phone", json!({ "phoneCode": code })).await.ok()["outcome"], "bound");
    assert_eq!(world.calls("/wxa/business/getuserphonenumber").await, [0]);

    // A token that died is fetched again with the refresh token, and the call made once more.
    simulator.end_tokens(SHOP).await;
    assert_eq!(ask("/v1/me/session-check", json!({ "reset": true })).await.ok(), json!({ "valid": true }));
    assert_eq!(world.calls("/wxa/resetusersessionkey").await, [40001, 0]);
    assert_eq!(world.calls("/cgi-bin/component/api_authorizer_token").await, [0]);
    for route in ["/cgi-bin/stable_token", "/cgi-bin/token"] {
        assert!(world.calls(route).await.is_empty(), "there is no AppSecret");
    }
}

#[tokio::test]
async fn an_address_that_wechat_does_not_know_is_the_operators_affair() {
    let gateway = Gateway::dev().await;
    let world = World::with_ticket(&gateway).await;
    world.attach(SHOP).await;
    let refuse = async |route: &str, times: u32| {
        gateway.simulator().fault(json!({ "route": route, "kind": "ip_whitelist", "times": times })).await;
    };
    refuse("/sns/component/jscode2session", 1).await;
    world.log_in(SHOP, "oAda").await.refused(500, "APP_MISCONFIGURED");
    assert!(gateway.log().contains("61004"), "{}", gateway.log());
    world.log_in(SHOP, "oAda").await.ok();

    // The next token is refused to our address: it is asked for once in ten minutes, however many log in.
    refuse("api_component_token", 100).await;
    gateway.simulator().end_tokens(PLATFORM).await;
    let before = world.calls("/cgi-bin/component/api_component_token").await.len();
    for person in ["oEve", "oJoe", "oZoe"] {
        world.log_in(SHOP, person).await.refused(500, "APP_MISCONFIGURED");
    }
    assert_eq!(world.calls("/cgi-bin/component/api_component_token").await[before..], [61004]);
}

/// What a process does as soon as it is there, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(20);

/// WeChat gave another refresh token, and the gateway was killed before it heard of it.
#[tokio::test]
async fn no_kill_loses_a_refresh_token() {
    let mut gateway = Gateway::serve(TestDatabase::create(Engine::Sqlite).await.unwrap()).await;
    let world = World::with_ticket(&gateway).await;
    world.introduce(json!({ "rotates_refresh_tokens": true })).await;
    world.attach(SHOP).await;
    world.until_known(SHOP, "attached").await;
    let route = "api_authorizer_token";
    gateway.simulator().fault(json!({ "route": route, "kind": "latency", "times": 1, "delay_ms": 30_000 })).await;
    let database = format!("sqlite://{}", gateway.data().join("wxgate.db").display());
    execute(&database, "UPDATE platform_app SET token_expires_at = 1").await;
    // Whoever starts looks at once.
    let keys = world.keys();
    gateway.kill9();
    gateway.restart().await;
    let world = World::again(&gateway, keys);
    within(AT_ONCE, "the next token is asked for", async || {
        (!world.calls("/cgi-bin/component/api_authorizer_token").await.is_empty()).then_some(())
    })
    .await;
    let keys = world.keys();
    gateway.kill9();
    // The lease of whoever died runs out.
    execute(&database, "UPDATE platform_app SET lease_until = 0").await;
    gateway.restart().await;
    let world = World::again(&gateway, keys);
    let next = within(AT_ONCE, "the app has a token again", async || {
        let known = world.known(SHOP).await;
        (known["token_until"].as_i64()? > 1_000).then_some(known)
    })
    .await;
    assert_eq!(next["is_granted"], true);
    let calls = world.calls("/cgi-bin/component/api_authorizer_token").await;
    assert!(calls.ends_with(&[61023, 0]), "the old one is refused, the new one found in WeChat's list: {calls:?}");
}

#[tokio::test]
async fn the_doctor_says_what_keeps_a_platform_from_acting() {
    let gateway = Gateway::dev().await;
    let world = World::new(&gateway).await;
    let examined = async || gateway.command(["doctor", "--json"]).run().await.stdout;
    assert!(examined().await.contains("WeChat has pushed no ticket yet"));
    world.ticket().await;
    let started = world.start().await;
    let address = world.agree(SHOP, &started, json!({ "permissions": [17] })).await;
    assert_eq!(world.come_back(&address).await.status, 200);
    let told = examined().await;
    assert!(told.contains("has a ticket of ") && told.contains("permission set 18"), "{told}");
    assert!(told.contains(&format!("logs in through platform {PLATFORM}")), "{told}");
}
