//! Service clients and their secrets, at TRACE: right ones, wrong ones, and in every place where none belongs.

use reqwest::Method;
use serde_json::Value;

use super::Told;
use super::canaries::Canaries;
use crate::harness::oauth::{
    ACCESS_TOKEN, EXCHANGE, ServiceClient, WECHAT_CODE, audiences, post, request, service_client, urlencoded,
};
use crate::harness::{APP, Gateway};

/// Everything that an OAuth endpoint can be asked, by whom it believes and by whom it does not.
pub(super) async fn everything(gateway: &Gateway, told: &mut Told, canaries: &mut Canaries) {
    audiences(gateway, "demo", &["stock"]).await;
    let options = ["--audience", APP, "--exchange-to", "stock", "--introspect"];
    let client = service_client(gateway, "demo", "Orders", &options).await;
    canaries.secret("client secret", &client.secret);
    let stranger = ServiceClient { id: client.id.clone(), secret: "wxs_canary-wrong-secret-5f1e9d".to_owned() };
    canaries.secret("wrong client secret", &stranger.secret);

    let code = canaries.code(41);
    let form = [("grant_type", WECHAT_CODE), ("client_id", APP), ("code", code.as_str())];
    let reply = post(gateway.client(), "demo", "token", None, &form).await;
    let pair: Value = reply.ok();
    told.hear(&reply, canaries);
    let (access, refresh) = (pair["access_token"].as_str().unwrap(), pair["refresh_token"].as_str().unwrap());
    for by in [Some(&client), Some(&stranger), None] {
        for (endpoint, form) in [
            ("token", vec![("grant_type", "client_credentials")]),
            (
                "token",
                vec![
                    ("grant_type", EXCHANGE),
                    ("subject_token", access),
                    ("subject_token_type", ACCESS_TOKEN),
                    ("audience", "stock"),
                ],
            ),
            ("token", vec![("grant_type", "refresh_token"), ("client_id", APP), ("refresh_token", refresh)]),
            ("introspect", vec![("token", access)]),
            ("introspect", vec![("token", refresh)]),
            ("revoke", vec![("token", access)]),
            ("revoke", vec![("token", access), ("client_secret", client.secret.as_str())]),
            ("token", vec![("grant_type", access), ("client_id", refresh)]),
        ] {
            told.hear(&post(gateway.client(), "demo", endpoint, by, &form).await, canaries);
        }
    }
    let path = format!("/t/demo/oauth/revoke?token={refresh}&client_secret={}", client.secret);
    let misplaced = gateway.client().request(Method::POST, &path);
    told.hear(&gateway.client().send(urlencoded(misplaced, &[("token", refresh)])).await, canaries);
    let broken = request(gateway.client(), "demo", "token", Some(&client)).header("Content-Type", "application/json");
    told.hear(&gateway.client().send(broken.body(format!("{{\"token\":\"{refresh}\"}}"))).await, canaries);
    for part in [access, refresh, client.secret.as_str()] {
        let misplaced = gateway.client().request(Method::POST, &format!("/t/{part}/oauth/token"));
        told.hear(&gateway.client().send(urlencoded(misplaced, &[("token", "x")])).await, canaries);
    }
}
