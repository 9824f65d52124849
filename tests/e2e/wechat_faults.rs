//! WeChat slow, broken, contradictory or gone: each has its answer, in time, and costs one code at most.

mod neighbours;
mod odd_answers;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use wxgate_domain::Clock;

use crate::harness::{APP, Client, Gateway, Reply};

/// The longest a login may take, whatever WeChat does.
const BUDGET: Duration = Duration::from_secs(5);

/// What a client is told.
struct Told {
    status: u16,
    code: &'static str,
    action: &'static str,
    again: Again,
}

/// What becomes of the same code, if it comes again.
#[derive(PartialEq)]
enum Again {
    /// It is spent.
    Used,
    /// WeChat refused the app and not the code: the answer stays what it was, and WeChat is not asked.
    Alike,
    /// It is sent again, as WeChat asked for patience alone.
    Sent,
}

const fn told(status: u16, code: &'static str, action: &'static str) -> Told {
    Told { status, code, action, again: Again::Used }
}

const fn about_app(status: u16, code: &'static str) -> Told {
    Told { status, code, action: "stop", again: Again::Alike }
}

const fn patience(status: u16, code: &'static str) -> Told {
    Told { status, code, action: "wait", again: Again::Sent }
}

const TIMEOUT: Told = told(503, "UPSTREAM_TIMEOUT", "new_code");
const BAD_RESPONSE: Told = told(502, "UPSTREAM_BAD_RESPONSE", "new_code");
const MISCONFIGURED: Told = about_app(500, "APP_MISCONFIGURED");

async fn timed(login: impl Future<Output = Reply>) -> Reply {
    let began = Instant::now();
    let reply = login.await;
    let took = began.elapsed();
    assert!(took < BUDGET, "a login took {took:?}: {}", reply.text);
    reply
}

#[track_caller]
fn check(reply: &Reply, told: &Told, what: &str) -> Value {
    let problem = reply.refused(told.status, told.code);
    assert_eq!(problem["action"], told.action, "{what}");
    match problem.get("retry_after") {
        Some(seconds) => assert_eq!(reply.header("retry-after"), seconds.to_string(), "{what}"),
        None => assert_eq!(reply.header("retry-after"), "", "{what}"),
    }
    problem
}

/// Sends one code while WeChat has this fault, and looks at everything that follows.
async fn suffer(gateway: &Gateway, fault: Value, told: &Told) -> Value {
    let (client, simulator) = (gateway.client(), gateway.simulator());
    let what = fault.to_string();
    let issued = simulator.code(APP).await;
    let before = simulator.exchanges().await;
    simulator.fault(fault).await;
    let reply = timed(client.login_with(APP, &issued.code)).await;
    let problem = check(&reply, told, &what);
    assert_eq!(simulator.exchanges().await, before + 1, "{what}: sent once, and never again");

    let again = client.login_with(APP, &issued.code).await;
    let sent = match told.again {
        Again::Sent => {
            assert_eq!(again.ok()["user"]["openid"], issued.openid, "{what}");
            2
        }
        Again::Alike => {
            check(&again, told, &what);
            1
        }
        Again::Used => {
            again.refused(409, "CODE_USED");
            1
        }
    };
    assert_eq!(simulator.exchanges().await, before + sent, "{what}");
    let next = simulator.code(APP).await;
    client.login_with(APP, &next.code).await.ok();
    problem
}

#[tokio::test]
async fn a_broken_answer_says_what_to_do() {
    let gateway = Gateway::dev().await;
    for kind in ["html", "status_500", "empty", "truncated", "huge", "missing_field"] {
        suffer(&gateway, json!({ "kind": kind }), &BAD_RESPONSE).await;
    }
    for kind in ["reset_before", "reset_after"] {
        suffer(&gateway, json!({ "kind": kind }), &TIMEOUT).await;
    }
}

#[tokio::test]
async fn a_slow_answer_ends_in_time_and_is_not_asked_for_again() {
    let gateway = Gateway::dev().await;
    suffer(&gateway, json!({ "kind": "latency", "delay_ms": 4_000 }), &TIMEOUT).await;

    let issued = gateway.simulator().code(APP).await;
    gateway.simulator().fault(json!({ "kind": "latency", "delay_ms": 300 })).await;
    timed(gateway.client().login_with(APP, &issued.code)).await.ok();
}

#[tokio::test]
async fn an_overloaded_wechat_says_when_to_come_back() {
    let gateway = Gateway::dev().await;
    let busy = suffer(&gateway, json!({ "kind": "busy" }), &told(503, "UPSTREAM_BUSY", "new_code")).await;
    assert!(busy["retry_after"].as_u64().unwrap() >= 1);

    let minute = suffer(&gateway, json!({ "kind": "quota" }), &patience(429, "RATE_LIMITED")).await;
    assert_eq!(minute["retry_after"], 60);

    let until_midnight = 86_400 - (Clock::System.now().seconds() + 8 * 3_600).rem_euclid(86_400);
    let fault = json!({ "kind": "quota", "errcode": 45009 });
    let day = suffer(&gateway, fault, &about_app(429, "RATE_LIMITED")).await;
    let apart = (until_midnight - day["retry_after"].as_i64().unwrap()).rem_euclid(86_400);
    assert!(apart < 60, "midnight in Beijing is {until_midnight} s away, not {}", day["retry_after"]);
}

#[tokio::test]
async fn each_refusal_of_wechats_has_its_meaning() {
    let gateway = Gateway::dev().await;
    let refusals = [
        (40029, told(400, "CODE_INVALID", "new_code")),
        (41008, told(400, "CODE_INVALID", "new_code")),
        (40163, told(409, "CODE_USED", "new_code")),
        (40226, told(403, "USER_BLOCKED", "stop")),
        (50002, told(403, "USER_BLOCKED", "stop")),
        (61003, about_app(403, "APP_NOT_AUTHORIZED")),
    ];
    for (errcode, told) in refusals {
        suffer(&gateway, json!({ "kind": "errcode", "errcode": errcode }), &told).await;
    }
    suffer(&gateway, json!({ "kind": "string_errcode" }), &told(400, "CODE_INVALID", "new_code")).await;
}

#[tokio::test]
async fn what_the_operator_must_mend_is_told_to_the_operator_alone() {
    let gateway = Gateway::dev().env("WXGATE__LOG__FORMAT", "json").await;
    let errcodes = [40001, 40002, 40013, 40125, 40164, 40243, 41002, 41004, 48001, 48004, 99_999, -2];
    for errcode in errcodes {
        let problem = suffer(&gateway, json!({ "kind": "errcode", "errcode": errcode }), &MISCONFIGURED).await;
        let text = problem.to_string();
        assert!(!text.contains(&errcode.to_string()) && !text.to_lowercase().contains("secret"), "{text}");
        assert_eq!(problem.as_object().unwrap().len(), 6, "{text}");
    }
    let log = gateway.log();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for errcode in errcodes {
        let alert = lines.iter().find(|line| line["wechat.errcode"] == errcode && line["level"] == "ERROR");
        let alert = alert.unwrap_or_else(|| panic!("no alert of {errcode} in the log"));
        assert_eq!(alert["wechat.appid"], APP);
        assert!(alert["wechat.rid"].as_str().is_some_and(|rid| rid.len() == 26), "{alert}");
    }
    let counted = gateway.metric(r#"wxgate_wechat_calls_total{api="jscode2session",class="misconfigured"}"#).await;
    assert_eq!(counted, errcodes.len() as u64, "{}", gateway.admin().get("/metrics").await.text);
}

#[tokio::test]
async fn the_tutorials_clients_are_told_in_their_own_shape() {
    let gateway = Gateway::dev().await;
    let cases =
        [("busy", 503, "UPSTREAM_BUSY"), ("html", 502, "UPSTREAM_BAD_RESPONSE"), ("quota", 429, "RATE_LIMITED")];
    for (kind, status, code) in cases {
        let issued = gateway.simulator().code(APP).await;
        gateway.simulator().fault(json!({ "kind": kind })).await;
        let path = format!("/apps/{APP}/user/wxlogin");
        let reply = timed(gateway.client().post(&path, &json!({ "platCode": issued.code }))).await;
        reply.tutorial_refused(status, code);
        assert_eq!(reply.header("retry-after").is_empty(), kind == "html");
    }
}

/// A login of this code within the budget.
async fn login(client: &Client, appid: &str, code: &str) -> Reply {
    timed(client.login_with(appid, code)).await
}
