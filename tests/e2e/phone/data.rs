//! Phone data of older clients: believed only if WeChat says that it made the ciphertext.

use serde_json::{Value, json};
use wxgate_crypto::encoding::{base64, to_base64};

use super::{User, shown};
use crate::harness::simulator::Sealed;
use crate::harness::{APP, Gateway, PATIENCE, within};

/// What WeChat is asked about a ciphertext.
const CONFIRM: &str = "checkencryptedmsg";

fn body(sealed: &Sealed) -> Value {
    json!({ "encryptedData": sealed.encrypted_data, "iv": sealed.iv })
}

async fn seal(gateway: &Gateway, user: &User, what: Value) -> Sealed {
    let mut body = json!({ "appid": APP, "openid": user.openid });
    body.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    gateway.simulator().encrypt(&body).await
}

#[tokio::test]
async fn data_that_wechat_made_binds_also_under_the_key_before() {
    let gateway = Gateway::dev().await;
    let ada = User::new(&gateway).await;
    let sealed = seal(&gateway, &ada, json!({ "kind": "phone", "phone": "13800138000" })).await;
    ada.again(&gateway).await;
    let bound = ada.send(&gateway, body(&sealed)).await.ok();
    assert_eq!(bound, json!({ "outcome": "bound", "phone": shown("+86 138****8000", true) }));
    assert!(gateway.simulator().calls_of(CONFIRM).await >= 1);
    // Another user's data does not open.
    let eve = User::new(&gateway).await;
    let refused = eve.send(&gateway, body(&sealed)).await.refused(409, "SESSION_KEY_STALE");
    assert_eq!(refused["action"], "relogin_then_reauthorize");
}

/// A forgery without the key, carried out: the attacker fills a nickname with filler and a number, cuts the blocks
/// before the filler's last, and chooses an iv that turns that block into the beginning of phone data. The watermark is
/// genuine.
#[tokio::test]
async fn a_spliced_ciphertext_binds_nothing() {
    let gateway = Gateway::dev().await;
    let mallory = User::new(&gateway).await;
    let start = format!(r#"{{"openId":"{}","nickName":""#, mallory.openid).len();
    let filler = 16 - start % 16 + 16;
    let nickname = "x".repeat(filler) + "13800138000";
    let sealed = seal(&gateway, &mallory, json!({ "kind": "user_info", "nickname": nickname })).await;
    let forged = splice(&sealed, (start + filler - 16) / 16);
    assert!(opens_as_phone_data(&gateway, &mallory, &forged).await, "the forgery itself is well made");

    let refused = mallory.send(&gateway, body(&forged)).await.refused(409, "SESSION_KEY_STALE");
    assert_eq!(refused["action"], "relogin_then_reauthorize");
    assert_eq!(mallory.me(&gateway).await.get("phone_masked"), None, "it binds nothing");
    assert_eq!(gateway.simulator().calls_of(CONFIRM).await, 0);
}

/// The ciphertext from this block on, with the iv that makes the block read `{"phoneNumber":"`.
fn splice(sealed: &Sealed, block: usize) -> Sealed {
    let ciphertext = base64(&sealed.encrypted_data).unwrap();
    let before = &ciphertext[(block - 1) * 16..block * 16];
    let wanted = br#"{"phoneNumber":""#;
    let iv: Vec<u8> = before.iter().zip(wanted).map(|(before, wanted)| before ^ b'x' ^ wanted).collect();
    let encrypted_data = to_base64(&ciphertext[block * 16..]);
    Sealed { encrypted_data, iv: to_base64(iv), ..sealed.clone() }
}

/// Decrypted as what it is, it reads as a phone number with a genuine watermark.
async fn opens_as_phone_data(gateway: &Gateway, user: &User, forged: &Sealed) -> bool {
    let login = json!({
        "code": gateway.simulator().issue(&json!({ "appid": APP, "openid": user.openid, "rotate": false })).await.code,
        "encryptedData": forged.encrypted_data, "iv": forged.iv,
    });
    let data = gateway.client().login(APP, &login).await.ok()["user_data"].clone();
    data["phoneNumber"] == "13800138000" && data["watermark"]["appid"] == APP
}

#[tokio::test]
async fn data_that_wechat_does_not_know_is_kept_unverified_and_found_by_nobody() {
    let gateway = Gateway::dev().await;
    let (mallory, ada) = (User::new(&gateway).await, User::new(&gateway).await);
    let payload = json!({
        "phoneNumber": "13800138000", "purePhoneNumber": "13800138000", "countryCode": "86",
        "watermark": { "timestamp": gateway.simulator().seconds().await, "appid": APP },
    });
    let sealed = seal(&gateway, &mallory, json!({ "kind": "raw", "payload": payload })).await;
    let bound = mallory.send(&gateway, body(&sealed)).await.ok();
    assert_eq!(bound["phone"], shown("+86 138****8000", false));
    assert_eq!(mallory.me(&gateway).await["phone_verified"], false);
    let find = json!({ "tenant": "demo", "phone": "+8613800138000" });
    assert_eq!(gateway.operator().post("/users/find", &find).await.ok()["items"], json!([]), "it is no lookup");
    // Nor is it in the way of whoever really has the number.
    assert_eq!(ada.bind(&gateway, "13800138000").await.ok()["outcome"], "bound");
    let taken = mallory.bind(&gateway, "13800138000").await.refused(409, "PHONE_TAKEN");
    assert_eq!(taken["candidate"]["phone_masked"], "+86 138****8000");

    // It takes no verified number's place, not even for the user themself.
    let mut other = payload;
    for field in ["phoneNumber", "purePhoneNumber"] {
        other[field] = json!("13900139000");
    }
    let sealed = seal(&gateway, &ada, json!({ "kind": "raw", "payload": other })).await;
    ada.send(&gateway, body(&sealed)).await.refused(409, "PHONE_UNCONFIRMED");
}

/// Each question costs a call, so nobody asks without end; what does not open is no question.
#[tokio::test]
async fn the_day_s_questions_about_data_end_for_one_user_and_phone_codes_go_on() {
    let gateway = Gateway::dev().await;
    let ada = User::new(&gateway).await;
    let policy = json!({ "policy": { "phone_data_per_user_day": 1 } });
    gateway.operator().patch(&format!("/apps/{APP}"), &policy).await.ok();
    let phone = json!({ "kind": "phone", "phone": "13800138000" });
    let sealed = seal(&gateway, &ada, phone.clone()).await;
    let refused = within(PATIENCE, "the budget ends", async || {
        let reply = ada.send(&gateway, body(&sealed)).await;
        (reply.status != 200).then_some(reply)
    });
    let refused = refused.await.refused(429, "RATE_LIMITED");
    assert_eq!(refused["action"], "stop");
    assert!((1..=86_400).contains(&refused["retry_after"].as_u64().unwrap()), "{refused}");
    let calls = gateway.simulator().calls_of(CONFIRM).await;
    let sealed = seal(&gateway, &ada, phone).await;
    ada.send(&gateway, body(&sealed)).await.refused(429, "RATE_LIMITED");
    assert_eq!(gateway.simulator().calls_of(CONFIRM).await, calls);

    assert_eq!(ada.bind(&gateway, "13800138000").await.ok()["outcome"], "already_yours", "codes are counted apart");
    let eve = User::new(&gateway).await;
    let nonsense = seal(&gateway, &eve, json!({ "kind": "user_info" })).await;
    for _ in 0..2 {
        eve.send(&gateway, body(&nonsense)).await.refused(409, "SESSION_KEY_STALE");
    }
    let hers = seal(&gateway, &eve, json!({ "kind": "phone", "phone": "13900139000" })).await;
    // A question that WeChat did not answer costs nothing.
    gateway.simulator().fault(json!({ "route": CONFIRM, "kind": "busy" })).await;
    eve.send(&gateway, body(&hers)).await.refused(503, "UPSTREAM_BUSY");
    assert_eq!(eve.send(&gateway, body(&hers)).await.ok()["outcome"], "bound", "it is hers alone");
}

#[tokio::test]
async fn data_of_another_kind_or_with_another_field_is_refused_alike() {
    let gateway = Gateway::dev().await;
    let ada = User::new(&gateway).await;
    let now = gateway.simulator().seconds().await;
    let whole = json!({
        "phoneNumber": "13800138000", "purePhoneNumber": "13800138000", "countryCode": "86",
        "watermark": { "timestamp": now, "appid": APP },
    });
    let with = |field: &str, value: Value| {
        let mut payload = whole.clone();
        payload[field] = value;
        payload
    };
    for payload in [
        with("nickName", json!("Ada")),
        with("purePhoneNumber", json!("13900139000")),
        with("countryCode", json!("abc")),
        with("watermark", json!({ "timestamp": now - 3_600, "appid": APP })),
        with("watermark", json!({ "timestamp": now, "appid": "wxother" })),
    ] {
        let sealed = seal(&gateway, &ada, json!({ "kind": "raw", "payload": payload })).await;
        ada.send(&gateway, body(&sealed)).await.refused(409, "SESSION_KEY_STALE");
    }
    let twice = serde_json::to_string(&whole).unwrap().replacen('{', r#"{"phoneNumber":"13800138000","#, 1);
    let sealed = seal(&gateway, &ada, json!({ "kind": "raw", "payload": twice })).await;
    ada.send(&gateway, body(&sealed)).await.refused(409, "SESSION_KEY_STALE");
    assert_eq!(ada.me(&gateway).await.get("phone_masked"), None);
}
