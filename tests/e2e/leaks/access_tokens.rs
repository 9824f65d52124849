//! WeChat's access_token, at TRACE: taken by services, used for calls, called dead, and shared between nodes.

use reqwest::Method;
use serde_json::{Value, json};
use wxgate_crypto::{Digest, encoding};

use super::Told;
use super::canaries::Canaries;
use crate::harness::oauth::service_client;
use crate::harness::{APP, Gateway, OTHER_APP};

/// What a careless WeChat gives as tokens.
const STABLE: &str = "89_canary-stable-token-c0ffee5ec2e7a51b";
const LEGACY: &str = "89_canary-legacy-token-c0ffee5ec2e7a51b";

/// What a careless WeChat says to anything about tokens; it repeats what it was asked.
pub(super) fn answer(line: &str) -> Option<String> {
    let route = line.split([' ', '?']).nth(1)?;
    let refused = |errcode: i64| format!(r#"{{"errcode":{errcode},"errmsg":"{line}"}}"#);
    match route {
        "/cgi-bin/stable_token" => Some(format!(r#"{{"access_token":"{STABLE}","expires_in":7200}}"#)),
        "/cgi-bin/token" => Some(format!(r#"{{"access_token":"{LEGACY}","expires_in":7200}}"#)),
        "/cgi-bin/getcallbackip" | "/wxa/checksession" => Some(refused(40_001)),
        "/wxa/resetusersessionkey" => Some(refused(99_999)),
        _ => None,
    }
}

/// Everything that a token goes through.
pub(super) async fn everything(gateway: &Gateway, told: &mut Told, canaries: &mut Canaries) {
    gateway.command(["app", "policy", OTHER_APP, "--access-token", "legacy"]).run().await.ok();
    let options = ["--access-token", APP, "--access-token", OTHER_APP];
    let shop = service_client(gateway, "demo", "tokens", &options).await;
    canaries.secret("client secret", &shop.secret);
    for (appid, token) in [(APP, STABLE), (OTHER_APP, LEGACY)] {
        let path = format!("/v1/apps/{appid}/access-token");
        let ask = gateway.client().request(Method::GET, &path).basic_auth(&shop.id, Some(&shop.secret));
        let reply = gateway.client().send(ask).await;
        assert_eq!(reply.ok()["access_token"], token);
        told.hear(&reply, canaries);
        let digest = encoding::to_hex(Digest::sha256(token.as_bytes()).as_bytes());
        for body in [json!({ "digest": digest }), json!({ "digest": token }), Value::Null] {
            let report = gateway.client().request(Method::POST, &format!("{path}/dead")).json(&body);
            let reply = gateway.client().send(report.basic_auth(&shop.id, Some(&shop.secret))).await;
            told.hear(&reply, canaries);
        }
        let misplaced = gateway.client().get(&format!("{path}?access_token={token}")).await;
        told.hear(&misplaced, canaries);
    }
    let login = gateway.client().login_with(APP, &canaries.code(42)).await;
    let token = login.ok()["access_token"].as_str().unwrap().to_owned();
    told.hear(&login, canaries);
    for body in [json!({}), json!({ "reset": true })] {
        let check = gateway.client().request(Method::POST, "/v1/me/session-check").json(&body);
        told.hear(&gateway.client().send(check.bearer_auth(&token)).await, canaries);
    }
}
