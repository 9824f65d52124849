//! A user's token for a narrower one: what the next service gets, and what nobody gets.

use serde_json::{Value, json};
use wxgate_token::{Claims, VerifyError};

use crate::harness::oauth::{
    ACCESS_TOKEN, EXCHANGE, ServiceClient, audiences, client_token, exchange, log_in, opens_nothing_of_users, post,
    service_client, text,
};
use crate::harness::{APP, Gateway, OTHER_APP, Reply, jwt};

/// A chain of services, each of which may hand tokens on to the next: orders, stock, billing, archive.
struct House {
    gateway: Gateway,
    orders: ServiceClient,
    stock: ServiceClient,
    billing: ServiceClient,
}

async fn house() -> House {
    let gateway = Gateway::dev().await;
    audiences(&gateway, "demo", &["orders", "stock", "billing", "archive"]).await;
    let policy = ["app", "policy", APP, "--audience", "orders", "--scope", "user", "--scope", "stock:read"];
    gateway.command(policy).argument("--scope").argument("secret").run().await.ok();
    let scopes = ["--scope", "stock:read", "--scope", "user", "--scope", "other"];
    let client = async |name: &str, next: &str| {
        let options = [&["--audience", name, "--exchange-to", next][..], &scopes].concat();
        service_client(&gateway, "demo", name, &options).await
    };
    let orders = client("orders", "stock").await;
    let stock = client("stock", "billing").await;
    let billing = client("billing", "archive").await;
    House { gateway, orders, stock, billing }
}

impl House {
    async fn exchange(&self, by: &ServiceClient, token: &Value, audience: &str) -> Reply {
        exchange(&self.gateway, "demo", by, text(token, "access_token"), audience).await
    }

    async fn claims(&self, audience: &str, token: &Value) -> Claims {
        jwt::verify(&self.gateway, "demo", audience, &token["access_token"]).await.unwrap()
    }
}

#[tokio::test]
async fn a_service_gets_a_narrower_token_for_the_next_one() {
    let house = house().await;
    let user = log_in(&house.gateway).await;
    let subject = house.claims("orders", &user).await;
    let reply = house.exchange(&house.orders, &user, "stock").await;
    assert_eq!((reply.header("cache-control"), reply.header("pragma")), ("no-store", "no-cache"));
    let reply = reply.ok();
    let fields: Vec<_> = reply.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["access_token", "expires_in", "issued_token_type", "scope", "token_type"]);
    assert_eq!((&reply["issued_token_type"], &reply["token_type"]), (&json!(ACCESS_TOKEN), &json!("Bearer")));

    let claims = house.claims("stock", &reply).await;
    assert_eq!(claims.aud, ["stock"], "for the next service alone, and never for the gateway");
    assert_eq!((&claims.sub, claims.sid, claims.app()), (&subject.sub, subject.sid, Some(APP.parse().unwrap())));
    assert_eq!(claims.client_id, house.orders.id);
    assert_eq!(claims.act.as_ref().unwrap().sub.as_str(), house.orders.id);
    assert_eq!(claims.scope, "stock:read user", "what the user's token has and the client may ask for");
    assert!(claims.exp <= subject.exp, "it does not outlive the user's");
    assert_eq!((&claims.openid, &claims.unionid), (&None, &None));

    // A second service hands it on; a third would be one too many.
    let second = house.exchange(&house.stock, &reply, "billing").await.ok();
    let claims = house.claims("billing", &second).await;
    let act = claims.act.unwrap();
    assert_eq!((act.sub.as_str(), act.act.unwrap().sub.as_str()), (house.stock.id.as_str(), house.orders.id.as_str()));
    assert_eq!((claims.sid, claims.sub), (subject.sid, subject.sub));
    house.exchange(&house.billing, &second, "archive").await.oauth_refused(400, "invalid_request");
}

#[tokio::test]
async fn a_service_asks_for_less_and_never_gets_more() {
    let house = house().await;
    let user = log_in(&house.gateway).await;
    let ask = async |scope: &str| {
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", text(&user, "access_token")),
            ("subject_token_type", ACCESS_TOKEN),
            ("requested_token_type", ACCESS_TOKEN),
            ("resource", "stock"),
            ("scope", scope),
        ];
        post(house.gateway.client(), "demo", "token", Some(&house.orders), &form).await
    };
    assert_eq!(ask("user").await.ok()["scope"], "user");
    // `other` is the client's and not the user's, `secret` the user's and not the client's.
    assert_eq!(ask("user other secret").await.ok()["scope"], "user");
    ask("other").await.oauth_refused(400, "invalid_scope");
    ask("secret").await.oauth_refused(400, "invalid_scope");
    ask("a  b").await.oauth_refused(400, "invalid_scope");
}

#[tokio::test]
async fn refuses_a_token_that_is_not_for_the_service_that_presents_it() {
    let house = house().await;
    let user = log_in(&house.gateway).await;
    house.exchange(&house.stock, &user, "billing").await.oauth_refused(400, "invalid_request");
    // A token of an app whose tokens are for the app alone.
    let issued = house.gateway.simulator().code(OTHER_APP).await;
    let other = house.gateway.client().login_with(OTHER_APP, &issued.code).await.ok();
    house.exchange(&house.orders, &other, "stock").await.oauth_refused(400, "invalid_request");
    // A service's token for itself stands for no user.
    let own = client_token(&house.gateway, "demo", &house.orders).await;
    house.exchange(&house.orders, &own, "stock").await.oauth_refused(400, "invalid_request");
    for forged in [text(&user, "refresh_token"), "x", "", "a.b.c", &format!("{}x", text(&user, "access_token"))] {
        let reply = exchange(&house.gateway, "demo", &house.orders, forged, "stock").await;
        reply.oauth_refused(400, "invalid_request");
    }
    house.exchange(&house.orders, &user, "stock").await.ok();
}

#[tokio::test]
async fn refuses_targets_that_the_service_may_not_hand_tokens_on_to() {
    let house = house().await;
    let user = log_in(&house.gateway).await;
    let issuer = jwt::issuer(&house.gateway, "demo");
    for target in ["billing", "orders", "Stock", APP, issuer.as_str(), "nobody", "", "stock billing"] {
        house.exchange(&house.orders, &user, target).await.oauth_refused(400, "invalid_target");
    }
    let form = |more: &[(&'static str, &'static str)]| {
        let subject = [("grant_type", EXCHANGE), ("subject_token", text(&user, "access_token"))];
        [&subject[..], &[("audience", "stock")], more].concat()
    };
    let jwt = "urn:ietf:params:oauth:token-type:jwt";
    for more in [
        &[][..],
        &[("subject_token_type", jwt)],
        &[
            ("subject_token_type", ACCESS_TOKEN),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"),
        ],
        &[("subject_token_type", ACCESS_TOKEN), ("actor_token", "x"), ("actor_token_type", ACCESS_TOKEN)],
        &[("subject_token_type", ACCESS_TOKEN), ("actor_token_type", ACCESS_TOKEN)],
    ] {
        let reply = post(house.gateway.client(), "demo", "token", Some(&house.orders), &form(more)).await;
        reply.oauth_refused(400, "invalid_request");
    }
    let anonymous = form(&[("subject_token_type", ACCESS_TOKEN)]);
    post(house.gateway.client(), "demo", "token", None, &anonymous).await.oauth_refused(401, "invalid_client");
}

#[tokio::test]
async fn refuses_a_token_of_another_tenant_and_a_service_of_another_tenant() {
    let house = house().await;
    let gateway = &house.gateway;
    gateway.command(["tenant", "add", "acme"]).run().await.ok();
    gateway.add_app("acme", "wx00000000000000a1", None).await;
    // The name of an audience is one tenant's; a service of the other cannot even name it.
    let add = ["service-client", "add", "--tenant", "acme", "x", "--audience", "orders"];
    assert!(gateway.command(add).run().await.failed().contains("does not own the audience orders"));
    let theirs = service_client(
        gateway,
        "acme",
        "x",
        &["--audience", "wx00000000000000a1", "--exchange-to", "wx00000000000000a1"],
    )
    .await;
    let issued = gateway.simulator().code("wx00000000000000a1").await;
    let foreign = gateway.client().login_with("wx00000000000000a1", &issued.code).await.ok();
    let user = log_in(gateway).await;

    house.exchange(&house.orders, &foreign, "stock").await.oauth_refused(400, "invalid_request");
    house.exchange(&theirs, &user, "stock").await.oauth_refused(401, "invalid_client");
    let reply = exchange(gateway, "acme", &theirs, text(&user, "access_token"), "wx00000000000000a1").await;
    reply.oauth_refused(400, "invalid_request");
    exchange(gateway, "acme", &house.orders, text(&user, "access_token"), "stock")
        .await
        .oauth_refused(401, "invalid_client");
    exchange(gateway, "acme", &theirs, text(&foreign, "access_token"), "wx00000000000000a1").await.ok();
}

#[tokio::test]
async fn refuses_a_revoked_token_at_once() {
    let house = house().await;
    let (gateway, client) = (&house.gateway, house.gateway.client());
    // The session was given back.
    let user = log_in(gateway).await;
    let before = house.exchange(&house.orders, &user, "stock").await.ok();
    post(client, "demo", "revoke", None, &[("token", text(&user, "refresh_token"))]).await.status_is(200);
    house.exchange(&house.orders, &user, "stock").await.oauth_refused(400, "invalid_request");
    house.exchange(&house.stock, &before, "billing").await.oauth_refused(400, "invalid_request");
    // The user was blocked, in another process.
    let user = log_in(gateway).await;
    let sub = house.claims("orders", &user).await.sub;
    gateway.command(["user", "block", "--tenant", "demo", &sub]).run().await.ok();
    house.exchange(&house.orders, &user, "stock").await.oauth_refused(400, "invalid_request");
    // The app was disabled: read from the database, not from what this process remembers.
    let user = log_in(gateway).await;
    gateway.command(["app", "disable", APP]).run().await.ok();
    house.exchange(&house.orders, &user, "stock").await.oauth_refused(400, "invalid_request");
    gateway.command(["app", "enable", APP]).run().await.ok();
    house.exchange(&house.orders, &user, "stock").await.ok();
    // The tenant was suspended.
    gateway.command(["tenant", "suspend", "demo"]).run().await.ok();
    let refused = house.exchange(&house.orders, &user, "stock").await;
    assert_eq!(refused.status, 400, "{}", refused.text);
}

#[tokio::test]
async fn an_exchanged_token_opens_no_route_of_the_gateway() {
    let house = house().await;
    let user = log_in(&house.gateway).await;
    let exchanged = house.exchange(&house.orders, &user, "stock").await.ok();
    let issuer = jwt::issuer(&house.gateway, "demo");
    let refused = jwt::verify(&house.gateway, "demo", issuer.as_str(), &exchanged["access_token"]).await.unwrap_err();
    assert_eq!(refused, VerifyError::Audience);
    opens_nothing_of_users(&house.gateway, text(&exchanged, "access_token")).await;
    // Whoever was handed a token cannot end the user's session with it.
    let form = [("token", text(&exchanged, "access_token"))];
    let reply = post(house.gateway.client(), "demo", "revoke", None, &form).await;
    reply.oauth_refused(400, "unsupported_token_type");
    house.exchange(&house.orders, &user, "stock").await.ok();
}
