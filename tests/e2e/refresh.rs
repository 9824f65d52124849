//! A mini-program keeps its session: one refresh token for the next pair, and nothing for whoever stole one.

use std::collections::HashSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{APP, Client, Gateway, PATIENCE, Reply, within};

async fn refresh(client: &Client, token: &Value) -> Reply {
    client.post("/v1/token/refresh", &json!({ "refresh_token": token })).await
}

async fn log_in(gateway: &Gateway) -> Value {
    let issued = gateway.simulator().code(APP).await;
    gateway.client().login_with(APP, &issued.code).await.ok()
}

#[tokio::test]
async fn a_session_moves_on_turn_by_turn() {
    let gateway = Gateway::dev().await;
    let mut pair = log_in(&gateway).await;
    for _ in 0..3 {
        let reply = refresh(gateway.client(), &pair["refresh_token"]).await;
        assert_eq!(reply.header("cache-control"), "no-store");
        let next = reply.ok();
        let mut fields: Vec<_> = next.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        let expected = [
            "access_token",
            "expires_in",
            "refresh_expires_in",
            "refresh_token",
            "scope",
            "server_time",
            "session_id",
            "token_type",
        ];
        assert_eq!(fields, expected);
        assert_eq!(next["session_id"], pair["session_id"]);
        assert_eq!(next["scope"], "user");
        assert_eq!(next["refresh_expires_in"], 30 * 86_400);
        assert!((810..=990).contains(&next["expires_in"].as_i64().unwrap()), "{next}");
        assert_ne!(next["refresh_token"], pair["refresh_token"]);
        assert_ne!(next["access_token"], pair["access_token"]);
        pair = next;
    }
    assert_eq!(gateway.metric("wxgate_refreshes_total{outcome=\"success\"}").await, 3);
}

#[tokio::test]
async fn fifty_parallel_refreshes_of_one_token_log_nobody_out() {
    let gateway = Gateway::dev().await;
    let pair = log_in(&gateway).await;
    let replies = join_all((0..50).map(|_| refresh(gateway.client(), &pair["refresh_token"]))).await;
    let successors: HashSet<_> = replies.iter().map(|reply| reply.ok()["refresh_token"].to_string()).collect();
    assert_eq!(successors.len(), 1, "the same successor for everyone who asks");
    let successor = replies[0].json();
    refresh(gateway.client(), &successor["refresh_token"]).await.ok();
    assert_eq!(gateway.metric("wxgate_refreshes_total{outcome=\"success\"}").await, 2);
    assert_eq!(gateway.metric("wxgate_refreshes_total{outcome=\"repeated\"}").await, 49);
}

#[tokio::test]
async fn an_old_token_ends_the_session_for_thief_and_owner() {
    let gateway = Gateway::dev().await;
    let first = log_in(&gateway).await;
    let second = refresh(gateway.client(), &first["refresh_token"]).await.ok();
    let third = refresh(gateway.client(), &second["refresh_token"]).await.ok();
    let reused = refresh(gateway.client(), &first["refresh_token"]).await;
    assert_eq!(reused.refused(401, "REFRESH_REUSED")["action"], "relogin");
    assert_eq!(reused.header("www-authenticate"), r#"Bearer error="invalid_token""#);
    for token in [&first, &second, &third] {
        let ended = refresh(gateway.client(), &token["refresh_token"]).await;
        assert_eq!(ended.refused(401, "SESSION_ENDED")["action"], "relogin");
    }
    assert!(gateway.log().contains("a refresh token was stolen"));
    // No dead end: a new code opens a session again.
    log_in(&gateway).await;
}

#[tokio::test]
async fn with_no_window_a_lost_answer_costs_the_session() {
    let gateway = Gateway::dev().await;
    gateway.command(["tenant", "policy", "demo", "--refresh-grace-seconds", "0"]).run().await.ok();
    // Running gateways hear of the policy within two seconds.
    let late = within(PATIENCE, "the policy is heard of", async || {
        let pair = log_in(&gateway).await;
        refresh(gateway.client(), &pair["refresh_token"]).await.ok();
        let late = refresh(gateway.client(), &pair["refresh_token"]).await;
        (late.status != 200).then_some(late)
    });
    assert_eq!(late.await.refused(401, "SESSION_ENDED")["action"], "relogin");
    assert_eq!(gateway.metric("wxgate_refreshes_total{outcome=\"lost_answer\"}").await, 1);
}

#[tokio::test]
async fn after_a_restore_every_token_is_void() {
    let mut gateway = Gateway::dev().await;
    let pair = log_in(&gateway).await;
    assert!(gateway.terminate().await.success());
    let restored = gateway.command(["db", "restored", "--json"]).run().await.json();
    assert_ne!(restored["restore_epoch"], 0);
    gateway.restart().await;
    refresh(gateway.client(), &pair["refresh_token"]).await.refused(401, "REFRESH_INVALID");
    let again = log_in(&gateway).await;
    refresh(gateway.client(), &again["refresh_token"]).await.ok();
}

#[tokio::test]
async fn blocked_users_disabled_apps_and_suspended_tenants_refresh_nothing() {
    let gateway = Gateway::dev().await;
    let pair = log_in(&gateway).await;
    let user = pair["user"]["id"].as_str().unwrap();
    // The row decides, so there is nothing to wait for.
    let command = async |arguments: &[&str]| {
        crate::harness::cli::wxgate(arguments.iter().copied()).config(&gateway.config()).run().await.ok();
        refresh(gateway.client(), &pair["refresh_token"]).await
    };
    let disabled = command(&["app", "disable", APP]).await;
    assert_eq!(disabled.refused(403, "APP_DISABLED")["action"], "stop");
    command(&["tenant", "suspend", "demo"]).await.refused(403, "APP_DISABLED");
    command(&["app", "enable", APP]).await.refused(403, "APP_DISABLED");
    let blocked = command(&["user", "block", "--tenant", "demo", user]).await;
    blocked.refused(403, "APP_DISABLED");
    let blocked = command(&["tenant", "resume", "demo"]).await;
    assert_eq!(blocked.refused(403, "USER_BLOCKED")["action"], "stop");
    let unblocked = command(&["user", "unblock", "--tenant", "demo", user]).await;
    assert_eq!(unblocked.refused(401, "SESSION_ENDED")["action"], "relogin");
}

#[tokio::test]
async fn replay_is_refused_after_a_restart() {
    let mut gateway = Gateway::dev().await;
    let first = log_in(&gateway).await;
    let second = refresh(gateway.client(), &first["refresh_token"]).await.ok();
    let third = refresh(gateway.client(), &second["refresh_token"]).await.ok();
    gateway.kill9();
    gateway.restart().await;
    refresh(gateway.client(), &first["refresh_token"]).await.refused(401, "REFRESH_REUSED");
    refresh(gateway.client(), &third["refresh_token"]).await.refused(401, "SESSION_ENDED");
}

#[tokio::test]
async fn what_is_no_refresh_token_of_ours_is_refused_without_a_word_about_why() {
    let gateway = Gateway::dev().await;
    let pair = log_in(&gateway).await;
    let ours = pair["refresh_token"].as_str().unwrap();
    let flipped = |at: usize| {
        let mut bytes = ours.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let wrong = [
        String::new(),
        "wxr_".to_owned(),
        "x".repeat(5_000),
        pair["access_token"].as_str().unwrap().to_owned(),
        ours.replace("wxr_", "wxs_"),
        format!("{ours}="),
        format!("{ours}A"),
        ours[..ours.len() - 1].to_owned(),
        flipped(5),
        flipped(20),
        flipped(40),
        flipped(60),
        flipped(ours.len() - 3),
    ];
    for wrong in wrong {
        let refused = refresh(gateway.client(), &json!(wrong)).await;
        let problem = refused.refused(401, "REFRESH_INVALID");
        assert_eq!(problem.as_object().unwrap().len(), 6, "{problem}");
    }
    refresh(gateway.client(), &pair["refresh_token"]).await.ok();
}

#[tokio::test]
async fn a_malformed_request_is_refused() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    for body in [json!({}), json!({ "refresh_token": 7 }), json!([])] {
        client.post("/v1/token/refresh", &body).await.refused(400, "REQUEST_INVALID");
    }
    let large = json!({ "refresh_token": "x".repeat(16 * 1024) });
    client.post("/v1/token/refresh", &large).await.refused(413, "BODY_TOO_LARGE");
    let form = client.request(Method::POST, "/v1/token/refresh").body("refresh_token=x");
    client.send(form).await.refused(415, "MEDIA_TYPE");
    client.get("/v1/token/refresh").await.refused(405, "METHOD_NOT_ALLOWED");
}
