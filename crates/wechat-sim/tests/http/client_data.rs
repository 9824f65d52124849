//! Sealed data, opened with the key that code2Session returned.

use aes::Aes128;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use crate::harness::{APP, BOUND_APP, Sim, hex};

fn open(sealed: &Value, session_key: &str) -> Option<Value> {
    let sixteen = |text: &str| -> [u8; 16] { STANDARD.decode(text).unwrap().try_into().unwrap() };
    let iv = sixteen(sealed["iv"].as_str().unwrap());
    let ciphertext = STANDARD.decode(sealed["encryptedData"].as_str().unwrap()).unwrap();
    let plain = cbc::Decryptor::<Aes128>::new(&sixteen(session_key).into(), &iv.into())
        .decrypt_padded_vec::<Pkcs7>(&ciphertext)
        .ok()?;
    serde_json::from_slice(&plain).ok()
}

async fn key_of(sim: &Sim, appid: &str, code: &str) -> String {
    sim.exchange(appid, code).await["session_key"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_under_the_key_of_the_latest_code() {
    let sim = Sim::start().await;
    let alice = json!({"appid": APP, "openid": "oAlice"});
    let request = json!({"appid": APP, "openid": "oAlice", "kind": "user_info"});

    let first = sim.code(alice.clone()).await;
    let first_key = key_of(&sim, APP, &first).await;
    let second = sim.code(alice).await;
    // Sealed after wx.login and before the exchange: WeChat has changed the key already.
    let sealed = sim.post("/sim/encrypt", request.clone()).await;
    assert_eq!(open(&sealed, &first_key), None);
    let second_key = key_of(&sim, APP, &second).await;
    assert_eq!(open(&sealed, &second_key).unwrap()["openId"], "oAlice");

    let kept = sim.code(json!({"appid": APP, "openid": "oAlice", "rotate": false})).await;
    let sealed = sim.post("/sim/encrypt", request).await;
    assert_eq!(open(&sealed, &second_key).unwrap()["openId"], "oAlice");
    assert_eq!(key_of(&sim, APP, &kept).await, second_key);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_what_wechat_gives() {
    let sim = Sim::start().await;
    let code = sim.code(json!({"appid": BOUND_APP, "openid": "oBob", "unionid": "uBob"})).await;
    let key = key_of(&sim, BOUND_APP, &code).await;
    let seal = async |kind: &str, more: Value| {
        let mut body = json!({"appid": BOUND_APP, "openid": "oBob", "kind": kind});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let sealed = sim.post("/sim/encrypt", body).await;
        let raw_data = sealed["rawData"].as_str().unwrap();
        assert_eq!(sealed["signature"], hex(&Sha1::digest(format!("{raw_data}{key}"))));
        assert!(!raw_data.contains("oBob") && !raw_data.contains("uBob"));
        open(&sealed, &key).unwrap()
    };
    let info = seal("user_info", json!({"nickname": "Bob"})).await;
    assert_eq!([&info["openId"], &info["unionId"], &info["nickName"]], ["oBob", "uBob", "Bob"]);
    let now_s = sim.get("/sim/health").await["now_ms"].as_i64().unwrap() / 1000;
    let stamped = info["watermark"]["timestamp"].as_i64().unwrap();
    assert!((now_s - 60..=now_s).contains(&stamped));
    assert_eq!(info["watermark"]["appid"], BOUND_APP);

    let profile = seal("user_profile", json!({"anonymous": true})).await;
    assert_eq!(profile["nickName"], "微信用户");
    assert!(profile["openId"].is_null() && profile["unionId"].is_null());

    let phone = seal("phone", json!({"phone": "13800138000", "timestamp": 9, "watermark_appid": "wxOther"})).await;
    assert_eq!(
        phone,
        json!({
            "phoneNumber": "13800138000", "purePhoneNumber": "13800138000", "countryCode": "86",
            "watermark": {"timestamp": 9, "appid": "wxOther"},
        })
    );
    assert!(seal("share", json!({})).await["openGId"].as_str().unwrap().starts_with("tG"));
    assert_eq!(seal("werun", json!({})).await["stepInfoList"].as_array().unwrap().len(), 31);
    assert_eq!(seal("raw", json!({"payload": "[1]"})).await, json!([1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sealed_before_the_first_login() {
    let sim = Sim::start().await;
    let body = |appid: &str, kind: &str| Some(json!({"appid": appid, "openid": "oNobody", "kind": kind}));
    let (status, error) = sim.refused(Method::POST, "/sim/encrypt", body(APP, "phone")).await;
    assert_eq!(status, 400);
    assert!(error.contains("no session key yet"), "{error}");
    assert_eq!(sim.refused(Method::POST, "/sim/encrypt", body("wxNone", "phone")).await.0, 404);
    assert_eq!(sim.refused(Method::POST, "/sim/encrypt", body(APP, "nova")).await.0, 400);
}
