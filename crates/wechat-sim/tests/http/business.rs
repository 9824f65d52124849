//! What an app asks with its access_token.

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::{APP, BOUND_APP, Sim, hex};

async fn phone(sim: &Sim, appid: &str, code: &str, openid: &str) -> Value {
    let path = format!("/wxa/business/getuserphonenumber?access_token={}", sim.token(appid).await);
    sim.api(Method::POST, &path, Some(json!({"code": code, "openid": openid}))).await
}

async fn phone_code(sim: &Sim, more: Value) -> String {
    let mut body = json!({"appid": APP, "openid": "oAlice", "phone": "13800138000"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    sim.post("/sim/phone-codes", body).await["code"].as_str().unwrap().to_owned()
}

async fn session(sim: &Sim, route: &str, openid: &str, key: &str, sig_method: &str) -> Value {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap().finalize().into_bytes();
    let token = sim.token(APP).await;
    let query = format!("access_token={token}&openid={openid}&signature={}&sig_method={sig_method}", hex(&mac));
    sim.api(Method::GET, &format!("/wxa/{route}?{query}"), None).await
}

async fn login(sim: &Sim) -> String {
    let code = sim.code(json!({"appid": APP, "openid": "oAlice"})).await;
    sim.exchange(APP, &code).await["session_key"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_code_gives_its_number_once() {
    let sim = Sim::start().await;
    let code = phone_code(&sim, json!({})).await;
    assert_eq!(phone(&sim, APP, &code, "oBob").await["errcode"], 40003, "of another user");
    assert_eq!(phone(&sim, BOUND_APP, &code, "oAlice").await["errcode"], 40013, "of another app");
    let answer = phone(&sim, APP, &code, "oAlice").await;
    assert_eq!((&answer["errcode"], &answer["errmsg"]), (&json!(0), &json!("ok")));
    let info = &answer["phone_info"];
    assert_eq!([&info["phoneNumber"], &info["purePhoneNumber"]], ["13800138000", "13800138000"]);
    assert_eq!((&info["countryCode"], &info["watermark"]["appid"]), (&json!("86"), &json!(APP)));
    assert_eq!(phone(&sim, APP, &code, "oAlice").await["errcode"], 40029);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_of_another_kind_or_time_are_invalid() {
    let sim = Sim::start().await;
    let old = phone_code(&sim, json!({})).await;
    sim.post("/sim/clock", json!({"advance_ms": 300_000})).await;
    let login_code = sim.code(json!({"appid": APP, "openid": "oAlice"})).await;
    for code in [&old, &login_code, "unknown"] {
        assert_eq!(phone(&sim, APP, code, "oAlice").await["errcode"], 40029);
    }
    assert!(sim.exchange(APP, &login_code).await["openid"].is_string(), "the login code is as good as before");
    let phone_code = phone_code(&sim, json!({})).await;
    assert_eq!(sim.exchange(APP, &phone_code).await["errcode"], 40029);
    assert_eq!(phone(&sim, APP, &phone_code, "oAlice").await["errcode"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_country_is_a_text_or_a_number() {
    let sim = Sim::start().await;
    for (country, whole) in
        [(json!("852"), "85213800138000"), (json!(852), "85213800138000"), (json!(86), "13800138000")]
    {
        let code = phone_code(&sim, json!({"country_code": country})).await;
        let answer = phone(&sim, APP, &code, "oAlice").await;
        assert_eq!(answer["phone_info"]["countryCode"], country);
        assert_eq!(answer["phone_info"]["phoneNumber"], whole);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_key_is_checked_and_replaced() {
    let sim = Sim::start().await;
    let old = login(&sim).await;
    let key = login(&sim).await;
    let check = async |openid: &str, key: &str, method: &str| {
        session(&sim, "checksession", openid, key, method).await["errcode"].clone()
    };
    assert_eq!(check("oAlice", &key, "hmac_sha256").await, 0);
    assert_eq!(check("oAlice", &old, "hmac_sha256").await, 87009);
    assert_eq!(check("oNobody", &key, "hmac_sha256").await, 87009);
    assert_eq!(check("oAlice", &key, "md5").await, 87008);

    assert_eq!(session(&sim, "resetusersessionkey", "oNobody", &key, "hmac_sha256").await["errcode"], 87007);
    let reset = session(&sim, "resetusersessionkey", "oAlice", &key, "hmac_sha256").await;
    assert_eq!((&reset["errcode"], &reset["openid"]), (&json!(0), &json!("oAlice")));
    let new = reset["session_key"].as_str().unwrap();
    assert_ne!(new, key);
    assert_eq!(check("oAlice", &key, "hmac_sha256").await, 87009);
    assert_eq!(check("oAlice", new, "hmac_sha256").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_phone_data_that_wechat_made_is_confirmed() {
    let sim = Sim::start().await;
    login(&sim).await;
    let seal = async |more: Value| {
        let mut body = json!({"appid": APP, "openid": "oAlice"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sim.post("/sim/encrypt", body).await["encryptedData"].as_str().unwrap().to_owned()
    };
    let confirm = async |appid: &str, data: &str| {
        let path = format!("/wxa/business/checkencryptedmsg?access_token={}", sim.token(appid).await);
        sim.api(Method::POST, &path, Some(json!({"encrypted_msg_hash": hex(&Sha256::digest(data))}))).await
    };
    let genuine = seal(json!({"kind": "phone"})).await;
    let answer = confirm(APP, &genuine).await;
    assert_eq!((&answer["errcode"], &answer["vaild"]), (&json!(0), &json!(true)));
    assert!(answer["create_time"].as_i64().unwrap() > 1_700_000_000);
    assert_eq!(confirm(BOUND_APP, &genuine).await["errcode"], 1);
    let forged = seal(json!({"kind": "raw", "payload": "{\"phoneNumber\":\"13800138000\"}"})).await;
    for other in [forged, seal(json!({"kind": "user_info"})).await] {
        assert_eq!(confirm(APP, &other).await["errcode"], 1);
    }
    sim.post("/sim/clock", json!({"advance_ms": 3 * 24 * 3_600_000})).await;
    assert_eq!(confirm(APP, &genuine).await["errcode"], 1);
    let path = format!("/wxa/business/checkencryptedmsg?access_token={}", sim.token(APP).await);
    assert_eq!(sim.api(Method::POST, &path, Some(json!({"encrypted_msg_hash": "xyz"}))).await["errcode"], 40097);
}
