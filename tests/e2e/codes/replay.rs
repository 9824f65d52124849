//! Clients repeat themselves: after a lost answer, a double tap, a time-out. Thieves do, too.

use reqwest::Method;
use serde_json::json;

use super::post;
use crate::harness::{APP, Gateway, PATIENCE, within};

/// 128 bits in base64url.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAA";
const OTHER_KEY: &str = "BBBBBBBBBBBBBBBBBBBBBB";

#[tokio::test]
async fn the_same_client_is_answered_again_with_the_same_session() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let first = gateway.client().login_with(APP, &issued.code).await.ok();
    for _ in 0..3 {
        let again = gateway.client().login_with(APP, &issued.code).await.ok();
        assert_eq!(again["session_id"], first["session_id"]);
        assert_eq!(again["refresh_token"], first["refresh_token"]);
        assert_eq!(again["user"]["id"], first["user"]["id"]);
        assert_eq!(again["user"]["openid"], first["user"]["openid"]);
        assert_eq!(again["user"]["unionid"], first["user"]["unionid"]);
    }
    assert_eq!(gateway.simulator().exchanges().await, 1);
}

#[tokio::test]
async fn the_same_client_gets_its_data_opened_again() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let sealed = gateway.simulator().user_info(APP, &issued.openid).await;
    let body = json!({ "code": issued.code, "encryptedData": sealed.encrypted_data, "iv": sealed.iv });
    let first = gateway.client().login(APP, &body).await.ok();
    let again = gateway.client().login(APP, &body).await.ok();
    assert_eq!(first["user_data"]["openId"], issued.openid);
    assert_eq!(again["user_data"], first["user_data"]);
    assert_eq!(again["session_id"], first["session_id"]);
}

#[tokio::test]
async fn refuses_a_replay_by_another_client() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let body = json!({ "code": issued.code });
    gateway.client().login(APP, &body).await.ok();

    let client = gateway.client();
    let path = format!("/v1/apps/{APP}/login");
    for agent in ["another browser", "", "wxgate-e2e/2"] {
        let request = client.request(Method::POST, &path).header("User-Agent", agent).json(&body);
        assert_eq!(client.send(request).await.refused(409, "CODE_USED")["action"], "new_code");
    }
    // The thief's attempts changed nothing for the owner.
    client.login(APP, &body).await.ok();
    assert_eq!(gateway.simulator().exchanges().await, 1);
}

#[tokio::test]
async fn refuses_a_stranger_while_the_code_is_in_flight() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    gateway.simulator().fault(json!({ "kind": "latency", "delay_ms": 300 })).await;
    let body = json!({ "code": issued.code });
    let owner = async { post(&gateway, &body, &[]).await };
    let strangers = async {
        // The simulated WeChat notes the call as soon as it comes: from then on the code is in flight.
        within(PATIENCE, "the code to be in flight", async || {
            (gateway.simulator().exchanges().await == 1).then_some(())
        })
        .await;
        for headers in [("User-Agent", "another browser"), ("Idempotency-Key", KEY)] {
            post(&gateway, &body, &[headers]).await.refused(409, "CODE_USED");
        }
    };
    let (reply, ()) = tokio::join!(owner, strangers);
    reply.ok();
    assert_eq!(gateway.simulator().exchanges().await, 1);
}

#[tokio::test]
async fn refuses_a_replay_with_another_body() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let sealed = gateway.simulator().user_info(APP, &issued.openid).await;
    gateway.client().login_with(APP, &issued.code).await.ok();

    let with_data = json!({ "code": issued.code, "encryptedData": sealed.encrypted_data, "iv": sealed.iv });
    gateway.client().login(APP, &with_data).await.refused(409, "CODE_USED");
    let with_more = json!({ "code": issued.code, "more": 1 });
    gateway.client().login(APP, &with_more).await.refused(409, "CODE_USED");
    let client = gateway.client();
    let spaced = client.request(Method::POST, &format!("/v1/apps/{APP}/login"));
    let spaced = spaced.header("Content-Type", "application/json").body(format!("{{ \"code\": \"{}\" }}", issued.code));
    client.send(spaced).await.refused(409, "CODE_USED");
    let tutorial = client.request(Method::POST, &format!("/apps/{APP}/user/wxlogin"));
    client.send(tutorial.json(&json!({ "platCode": issued.code }))).await.tutorial_refused(409, "CODE_USED");
    assert_eq!(gateway.simulator().exchanges().await, 1);
}

#[tokio::test]
async fn an_idempotency_key_makes_the_same_client_known_from_anywhere() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let body = json!({ "code": issued.code });
    let first = post(&gateway, &body, &[("Idempotency-Key", KEY)]).await.ok();
    // The phone changed from Wi-Fi to mobile and its software was restarted: the key is what it remembers.
    let again = post(&gateway, &body, &[("Idempotency-Key", KEY), ("User-Agent", "another")]).await.ok();
    assert_eq!(again["session_id"], first["session_id"]);
    assert_eq!(gateway.simulator().exchanges().await, 1);
}

#[tokio::test]
async fn refuses_another_idempotency_key_or_the_same_with_another_body() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let body = json!({ "code": issued.code });
    post(&gateway, &body, &[("Idempotency-Key", KEY)]).await.ok();

    post(&gateway, &body, &[("Idempotency-Key", OTHER_KEY)]).await.refused(409, "CODE_USED");
    let other = json!({ "code": issued.code, "more": 1 });
    post(&gateway, &other, &[("Idempotency-Key", KEY)]).await.refused(409, "CODE_USED");

    // Nor does a key that comes afterwards prove anything.
    let issued = gateway.simulator().code(APP).await;
    let body = json!({ "code": issued.code });
    post(&gateway, &body, &[]).await.ok();
    post(&gateway, &body, &[("Idempotency-Key", KEY), ("User-Agent", "another")]).await.refused(409, "CODE_USED");
    assert_eq!(gateway.simulator().exchanges().await, 2);
}

#[tokio::test]
async fn refuses_an_idempotency_key_that_could_be_guessed_and_spends_no_code() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let body = json!({ "code": issued.code });
    let long = "x".repeat(256);
    for key in ["", "1", "short", &KEY[1..], &long] {
        post(&gateway, &body, &[("Idempotency-Key", key)]).await.refused(400, "REQUEST_INVALID");
    }
    assert_eq!(gateway.simulator().exchanges().await, 0);
    post(&gateway, &body, &[("Idempotency-Key", KEY)]).await.ok();
}
