//! The two interfaces that give tokens, and what becomes of tokens.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{APP, Sim, secret_of};

/// What WeChat says to a token: 0 if it works.
async fn errcode(sim: &Sim, token: &str) -> i64 {
    let path = format!("/wxa/business/checkencryptedmsg?access_token={token}");
    let answer = sim.api(Method::POST, &path, Some(json!({"encrypted_msg_hash": "a".repeat(64)}))).await;
    // Unknown data: the token was good.
    answer["errcode"].as_i64().filter(|errcode| *errcode != 1).unwrap_or_default()
}

async fn legacy(sim: &Sim, secret: &str) -> Value {
    let path = format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={secret}");
    sim.api(Method::GET, &path, None).await
}

fn text(answer: &Value) -> String {
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_the_same_stable_token_and_what_is_left_of_it() {
    let sim = Sim::start().await;
    let first = sim.stable_token(APP, false).await;
    assert_eq!(first.as_object().unwrap().keys().collect::<Vec<_>>(), ["access_token", "expires_in"]);
    assert!(text(&first).len() > 130);
    sim.post("/sim/clock", json!({"advance_ms": 3_600_000})).await;
    let later = sim.stable_token(APP, false).await;
    assert_eq!(text(&later), text(&first));
    assert!(later["expires_in"].as_i64().unwrap() <= 3_600);
    sim.post("/sim/clock", json!({"advance_ms": 3_400_000})).await;
    let renewed = sim.stable_token(APP, false).await;
    assert_ne!(text(&renewed), text(&first));
    assert_eq!([errcode(&sim, &text(&first)).await, errcode(&sim, &text(&renewed)).await], [0, 0]);
    sim.post("/sim/clock", json!({"advance_ms": 300_000})).await;
    assert_eq!([errcode(&sim, &text(&first)).await, errcode(&sim, &text(&renewed)).await], [40001, 0]);
    sim.post("/sim/clock", json!({"advance_ms": 7_000_000})).await;
    assert_eq!(errcode(&sim, &text(&renewed)).await, 42001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_token_and_a_legacy_one_end_only_their_own_line() {
    let sim = Sim::start().await;
    let stable = sim.token(APP).await;
    let forced = text(&sim.stable_token(APP, true).await);
    assert_ne!(forced, stable);
    assert_eq!(text(&sim.stable_token(APP, true).await), forced, "within 30 seconds nothing happens");
    let [first, second, third] = [
        text(&legacy(&sim, &secret_of(APP)).await),
        text(&legacy(&sim, &secret_of(APP)).await),
        text(&legacy(&sim, &secret_of(APP)).await),
    ];
    assert_eq!([errcode(&sim, &first).await, errcode(&sim, &second).await, errcode(&sim, &third).await], [40001, 0, 0]);
    sim.post("/sim/clock", json!({"advance_ms": 300_000})).await;
    assert_eq!([errcode(&sim, &stable).await, errcode(&sim, &second).await], [40001, 40001]);
    assert_eq!([errcode(&sim, &forced).await, errcode(&sim, &third).await], [0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_servers_refresh_ends_all_tokens_of_an_app() {
    let sim = Sim::start().await;
    let token = sim.token(APP).await;
    assert_eq!(sim.post("/sim/tokens/end", json!({"appid": APP})).await, json!({"ended": 1}));
    assert_eq!(errcode(&sim, &token).await, 40001);
    assert_eq!(errcode(&sim, &sim.token(APP).await).await, 0);
    assert_eq!(sim.refused(Method::POST, "/sim/tokens/end", Some(json!({"appid": "wxNone"}))).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_refused_in_wechats_order() {
    let sim = Sim::start().await;
    let ask = async |body: Value| sim.api(Method::POST, "/cgi-bin/stable_token", Some(body)).await["errcode"].clone();
    assert_eq!(ask(json!({})).await, 41002);
    assert_eq!(ask(json!({"appid": "wxNone"})).await, 41004);
    assert_eq!(ask(json!({"appid": "wxNone", "secret": "x"})).await, 40013);
    assert_eq!(ask(json!({"appid": APP, "secret": "x"})).await, 40002);
    assert_eq!(ask(json!({"appid": APP, "secret": "x", "grant_type": "client_credential"})).await, 40125);
    assert_eq!(ask(json!([])).await, 47001);
    assert_eq!(sim.api(Method::POST, "/cgi-bin/stable_token", None).await["errcode"], 44002);
    assert_eq!(sim.api(Method::GET, "/cgi-bin/stable_token", None).await["errcode"], 43002);
    assert_eq!(sim.api(Method::POST, "/cgi-bin/token", Some(json!({}))).await["errcode"], 43001);
    assert_eq!(legacy(&sim, "wrong").await["errcode"], 40125);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_can_be_refused_and_a_token_can_be_dead() {
    let sim = Sim::start().await;
    let token = sim.token(APP).await;
    sim.fault(json!({"route": "stable_token", "kind": "ip_whitelist"})).await;
    let refused = sim.stable_token(APP, false).await;
    assert_eq!(refused["errcode"], 40164);
    let errmsg = refused["errmsg"].as_str().unwrap();
    assert!(errmsg.starts_with("invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist"), "{errmsg}");
    sim.fault(json!({"route": "/cgi-bin/stable_token", "kind": "ip_whitelist", "errcode": 89506})).await;
    assert_eq!(sim.stable_token(APP, false).await["errcode"], 89506);
    sim.fault(json!({"route": "checkencryptedmsg", "kind": "token_expired"})).await;
    sim.fault(json!({"route": "checkencryptedmsg", "kind": "token_expired", "errcode": 40001, "appid": APP})).await;
    assert_eq!(
        [errcode(&sim, &token).await, errcode(&sim, &token).await, errcode(&sim, &token).await],
        [42001, 40001, 0]
    );
    for nonsense in [
        json!({"route": "stable_token", "kind": "token_expired"}),
        json!({"route": "checksession", "kind": "token_expired", "errcode": 40029}),
        json!({"route": "stable_token", "kind": "ip_whitelist", "errcode": 40001}),
    ] {
        assert_eq!(sim.refused(Method::POST, "/sim/faults", Some(nonsense)).await.0, 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_can_be_missing_and_the_journal_tells_no_token() {
    let sim = Sim::start().await;
    sim.fault(json!({"route": "stable_token", "kind": "missing_field"})).await;
    assert_eq!(sim.stable_token(APP, false).await, json!({"expires_in": 7200}));
    let token = sim.token(APP).await;
    assert_eq!(errcode(&sim, &token).await, 0);
    let journal = sim.get("/sim/journal").await;
    assert!(!journal.to_string().contains(&token));
    let call = &journal["calls"][2];
    assert_eq!((&call["route"], &call["appid"]), (&json!("/wxa/business/checkencryptedmsg"), &json!(APP)));
    assert!(call["token_digest"].is_string() && call["secret_digest"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_be_said_to_live_shortly() {
    let sim = Sim::start().await;
    for route in ["/cgi-bin/stable_token", "stable_token"] {
        sim.fault(json!({"route": route, "kind": "short_life"})).await;
        assert_eq!(sim.stable_token(APP, false).await["expires_in"], 300, "{route}");
    }
    assert!(sim.stable_token(APP, false).await["expires_in"].as_u64().unwrap() > 7_000);
}
