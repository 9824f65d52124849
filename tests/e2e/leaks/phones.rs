//! Phone numbers at TRACE: bound, looked for, taken, forged; and nowhere to be read but masked.

use reqwest::Method;
use serde_json::{Value, json};

use super::canaries::Canaries;
use super::{Told, folder, talkative};
use crate::harness::{APP, Gateway};

/// Longer than any real one, so that it is told from chance.
const NUMBER: &str = "1384751936042";

#[tokio::test]
async fn no_phone_number_is_written_down_or_told() {
    let mut gateway = talkative().await;
    let mut canaries = Canaries::default();
    canaries.secret("phone number", NUMBER);
    let mut told = Told::default();
    let ada = gateway.simulator().code(APP).await;
    let phone_code = gateway.simulator().phone_code_of(APP, &ada.openid, NUMBER).await;
    canaries.secret("phone code", &phone_code);
    let body = json!({ "code": ada.code, "phoneCode": phone_code });
    let login = gateway.client().login(APP, &body).await;
    let pair = login.ok();
    assert_eq!(pair["phone"]["masked"], "+86 138****6042");
    told.hear(&login, &mut canaries);
    told.hear(&gateway.client().login(APP, &body).await, &mut canaries);
    user(&gateway, &pair, &ada.openid, (&mut told, &mut canaries)).await;

    let eve = gateway.simulator().code(APP).await;
    let other = gateway.client().login_with(APP, &eve.code).await.ok();
    let theirs = gateway.simulator().phone_code_of(APP, &eve.openid, NUMBER).await;
    let proof = gateway.simulator().code_of(APP, &eve.openid).await.code;
    for body in [
        json!({ "phoneCode": theirs }),
        json!({ "phoneCode": theirs, "move": true, "code": proof }),
        json!({ "phoneCode": phone_code }),
    ] {
        told.hear(&send(&gateway, &other, body).await, &mut canaries);
    }
    let operator = gateway.operator();
    for phone in [format!("+86{NUMBER}"), NUMBER.to_owned()] {
        let find = json!({ "tenant": "demo", "phone": phone });
        told.hear(&operator.post("/users/find", &find).await, &mut canaries);
    }
    told.hear(&operator.get("/users?tenant=demo").await, &mut canaries);
    told.hear(&operator.get("/audit?tenant=demo").await, &mut canaries);
    for text in &told.0 {
        canaries.search("a reply", text.as_bytes());
    }
    folder::search(&gateway, &canaries);
    assert!(gateway.terminate().await.success());
    folder::search(&gateway, &canaries);
}

/// What the owner asks, with data that WeChat made and data that it did not.
async fn user(gateway: &Gateway, pair: &Value, openid: &str, (told, canaries): (&mut Told, &mut Canaries)) {
    let payload = json!({
        "phoneNumber": NUMBER, "purePhoneNumber": NUMBER, "countryCode": "86",
        "watermark": { "timestamp": gateway.simulator().seconds().await, "appid": APP },
    });
    for body in [
        json!({ "appid": APP, "openid": openid, "kind": "phone", "phone": NUMBER }),
        json!({ "appid": APP, "openid": openid, "kind": "raw", "payload": payload }),
    ] {
        let sealed = gateway.simulator().encrypt(&body).await;
        let data = json!({ "encryptedData": sealed.encrypted_data, "iv": sealed.iv });
        let reply = send(gateway, pair, data).await;
        reply.ok();
        told.hear(&reply, canaries);
    }
    let bearer = pair["access_token"].as_str().unwrap();
    let me = gateway.client().request(Method::GET, "/v1/me").bearer_auth(bearer);
    told.hear(&gateway.client().send(me).await, canaries);
}

async fn send(gateway: &Gateway, pair: &Value, body: Value) -> crate::harness::Reply {
    let bearer = pair["access_token"].as_str().unwrap();
    let request = gateway.client().request(Method::POST, "/v1/me/phone").bearer_auth(bearer);
    gateway.client().send(request.json(&body)).await
}
