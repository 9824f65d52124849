//! WeChat's encrypted user data, sent along with a login.

mod refused;
mod shape;

use serde_json::{Value, json};

use crate::harness::simulator::{Issued, Sealed};
use crate::harness::{APP, Gateway, OTHER_APP, Reply};

/// What a mini-program sends after `wx.login` and `wx.getUserInfo`.
fn body(code: &str, sealed: &Sealed) -> Value {
    json!({ "code": code, "encryptedData": sealed.encrypted_data, "iv": sealed.iv })
}

/// The same with the plain data and its signature.
fn signed(code: &str, sealed: &Sealed) -> Value {
    json!({ "code": code, "rawData": sealed.raw_data, "signature": sealed.signature })
}

/// Data of kind `raw` with this payload, under the person's present key.
async fn seal(gateway: &Gateway, issued: &Issued, payload: &Value) -> Sealed {
    let body = json!({ "appid": APP, "openid": issued.openid, "kind": "raw", "payload": payload });
    gateway.simulator().encrypt(&body).await
}

/// The reply of a login whose data did not open: tokens all the same, and one outcome whatever the cause.
#[track_caller]
fn assert_stale(reply: &Reply) -> Value {
    let value = reply.ok();
    let outcome = json!({ "code": "SESSION_KEY_STALE", "action": "relogin_then_reauthorize" });
    assert_eq!(value["user_data_error"], outcome, "{value}");
    assert!(value.get("user_data").is_none(), "{value}");
    assert!(value["access_token"].is_string() && value["session_id"].is_string(), "{value}");
    value
}

#[tokio::test]
async fn the_data_of_get_user_info_comes_back_whole() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let sealed = gateway.simulator().user_info(APP, &issued.openid).await;
    let reply = gateway.client().login(APP, &body(&issued.code, &sealed)).await.ok();

    assert!(reply.get("user_data_error").is_none(), "{reply}");
    let data = &reply["user_data"];
    assert_eq!(data["openId"], issued.openid);
    assert_eq!(data["unionId"], issued.unionid.unwrap());
    assert_eq!(data["watermark"]["appid"], APP);
    assert!(data["watermark"]["timestamp"].is_i64());
    let shown: Value = serde_json::from_str(&sealed.raw_data).unwrap();
    for (key, value) in shown.as_object().unwrap() {
        assert_eq!(&data[key], value, "{key}");
    }
    assert_eq!(reply["user"]["nickname"], shown["nickName"]);
    assert_eq!(reply["user"]["avatar_url"], shown["avatarUrl"]);
}

#[tokio::test]
async fn the_data_of_get_user_profile_has_no_openid_and_opens_too() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let profile = json!({ "appid": APP, "openid": issued.openid, "kind": "user_profile", "nickname": "阿白" });
    let sealed = gateway.simulator().encrypt(&profile).await;
    let reply = gateway.client().login(APP, &body(&issued.code, &sealed)).await.ok();
    assert!(reply["user_data"].get("openId").is_none(), "{reply}");
    assert_eq!(reply["user_data"]["nickName"], "阿白");
    assert_eq!(reply["user"]["nickname"], "阿白");
}

#[tokio::test]
async fn a_profile_stays_and_a_placeholder_never_replaces_it() {
    let gateway = Gateway::dev().await;
    let (client, simulator) = (gateway.client(), gateway.simulator());
    let issued = simulator.code(APP).await;
    let profile = json!({
        "appid": APP, "openid": issued.openid, "kind": "user_info",
        "nickname": "阿白", "avatar_url": "https://thirdwx.qlogo.cn/mmopen/vi_32/abai/132",
    });
    let sealed = simulator.encrypt(&profile).await;
    let real = client.login(APP, &body(&issued.code, &sealed)).await.ok()["user"].clone();
    assert_eq!((&real["nickname"], &real["avatar_url"]), (&json!("阿白"), &profile["avatar_url"]));

    let issued = simulator.code_of(APP, &issued.openid).await;
    let plain = client.login_with(APP, &issued.code).await.ok()["user"].clone();
    assert_eq!((&plain["nickname"], &plain["avatar_url"]), (&real["nickname"], &real["avatar_url"]));

    // Since 2022 WeChat shows 微信用户 and a grey avatar: no news of anybody.
    let issued = simulator.code_of(APP, &issued.openid).await;
    let anonymous = json!({ "appid": APP, "openid": issued.openid, "kind": "user_info", "anonymous": true });
    let sealed = simulator.encrypt(&anonymous).await;
    let reply = client.login(APP, &body(&issued.code, &sealed)).await.ok();
    assert_eq!(reply["user_data"]["nickName"], "微信用户");
    assert_eq!(reply["user"]["nickname"], "阿白");
    assert_eq!(reply["user"]["avatar_url"], real["avatar_url"]);

    // A new name does replace it, and the avatar that came with it.
    let issued = simulator.code_of(APP, &issued.openid).await;
    let renamed = json!({
        "appid": APP, "openid": issued.openid, "kind": "user_info",
        "nickname": "阿黑", "avatar_url": "https://thirdwx.qlogo.cn/mmopen/vi_32/ahei/132",
    });
    let sealed = simulator.encrypt(&renamed).await;
    client.login(APP, &body(&issued.code, &sealed)).await.ok();
    let issued = simulator.code_of(APP, &issued.openid).await;
    let user = client.login_with(APP, &issued.code).await.ok()["user"].clone();
    assert_eq!((&user["nickname"], &user["avatar_url"]), (&json!("阿黑"), &renamed["avatar_url"]));
}

/// The failure that every such server has: the data was sealed, then `wx.login` ran again.
#[tokio::test]
async fn data_sealed_before_the_last_wx_login_still_opens() {
    let gateway = Gateway::dev().await;
    let (client, simulator) = (gateway.client(), gateway.simulator());
    let issued = simulator.code(APP).await;
    client.login_with(APP, &issued.code).await.ok();
    let old = simulator.user_info(APP, &issued.openid).await;

    // The present key and two superseded ones are kept.
    for _ in 0..2 {
        let next = simulator.code_of(APP, &issued.openid).await;
        let reply = client.login(APP, &body(&next.code, &old)).await.ok();
        assert_eq!(reply["user_data"]["openId"], issued.openid);
    }
    let next = simulator.code_of(APP, &issued.openid).await;
    assert_stale(&client.login(APP, &body(&next.code, &old)).await);
    // What is fresh opens, as ever.
    let fresh = simulator.user_info(APP, &issued.openid).await;
    let next = simulator.code_of(APP, &issued.openid).await;
    assert_eq!(client.login(APP, &body(&next.code, &fresh)).await.ok()["user_data"]["openId"], issued.openid);
}

#[tokio::test]
async fn logins_under_one_key_do_not_push_the_older_key_out() {
    let gateway = Gateway::dev().await;
    let (client, simulator) = (gateway.client(), gateway.simulator());
    let issued = simulator.code(APP).await;
    client.login_with(APP, &issued.code).await.ok();
    let old = simulator.user_info(APP, &issued.openid).await;
    simulator.code_of(APP, &issued.openid).await;
    // WeChat rotates not at every wx.login: four sessions, one key.
    for _ in 0..4 {
        let same = simulator.issue(&json!({ "appid": APP, "openid": issued.openid, "rotate": false })).await;
        client.login_with(APP, &same.code).await.ok();
    }
    let next = simulator.code_of(APP, &issued.openid).await;
    assert_eq!(client.login(APP, &body(&next.code, &old)).await.ok()["user_data"]["openId"], issued.openid);
}

#[tokio::test]
async fn data_under_a_key_that_was_never_exchanged_stays_shut() {
    let gateway = Gateway::dev().await;
    let (client, simulator) = (gateway.client(), gateway.simulator());
    let issued = simulator.code(APP).await;
    let sealed = simulator.user_info(APP, &issued.openid).await;
    // The mini-program threw the first code away and sends the second with the first one's data.
    let second = simulator.code_of(APP, &issued.openid).await;
    assert_stale(&client.login(APP, &body(&second.code, &sealed)).await);
    // As told, it logs in again and asks again.
    let third = simulator.code_of(APP, &issued.openid).await;
    let sealed = simulator.user_info(APP, &issued.openid).await;
    assert_eq!(client.login(APP, &body(&third.code, &sealed)).await.ok()["user_data"]["openId"], issued.openid);
}

#[tokio::test]
async fn plain_data_with_its_signature() {
    let gateway = Gateway::dev().await;
    let (client, simulator) = (gateway.client(), gateway.simulator());
    let issued = simulator.code(APP).await;
    let sealed = simulator.user_info(APP, &issued.openid).await;
    let shown: Value = serde_json::from_str(&sealed.raw_data).unwrap();
    let reply = client.login(APP, &signed(&issued.code, &sealed)).await.ok();
    assert_eq!(reply["user_data"], shown);
    assert_eq!(reply["user"]["nickname"], shown["nickName"]);

    // Both together, as wx.getUserInfo gives them; and signed under a key that wx.login replaced.
    let next = simulator.code_of(APP, &issued.openid).await;
    let mut both = body(&next.code, &sealed);
    both["rawData"] = json!(sealed.raw_data);
    both["signature"] = json!(sealed.signature);
    assert_eq!(client.login(APP, &both).await.ok()["user_data"]["openId"], issued.openid);
    let next = simulator.code_of(APP, &issued.openid).await;
    assert_eq!(client.login(APP, &signed(&next.code, &sealed)).await.ok()["user_data"], shown);
}

/// Whoever can write into encrypted data (it has no integrity) must not become somebody else by it.
#[tokio::test]
async fn refuses_a_unionid_from_decrypted_data() {
    let gateway = Gateway::dev().await;
    let (client, simulator) = (gateway.client(), gateway.simulator());
    let victim = simulator.issue(&json!({ "appid": OTHER_APP, "unionid": "uVictim" })).await;
    let victim = client.login_with(OTHER_APP, &victim.code).await.ok()["user"].clone();

    let issued = simulator.code(APP).await;
    let claimed = json!({ "appid": APP, "openid": issued.openid, "kind": "user_info", "unionid": "uVictim" });
    let sealed = simulator.encrypt(&claimed).await;
    let reply = client.login(APP, &body(&issued.code, &sealed)).await.ok();
    assert_eq!(reply["user_data"]["unionId"], "uVictim", "the data is shown as it is");
    assert_ne!(reply["user"]["id"], victim["id"]);
    assert_eq!(reply["user"]["unionid"], issued.unionid.unwrap());

    let next = simulator.code_of(APP, &issued.openid).await;
    assert_ne!(client.login_with(APP, &next.code).await.ok()["user"]["id"], victim["id"]);
}
