//! A service client's tokens for itself: what they say, and what the client cannot ask for.

use serde_json::json;
use wxgate_token::VerifyError;

use crate::harness::oauth::{
    ServiceClient, audiences, client_token, opens_nothing_of_users, post, service_client, text,
};
use crate::harness::{Gateway, PATIENCE, Reply, jwt, within};

async fn orders(gateway: &Gateway) -> ServiceClient {
    audiences(gateway, "demo", &["orders", "https://stock.example/api", "billing"]).await;
    let options =
        ["--audience", "orders", "--scope", "a", "--scope", "b", "--exchange-to", "https://stock.example/api"];
    service_client(gateway, "demo", "Orders", &options).await
}

async fn ask(gateway: &Gateway, by: &ServiceClient, more: &[(&str, &str)]) -> Reply {
    let form = [&[("grant_type", "client_credentials")], more].concat();
    post(gateway.client(), "demo", "token", Some(by), &form).await
}

#[tokio::test]
async fn a_client_gets_a_token_that_speaks_for_itself_and_for_no_user() {
    let gateway = Gateway::dev().await;
    let client = orders(&gateway).await;
    let reply = client_token(&gateway, "demo", &client).await;
    let fields: Vec<_> = reply.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["access_token", "expires_in", "scope", "token_type"], "and no refresh token");
    assert_eq!((&reply["token_type"], &reply["scope"]), (&json!("Bearer"), &json!("a b")));

    let claims = jwt::verify(&gateway, "demo", "orders", &reply["access_token"]).await.unwrap();
    assert_eq!((claims.sub.as_str(), claims.client_id.as_str()), (client.id.as_str(), client.id.as_str()));
    assert_eq!((claims.aud, claims.sid, claims.scope.as_str()), (vec!["orders".to_owned()], None, "a b"));
    assert_eq!(reply["expires_in"], claims.exp - claims.iat);
    let issuer = jwt::issuer(&gateway, "demo");
    let refused = jwt::verify(&gateway, "demo", issuer.as_str(), &reply["access_token"]).await.unwrap_err();
    assert_eq!(refused, VerifyError::Audience, "the gateway's own routes are no business of it");
}

#[tokio::test]
async fn a_client_asks_for_less_or_for_one_of_its_audiences() {
    let gateway = Gateway::dev().await;
    let client = orders(&gateway).await;
    let stock = "https://stock.example/api";
    for (more, audience, scope) in [
        (&[("scope", "b")][..], "orders", "b"),
        (&[("audience", "orders")], "orders", "a b"),
        (&[("audience", stock), ("scope", "b a")], stock, "b a"),
        (&[("resource", stock)], stock, "a b"),
        (&[("resource", stock), ("audience", stock)], stock, "a b"),
        (&[("scope", ""), ("audience", "")], "orders", "a b"),
    ] {
        let reply = ask(&gateway, &client, more).await.ok();
        let claims = jwt::verify(&gateway, "demo", audience, &reply["access_token"]).await.unwrap();
        assert_eq!((claims.aud.as_slice(), claims.scope.as_str()), (&[audience.to_owned()][..], scope), "{more:?}");
        assert_eq!(reply["scope"], scope);
    }
}

#[tokio::test]
async fn refuses_scopes_and_audiences_beyond_the_policy() {
    let gateway = Gateway::dev().await;
    let client = orders(&gateway).await;
    for scope in ["c", "a c", "a a", "a  b", "\"a\"", "A"] {
        ask(&gateway, &client, &[("scope", scope)]).await.oauth_refused(400, "invalid_scope");
    }
    let issuer = jwt::issuer(&gateway, "demo");
    for audience in ["billing", "Orders", "orders stock", issuer.as_str(), "wx000000000000de01", "x"] {
        for name in ["audience", "resource"] {
            ask(&gateway, &client, &[(name, audience)]).await.oauth_refused(400, "invalid_target");
        }
    }
    let two = [("audience", "orders"), ("resource", "https://stock.example/api")];
    ask(&gateway, &client, &two).await.oauth_refused(400, "invalid_target");
    // Whoever is known by no name gets no token for one.
    let nobody = service_client(&gateway, "demo", "Nobody", &[]).await;
    ask(&gateway, &nobody, &[]).await.oauth_refused(400, "invalid_target");
}

#[tokio::test]
async fn refuses_tokens_of_a_suspended_tenant() {
    let gateway = Gateway::dev().await;
    let client = orders(&gateway).await;
    gateway.command(["tenant", "suspend", "demo"]).run().await.ok();
    let refused = within(PATIENCE, "the tenant is suspended", async || {
        let reply = ask(&gateway, &client, &[]).await;
        (reply.status != 200).then_some(reply)
    });
    refused.await.oauth_refused(400, "unauthorized_client");
}

#[tokio::test]
async fn a_service_client_is_no_mini_program_nor_the_reverse() {
    let gateway = Gateway::dev().await;
    let client = orders(&gateway).await;
    let token = client_token(&gateway, "demo", &client).await;
    for form in [
        [("grant_type", "refresh_token"), ("client_id", client.id.as_str()), ("refresh_token", "wxr_x")],
        [("grant_type", "urn:wxgate:grant:wechat-code"), ("client_id", client.id.as_str()), ("code", "x")],
    ] {
        post(gateway.client(), "demo", "token", Some(&client), &form).await.oauth_refused(400, "invalid_request");
        post(gateway.client(), "demo", "token", None, &form).await.oauth_refused(401, "invalid_client");
    }
    let app = ServiceClient { id: "wx000000000000de01".to_owned(), secret: client.secret.clone() };
    ask(&gateway, &app, &[]).await.oauth_refused(401, "invalid_client");
    let body = json!({ "refresh_token": text(&token, "access_token") });
    gateway.client().post("/v1/token/refresh", &body).await.refused(401, "REFRESH_INVALID");
    opens_nothing_of_users(&gateway, text(&token, "access_token")).await;
}
