//! What an account may lack, what a day allows, and what a signed call may lack.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{APP, BOUND_APP, Sim};

const QUOTA: &str = "/cgi-bin/openapi/quota/get";
const CALLBACK: &str = "/cgi-bin/getcallbackip";

async fn quota(sim: &Sim, path: &str) -> Value {
    let route = format!("{QUOTA}?access_token={}", sim.token(APP).await);
    sim.api(Method::POST, &route, Some(json!({ "cgi_path": path }))).await
}

async fn callback(sim: &Sim, appid: &str) -> Value {
    sim.api(Method::GET, &format!("{CALLBACK}?access_token={}", sim.token(appid).await), None).await
}

async fn condition(sim: &Sim, condition: Value) {
    let (status, reply) = sim.request(Method::PUT, &format!("/sim/apps/{APP}/condition"), Some(condition)).await;
    assert_eq!((status.as_u16(), reply), (200, json!({})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_secret_is_refused_whether_it_is_right_or_wrong() {
    let sim = Sim::start().await;
    let token = sim.token(APP).await;
    let code = sim.code(json!({ "appid": APP })).await;
    condition(&sim, json!({ "secret_frozen": true })).await;
    assert_eq!(sim.stable_token(APP, false).await["errcode"], 40243);
    assert_eq!(sim.exchange(APP, &code).await["errcode"], 40243);
    let wrong = [("appid", APP), ("secret", "wrong"), ("js_code", &code), ("grant_type", "authorization_code")];
    let answer = sim.call(&wrong).await.unwrap().text().await.unwrap();
    assert!(answer.contains("40243"), "{answer}");
    let path = format!("{CALLBACK}?access_token={token}");
    assert!(sim.api(Method::GET, &path, None).await["ip_list"].is_array(), "tokens go on");
    condition(&sim, json!({})).await;
    assert!(sim.exchange(APP, &code).await["openid"].is_string(), "the code was not looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_permission_gets_tokens_and_nothing_for_them() {
    let sim = Sim::start().await;
    condition(&sim, json!({ "unauthorized": true })).await;
    assert_eq!(callback(&sim, APP).await["errcode"], 48001);
    assert!(callback(&sim, BOUND_APP).await["ip_list"].is_array());
    let path = format!("{CALLBACK}?access_token=89_short");
    assert_eq!(sim.api(Method::GET, &path, None).await["errcode"], 40014, "the token is looked at first");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_against_the_days_quota() {
    let sim = Sim::start().await;
    assert_eq!(
        quota(&sim, CALLBACK).await["quota"],
        json!({ "daily_limit": 1_000_000, "used": 0, "remain": 1_000_000 })
    );
    sim.post("/sim/quotas", json!({ "appid": APP, "route": "getcallbackip", "daily_limit": 2 })).await;
    for errcode in [0, 0, 45009] {
        assert_eq!(callback(&sim, APP).await["errcode"].as_i64().unwrap_or_default(), errcode);
    }
    assert!(callback(&sim, BOUND_APP).await["ip_list"].is_array(), "another app has a quota of its own");
    assert_eq!(quota(&sim, CALLBACK).await["quota"], json!({ "daily_limit": 2, "used": 2, "remain": 0 }));
    assert_eq!(quota(&sim, QUOTA).await["quota"]["used"], 3, "to ask is a call, too");
    sim.post("/sim/clock", json!({ "advance_ms": 86_400_000 })).await;
    assert_eq!(quota(&sim, CALLBACK).await["quota"]["used"], 0);
    assert!(callback(&sim, APP).await["ip_list"].is_array());
    for (path, errcode) in [("/sns/jscode2session", 76022), ("/wxa/nothing", 76021)] {
        assert_eq!(quota(&sim, path).await["errcode"], errcode);
    }
    let nobody = json!({ "appid": "wxnobody", "route": "getcallbackip", "daily_limit": 2 });
    assert_eq!(sim.refused(Method::POST, "/sim/quotas", Some(nobody)).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_refuses_until_it_is_over() {
    let sim = Sim::start().await;
    let code = sim.code(json!({ "appid": APP })).await;
    sim.fault(json!({ "kind": "quota", "for_ms": 60_000 })).await;
    for _ in 0..3 {
        assert_eq!(sim.exchange(APP, &code).await["errcode"], 45011);
    }
    sim.post("/sim/clock", json!({ "advance_ms": 60_000 })).await;
    assert!(sim.exchange(APP, &code).await["openid"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_call_that_lacks_something_is_told_what() {
    let sim = Sim::start().await;
    sim.post("/sim/api-security", json!({ "appid": APP })).await;
    let url = format!("{}{QUOTA}?access_token={}", sim.simulator.url(), sim.token(APP).await);
    let now = sim.get("/sim/health").await["now_ms"].as_u64().unwrap() / 1000;
    let (now, old) = (now.to_string(), (now - 301).to_string());
    let whole = [("Wechatmp-Appid", APP), ("Wechatmp-TimeStamp", &now), ("Wechatmp-Signature", "AAAA")];
    let with = |name: &str, value: &'static str| {
        let mut headers = whole.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        headers.retain(|(known, _)| known != name);
        headers.push((name.to_owned(), value.to_owned()));
        headers
    };
    for (headers, errcode) in [
        (with("Wechatmp-Serial", ""), 40230),
        (with("Wechatmp-TimeStamp", ""), 40231),
        (with("Wechatmp-Signature", ""), 40232),
        (with("Wechatmp-Appid", ""), 40233),
        (with("Wechatmp-Signature", "AAAA"), 40234),
        (with("Wechatmp-Appid", "gh_0"), 40236),
        (with("Wechatmp-Appid", "wxffffffffffffffff"), 40237),
        (with("Wechatmp-TimeStamp", Box::leak(old.into_boxed_str())), 40240),
    ] {
        let request = headers.iter().fold(sim.client.post(&url), |request, (name, value)| request.header(name, value));
        let answer: Value = request.body("{}").send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["errcode"], errcode, "{headers:?}");
    }
    sim.request(Method::DELETE, "/sim/api-security/keys", Some(json!({ "appid": APP, "key": "public_key" }))).await;
    let request = whole.iter().fold(sim.client.post(&url), |request, (name, value)| request.header(*name, *value));
    let answer: Value = request.body("{}").send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["errcode"], 40239, "it is asked for before the signature");
}
