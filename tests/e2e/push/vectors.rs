//! Every vector of pushes, over HTTP: with the app, the keys and the ciphertext of the vector, signed for now with a token of
//! a length that is taken.

use reqwest::Method;
use serde_json::{Value, json};
use wxgate_crypto::encoding::to_hex;
use wxgate_crypto::push::{PushToken, Stamp};
use wxgate_crypto::{Digest, Random};

use crate::harness::{Gateway, Reply};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn cases(section: &str) -> Vec<Value> {
    let document = include_str!("../../../crates/crypto/tests/wechat-crypto.json");
    let document: Value = serde_json::from_str(document).unwrap();
    document[section].as_array().unwrap().clone()
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap()
}

/// A nonce that nobody has used.
fn nonce() -> String {
    let random = Random::system().unwrap().bytes::<32>();
    to_hex(Digest::sha256(&random).as_bytes())[..16].to_owned()
}

fn token() -> PushToken {
    PushToken::parse(TOKEN).unwrap()
}

/// Sets up an app with the keys of a vector; `false` if they are refused, as they should be where they have no shape.
async fn set_up(gateway: &Gateway, appid: &str, case: &Value) -> bool {
    let path = format!("/apps/{appid}/push");
    let current = case["encoding_aes_key"].as_str();
    let before = case["previous_encoding_aes_key"].as_str();
    let settings = json!({ "mode": "plain", "token": TOKEN, "encoding_aes_key": before.or(current) });
    let set = gateway.operator().put(&path, &settings).await;
    if set.status == 200 && before.is_some() {
        let rotate = json!({ "encoding_aes_key": current });
        gateway.operator().post(&format!("{path}/rotate"), &rotate).await.ok();
    }
    set.status == 200
}

/// Adds the app of a vector, once.
async fn add(gateway: &Gateway, known: &mut Vec<String>, appid: &str) {
    if !known.iter().any(|known| known == appid) {
        gateway.add_app("demo", appid, None).await;
        known.push(appid.to_owned());
    }
}

async fn send(gateway: &Gateway, method: Method, appid: &str, query: &[(&str, &str)], body: &str) -> Reply {
    let request = gateway.client().request(method, &format!("/wechat/push/{appid}")).query(query);
    gateway.client().send(request.body(body.to_owned())).await
}

#[tokio::test]
async fn push_url_verification() {
    let gateway = Gateway::dev().await;
    let mut known = Vec::new();
    add(&gateway, &mut known, "wxvectors").await;
    assert!(set_up(&gateway, "wxvectors", &json!({})).await);
    let now = gateway.simulator().seconds().await.to_string();
    for case in cases("push_url_verification") {
        let (id, echostr, nonce) = (text(&case, "id"), text(&case, "echostr"), nonce());
        let mut signature = token().signature(&Stamp { timestamp: &now, nonce: &nonce });
        let wrong = text(&case, "expect") == "error";
        if wrong {
            text(&case, "signature").clone_into(&mut signature);
        }
        let query = [("signature", signature.as_str()), ("timestamp", &now), ("nonce", &nonce), ("echostr", echostr)];
        let reply = send(&gateway, Method::GET, "wxvectors", &query, "").await;
        let expected = if wrong { (403, "Forbidden") } else { (200, text(&case, "response_body")) };
        assert_eq!((reply.status, reply.text.as_str()), expected, "{id}");
    }
}

#[tokio::test]
async fn push_decrypt() {
    let gateway = Gateway::dev().await;
    let mut known = Vec::new();
    let mut refused_keys = 0;
    for case in cases("push_decrypt") {
        let (id, appid) = (text(&case, "id"), text(&case, "appid"));
        add(&gateway, &mut known, appid).await;
        if !set_up(&gateway, appid, &case).await {
            assert_eq!(case["error"], "bad_aes_key", "{id}");
            refused_keys += 1;
            continue;
        }
        let body = text(&case, "body");
        let encrypt = wxgate_crypto::push::encrypt_of(body.as_bytes()).unwrap_or_default();
        let (now, nonce) = (gateway.simulator().seconds().await.to_string(), nonce());
        let mut signature = token().message_signature(&Stamp { timestamp: &now, nonce: &nonce }, &encrypt);
        if case["error"] == "bad_signature" {
            text(&case["query"], "msg_signature").clone_into(&mut signature);
        }
        let query =
            [("timestamp", now.as_str()), ("nonce", &nonce), ("encrypt_type", "aes"), ("msg_signature", &signature)];
        let reply = send(&gateway, Method::POST, appid, &query, body).await;
        let expected = if text(&case, "expect") == "ok" { (200, "success") } else { (403, "Forbidden") };
        assert_eq!((reply.status, reply.text.as_str()), expected, "{id}");
    }
    assert_eq!(refused_keys, 2);
}

#[tokio::test]
async fn push_plain() {
    let gateway = Gateway::dev().await;
    let mut known = Vec::new();
    for case in cases("push_plain") {
        let id = text(&case, "id");
        let body = text(&case, "body");
        let message: Value = serde_json::from_str(body).unwrap();
        let appid = message["AppID"].as_str().unwrap_or("wxvectors");
        add(&gateway, &mut known, appid).await;
        assert!(set_up(&gateway, appid, &json!({})).await);
        let (now, nonce) = (gateway.simulator().seconds().await.to_string(), nonce());
        let mut signature = token().signature(&Stamp { timestamp: &now, nonce: &nonce });
        let wrong = text(&case, "expect") == "error";
        if wrong {
            text(&case["query"], "signature").clone_into(&mut signature);
        }
        let query = [("signature", signature.as_str()), ("timestamp", &now), ("nonce", &nonce)];
        let reply = send(&gateway, Method::POST, appid, &query, body).await;
        let expected = if wrong { (403, "Forbidden") } else { (200, "success") };
        assert_eq!((reply.status, reply.text.as_str()), expected, "{id}");
    }
}
