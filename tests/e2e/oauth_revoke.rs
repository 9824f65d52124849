//! A token is given back: its session ends, for its holder and for nobody who was only handed one.

use serde_json::{Value, json};

use crate::harness::oauth::{ServiceClient, audiences, client_token, introspect, log_in, post, service_client, text};
use crate::harness::{APP, Gateway, OTHER_APP, Reply};

async fn revoke(gateway: &Gateway, by: Option<&ServiceClient>, form: &[(&str, &str)]) -> Reply {
    post(gateway.client(), "demo", "revoke", by, form).await
}

async fn goes_on(gateway: &Gateway, pair: &Value) -> bool {
    let body = json!({ "refresh_token": pair["refresh_token"] });
    let reply = gateway.client().post("/v1/token/refresh", &body).await;
    if reply.status != 200 {
        reply.refused(401, "SESSION_ENDED");
    }
    reply.status == 200
}

#[tokio::test]
async fn a_session_ends_with_either_of_its_tokens() {
    let gateway = Gateway::dev().await;
    for (field, hint, client) in [
        ("refresh_token", None, None),
        ("refresh_token", Some("access_token"), Some(APP)),
        ("access_token", None, Some(APP)),
        ("access_token", Some("nonsense"), None),
    ] {
        let (pair, bystander) = (log_in(&gateway).await, log_in(&gateway).await);
        let mut form = vec![("token", text(&pair, field))];
        form.extend(hint.map(|hint| ("token_type_hint", hint)));
        form.extend(client.map(|client| ("client_id", client)));
        let reply = revoke(&gateway, None, &form).await;
        assert_eq!((reply.status, reply.text.as_str(), reply.header("cache-control")), (200, "", "no-store"));
        assert!(!goes_on(&gateway, &pair).await);
        assert!(goes_on(&gateway, &bystander).await);
        // Again is no error.
        revoke(&gateway, None, &form).await.status_is(200);
    }
}

#[tokio::test]
async fn an_old_refresh_token_ends_its_session_too() {
    let gateway = Gateway::dev().await;
    let first = log_in(&gateway).await;
    let body = json!({ "refresh_token": first["refresh_token"] });
    let second = gateway.client().post("/v1/token/refresh", &body).await.ok();
    revoke(&gateway, None, &[("token", text(&first, "refresh_token"))]).await.status_is(200);
    assert!(!goes_on(&gateway, &second).await);
}

#[tokio::test]
async fn a_token_that_is_none_of_this_tenant_s_needs_no_revoking() {
    let gateway = Gateway::dev().await;
    gateway.command(["tenant", "add", "acme"]).run().await.ok();
    gateway.add_app("acme", "wx00000000000000a1", None).await;
    let issued = gateway.simulator().code("wx00000000000000a1").await;
    let theirs = gateway.client().login_with("wx00000000000000a1", &issued.code).await.ok();
    let ours = log_in(&gateway).await;
    for token in [
        text(&theirs, "refresh_token"),
        text(&theirs, "access_token"),
        "x",
        "wxr_x",
        "a.b.c",
        &format!("{}A", text(&ours, "refresh_token")),
        &format!("{}A", text(&ours, "access_token")),
        &"x".repeat(9_000),
    ] {
        let reply = revoke(&gateway, None, &[("token", token)]).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, ""));
    }
    assert!(goes_on(&gateway, &theirs).await, "another tenant's address ends nothing");
    assert!(goes_on(&gateway, &ours).await);
    revoke(&gateway, None, &[]).await.oauth_refused(400, "invalid_request");
}

#[tokio::test]
async fn refuses_a_client_that_is_not_the_token_s() {
    let gateway = Gateway::dev().await;
    audiences(&gateway, "demo", &["orders"]).await;
    let options = ["--audience", "orders", "--audience", APP, "--introspect"];
    let orders = service_client(&gateway, "demo", "Orders", &options).await;
    let pair = log_in(&gateway).await;
    for field in ["refresh_token", "access_token"] {
        let token = ("token", text(&pair, field));
        revoke(&gateway, None, &[token, ("client_id", OTHER_APP)]).await.oauth_refused(400, "unauthorized_client");
        // A service that users' tokens are for is not their holder.
        revoke(&gateway, Some(&orders), &[token]).await.oauth_refused(400, "unauthorized_client");
        revoke(&gateway, None, &[token, ("client_id", "a b")]).await.oauth_refused(401, "invalid_client");
        let wrong = ServiceClient { secret: "wxs_x".to_owned(), ..orders.clone() };
        revoke(&gateway, Some(&wrong), &[token]).await.oauth_refused(401, "invalid_client");
    }
    assert_eq!(introspect(&gateway, "demo", &orders, text(&pair, "access_token")).await["active"], true);
    assert!(goes_on(&gateway, &pair).await);
    // Its own end by themselves, and it is told so.
    let own = client_token(&gateway, "demo", &orders).await;
    let form = [("token", text(&own, "access_token"))];
    revoke(&gateway, Some(&orders), &form).await.oauth_refused(400, "unsupported_token_type");
}
