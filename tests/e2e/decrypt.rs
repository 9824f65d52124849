//! `POST /v1/me/decrypt`: whatever WeChat sealed for the server, at any time of a session.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::simulator::Sealed;
use crate::harness::{APP, Gateway, OTHER_APP, Reply, all_equal};

/// Somebody who is logged in.
struct Person {
    openid: String,
    token: String,
    id: Value,
}

impl Person {
    async fn new(gateway: &Gateway) -> Self {
        let issued = gateway.simulator().code(APP).await;
        Self::log_in(gateway, &issued.code, issued.openid).await
    }

    /// `wx.login` once more, which changes the session_key, and a login with its code.
    async fn again(&self, gateway: &Gateway) -> Self {
        let issued = gateway.simulator().code_of(APP, &self.openid).await;
        Self::log_in(gateway, &issued.code, issued.openid).await
    }

    async fn log_in(gateway: &Gateway, code: &str, openid: String) -> Self {
        let login = gateway.client().login_with(APP, code).await.ok();
        Self { openid, token: login["access_token"].as_str().unwrap().to_owned(), id: login["user"]["id"].clone() }
    }

    async fn seal(&self, gateway: &Gateway, more: Value) -> Sealed {
        let mut body = json!({ "appid": APP, "openid": self.openid });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        gateway.simulator().encrypt(&body).await
    }

    async fn decrypt(&self, gateway: &Gateway, sealed: &Sealed) -> Reply {
        self.send(gateway, &json!({ "encryptedData": sealed.encrypted_data, "iv": sealed.iv })).await
    }

    async fn send(&self, gateway: &Gateway, body: &Value) -> Reply {
        let request = gateway.client().request(Method::POST, "/v1/me/decrypt");
        gateway.client().send(request.bearer_auth(&self.token).json(body)).await
    }

    async fn me(&self, gateway: &Gateway) -> Value {
        let request = gateway.client().request(Method::GET, "/v1/me");
        gateway.client().send(request.bearer_auth(&self.token)).await.ok()
    }
}

#[tokio::test]
async fn every_kind_comes_back_as_wechat_wrote_it() {
    let gateway = Gateway::dev().await;
    let person = Person::new(&gateway).await;
    for (kind, field) in [
        ("user_info", "openId"),
        ("user_profile", "nickName"),
        ("phone", "purePhoneNumber"),
        ("share", "openGId"),
        ("werun", "stepInfoList"),
        ("private_message", "activityId"),
    ] {
        let sealed = person.seal(&gateway, json!({ "kind": kind })).await;
        let data = person.decrypt(&gateway, &sealed).await.ok()["user_data"].clone();
        assert!(!data[field].is_null(), "{kind}: {data}");
        assert_eq!(data["watermark"]["appid"], APP, "{kind}: {data}");
    }
}

/// WeChat's examples of every kind, as this user's of this moment.
#[tokio::test]
async fn what_wechats_examples_say_comes_back_letter_for_letter() {
    let gateway = Gateway::dev().await;
    let document: Value = serde_json::from_str(include_str!("../../crates/crypto/tests/wechat-crypto.json")).unwrap();
    let examples = document["open_data"].as_array().unwrap().iter().filter(|case| case["expect"] == "ok");
    let mut kinds = BTreeSet::<&str>::new();
    for example in examples {
        let person = Person::new(&gateway).await;
        let mut data = example["json"].clone();
        let known = ["unionId", "nickName", "phoneNumber", "openGId", "stepInfoList"];
        kinds.extend(known.into_iter().filter(|kind| !data[*kind].is_null()));
        let now = gateway.simulator().seconds().await;
        data["watermark"] = json!({ "appid": APP, "timestamp": now });
        if !data["openId"].is_null() {
            data["openId"] = json!(person.openid);
        }
        let sealed = person.seal(&gateway, json!({ "kind": "raw", "payload": data })).await;
        assert_eq!(person.decrypt(&gateway, &sealed).await.ok()["user_data"], data, "{}", example["id"]);
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}

/// The failure that every such server has: the data was sealed, then `wx.login` ran again.
#[tokio::test]
async fn a_profile_sealed_before_the_last_wx_login_opens_in_either_session() {
    let gateway = Gateway::dev().await;
    let first = Person::new(&gateway).await;
    let sealed = first.seal(&gateway, json!({ "kind": "user_info", "nickname": "阿白" })).await;
    let second = first.again(&gateway).await;
    for session in [&second, &first] {
        let data = session.decrypt(&gateway, &sealed).await.ok()["user_data"].clone();
        assert_eq!((&data["nickName"], &data["openId"]), (&json!("阿白"), &json!(first.openid)));
    }
    // Two superseded keys are kept, no third.
    let third = second.again(&gateway).await;
    third.decrypt(&gateway, &sealed).await.ok();
    let fourth = third.again(&gateway).await;
    let stale = fourth.decrypt(&gateway, &sealed).await.refused(409, "SESSION_KEY_STALE");
    assert_eq!(stale["action"], "relogin_then_reauthorize");
}

#[tokio::test]
async fn a_profile_is_kept_a_placeholder_and_a_phone_number_are_not() {
    let gateway = Gateway::dev().await;
    let person = Person::new(&gateway).await;
    let avatar = "https://thirdwx.qlogo.cn/mmopen/vi_32/abai/132";
    let real = json!({ "kind": "user_info", "nickname": "阿白", "avatar_url": avatar });
    person.decrypt(&gateway, &person.seal(&gateway, real).await).await.ok();
    let filled = person.me(&gateway).await;
    assert_eq!((&filled["nickname"], &filled["avatar_url"]), (&json!("阿白"), &json!(avatar)));
    for nothing_new in [json!({ "kind": "user_profile", "anonymous": true }), json!({ "kind": "phone" })] {
        person.decrypt(&gateway, &person.seal(&gateway, nothing_new).await).await.ok();
        assert_eq!(person.me(&gateway).await, filled);
    }
    assert_eq!(filled["id"], person.id);
}

#[tokio::test]
async fn a_group_needs_no_watermark_and_everything_else_does() {
    let gateway = Gateway::dev().await;
    let person = Person::new(&gateway).await;
    let group = json!({ "openGId": "tGroup" });
    let sealed = person.seal(&gateway, json!({ "kind": "raw", "payload": group })).await;
    assert_eq!(person.decrypt(&gateway, &sealed).await.ok()["user_data"], group);
    for refused in [
        json!({}),
        json!({ "openGId": 7 }),
        json!({ "openGId": "tGroup", "watermark": null }),
        json!({ "openGId": "tGroup", "nickName": "阿白" }),
        json!({ "phoneNumber": "13800138000", "purePhoneNumber": "13800138000", "countryCode": "86" }),
        json!({ "nickName": "阿白" }),
    ] {
        let sealed = person.seal(&gateway, json!({ "kind": "raw", "payload": refused })).await;
        person.decrypt(&gateway, &sealed).await.refused(409, "SESSION_KEY_STALE");
    }
    // A login takes no such thing.
    let issued = gateway.simulator().code_of(APP, &person.openid).await;
    let sealed = person.seal(&gateway, json!({ "kind": "raw", "payload": group })).await;
    let body = json!({ "code": issued.code, "encryptedData": sealed.encrypted_data, "iv": sealed.iv });
    let login = gateway.client().login(APP, &body).await.ok();
    assert_eq!(login["user_data_error"]["code"], "SESSION_KEY_STALE");
}

#[tokio::test]
async fn whatever_is_wrong_inside_is_answered_alike() {
    let gateway = Gateway::dev().await;
    let (person, other) = (Person::new(&gateway).await, Person::new(&gateway).await);
    let now = gateway.simulator().seconds().await;
    let marked = |appid: &str, timestamp: i64| json!({ "appid": appid, "timestamp": timestamp });
    let mut replies = Vec::new();
    for payload in [
        json!({ "openId": other.openid, "watermark": marked(APP, now) }),
        json!({ "nickName": "阿白", "watermark": marked(OTHER_APP, now) }),
        json!({ "nickName": "阿白", "watermark": marked(APP, now - 3_600) }),
        json!({ "nickName": "阿白", "watermark": marked(APP, now + 3_600) }),
        json!("not an object"),
    ] {
        let sealed = person.seal(&gateway, json!({ "kind": "raw", "payload": payload })).await;
        replies.push(person.decrypt(&gateway, &sealed).await);
    }
    // Under somebody else's key, with another iv, and signed by nobody.
    let theirs = other.seal(&gateway, json!({ "kind": "user_info" })).await;
    replies.push(person.decrypt(&gateway, &theirs).await);
    let mine = person.seal(&gateway, json!({ "kind": "user_info" })).await;
    replies.push(person.decrypt(&gateway, &Sealed { iv: "AAAAAAAAAAAAAAAAAAAAAA==".to_owned(), ..mine.clone() }).await);
    let unsigned = json!({
        "encryptedData": mine.encrypted_data, "iv": mine.iv, "rawData": mine.raw_data, "signature": "0".repeat(40),
    });
    replies.push(person.send(&gateway, &unsigned).await);
    let shown = replies.iter().map(|reply| {
        let mut problem = reply.refused(409, "SESSION_KEY_STALE");
        problem["request_id"].take();
        problem
    });
    assert_eq!(all_equal(shown)["action"], "relogin_then_reauthorize");
    assert!(person.me(&gateway).await.get("nickname").is_none(), "nothing of it is kept");
    let signed = json!({
        "encryptedData": mine.encrypted_data, "iv": mine.iv, "rawData": mine.raw_data, "signature": mine.signature,
    });
    assert_eq!(person.send(&gateway, &signed).await.ok()["user_data"]["openId"], person.openid);
}

#[tokio::test]
async fn what_has_no_possible_shape_is_the_clients_mistake() {
    let gateway = Gateway::dev().await;
    let person = Person::new(&gateway).await;
    let (data, iv) = ("AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAA==");
    for wrong in [
        json!({}),
        json!({ "encryptedData": data }),
        json!({ "iv": iv }),
        json!({ "rawData": "{}", "signature": "0".repeat(40) }),
        json!({ "encryptedData": data, "iv": iv, "rawData": "{}" }),
        json!({ "encryptedData": "", "iv": iv }),
        json!({ "encryptedData": data, "iv": "AAAA" }),
        json!({ "encryptedData": "AAAA", "iv": iv }),
        json!({ "encryptedData": "A".repeat(64 * 768 + 4), "iv": iv }),
        json!({ "encryptedData": 7, "iv": iv }),
    ] {
        person.send(&gateway, &wrong).await.refused(400, "REQUEST_INVALID");
    }
    let forbidden = json!({ "encryptedData": data, "iv": iv, "session_key": iv });
    person.send(&gateway, &forbidden).await.refused(400, "FIELD_FORBIDDEN");
    let nobody = gateway.client().post("/v1/me/decrypt", &json!({ "encryptedData": data, "iv": iv })).await;
    nobody.refused(401, "TOKEN_INVALID");
}
