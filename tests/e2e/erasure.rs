//! Erasing a user: what others hear of it, and what stays.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{APP, Gateway, OTHER_APP};

/// Logs somebody in; returns the whole reply.
async fn log_in(gateway: &Gateway, appid: &str, openid: &str) -> Value {
    let issued = gateway.simulator().issue(&json!({ "appid": appid, "openid": openid, "unionid": "uAda" })).await;
    gateway.client().login_with(appid, &issued.code).await.ok()
}

async fn me(gateway: &Gateway, login: &Value) -> crate::harness::Reply {
    let request = gateway.client().request(Method::GET, "/v1/me");
    gateway.client().send(request.bearer_auth(login["access_token"].as_str().unwrap())).await
}

#[tokio::test]
async fn whoever_is_erased_is_gone_at_once_and_comes_back_as_somebody_else() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    let (phone, tablet) = (log_in(&gateway, APP, "oAda").await, log_in(&gateway, OTHER_APP, "oAdaToo").await);
    let id = phone["user"]["id"].as_str().unwrap();
    me(&gateway, &phone).await.ok();

    let erased = operator.delete(&format!("/users/{id}?tenant=demo")).await.ok();
    assert_eq!(erased, json!({ "id": id, "identities": 2, "sessions_ended": 2 }));
    for login in [&phone, &tablet] {
        me(&gateway, login).await.refused(401, "SESSION_ENDED");
        let refresh = json!({ "refresh_token": login["refresh_token"] });
        gateway.client().post("/v1/token/refresh", &refresh).await.refused(401, "REFRESH_INVALID");
    }
    operator.get(&format!("/users/{id}?tenant=demo")).await.refused(404, "NOT_FOUND");
    operator.delete(&format!("/users/{id}?tenant=demo")).await.refused(404, "NOT_FOUND");
    assert_eq!(operator.get("/users?tenant=demo&unionid=uAda").await.ok()["items"], json!([]));

    let again = log_in(&gateway, APP, "oAda").await;
    assert_eq!(again["user"]["is_new"], true);
    assert_ne!(again["user"]["id"], id);
    // What tells of them is in no file any more: not in the database, not in its log, not in the journal.
    operator.delete(&format!("/users/{}?tenant=demo", again["user"]["id"].as_str().unwrap())).await.ok();
    for file in ["wxgate.db", "wxgate.db-wal", "erasures.jsonl"] {
        let bytes = std::fs::read(gateway.data().join(file)).unwrap_or_default();
        assert!(!bytes.windows(7).any(|bytes| bytes == b"oAdaToo"), "{file}");
    }
}

#[tokio::test]
async fn erasing_is_no_way_out_of_a_ban() {
    let gateway = Gateway::dev().await;
    let ada = log_in(&gateway, APP, "oAda").await;
    let id = ada["user"]["id"].as_str().unwrap();
    gateway.remote(["user", "block", "--tenant", "demo", id]).run().await.ok();
    let told = gateway.remote(["user", "erase", "--tenant", "demo", id]).run().await.failed();
    assert!(told.contains("--yes"), "nothing is destroyed without a word: {told}");
    gateway.remote(["user", "erase", "--tenant", "demo", id, "--yes"]).run().await.ok();
    for (appid, openid) in [(APP, "oAda"), (OTHER_APP, "oNewPhone")] {
        let issued = gateway.simulator().issue(&json!({ "appid": appid, "openid": openid, "unionid": "uAda" })).await;
        gateway.client().login_with(appid, &issued.code).await.refused(403, "USER_BLOCKED");
    }
    gateway.command(["user", "unblock", "--tenant", "demo", id]).run().await.ok();
    assert_ne!(log_in(&gateway, OTHER_APP, "oNewPhone").await["user"]["id"], id);
}

/// `DELETE /v1/me` with this proof.
async fn erase_me(gateway: &Gateway, login: &Value, body: Value) -> crate::harness::Reply {
    let request = gateway.client().request(Method::DELETE, "/v1/me").json(&body);
    gateway.client().send(request.bearer_auth(login["access_token"].as_str().unwrap())).await
}

/// A fresh code of `wx.login`.
async fn code_of(gateway: &Gateway, appid: &str, openid: &str) -> Value {
    gateway.simulator().code_of(appid, openid).await.code.into()
}

#[tokio::test]
async fn a_user_has_themself_forgotten_and_comes_back_as_somebody_else() {
    let gateway = Gateway::dev().await;
    let (phone, tablet) = (log_in(&gateway, APP, "oAda").await, log_in(&gateway, OTHER_APP, "oAdaToo").await);
    let id = phone["user"]["id"].as_str().unwrap();
    let code = code_of(&gateway, APP, "oAda").await;
    let erased = erase_me(&gateway, &phone, json!({ "code": code })).await;
    assert_eq!((erased.status, erased.text.as_str()), (204, ""));
    for login in [&phone, &tablet] {
        me(&gateway, login).await.refused(401, "SESSION_ENDED");
        let refresh = json!({ "refresh_token": login["refresh_token"] });
        gateway.client().post("/v1/token/refresh", &refresh).await.refused(401, "REFRESH_INVALID");
    }
    gateway.operator().get(&format!("/users/{id}?tenant=demo")).await.refused(404, "NOT_FOUND");
    let audit = gateway.operator().get("/audit?tenant=demo&action=user.erase").await.ok();
    let entry = &audit["items"][0];
    assert_eq!((&entry["actor"], &entry["target"]), (&json!("user"), &json!(id)), "{audit}");
    let again = log_in(&gateway, APP, "oAda").await;
    assert_eq!(again["user"]["is_new"], true);
    assert_ne!(again["user"]["id"], id);
}

#[tokio::test]
async fn nobody_is_forgotten_without_a_fresh_code_of_their_own() {
    let gateway = Gateway::dev().await;
    let ada = log_in(&gateway, APP, "oAda").await;
    let stranger = gateway.simulator().code(APP).await.code;
    let elsewhere = code_of(&gateway, OTHER_APP, "oAda").await;
    erase_me(&gateway, &ada, json!({})).await.refused(403, "STEP_UP_REQUIRED");
    erase_me(&gateway, &ada, json!({ "code": null })).await.refused(403, "STEP_UP_REQUIRED");
    erase_me(&gateway, &ada, json!({ "code": stranger })).await.refused(403, "STEP_UP_REQUIRED");
    erase_me(&gateway, &ada, json!({ "code": elsewhere })).await.refused(400, "CODE_INVALID");
    erase_me(&gateway, &ada, json!({ "code": "nonsense" })).await.refused(400, "CODE_INVALID");
    me(&gateway, &ada).await.ok();
}

#[tokio::test]
async fn forgetting_oneself_is_no_way_out_of_a_ban() {
    let gateway = Gateway::dev().await;
    let ada = log_in(&gateway, APP, "oAda").await;
    let id = ada["user"]["id"].as_str().unwrap();
    erase_me(&gateway, &ada, json!({ "code": code_of(&gateway, APP, "oAda").await })).await.status_is(204);
    // Nobody is left to be blocked, yet who comes back is kept out.
    gateway.command(["user", "block", "--tenant", "demo", id]).run().await.ok();
    for appid in [APP, OTHER_APP] {
        let issued = gateway.simulator().issue(&json!({ "appid": appid, "openid": "oAda", "unionid": "uAda" })).await;
        gateway.client().login_with(appid, &issued.code).await.refused(403, "USER_BLOCKED");
    }
}

#[tokio::test]
async fn a_session_is_ended_from_the_operators_side() {
    let gateway = Gateway::dev().await;
    let (phone, tablet) = (log_in(&gateway, APP, "oAda").await, log_in(&gateway, OTHER_APP, "oAdaToo").await);
    let id = phone["user"]["id"].as_str().unwrap();
    let sessions = gateway.command(["user", "sessions", "--tenant", "demo", id, "--json"]).run().await.json();
    let ids: Vec<_> = sessions.as_array().unwrap().iter().map(|session| session["id"].clone()).collect();
    assert_eq!(ids, [phone["session_id"].clone(), tablet["session_id"].clone()]);
    assert_eq!(gateway.remote(["user", "sessions", "--tenant", "demo", id, "--json"]).run().await.json(), sessions);

    let sid = phone["session_id"].as_str().unwrap();
    gateway.remote(["user", "end-session", "--tenant", "demo", sid]).run().await.ok();
    me(&gateway, &phone).await.refused(401, "SESSION_ENDED");
    me(&gateway, &tablet).await.ok();
    let told = gateway.command(["user", "end-session", "--tenant", "demo", sid]).run().await.failed();
    assert!(told.contains("no live session"), "{told}");
}
