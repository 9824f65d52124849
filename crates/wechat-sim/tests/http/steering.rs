//! The journal, the apps, and what steering refuses.

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::{APP, BOUND_APP, Sim, hex, secret_of, wechat_json};

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_tells_everything_but_secrets() {
    let sim = Sim::start().await;
    let code = sim.code(json!({"appid": APP, "openid": "oAlice"})).await;
    let session_key = sim.exchange(APP, &code).await["session_key"].as_str().unwrap().to_owned();
    sim.call(&[("appid", APP)]).await.unwrap();
    let journal = sim.get("/sim/journal").await;
    assert_eq!(journal["total"], 2);
    let text = journal.to_string();
    for secret in [&code, &secret_of(APP), &session_key] {
        assert!(!text.contains(secret.as_str()));
    }
    let at_ms = journal["calls"][0]["at_ms"].clone();
    assert_eq!(
        journal["calls"][0],
        json!({
            "seq": 1, "at_ms": at_ms, "route": "/sns/jscode2session", "appid": APP, "errcode": 0,
            "code_digest": digest(&code), "secret_digest": digest(&secret_of(APP)),
        })
    );
    assert_eq!(journal["calls"][1]["errcode"], 41004);
    assert_eq!(journal["calls"][1]["code_digest"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_read_from_where_one_left_off() {
    let sim = Sim::start().await;
    for _ in 0..3 {
        sim.exchange(APP, "x").await;
    }
    let page = sim.get("/sim/journal?since=2").await;
    assert_eq!((&page["total"], page["calls"].as_array().unwrap().len()), (&json!(3), 1));
    assert_eq!(page["calls"][0]["seq"], 3);
    assert_eq!(sim.refused(Method::GET, "/sim/journal?since=x", None).await.0, 400);
    assert_eq!(sim.request(Method::DELETE, "/sim/journal", None).await.1, json!({"cleared": 3}));
    assert_eq!(sim.get("/sim/journal").await, json!({"total": 0, "calls": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_come_change_and_go() {
    let sim = Sim::start().await;
    let (status, _) = sim.refused(Method::POST, "/sim/codes", Some(json!({"appid": "wxNew"}))).await;
    assert_eq!(status, 404);
    sim.post("/sim/apps", json!({"appid": "wxNew", "secret": secret_of("wxNew"), "union_group": "group"})).await;
    let code = sim.code(json!({"appid": "wxNew"})).await;
    assert!(sim.exchange("wxNew", &code).await["unionid"].is_string());
    sim.post("/sim/apps", json!({"appid": "wxNew", "secret": "reset"})).await;
    assert_eq!(sim.exchange("wxNew", &code).await["errcode"], 40125);
    assert_eq!(sim.request(Method::DELETE, "/sim/apps/wxNew", None).await.0, 200);
    assert_eq!(sim.exchange("wxNew", &code).await["errcode"], 40013);
    assert_eq!(sim.refused(Method::DELETE, "/sim/apps/wxNew", None).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_says_whose_it_is() {
    let sim = Sim::start().await;
    let reply = sim.post("/sim/codes", json!({"appid": BOUND_APP, "openid": "oBob"})).await;
    assert_eq!(reply["openid"], "oBob");
    let answer = sim.exchange(BOUND_APP, reply["code"].as_str().unwrap()).await;
    assert_eq!(answer["unionid"], reply["unionid"]);
    let [one, other] =
        [sim.post("/sim/codes", json!({"appid": APP})).await, sim.post("/sim/codes", json!({"appid": APP})).await];
    assert_ne!(one["openid"], other["openid"], "a new person each time unless named");
    assert!(one["unionid"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_with_a_reason() {
    let sim = Sim::start().await;
    for (path, body) in [
        ("/sim/codes", json!({})),
        ("/sim/codes", json!([])),
        ("/sim/codes", json!({"appid": APP, "openId": "o1"})),
        ("/sim/codes", json!({"appid": APP, "openid": "not an openid"})),
        ("/sim/codes", json!({"appid": APP, "unionid": ""})),
        ("/sim/phone-codes", json!({"appid": APP, "phone": "abc"})),
        ("/sim/clock", json!({"advance_ms": -1})),
        ("/sim/clock", json!({"advance_ms": u64::MAX})),
        ("/sim/faults", json!({"route": "jscode2session", "kind": "nova"})),
        ("/sim/faults", json!({"route": "nowhere", "kind": "busy"})),
        ("/sim/apps", json!({"appid": "wx New", "secret": "s"})),
        ("/sim/apps", json!({"appid": "wxNew", "secret": ""})),
    ] {
        let (status, error) = sim.refused(Method::POST, path, Some(body.clone())).await;
        assert_eq!(status, 400, "{path} {body}");
        assert!(!error.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steered_error_is_worded_like_wechats() {
    let sim = Sim::start().await;
    sim.fault(json!({"kind": "errcode", "errcode": 45009})).await;
    let answer = wechat_json(sim.try_exchange(APP, "x").await.unwrap()).await;
    assert!(answer["errmsg"].as_str().unwrap().starts_with("reach max api daily quota limit rid: "));
}
