//! Tokens for whoever speaks OAuth: a mini-program with a code or a refresh token, a service with a secret or a token.

mod client_credentials;
mod clients;
mod exchange;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::oauth::{WECHAT_CODE, log_in, post, text};
use crate::harness::{APP, Client, Gateway, OTHER_APP, Reply, jwt};

async fn refresh(client: &Client, tenant: &str, appid: &str, pair: &Value) -> Reply {
    let form = [("grant_type", "refresh_token"), ("client_id", appid), ("refresh_token", text(pair, "refresh_token"))];
    post(client, tenant, "token", None, &form).await
}

async fn log_in_with(client: &Client, tenant: &str, appid: &str, code: &str) -> Reply {
    post(client, tenant, "token", None, &[("grant_type", WECHAT_CODE), ("client_id", appid), ("code", code)]).await
}

fn fields(reply: &Value) -> Vec<&str> {
    reply.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_code_of_wx_login_is_a_grant_and_so_is_what_it_gives() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let reply = log_in_with(gateway.client(), "demo", APP, &issued.code).await;
    assert_eq!((reply.header("cache-control"), reply.header("pragma")), ("no-store", "no-cache"));
    let mut pair = reply.ok();
    for _ in 0..2 {
        assert_eq!(fields(&pair), ["access_token", "expires_in", "refresh_token", "scope", "token_type"]);
        assert_eq!((&pair["token_type"], &pair["scope"]), (&json!("Bearer"), &json!("user")));
        let claims = jwt::verify(&gateway, "demo", APP, &pair["access_token"]).await.unwrap();
        assert_eq!(claims.client_id, APP);
        pair = refresh(gateway.client(), "demo", APP, &pair).await.ok();
    }
    // The other door leads into the same session.
    let body = json!({ "refresh_token": pair["refresh_token"] });
    gateway.client().post("/v1/token/refresh", &body).await.ok();
}

#[tokio::test]
async fn refuses_a_code_that_was_used_and_of_many_at_once_lets_in_one() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    // Each in a network of its own: what comes from one may be one client that asks twice.
    let machines: Vec<_> = (20..28).map(|network| gateway.client().sent_from([127, 0, network, 1])).collect();
    let replies = join_all(machines.iter().map(|client| log_in_with(client, "demo", APP, &issued.code))).await;
    let (let_in, others): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!(let_in.len(), 1);
    for refused in others {
        refused.oauth_refused(400, "invalid_grant");
    }
    assert_eq!(gateway.simulator().exchanges().await, 1);
    let later = gateway.client().sent_from([127, 0, 28, 1]);
    log_in_with(&later, "demo", APP, &issued.code).await.oauth_refused(400, "invalid_grant");
    for wrong in ["made-up", "not a code", &"x".repeat(200)] {
        log_in_with(&later, "demo", APP, wrong).await.oauth_refused(400, "invalid_grant");
    }
}

#[tokio::test]
async fn refuses_a_refresh_token_of_another_app_and_harms_no_session() {
    let gateway = Gateway::dev().await;
    let pair = log_in(&gateway).await;
    refresh(gateway.client(), "demo", OTHER_APP, &pair).await.oauth_refused(400, "invalid_grant");
    for wrong in ["wxr_x", "x", "wxs_x", text(&pair, "access_token")] {
        let forged = json!({ "refresh_token": wrong });
        refresh(gateway.client(), "demo", APP, &forged).await.oauth_refused(400, "invalid_grant");
    }
    let next = refresh(gateway.client(), "demo", APP, &pair).await.ok();
    let last = refresh(gateway.client(), "demo", APP, &next).await.ok();
    // Reuse ends the session here as everywhere.
    refresh(gateway.client(), "demo", APP, &pair).await.oauth_refused(400, "invalid_grant");
    refresh(gateway.client(), "demo", APP, &last).await.oauth_refused(400, "invalid_grant");
}

#[tokio::test]
async fn refuses_an_app_and_its_tokens_under_another_tenant() {
    let gateway = Gateway::dev().await;
    gateway.command(["tenant", "add", "acme"]).run().await.ok();
    gateway.add_app("acme", "wx00000000000000a1", None).await;
    let theirs = gateway.simulator().code("wx00000000000000a1").await;
    let ours = log_in(&gateway).await;
    let client = gateway.client();
    log_in_with(client, "demo", "wx00000000000000a1", &theirs.code).await.oauth_refused(401, "invalid_client");
    for appid in ["wx00000000000000ff", "svc_AAAAAAAAAAAAAAAAAAAAAA", "a b"] {
        log_in_with(client, "demo", appid, &theirs.code).await.oauth_refused(401, "invalid_client");
    }
    refresh(client, "acme", APP, &ours).await.oauth_refused(401, "invalid_client");
    refresh(client, "acme", "wx00000000000000a1", &ours).await.oauth_refused(400, "invalid_grant");
    log_in_with(client, "nobody", APP, "x").await.oauth_refused(404, "invalid_request");
    // Neither the code nor the session noticed.
    log_in_with(client, "acme", "wx00000000000000a1", &theirs.code).await.ok();
    refresh(client, "demo", APP, &ours).await.ok();
}

#[tokio::test]
async fn refuses_a_scope_that_the_app_has_not_before_the_code_is_spent() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let form = |scope: &'static str| {
        [("grant_type", WECHAT_CODE), ("client_id", APP), ("code", issued.code.as_str()), ("scope", scope)]
    };
    for scope in ["admin", "user admin", "user  user", "user user"] {
        let refused = post(gateway.client(), "demo", "token", None, &form(scope)).await;
        refused.oauth_refused(400, "invalid_scope");
    }
    assert_eq!(gateway.simulator().exchanges().await, 0);
    assert_eq!(post(gateway.client(), "demo", "token", None, &form("user")).await.ok()["scope"], "user");
}

#[tokio::test]
async fn refuses_new_tokens_after_a_block_a_disabled_app_or_a_suspended_tenant() {
    let gateway = Gateway::dev().await;
    let pair = log_in(&gateway).await;
    gateway.command(["app", "disable", APP]).run().await.ok();
    gateway.comes_to_answer(APP, "APP_DISABLED").await;
    refresh(gateway.client(), "demo", APP, &pair).await.oauth_refused(400, "unauthorized_client");
    gateway.command(["app", "enable", APP]).run().await.ok();
    gateway.command(["tenant", "suspend", "demo"]).run().await.ok();
    gateway.comes_to_answer(OTHER_APP, "APP_DISABLED").await;
    refresh(gateway.client(), "demo", APP, &pair).await.oauth_refused(400, "unauthorized_client");
    gateway.command(["tenant", "resume", "demo"]).run().await.ok();
    gateway.comes_to_answer(APP, "CODE_INVALID").await;
    let pair = refresh(gateway.client(), "demo", APP, &pair).await.ok();

    let claims = jwt::verify(&gateway, "demo", APP, &pair["access_token"]).await.unwrap();
    gateway.command(["user", "block", "--tenant", "demo", &claims.sub]).run().await.ok();
    refresh(gateway.client(), "demo", APP, &pair).await.oauth_refused(400, "invalid_grant");
    gateway.command(["user", "unblock", "--tenant", "demo", &claims.sub]).run().await.ok();
    refresh(gateway.client(), "demo", APP, &pair).await.oauth_refused(400, "invalid_grant");
}

#[tokio::test]
async fn discovery_names_endpoints_that_answer() {
    let gateway = Gateway::dev().await;
    let document = gateway.client().get("/t/demo/.well-known/openid-configuration").await.ok();
    for name in ["token_endpoint", "introspection_endpoint", "revocation_endpoint"] {
        let path = text(&document, name).strip_prefix(gateway.public_url()).unwrap();
        let reply = gateway.client().get(path).await;
        reply.oauth_refused(405, "invalid_request");
        assert_eq!(reply.header("allow"), "POST");
    }
    for grant in document["grant_types_supported"].as_array().unwrap() {
        let form = [("grant_type", grant.as_str().unwrap())];
        let refused = post(gateway.client(), "demo", "token", None, &form).await.json();
        assert_ne!(refused["error"], "unsupported_grant_type", "{grant}");
    }
}
