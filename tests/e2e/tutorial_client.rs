//! Thousands of mini-programs were written after one tutorial, against its Flask server. They change the host and
//! nothing else.

mod failures;
mod routing;

use reqwest::Method;
use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Value, json};

use crate::harness::simulator::Sealed;
use crate::harness::{APP, Gateway, OTHER_APP, Reply, jwt};

/// The path that the tutorial's client has.
const PATH: &str = "/user/wxlogin";

/// What the tutorial's client sends after `wx.login` and `wx.getUserInfo`.
fn body(code: &str, sealed: &Sealed) -> Value {
    json!({ "platCode": code, "platUserInfoMap": { "encryptedData": sealed.encrypted_data, "iv": sealed.iv } })
}

/// `wx.request` of a released mini-program: WeChat sets the Referer.
async fn wx_request(gateway: &Gateway, appid: &str, body: &Value) -> Reply {
    let referer = format!("https://servicewechat.com/{appid}/12/page-frame.html");
    let request = gateway.client().request(Method::POST, PATH).header("Referer", referer);
    gateway.client().send(request.json(body)).await
}

/// The tutorial's `json.dumps(sort_keys=True, indent=4, ensure_ascii=False)`.
fn dumps(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut serializer).unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn two_mini_programs_log_in_to_one_gateway_and_get_their_userinfo() {
    let gateway = Gateway::dev().await;
    for appid in [APP, OTHER_APP] {
        let issued = gateway.simulator().code(appid).await;
        let sealed = gateway.simulator().user_info(appid, &issued.openid).await;
        let reply = wx_request(&gateway, appid, &body(&issued.code, &sealed)).await.ok();

        assert_eq!((&reply["code"], &reply["msg"]), (&json!(200), &json!("登錄成功")));
        assert_eq!(reply["userinfo"]["openId"], issued.openid);
        assert_eq!(reply["userinfo"]["unionId"], issued.unionid.unwrap());
        assert_eq!(reply["userinfo"]["watermark"]["appid"], appid);
        let shown: Value = serde_json::from_str(&sealed.raw_data).unwrap();
        for (key, value) in shown.as_object().unwrap() {
            assert_eq!(&reply["userinfo"][key], value, "{key}");
        }

        let token = &reply["token"];
        assert_eq!(token["token_type"], "Bearer");
        assert!((810..=990).contains(&token["expires_in"].as_i64().unwrap()), "{token}");
        assert!(token["refresh_token"].as_str().unwrap().starts_with("wxr_"));
        jwt::verify(&gateway, "demo", appid, &token["access_token"]).await.unwrap();
    }
}

#[tokio::test]
async fn the_reply_is_the_text_that_the_tutorial_s_server_wrote() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let payload = json!({
        "openId": issued.openid,
        "nickName": "阿白/🙂 \"引号\"",
        "tags": ["乙", "甲", { "z": 1, "a": [] }],
        "empty": {},
        "number": 1.5,
        "watermark": { "timestamp": gateway.simulator().seconds().await, "appid": APP },
    });
    let sealed = gateway
        .simulator()
        .encrypt(&json!({ "appid": APP, "openid": issued.openid, "kind": "raw", "payload": payload }))
        .await;
    let reply = wx_request(&gateway, APP, &body(&issued.code, &sealed)).await;
    let value = reply.ok();

    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(reply.text.starts_with(
        "{\n    \"code\": 200,\n    \"msg\": \"登錄成功\",\n    \"token\": {\n        \"access_token\": \""
    ));
    assert!(reply.text.contains("\n        \"nickName\": \"阿白/🙂 \\\"引号\\\"\",\n"), "{}", reply.text);
    assert_eq!(reply.text, dumps(&value));
    let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["code", "msg", "token", "userinfo"]);
    let keys: Vec<_> = value["token"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["access_token", "expires_in", "refresh_token", "token_type"]);
    assert_eq!(value["userinfo"], payload, "userinfo is the decrypted payload, whole");
}

#[tokio::test]
async fn a_get_with_the_same_body_works_as_it_did_there() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let issued = gateway.simulator().code(APP).await;
    let sealed = gateway.simulator().user_info(APP, &issued.openid).await;
    let request = client.request(Method::GET, PATH).header("X-App-Id", APP).json(&body(&issued.code, &sealed));
    assert_eq!(client.send(request).await.ok()["userinfo"]["openId"], issued.openid);
}

#[tokio::test]
async fn the_tutorial_s_server_never_looked_at_the_media_type() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    for label in [None, Some("text/plain"), Some("application/json; charset=utf-8")] {
        let issued = gateway.simulator().code(APP).await;
        let mut request = client.request(Method::POST, PATH).header("X-App-Id", APP);
        if let Some(label) = label {
            request = request.header("Content-Type", label);
        }
        client.send(request.body(json!({ "platCode": issued.code }).to_string())).await.ok();
    }
}

#[tokio::test]
async fn without_data_userinfo_holds_what_is_stored() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let unionid = issued.unionid.clone().unwrap();
    let bare = wx_request(&gateway, APP, &json!({ "platCode": issued.code })).await.ok();
    assert_eq!(bare["userinfo"], json!({ "openId": issued.openid, "unionId": unionid }));

    let issued = gateway.simulator().code_of(APP, &issued.openid).await;
    let profile = json!({
        "appid": APP, "openid": issued.openid, "kind": "user_info",
        "nickname": "阿白", "avatar_url": "https://thirdwx.qlogo.cn/mmopen/vi_32/abai/132",
    });
    let sealed = gateway.simulator().encrypt(&profile).await;
    wx_request(&gateway, APP, &body(&issued.code, &sealed)).await.ok();

    let stored = json!({
        "openId": issued.openid,
        "unionId": unionid,
        "nickName": "阿白",
        "avatarUrl": "https://thirdwx.qlogo.cn/mmopen/vi_32/abai/132",
    });
    // A user who declines leaves the map out, empty, or null.
    for map in [None, Some(json!({})), Some(json!(null))] {
        let issued = gateway.simulator().code_of(APP, &issued.openid).await;
        let mut body = json!({ "platCode": issued.code });
        if let Some(map) = map {
            body["platUserInfoMap"] = map;
        }
        assert_eq!(wx_request(&gateway, APP, &body).await.ok()["userinfo"], stored);
    }
}

#[tokio::test]
async fn both_endpoints_know_the_same_user() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let native = gateway.client().login_with(APP, &issued.code).await.ok();
    let issued = gateway.simulator().code_of(APP, &issued.openid).await;
    let reply = wx_request(&gateway, APP, &json!({ "platCode": issued.code })).await.ok();
    let claims = jwt::verify(&gateway, "demo", APP, &reply["token"]["access_token"]).await.unwrap();
    assert_eq!(claims.sub, native["user"]["id"].as_str().unwrap());
}

#[tokio::test]
async fn a_placeholder_profile_is_shown_as_it_came_and_never_stored() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let anonymous = json!({ "appid": APP, "openid": issued.openid, "kind": "user_info", "anonymous": true });
    let sealed = gateway.simulator().encrypt(&anonymous).await;
    let reply = wx_request(&gateway, APP, &body(&issued.code, &sealed)).await.ok();
    assert_eq!(reply["userinfo"]["nickName"], "微信用户");

    let issued = gateway.simulator().code_of(APP, &issued.openid).await;
    let stored = wx_request(&gateway, APP, &json!({ "platCode": issued.code })).await.ok();
    assert!(stored["userinfo"].get("nickName").is_none(), "{stored}");
    assert!(stored["userinfo"].get("avatarUrl").is_none(), "{stored}");
}
