//! Phone codes: exchanged once, for one user, within the day's budget.

use serde_json::json;

use super::{EXCHANGE, User};
use crate::harness::{APP, Gateway, OTHER_APP, PATIENCE, within};

/// Security test 32.
#[tokio::test]
async fn a_phone_number_comes_from_wechat_once_and_never_from_the_client() {
    let gateway = Gateway::dev().await;
    let (ada, eve) = (User::new(&gateway).await, User::new(&gateway).await);
    let code = ada.phone_code(&gateway, "13800138000").await;
    let body = json!({ "phoneCode": code, "phoneNumber": "13999999999", "phone": "13999999999" });
    assert_eq!(ada.send(&gateway, body.clone()).await.ok()["phone"]["masked"], "+86 138****8000");
    assert_eq!(ada.send(&gateway, body).await.ok()["outcome"], "already_yours");
    let theirs = eve.send(&gateway, json!({ "phoneCode": code })).await.refused(409, "CODE_USED");
    assert_eq!(theirs["action"], "reauthorize");
    assert_eq!(gateway.simulator().calls_of(EXCHANGE).await, 1, "one code, one call");
    for body in [json!({ "phoneNumber": "13800138000" }), json!({}), json!({ "encryptedData": "AAAA" })] {
        ada.send(&gateway, body).await.refused(400, "REQUEST_INVALID");
    }
    let both =
        json!({ "phoneCode": code, "encryptedData": "AAAAAAAAAAAAAAAAAAAAAA==", "iv": "AAAAAAAAAAAAAAAAAAAAAA==" });
    ada.send(&gateway, both).await.refused(400, "REQUEST_INVALID");
    // No silent takeover: the number stays where it is.
    eve.bind(&gateway, "13800138000").await.refused(409, "PHONE_TAKEN");
    assert_eq!(ada.me(&gateway).await["phone_masked"], "+86 138****8000");
}

#[tokio::test]
async fn many_requests_with_one_code_make_one_call() {
    let gateway = Gateway::dev().await;
    let ada = User::new(&gateway).await;
    let code = ada.phone_code(&gateway, "13800138000").await;
    gateway.simulator().fault(json!({ "route": EXCHANGE, "kind": "latency", "delay_ms": 300 })).await;
    let requests = (0..8).map(|_| ada.send(&gateway, json!({ "phoneCode": code })));
    let replies = futures_util::future::join_all(requests).await;
    let bound = replies.iter().filter(|reply| reply.ok()["outcome"] == "bound").count();
    assert_eq!(bound, 1);
    assert_eq!(gateway.simulator().calls_of(EXCHANGE).await, 1);
}

#[tokio::test]
async fn codes_that_are_none_or_of_another_kind_are_named_and_not_sent_again() {
    let gateway = Gateway::dev().await;
    let ada = User::new(&gateway).await;
    let login_code = ada.login_code(&gateway).await;
    let refused = ada.send(&gateway, json!({ "phoneCode": login_code })).await.refused(400, "CODE_INVALID");
    assert_eq!(refused["action"], "reauthorize");
    assert!(refused["detail"].as_str().unwrap().contains("wx.login"), "{refused}");
    let calls = gateway.simulator().calls_of(EXCHANGE).await;
    ada.send(&gateway, json!({ "phoneCode": login_code })).await.refused(400, "CODE_INVALID");
    assert_eq!(gateway.simulator().calls_of(EXCHANGE).await, calls, "WeChat has refused it once");
    // The other way round.
    let phone_code = ada.phone_code(&gateway, "13800138000").await;
    let refused = gateway.client().login_with(APP, &phone_code).await.refused(400, "CODE_INVALID");
    assert!(refused["detail"].as_str().unwrap().contains("phone button"), "{refused}");

    ada.send(&gateway, json!({ "phoneCode": "a b" })).await.refused(400, "CODE_INVALID");
    let of_other_app = gateway.simulator().phone_code(OTHER_APP).await;
    let refused = ada.send(&gateway, json!({ "phoneCode": of_other_app })).await.refused(400, "CODE_INVALID");
    assert_eq!((&refused["action"], refused.get("detail")), (&json!("reauthorize"), None));
    let of_eve = gateway.simulator().phone_code(APP).await;
    ada.send(&gateway, json!({ "phoneCode": of_eve })).await.refused(400, "CODE_INVALID");
    let expired = ada.phone_code(&gateway, "13800138000").await;
    gateway.simulator().advance(std::time::Duration::from_mins(5)).await;
    ada.send(&gateway, json!({ "phoneCode": expired })).await.refused(400, "CODE_INVALID");
}

#[tokio::test]
async fn a_code_whose_answer_was_lost_is_spent_and_one_that_was_not_sent_is_not() {
    let gateway = Gateway::dev().await;
    let ada = User::new(&gateway).await;
    let lost = ada.phone_code(&gateway, "13800138000").await;
    gateway.simulator().fault(json!({ "route": EXCHANGE, "kind": "reset_after" })).await;
    let refused = ada.send(&gateway, json!({ "phoneCode": lost })).await.refused(503, "UPSTREAM_TIMEOUT");
    assert_eq!((&refused["action"], refused.get("retry_after")), (&json!("reauthorize"), None));
    let calls = gateway.simulator().calls_of(EXCHANGE).await;
    let again = ada.send(&gateway, json!({ "phoneCode": lost })).await.refused(503, "UPSTREAM_TIMEOUT");
    assert_eq!(again["action"], "reauthorize", "waiting would not help");
    assert_eq!(gateway.simulator().calls_of(EXCHANGE).await, calls);

    let busy = ada.phone_code(&gateway, "13800138000").await;
    gateway.simulator().fault(json!({ "route": EXCHANGE, "kind": "busy" })).await;
    assert_eq!(ada.send(&gateway, json!({ "phoneCode": busy })).await.refused(503, "UPSTREAM_BUSY")["action"], "wait");
    assert_eq!(ada.send(&gateway, json!({ "phoneCode": busy })).await.ok()["outcome"], "bound");
}

#[tokio::test]
async fn the_day_s_budget_of_a_user_ends_and_logins_go_on() {
    let gateway = Gateway::dev().await;
    let ada = User::new(&gateway).await;
    let policy = json!({ "policy": { "phone_codes_per_user_day": 1 } });
    gateway.operator().patch(&format!("/apps/{APP}"), &policy).await.ok();
    let refused = within(PATIENCE, "the budget ends", async || {
        let reply = ada.bind(&gateway, "13800138000").await;
        (reply.status != 200).then_some(reply)
    });
    let refused = refused.await.refused(429, "RATE_LIMITED");
    assert_eq!(refused["action"], "stop");
    assert!((1..=86_400).contains(&refused["retry_after"].as_u64().unwrap()), "{refused}");
    let calls = gateway.simulator().calls_of(EXCHANGE).await;
    let code = ada.phone_code(&gateway, "13800138000").await;
    let body = json!({ "code": ada.login_code(&gateway).await, "phoneCode": code });
    let login = gateway.client().login(APP, &body).await.ok();
    assert_eq!(
        (&login["phone_error"]["code"], &login["phone_error"]["action"]),
        (&json!("RATE_LIMITED"), &json!("stop"))
    );
    assert!(login["access_token"].is_string());
    assert_eq!(gateway.simulator().calls_of(EXCHANGE).await, calls);
    let eve = User::new(&gateway).await;
    assert_eq!(eve.bind(&gateway, "13900139000").await.ok()["outcome"], "bound", "it is hers alone");
}

#[tokio::test]
async fn a_country_code_may_be_a_number() {
    let gateway = Gateway::dev().await;
    let ada = User::new(&gateway).await;
    let body = json!({ "appid": APP, "openid": ada.openid, "phone": "51234567", "country_code": 852 });
    let issued = crate::harness::Client::new(gateway.simulator().url()).post("/sim/phone-codes", &body).await.ok();
    let bound = ada.send(&gateway, json!({ "phoneCode": issued["code"] })).await.ok();
    let shown = json!({ "masked": "+852 51****567", "country_code": "852", "verified": true });
    assert_eq!(bound["phone"], shown);
}
