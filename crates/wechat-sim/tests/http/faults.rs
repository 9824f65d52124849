//! Each kind of fault, and what it leaves behind.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{APP, BOUND_APP, Sim, secret_of, wechat_json};

/// The errcode of an exchange, 0 for a success.
async fn errcode(sim: &Sim, code: &str) -> i64 {
    let answer = sim.exchange(APP, code).await;
    answer["errcode"].as_i64().unwrap_or_else(|| i64::from(answer["openid"].is_null()))
}

async fn last_call(sim: &Sim) -> Value {
    sim.get("/sim/journal").await["calls"].as_array().unwrap().last().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_close_without_a_byte() {
    let sim = Sim::start().await;
    for (kind, code_is_used) in [("reset_before", false), ("reset_after", true)] {
        let code = sim.code(json!({"appid": APP})).await;
        sim.fault(json!({"kind": kind})).await;
        let secret = secret_of(APP);
        let query = format!("appid={APP}&secret={secret}&js_code={code}&grant_type=authorization_code");
        let answer = sim.raw(&format!("GET /sns/jscode2session?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!(answer, "", "{kind}");
        let call = last_call(&sim).await;
        assert_eq!(call["fault"], kind);
        assert_eq!(call["errcode"], if code_is_used { json!(0) } else { Value::Null });
        assert_eq!(errcode(&sim, &code).await, if code_is_used { 40163 } else { 0 }, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_reach_a_client_with_open_connections() {
    let sim = Sim::start().await;
    let code = sim.code(json!({"appid": APP})).await;
    sim.fault(json!({"kind": "reset_before", "times": 2})).await;
    for _ in 0..2 {
        let error = sim.try_exchange(APP, &code).await.unwrap_err();
        assert!(error.is_request() && !error.is_timeout() && !error.is_connect(), "{error:?}");
    }
    assert_eq!(errcode(&sim, &code).await, 0);
    assert_eq!(sim.get("/sim/journal").await["total"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_leave_the_code_alone() {
    let sim = Sim::start().await;
    let code = sim.code(json!({"appid": APP})).await;
    for (fault, expected) in [
        (json!({"kind": "busy"}), json!(-1)),
        (json!({"kind": "quota"}), json!(45011)),
        (json!({"kind": "quota", "errcode": 45009}), json!(45009)),
        (json!({"kind": "errcode", "errcode": 40226}), json!(40226)),
        (json!({"kind": "errcode", "errcode": 50002}), json!(50002)),
        (json!({"kind": "string_errcode"}), json!("40029")),
        (json!({"kind": "string_errcode", "errcode": -1}), json!("-1")),
    ] {
        sim.fault(fault.clone()).await;
        let answer = sim.exchange(APP, &code).await;
        assert_eq!(answer["errcode"], expected);
        assert!(answer["errmsg"].as_str().unwrap().contains(" rid: "));
        assert_eq!(last_call(&sim).await["fault"], fault["kind"]);
    }
    assert_eq!(errcode(&sim, &code).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_in_front_of_wechat() {
    let sim = Sim::start().await;
    let code = sim.code(json!({"appid": APP})).await;
    sim.fault(json!({"kind": "html"})).await;
    sim.fault(json!({"kind": "status_500"})).await;
    let answer = sim.try_exchange(APP, &code).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (502, &"text/html".parse().unwrap()));
    assert!(answer.text().await.unwrap().starts_with("<html>"));
    let answer = sim.try_exchange(APP, &code).await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(last_call(&sim).await["errcode"], Value::Null);
    assert_eq!(errcode(&sim, &code).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_arrive_damaged_use_the_code_up() {
    let sim = Sim::start().await;
    let mut lengths = Vec::new();
    for kind in ["empty", "truncated", "huge", "missing_field"] {
        let code = sim.code(json!({"appid": APP})).await;
        sim.fault(json!({"kind": kind})).await;
        let answer = sim.try_exchange(APP, &code).await.unwrap();
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.unwrap();
        lengths.push(text.len());
        match kind {
            "truncated" => {
                assert!(text.starts_with(r#"{"session_key":"#));
                assert!(serde_json::from_str::<Value>(&text).unwrap_err().is_eof());
            }
            "huge" => assert!(serde_json::from_str::<Value>(&text).unwrap()["openid"].is_string()),
            "missing_field" => {
                let answer: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["session_key"]);
            }
            _ => {}
        }
        let call = last_call(&sim).await;
        assert_eq!((&call["fault"], &call["errcode"]), (&json!(kind), &json!(0)));
        assert_eq!(errcode(&sim, &code).await, 40163, "{kind}");
    }
    assert_eq!(lengths[0], 0);
    assert!(lengths[2] > 4 * 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_right_and_look_odd() {
    let sim = Sim::start().await;
    let login = async |kind| {
        let code = sim.code(json!({"appid": APP})).await;
        sim.fault(json!({"kind": kind})).await;
        let answer = sim.try_exchange(APP, &code).await.unwrap();
        assert_eq!(last_call(&sim).await["fault"], kind);
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (content_type, answer.text().await.unwrap())
    };
    let (content_type, text) = login("content_type").await;
    assert_eq!(content_type, "text/html; charset=utf-8");
    assert!(serde_json::from_str::<Value>(&text).unwrap()["openid"].is_string());
    let (_, text) = login("extra_field").await;
    assert!(serde_json::from_str::<Value>(&text).unwrap()["is_new_field"].is_string());
    // Of 24 characters of base64 a slash is one in 64, so that one is soon there.
    for _ in 0..1_000 {
        let (_, text) = login("escaped_slashes").await;
        assert!(serde_json::from_str::<Value>(&text).unwrap()["openid"].is_string());
        if text.contains(r"\/") {
            assert_eq!(text.matches('/').count(), text.matches(r"\/").count());
            return;
        }
    }
    panic!("no session_key with a slash");
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_delays_an_answer_as_often_as_asked() {
    let sim = Sim::start().await;
    sim.fault(json!({"kind": "latency", "delay_ms": 80, "times": 2})).await;
    let now_ms = async || sim.get("/sim/health").await["now_ms"].as_u64().unwrap();
    for delayed in [true, true, false] {
        let code = sim.code(json!({"appid": APP})).await;
        let before = now_ms().await;
        assert_eq!(errcode(&sim, &code).await, 0);
        // How fast an answer without a fault is, is up to the machine.
        assert!(!delayed || now_ms().await >= before + 80);
        assert_eq!(last_call(&sim).await["fault"], if delayed { json!("latency") } else { Value::Null });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_goes_with_any_fault_and_stages_add_up() {
    let sim = Sim::start().await;
    let code = sim.code(json!({"appid": APP})).await;
    sim.fault(json!({"kind": "latency", "delay_ms": 1})).await;
    sim.fault(json!({"kind": "missing_field", "delay_ms": 1})).await;
    sim.fault(json!({"kind": "huge", "delay_ms": 1})).await;
    let answer = sim.exchange(APP, &code).await;
    assert!(answer["openid"].is_null() && answer["session_key"].is_string() && answer["padding"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_wait_for_their_app_and_for_their_check() {
    let sim = Sim::start().await;
    sim.fault(json!({"kind": "busy", "appid": APP, "route": "/sns/jscode2session"})).await;
    let code = sim.code(json!({"appid": BOUND_APP})).await;
    assert!(sim.exchange(BOUND_APP, &code).await["openid"].is_string());
    let wrong_secret = [("appid", APP), ("secret", "wrong"), ("js_code", "x"), ("grant_type", "authorization_code")];
    assert_eq!(wechat_json(sim.call(&wrong_secret).await.unwrap()).await["errcode"], 40125);
    assert_eq!(errcode(&sim, "x").await, -1);
    assert_eq!(errcode(&sim, "x").await, 40029);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_can_be_cleared() {
    let sim = Sim::start().await;
    sim.fault(json!({"kind": "busy", "times": 1000})).await;
    sim.fault(json!({"kind": "html"})).await;
    let (_, reply) = sim.request(Method::DELETE, "/sim/faults", None).await;
    assert_eq!(reply, json!({"cleared": 2}));
    assert_eq!(errcode(&sim, "x").await, 40029);
}
