//! What a token is worth now, told to the service that it is for and to nobody else.

use reqwest::Method;
use serde_json::json;

use crate::harness::oauth::{
    ServiceClient, audiences, becomes, client_token, exchange, introspect, log_in, post, service_client, text,
};
use crate::harness::{APP, Gateway, OTHER_APP, jwt};

/// The service of the demo app's tokens, and one that they are not for.
async fn services(gateway: &Gateway) -> (ServiceClient, ServiceClient) {
    audiences(gateway, "demo", &["orders", "stock"]).await;
    let options =
        ["--audience", "orders", "--audience", APP, "--exchange-to", "stock", "--introspect", "--scope", "user"];
    let orders = service_client(gateway, "demo", "Orders", &options).await;
    (orders, service_client(gateway, "demo", "Stock", &["--audience", "stock", "--introspect"]).await)
}

#[tokio::test]
async fn a_service_learns_what_a_token_for_it_says() {
    let gateway = Gateway::dev().await;
    let (orders, stock) = services(&gateway).await;
    let user = log_in(&gateway).await;
    let form = [("token", text(&user, "access_token")), ("token_type_hint", "refresh_token")];
    let reply = post(gateway.client(), "demo", "introspect", Some(&orders), &form).await;
    assert_eq!((reply.header("content-type"), reply.header("cache-control")), ("application/json", "no-store"));
    let told = reply.ok();
    let claims = jwt::verify(&gateway, "demo", APP, &user["access_token"]).await.unwrap();
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("Bearer")));
    assert_eq!((&told["sub"], &told["client_id"], &told["scope"]), (&json!(claims.sub), &json!(APP), &json!("user")));
    assert_eq!((&told["iss"], &told["aud"]), (&json!(claims.iss), &json!(claims.aud)));
    assert_eq!(
        (&told["exp"], &told["iat"], &told["jti"]),
        (&json!(claims.exp), &json!(claims.iat), &json!(claims.jti))
    );
    assert_eq!((&told["sid"], &told["tenant"]), (&json!(claims.sid), &json!("demo")));

    let exchanged = exchange(&gateway, "demo", &orders, text(&user, "access_token"), "stock").await.ok();
    let told = introspect(&gateway, "demo", &stock, text(&exchanged, "access_token")).await;
    assert_eq!((&told["active"], &told["act"]["sub"], &told["app"]), (&json!(true), &json!(orders.id), &json!(APP)));
    let own = client_token(&gateway, "demo", &orders).await;
    let told = introspect(&gateway, "demo", &orders, text(&own, "access_token")).await;
    assert_eq!((&told["active"], &told["sub"], told.get("sid")), (&json!(true), &json!(orders.id), None));
}

#[tokio::test]
async fn refuses_to_tell_anything_of_a_token_that_is_not_for_the_service() {
    let gateway = Gateway::dev().await;
    let (orders, stock) = services(&gateway).await;
    gateway.command(["tenant", "add", "acme"]).run().await.ok();
    gateway.add_app("acme", "wx00000000000000a1", None).await;
    let issued = gateway.simulator().code("wx00000000000000a1").await;
    let foreign = gateway.client().login_with("wx00000000000000a1", &issued.code).await.ok();
    let issued = gateway.simulator().code(OTHER_APP).await;
    let other = gateway.client().login_with(OTHER_APP, &issued.code).await.ok();
    let user = log_in(&gateway).await;
    let nothing = json!({ "active": false });
    for token in [
        text(&other, "access_token"),
        text(&foreign, "access_token"),
        text(&user, "refresh_token"),
        &format!("{}x", text(&user, "access_token")),
        &orders.secret,
        "x",
        "a.b.c",
        &"x".repeat(9_000),
    ] {
        assert_eq!(introspect(&gateway, "demo", &orders, token).await, nothing);
    }
    assert_eq!(introspect(&gateway, "demo", &stock, text(&user, "access_token")).await, nothing);
    // A service of another tenant that is known by another name.
    let options = ["--audience", "wx00000000000000a1", "--introspect"];
    let theirs = service_client(&gateway, "acme", "Theirs", &options).await;
    assert_eq!(introspect(&gateway, "acme", &theirs, text(&user, "access_token")).await, nothing);
    assert_eq!(introspect(&gateway, "acme", &theirs, text(&foreign, "access_token")).await["active"], true);
    let asked = post(gateway.client(), "demo", "introspect", Some(&theirs), &[("token", "x")]).await;
    asked.oauth_refused(401, "invalid_client");
}

#[tokio::test]
async fn refuses_whoever_has_no_secret_or_no_grant() {
    let gateway = Gateway::dev().await;
    audiences(&gateway, "demo", &["orders"]).await;
    let deaf = service_client(&gateway, "demo", "Deaf", &["--audience", "orders", "--audience", APP]).await;
    let user = log_in(&gateway).await;
    let form = [("token", text(&user, "access_token"))];
    post(gateway.client(), "demo", "introspect", Some(&deaf), &form).await.oauth_refused(403, "unauthorized_client");
    post(gateway.client(), "demo", "introspect", None, &form).await.oauth_refused(401, "invalid_client");
    let app = [("client_id", APP), form[0]];
    post(gateway.client(), "demo", "introspect", None, &app).await.oauth_refused(401, "invalid_client");
    let orders = service_client(&gateway, "demo", "Orders", &["--introspect"]).await;
    post(gateway.client(), "demo", "introspect", Some(&orders), &[]).await.oauth_refused(400, "invalid_request");
    post(gateway.client(), "nobody", "introspect", Some(&orders), &form).await.oauth_refused(404, "invalid_request");
}

#[tokio::test]
async fn a_token_is_worth_nothing_once_its_session_ended() {
    let gateway = Gateway::dev().await;
    let (orders, stock) = services(&gateway).await;
    let user = log_in(&gateway).await;
    let exchanged = exchange(&gateway, "demo", &orders, text(&user, "access_token"), "stock").await.ok();
    let (token, handed_on) = (text(&user, "access_token"), text(&exchanged, "access_token"));
    assert_eq!(introspect(&gateway, "demo", &orders, token).await["active"], true);
    assert_eq!(introspect(&gateway, "demo", &stock, handed_on).await["active"], true);
    post(gateway.client(), "demo", "revoke", None, &[("token", text(&user, "refresh_token"))]).await.status_is(200);
    let over = json!({ "active": false });
    assert_eq!(introspect(&gateway, "demo", &orders, token).await, over, "at once, and nothing else is told");
    assert_eq!(introspect(&gateway, "demo", &stock, handed_on).await, over);
}

#[tokio::test]
async fn whoever_is_told_that_a_session_is_over_finds_it_so() {
    let gateway = Gateway::dev().await;
    let (orders, _) = services(&gateway).await;
    let over = json!({ "active": false });
    for round in 0..20 {
        let user = log_in(&gateway).await;
        let token = text(&user, "access_token");
        assert_eq!(introspect(&gateway, "demo", &orders, token).await["active"], true);
        let logout = gateway.client().request(Method::POST, "/v1/logout").json(&json!({ "scope": "this" }));
        gateway.client().send(logout.bearer_auth(token)).await.ok();
        assert_eq!(introspect(&gateway, "demo", &orders, token).await, over, "round {round}");
    }
}

#[tokio::test]
async fn a_token_rests_while_user_app_or_tenant_may_not_act() {
    let gateway = Gateway::dev().await;
    let (orders, stock) = services(&gateway).await;
    let user = log_in(&gateway).await;
    let exchanged = exchange(&gateway, "demo", &orders, text(&user, "access_token"), "stock").await.ok();
    let (token, handed_on) = (text(&user, "access_token"), text(&exchanged, "access_token"));
    let both = async |active: bool| {
        becomes(&gateway, ("demo", &orders), token, active).await;
        becomes(&gateway, ("demo", &stock), handed_on, active).await;
    };
    for (off, on) in [
        (["app", "disable", APP], ["app", "enable", APP]),
        (["tenant", "suspend", "demo"], ["tenant", "resume", "demo"]),
    ] {
        gateway.command(off).run().await.ok();
        both(false).await;
        gateway.command(on).run().await.ok();
        both(true).await;
    }
    let claims = jwt::verify(&gateway, "demo", APP, &user["access_token"]).await.unwrap();
    gateway.command(["user", "block", "--tenant", "demo", &claims.sub]).run().await.ok();
    both(false).await;
    // A block is for good: the user logs in anew.
    gateway.command(["user", "unblock", "--tenant", "demo", &claims.sub]).run().await.ok();
    assert_eq!(introspect(&gateway, "demo", &orders, token).await, json!({ "active": false }));
}

#[tokio::test]
async fn a_removed_client_s_tokens_are_worth_nothing() {
    let gateway = Gateway::dev().await;
    let (orders, stock) = services(&gateway).await;
    let user = log_in(&gateway).await;
    let exchanged = exchange(&gateway, "demo", &orders, text(&user, "access_token"), "stock").await.ok();
    gateway.command(["service-client", "remove", &orders.id, "--yes"]).run().await.ok();
    becomes(&gateway, ("demo", &stock), text(&exchanged, "access_token"), false).await;
}
