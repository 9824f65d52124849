//! Calls that need WeChat's access_token: one for all, another one when it is dead, and logins that never wait for it.

mod calls;
mod shared;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::simulator::{Sealed, Simulator};
use crate::harness::{APP, Gateway, OTHER_APP, Reply};

const STABLE: &str = "/cgi-bin/stable_token";
const CHECK: &str = "/wxa/checksession";

/// A user who is logged in.
struct User {
    openid: String,
    token: String,
}

impl User {
    async fn of(gateway: &Gateway, appid: &str) -> Self {
        let issued = gateway.simulator().code(appid).await;
        Self::with(gateway, appid, &issued.code, issued.openid).await
    }

    async fn with(gateway: &Gateway, appid: &str, code: &str, openid: String) -> Self {
        let login = gateway.client().login_with(appid, code).await.ok();
        Self { openid, token: login["access_token"].as_str().unwrap().to_owned() }
    }

    async fn check(&self, gateway: &Gateway, body: Value) -> Reply {
        let request = gateway.client().request(Method::POST, "/v1/me/session-check").json(&body);
        gateway.client().send(request.bearer_auth(&self.token)).await
    }
}

/// The errcodes of the calls of one of WeChat's interfaces, in their order.
async fn answers(simulator: &Simulator, route: &str) -> Vec<i64> {
    let calls = simulator.journal().await;
    calls.iter().filter(|call| call["route"] == route).map(|call| call["errcode"].as_i64().unwrap()).collect()
}

/// How often an interface was called with one outcome, on all days of a reply together.
fn counted(reply: &Value, interface: &str, outcome: &str) -> u64 {
    let calls = reply["calls"].as_array().unwrap().iter();
    let same = calls.filter(|call| call["interface"] == interface && call["outcome"] == outcome);
    same.map(|call| call["count"].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn a_token_that_another_system_took_away_is_replaced_behind_the_callers_back() {
    let gateway = Gateway::dev().await;
    let simulator = gateway.simulator();
    let ada = User::of(&gateway, APP).await;
    for _ in 0..3 {
        assert_eq!(ada.check(&gateway, json!({})).await.ok(), json!({ "valid": true }));
    }
    assert_eq!(answers(simulator, STABLE).await, [0], "one token serves them all");

    simulator.end_tokens(APP).await;
    assert_eq!(ada.check(&gateway, json!({})).await.ok(), json!({ "valid": true }));
    assert_eq!(answers(simulator, STABLE).await, [0, 0]);
    assert_eq!(answers(simulator, CHECK).await, [0, 0, 0, 40001, 0]);
}

#[tokio::test]
async fn a_token_that_stays_dead_is_tried_twice_and_no_more() {
    let gateway = Gateway::dev().await;
    let simulator = gateway.simulator();
    let ada = User::of(&gateway, APP).await;
    simulator.fault(json!({ "route": CHECK, "kind": "token_expired", "errcode": 40001, "times": 100 })).await;
    let problem = ada.check(&gateway, json!({})).await.refused(503, "APP_TOKEN_UNAVAILABLE");
    assert_eq!((&problem["action"], &problem["retry_after"]), (&json!("wait"), &json!(30)));
    assert_eq!((answers(simulator, CHECK).await.len(), answers(simulator, STABLE).await.len()), (2, 2));
    // WeChat gave the same one again: it is not asked for another with each call.
    ada.check(&gateway, json!({})).await.refused(503, "APP_TOKEN_UNAVAILABLE");
    assert_eq!((answers(simulator, CHECK).await.len(), answers(simulator, STABLE).await.len()), (3, 2));
}

#[tokio::test]
async fn logins_go_on_while_wechat_refuses_our_address_a_token() {
    let gateway = Gateway::dev().await;
    let simulator = gateway.simulator();
    let ada = User::of(&gateway, APP).await;
    simulator.fault(json!({ "route": STABLE, "kind": "ip_whitelist", "appid": APP, "times": 100 })).await;
    for _ in 0..3 {
        let problem = ada.check(&gateway, json!({})).await.refused(503, "APP_TOKEN_UNAVAILABLE");
        assert!((500..=600).contains(&problem["retry_after"].as_u64().unwrap()), "{problem}");
        User::of(&gateway, APP).await;
    }
    assert_eq!(answers(simulator, STABLE).await, [40164], "it is asked once in ten minutes");
    // Another app's token is none of that one's business.
    let eve = User::of(&gateway, OTHER_APP).await;
    eve.check(&gateway, json!({})).await.ok();
    assert!(gateway.log().contains("203.0.113.7"), "the operator is told the address to enter");
}

#[tokio::test]
async fn a_key_that_wechat_replaced_is_stale_and_a_reset_puts_another_in_its_place() {
    let gateway = Gateway::dev().await;
    let simulator = gateway.simulator();
    let ada = User::of(&gateway, APP).await;
    let fresh = simulator.code_of(APP, &ada.openid).await;
    let problem = ada.check(&gateway, json!({})).await.refused(409, "SESSION_KEY_STALE");
    assert_eq!(problem["action"], "relogin_then_reauthorize");
    ada.check(&gateway, json!({ "reset": true })).await.refused(409, "SESSION_KEY_STALE");

    let ada = User::with(&gateway, APP, &fresh.code, ada.openid).await;
    assert_eq!(ada.check(&gateway, json!({ "reset": true })).await.ok(), json!({ "valid": true }));
    assert_eq!(ada.check(&gateway, json!({})).await.ok(), json!({ "valid": true }), "the new key is kept");
    assert_eq!(answers(simulator, "/wxa/resetusersessionkey").await, [87009, 0]);
}

/// A reset replaces the key as another `wx.login` does: what was sealed a moment before still opens.
#[tokio::test]
async fn a_profile_sealed_before_a_reset_opens_after_it() {
    let gateway = Gateway::dev().await;
    let ada = User::of(&gateway, APP).await;
    let profile = json!({ "appid": APP, "openid": ada.openid, "kind": "user_info", "nickname": "阿白" });
    let mut sealed = vec![gateway.simulator().encrypt(&profile).await];
    let opens = async |sealed: &Sealed| {
        let body = json!({ "encryptedData": sealed.encrypted_data, "iv": sealed.iv });
        let request = gateway.client().request(Method::POST, "/v1/me/decrypt").bearer_auth(&ada.token);
        gateway.client().send(request.json(&body)).await
    };
    // Two that were superseded are kept, no third.
    for _ in 0..3 {
        assert_eq!(ada.check(&gateway, json!({ "reset": true })).await.ok(), json!({ "valid": true }));
        sealed.push(gateway.simulator().encrypt(&profile).await);
        for sealed in sealed.iter().rev().take(3) {
            assert_eq!(opens(sealed).await.ok()["user_data"]["nickName"], "阿白");
        }
    }
    opens(&sealed[0]).await.refused(409, "SESSION_KEY_STALE");
}

#[tokio::test]
async fn wechat_is_not_asked_about_one_user_again_and_again() {
    let gateway = Gateway::dev().await;
    let ada = User::of(&gateway, APP).await;
    // At once, so that no part of a minute passes between them, and often enough for a machine that is slow all the same:
    // the tenth in a minute is answered, and one more in each six seconds.
    let mut refused = 0;
    while refused == 0 {
        let questions = (0..30).map(|_| ada.check(&gateway, json!({})));
        for reply in futures_util::future::join_all(questions).await {
            if reply.status != 200 {
                reply.refused(429, "RATE_LIMITED");
                refused += 1;
            }
        }
    }
    let asked = answers(gateway.simulator(), CHECK).await;
    assert!(asked.len() >= 10, "{asked:?}");
    User::of(&gateway, APP).await.check(&gateway, json!({})).await.ok();
}

#[tokio::test]
async fn what_an_app_called_of_wechat_is_counted_and_its_quota_asked_for() {
    let gateway = Gateway::dev().await;
    let ada = User::of(&gateway, APP).await;
    ada.check(&gateway, json!({})).await.ok();
    gateway.simulator().end_tokens(APP).await;
    ada.check(&gateway, json!({})).await.ok();

    let path = "/wxa/business/getuserphonenumber";
    let calls = gateway.operator().get(&format!("/apps/{APP}/wechat-calls?quota_of={path}")).await.ok();
    assert_eq!((counted(&calls, CHECK, "ok"), counted(&calls, CHECK, "token_dead")), (2, 1), "{calls}");
    assert_eq!(counted(&calls, "/sns/jscode2session", "ok"), 1, "{calls}");
    assert_eq!((&calls["quota"]["interface"], &calls["quota"]["remain"]), (&json!(path), &json!(1_000_000)), "{calls}");
    let session_checks = gateway.operator().get(&format!("/apps/{APP}/wechat-calls?quota_of={CHECK}")).await.ok();
    let quota = &session_checks["quota"];
    assert_eq!(
        (&quota["used"], &quota["remain"]),
        (&json!(2), &json!(999_998)),
        "refused tokens cost nothing: {quota}"
    );
    let labels = format!(r#"wxgate_wechat_app_calls_total{{app="{APP}",route="{CHECK}",class="ok"}}"#);
    assert_eq!(gateway.metric(&labels).await, 2);

    let command = ["app", "calls", APP, "--quota-of", "/sns/jscode2session"];
    let told = gateway.remote(command).run().await.ok();
    assert!(told.contains(CHECK) && told.contains("WeChat does not tell the quota"), "{told}");
}
