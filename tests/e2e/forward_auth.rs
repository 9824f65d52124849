//! A proxy asks whether a request may pass. What counts is the policy that its configuration names, and one token.

mod addresses;
mod tokens;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::harness::{APP, Gateway, OTHER_APP, PATIENCE, Reply, within};

/// A policy for the first demo app's tokens, and one that asks for more than they allow.
const POLICY: &str = "shop";
const STRICT: &str = "shop-admin";

const TOLD: [&str; 5] = ["x-auth-sub", "x-auth-tenant", "x-auth-app", "x-auth-sid", "x-auth-scope"];

/// A gateway with both policies, in force.
async fn gateway() -> Gateway {
    prepared(Gateway::dev().await).await
}

async fn prepared(gateway: Gateway) -> Gateway {
    for (name, scope) in [(POLICY, "user"), (STRICT, "admin")] {
        let add = ["policy", "add", "--tenant", "demo", name, "--audience", APP, "--scope", scope];
        gateway.command(add).run().await.ok();
    }
    in_force(&gateway, STRICT).await;
    gateway
}

/// Waits until the gateway has heard of a policy.
async fn in_force(gateway: &Gateway, policy: &str) {
    within(PATIENCE, &format!("the policy {policy} is in force"), async || {
        let reply = gateway.client().get(&format!("/forward-auth/{policy}")).await;
        (reply.status == 401).then_some(())
    })
    .await;
}

async fn log_in(gateway: &Gateway, appid: &str) -> Value {
    let issued = gateway.simulator().code(appid).await;
    gateway.client().login_with(appid, &issued.code).await.ok()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The proxy's question, to be completed.
fn asked(gateway: &Gateway, policy: &str) -> RequestBuilder {
    gateway.client().request(Method::GET, &format!("/forward-auth/{policy}"))
}

async fn ask(gateway: &Gateway, policy: &str, token: &Value) -> Reply {
    gateway.client().send(asked(gateway, policy).bearer_auth(text(token))).await
}

/// Waits until a policy's answer about a token has this status.
async fn becomes(gateway: &Gateway, token: &Value, status: u16) {
    within(PATIENCE, &format!("the answer becomes {status}"), async || {
        (ask(gateway, POLICY, token).await.status == status).then_some(())
    })
    .await;
}

/// Fails unless the reply lets nobody pass: no header that a proxy would copy.
#[track_caller]
fn denied(reply: &Reply, status: u16, code: &str) {
    reply.refused(status, code);
    for name in TOLD {
        assert!(!reply.headers.contains_key(name), "{name} in {:?}", reply.headers);
    }
}

#[tokio::test]
async fn a_valid_token_passes_and_the_proxy_is_told_whose_it_is() {
    let gateway = gateway().await;
    let login = log_in(&gateway, APP).await;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        for rest in ["", "/", "/orders/7?page=2"] {
            let request = gateway.client().request(method.clone(), &format!("/forward-auth/{POLICY}{rest}"));
            let reply = gateway.client().send(request.bearer_auth(text(&login["access_token"]))).await;
            assert_eq!((reply.status, reply.text.as_str()), (200, ""), "{method} {rest}");
            let told = TOLD.map(|name| reply.header(name));
            let (sub, sid) = (text(&login["user"]["id"]), text(&login["session_id"]));
            assert_eq!(told, [sub, "demo", APP, sid, "user"]);
            assert_eq!(reply.header("cache-control"), "no-store");
        }
    }
}

#[tokio::test]
async fn refuses_requests_without_exactly_one_bearer_token() {
    let gateway = gateway().await;
    let login = log_in(&gateway, APP).await;
    let token = text(&login["access_token"]);
    let reply = gateway.client().send(asked(&gateway, POLICY)).await;
    denied(&reply, 401, "TOKEN_INVALID");
    assert_eq!(reply.header("www-authenticate"), "Bearer", "nothing was presented, so nothing was wrong with it");

    let wrong = [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.to_owned(),
        format!("Basic {token}"),
        format!("DPoP {token}"),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer\t{token}"),
        format!("Bearer \"{token}\""),
        format!("Bearer access_token={token}"),
    ];
    for value in &wrong {
        let reply = gateway.client().send(asked(&gateway, POLICY).header("Authorization", value)).await;
        denied(&reply, 401, "TOKEN_INVALID");
        assert_eq!(reply.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{value}");
    }
    for other in [format!("Bearer {token}"), "Bearer x".to_owned(), String::new()] {
        let twice = asked(&gateway, POLICY).header("Authorization", format!("Bearer {token}"));
        denied(&gateway.client().send(twice.header("Authorization", other)).await, 401, "TOKEN_INVALID");
    }
    for elsewhere in [
        asked(&gateway, &format!("{POLICY}?access_token={token}")),
        asked(&gateway, POLICY).header("Cookie", format!("access_token={token}; Authorization=Bearer {token}")),
        asked(&gateway, POLICY).header("Proxy-Authorization", format!("Bearer {token}")),
        asked(&gateway, POLICY).header("X-Forwarded-Authorization", format!("Bearer {token}")),
        asked(&gateway, POLICY).header("X-Auth-Jwt", token),
    ] {
        denied(&gateway.client().send(elsewhere).await, 401, "TOKEN_INVALID");
    }
    // The scheme's case is nobody's business (RFC 9110 section 11.1).
    for scheme in ["bearer", "BEARER"] {
        let request = asked(&gateway, POLICY).header("Authorization", format!("{scheme} {token}"));
        assert_eq!(gateway.client().send(request).await.status, 200);
    }
}

#[tokio::test]
async fn refuses_what_only_a_query_or_a_header_asks_for() {
    let gateway = gateway().await;
    let [mine, other] = [log_in(&gateway, APP).await, log_in(&gateway, OTHER_APP).await];
    let claims =
        [("X-Auth-Sub", "admin"), ("X-Auth-Scope", "admin"), ("X_Auth_Sub", "admin"), ("X-Auth-Audience", OTHER_APP)];
    let lies = |request: RequestBuilder| {
        let request = claims.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request
            .header("X-Forwarded-Uri", format!("/forward-auth/{POLICY}"))
            .header("X-Original-URL", format!("/forward-auth/{POLICY}"))
            .header("X-HTTP-Method-Override", "OPTIONS")
            .header("X-App-Id", OTHER_APP)
    };
    for query in ["", "?aud=", "?audience=x&scope=", "?policy=shop&policy=shop-admin", "?aud=a&aud=b"] {
        let pass =
            |policy: &str, token: &Value| lies(asked(&gateway, &format!("{policy}{query}"))).bearer_auth(text(token));
        let reply = gateway.client().send(pass(POLICY, &mine["access_token"])).await;
        assert_eq!(reply.status, 200, "{query}");
        assert_eq!(reply.headers.get_all("x-auth-sub").iter().count(), 1);
        assert_eq!(TOLD.map(|name| reply.header(name))[0], text(&mine["user"]["id"]));
        assert_eq!(reply.header("x-auth-scope"), "user");
        denied(&gateway.client().send(pass(POLICY, &other["access_token"])).await, 401, "TOKEN_INVALID");
        denied(&gateway.client().send(pass(STRICT, &mine["access_token"])).await, 403, "SCOPE_INSUFFICIENT");
    }
}

/// A proxy asks for everybody behind it: the limit of addresses would shut them all out.
#[tokio::test]
async fn a_proxy_does_not_share_the_limit_of_addresses() {
    let strict =
        Gateway::dev().env("WXGATE__LIMITS__ADDRESS_PER_SECOND", "1").env("WXGATE__LIMITS__ADDRESS_BURST", "8");
    let gateway = strict.await;
    let login = log_in(&gateway, APP).await;
    let gateway = prepared(gateway).await;
    for _ in 0..50 {
        assert_eq!(ask(&gateway, POLICY, &login["access_token"]).await.status, 200);
        denied(&gateway.client().send(asked(&gateway, "nobody")).await, 403, "POLICY_UNKNOWN");
    }
    assert!(!gateway.log().contains(text(&login["access_token"])));
}
