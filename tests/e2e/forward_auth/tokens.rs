//! Which tokens pass: those of this tenant, for this audience, with these scopes, as long as nothing ended.

use reqwest::Method;
use serde_json::{Value, json};
use wxgate_crypto::encoding;

use super::{POLICY, STRICT, TOLD, ask, becomes, denied, gateway, in_force, log_in, text};
use crate::harness::cli::wxgate;
use crate::harness::oauth::{audiences, client_token, exchange, post, service_client};
use crate::harness::{APP, Gateway, OTHER_APP, PATIENCE, jwt, within};

#[tokio::test]
async fn refuses_tokens_for_another_audience_scope_or_tenant() {
    let gateway = gateway().await;
    let mine = log_in(&gateway, APP).await;
    let reply = ask(&gateway, STRICT, &mine["access_token"]).await;
    denied(&reply, 403, "SCOPE_INSUFFICIENT");
    assert_eq!(reply.header("www-authenticate"), "Bearer error=\"insufficient_scope\"");

    let other = log_in(&gateway, OTHER_APP).await;
    denied(&ask(&gateway, POLICY, &other["access_token"]).await, 401, "TOKEN_INVALID");

    gateway.command(["tenant", "add", "umbrella"]).run().await.ok();
    gateway.add_app("umbrella", "wxUmbrella", None).await;
    let foreign = log_in(&gateway, "wxUmbrella").await;
    denied(&ask(&gateway, POLICY, &foreign["access_token"]).await, 401, "TOKEN_INVALID");
    // A second time, when the gateway knows the token.
    denied(&ask(&gateway, POLICY, &foreign["access_token"]).await, 401, "TOKEN_INVALID");
    assert_eq!(ask(&gateway, POLICY, &mine["access_token"]).await.status, 200);
}

/// A service's own token and one that it was given for a user's: what they are for passes, and nothing else.
#[tokio::test]
async fn tokens_of_services_pass_where_audience_and_scope_fit_and_nowhere_else() {
    let gateway = gateway().await;
    audiences(&gateway, "demo", &["orders", "stock"]).await;
    command(&gateway, &["app", "policy", APP, "--audience", "orders", "--scope", "user", "--scope", "stock:read"])
        .await;
    let add = ["policy", "add", "--tenant", "demo", "stock", "--audience", "stock", "--scope", "stock:read"];
    command(&gateway, &add).await;
    in_force(&gateway, "stock").await;
    let options = ["--audience", "orders", "--exchange-to", "stock", "--scope", "stock:read"];
    let orders = service_client(&gateway, "demo", "orders", &options).await;
    let user = within(PATIENCE, "the app's new audience is in its tokens", async || {
        let login = log_in(&gateway, APP).await;
        (jwt::parts(&login["access_token"]).1["aud"][0] == "orders").then_some(login)
    })
    .await;

    let exchanged = exchange(&gateway, "demo", &orders, text(&user["access_token"]), "stock").await.ok();
    let reply = ask(&gateway, "stock", &exchanged["access_token"]).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let (sub, sid) = (text(&user["user"]["id"]), text(&user["session_id"]));
    assert_eq!(TOLD.map(|name| reply.header(name)), [sub, "demo", APP, sid, "stock:read"]);

    let form = [("grant_type", "client_credentials"), ("audience", "stock")];
    let own = post(gateway.client(), "demo", "token", Some(&orders), &form).await.ok();
    let reply = ask(&gateway, "stock", &own["access_token"]).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let told = TOLD.map(|name| reply.headers.get(name).map(|value| value.to_str().unwrap()));
    assert_eq!(told, [Some(orders.id.as_str()), Some("demo"), Some(""), Some(""), Some("stock:read")]);

    for token in [&exchanged, &own] {
        denied(&ask(&gateway, POLICY, &token["access_token"]).await, 401, "TOKEN_INVALID");
        refused_everywhere(&gateway, text(&token["access_token"])).await;
    }
    denied(&ask(&gateway, "stock", &user["access_token"]).await, 401, "TOKEN_INVALID");
    // The user's logout reaches what was made of their token.
    log_out(&gateway, &user).await;
    within(PATIENCE, "the exchanged token is refused", async || {
        (ask(&gateway, "stock", &exchanged["access_token"]).await.status == 401).then_some(())
    })
    .await;
    assert_eq!(ask(&gateway, "stock", &own["access_token"]).await.status, 200);
}

/// No route of a user's own takes it.
async fn refused_everywhere(gateway: &Gateway, token: &str) {
    let body = json!({ "scope": "this" });
    for (method, path) in [(Method::GET, "/v1/me"), (Method::GET, "/v1/me/sessions"), (Method::POST, "/v1/logout")] {
        let request = gateway.client().request(method, path).json(&body).bearer_auth(token);
        gateway.client().send(request).await.refused(401, "TOKEN_INVALID");
    }
}

async fn log_out(gateway: &Gateway, login: &Value) {
    let request = gateway.client().request(Method::POST, "/v1/logout").json(&json!({ "scope": "this" }));
    let reply = gateway.client().send(request.bearer_auth(text(&login["access_token"]))).await;
    assert!(matches!(reply.status, 200 | 204), "{}", reply.text);
}

#[tokio::test]
async fn refuses_a_session_that_logged_out_within_a_second() {
    let gateway = gateway().await;
    let (login, other) = (log_in(&gateway, APP).await, log_in(&gateway, APP).await);
    assert_eq!(ask(&gateway, POLICY, &login["access_token"]).await.status, 200);
    log_out(&gateway, &login).await;
    becomes(&gateway, &login["access_token"], 401).await;
    denied(&ask(&gateway, POLICY, &login["access_token"]).await, 401, "TOKEN_INVALID");
    assert_eq!(ask(&gateway, POLICY, &other["access_token"]).await.status, 200);
}

/// Security test 19, and 13 to 17 on this bearer route.
#[tokio::test]
async fn refuses_forged_tokens_and_those_of_other_types() {
    let gateway = gateway().await;
    let login = log_in(&gateway, APP).await;
    let token = text(&login["access_token"]);
    let (header, claims) = jwt::parts(&login["access_token"]);
    let signature = token.rsplit('.').next().unwrap();
    let with = |object: &Value, name: &str, value: Value| {
        let mut object = object.clone();
        object[name] = value;
        object
    };
    let encoded = |value: &Value| encoding::to_base64url(value.to_string());
    let joined = |header: &Value, claims: &Value, signature: &str| {
        format!("{}.{}.{signature}", encoded(header), encoded(claims))
    };
    let kid = text(&header["kid"]);
    let mut forged = vec![
        text(&login["refresh_token"]).to_owned(),
        joined(&header, &with(&claims, "scope", json!("admin")), signature),
        joined(&header, &with(&claims, "exp", json!("9999999999")), signature),
        joined(&with(&header, "typ", json!("secevent+jwt")), &claims, signature),
        joined(&with(&header, "typ", json!("JWT")), &claims, signature),
        joined(&with(&header, "alg", json!("HS256")), &claims, signature),
        joined(&with(&header, "jwk", json!({"kty": "oct", "k": "AAAA"})), &claims, signature),
        format!("{token}="),
        format!("{token}.{token}"),
        token.to_uppercase(),
    ];
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        forged.push(joined(&with(&header, "alg", json!(alg)), &claims, ""));
        forged.push(joined(&with(&header, "alg", json!(alg)), &claims, signature));
    }
    for kid in
        ["../../../dev/null", "' OR '1'='1", "a\r\nX-Auth-Sub: admin", &"k".repeat(5_000), &kid.to_lowercase(), ""]
    {
        forged.push(joined(&with(&header, "kid", json!(kid)), &claims, signature));
    }
    for token in forged {
        denied(&ask(&gateway, POLICY, &json!(token)).await, 401, "TOKEN_INVALID");
        refused_everywhere(&gateway, &token).await;
    }
    assert_eq!(ask(&gateway, POLICY, &login["access_token"]).await.status, 200);
}

async fn command(gateway: &Gateway, arguments: &[&str]) {
    wxgate(arguments.iter().copied()).config(&gateway.config()).run().await.ok();
}

/// Security test 8: a block counts at every level, at once, and as long as it lasts.
#[tokio::test]
async fn refuses_tokens_of_blocked_users_apps_and_tenants_until_they_may_again() {
    let gateway = gateway().await;
    let login = log_in(&gateway, APP).await;
    let (token, user) = (&login["access_token"], text(&login["user"]["id"]));
    let bystander = log_in(&gateway, APP).await;
    becomes(&gateway, token, 200).await;
    for (block, lift) in [
        (&["app", "disable", APP][..], &["app", "enable", APP][..]),
        (&["tenant", "suspend", "demo"], &["tenant", "resume", "demo"]),
    ] {
        command(&gateway, block).await;
        becomes(&gateway, token, 401).await;
        denied(&ask(&gateway, POLICY, token).await, 401, "TOKEN_INVALID");
        command(&gateway, lift).await;
        becomes(&gateway, token, 200).await;
    }
    command(&gateway, &["user", "block", "--tenant", "demo", user]).await;
    becomes(&gateway, token, 401).await;
    assert_eq!(ask(&gateway, POLICY, &bystander["access_token"]).await.status, 200);
    command(&gateway, &["user", "unblock", "--tenant", "demo", user]).await;
    let issued = gateway.simulator().code_of(APP, text(&login["user"]["openid"])).await;
    let again = gateway.client().login_with(APP, &issued.code).await.ok();
    becomes(&gateway, &again["access_token"], 200).await;
    denied(&ask(&gateway, POLICY, token).await, 401, "TOKEN_INVALID");
}

#[tokio::test]
async fn refuses_tokens_of_a_key_that_was_retired() {
    let gateway = gateway().await;
    let login = log_in(&gateway, APP).await;
    becomes(&gateway, &login["access_token"], 200).await;
    let kid = jwt::parts(&login["access_token"]).0["kid"].clone();
    command(&gateway, &["signing-key", "retire", "--tenant", "demo", text(&kid)]).await;
    becomes(&gateway, &login["access_token"], 401).await;
    let after = log_in(&gateway, APP).await;
    assert_eq!(ask(&gateway, POLICY, &after["access_token"]).await.status, 200);
}

#[tokio::test]
async fn refuses_after_a_restart_what_was_refused_before() {
    let mut gateway = gateway().await;
    let login = log_in(&gateway, APP).await;
    let fresh = log_in(&gateway, APP).await;
    command(&gateway, &["user", "block", "--tenant", "demo", text(&login["user"]["id"])]).await;
    becomes(&gateway, &login["access_token"], 401).await;
    gateway.kill9();
    gateway.restart().await;
    denied(&ask(&gateway, POLICY, &login["access_token"]).await, 401, "TOKEN_INVALID");
    assert_eq!(ask(&gateway, POLICY, &fresh["access_token"]).await.status, 200);
}

#[tokio::test]
async fn refuses_the_token_of_a_client_that_was_removed() {
    let gateway = gateway().await;
    let orders = service_client(&gateway, "demo", "orders", &["--audience", APP, "--scope", "user"]).await;
    let token = client_token(&gateway, "demo", &orders).await["access_token"].clone();
    assert_eq!(ask(&gateway, POLICY, &token).await.status, 200);
    gateway.command(["service-client", "remove", orders.id.as_str(), "--yes"]).run().await.ok();
    becomes(&gateway, &token, 401).await;
}

#[tokio::test]
async fn refuses_what_was_issued_before_a_restore() {
    let mut gateway = gateway().await;
    let before = log_in(&gateway, APP).await;
    assert_eq!(ask(&gateway, POLICY, &before["access_token"]).await.status, 200);
    assert!(gateway.terminate().await.success());
    gateway.command(["db", "restored"]).run().await.ok();
    gateway.restart().await;
    in_force(&gateway, POLICY).await;
    denied(&ask(&gateway, POLICY, &before["access_token"]).await, 401, "TOKEN_INVALID");
    let after = log_in(&gateway, APP).await;
    assert_eq!(ask(&gateway, POLICY, &after["access_token"]).await.status, 200);
    let kid = |login: &Value| jwt::parts(&login["access_token"]).0["kid"].clone();
    assert_ne!(kid(&after), kid(&before), "another key signs");
}
