//! What cannot be WeChat's data at all is refused before the code is spent on it.

use reqwest::Method;
use serde_json::{Value, json};

use super::{body, signed};
use crate::harness::{APP, Gateway};

#[tokio::test]
async fn refuses_impossible_shapes_and_leaves_the_code_unspent() {
    let gateway = Gateway::dev().await;
    let (client, simulator) = (gateway.client(), gateway.simulator());
    let issued = simulator.code(APP).await;
    let sealed = simulator.user_info(APP, &issued.openid).await;
    let block = "AAAAAAAAAAAAAAAAAAAAAA==";
    let too_long = "A".repeat(48 * 1024 + 4);
    let pairs: [(Value, Value); 15] = [
        (json!(sealed.encrypted_data), json!(null)),
        (json!(null), json!(sealed.iv)),
        (json!(sealed.encrypted_data), json!("")),
        (json!(""), json!(sealed.iv)),
        (json!(sealed.encrypted_data), json!("AAAA")),
        (json!(sealed.encrypted_data), json!("AAAAAAAAAAAAAAAAAAAA")),
        (json!(sealed.encrypted_data), json!(format!("{block}{block}"))),
        (json!(sealed.encrypted_data), json!("not base64!")),
        (json!("AAAA"), json!(sealed.iv)),
        (json!("not base64!"), json!(sealed.iv)),
        (json!(format!(" {}", sealed.encrypted_data)), json!(sealed.iv)),
        (json!(&sealed.encrypted_data[1..]), json!(sealed.iv)),
        (json!(too_long), json!(sealed.iv)),
        (json!(["AAAA"]), json!(sealed.iv)),
        (json!(7), json!(7)),
    ];
    for (encrypted_data, iv) in pairs {
        let sent = json!({ "code": issued.code, "encryptedData": encrypted_data, "iv": iv });
        client.login(APP, &sent).await.refused(400, "REQUEST_INVALID");
    }
    for sent in [
        json!({ "code": issued.code, "rawData": sealed.raw_data }),
        json!({ "code": issued.code, "signature": sealed.signature }),
        json!({ "code": issued.code, "rawData": {}, "signature": sealed.signature }),
    ] {
        client.login(APP, &sent).await.refused(400, "REQUEST_INVALID");
    }
    assert_eq!(simulator.exchanges().await, 0);
    let reply = client.login(APP, &body(&issued.code, &sealed)).await.ok();
    assert_eq!(reply["user_data"]["openId"], issued.openid);
}

#[tokio::test]
async fn the_largest_ciphertext_is_tried() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    // 48 KiB of base64 are a whole number of blocks.
    let sent = json!({ "code": issued.code, "encryptedData": "A".repeat(48 * 1024), "iv": "AAAAAAAAAAAAAAAAAAAAAA==" });
    super::assert_stale(&gateway.client().login(APP, &sent).await);
}

/// A client that has a session_key got it from a server that leaked it, and whoever sends it can read it.
#[tokio::test]
async fn refuses_a_session_key_from_a_client_wherever_it_stands() {
    let gateway = Gateway::dev().await;
    let (client, simulator) = (gateway.client(), gateway.simulator());
    let issued = simulator.code(APP).await;
    let key = "tiihtNczf5v6AKRyjwEUhQ==";
    for name in ["session_key", "sessionKey", "SESSION_KEY", "sessionkey"] {
        for extra in [
            json!({ name: key }),
            json!({ "extra": { name: key } }),
            json!({ "extra": [1, { "deep": [{ name: key }] }] }),
            json!({ name: 7 }),
            json!({ name: [key] }),
            json!({ name: {} }),
        ] {
            let mut sent = json!({ "code": issued.code });
            sent.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let refused = client.login(APP, &sent).await;
            refused.refused(400, "FIELD_FORBIDDEN");
            assert!(!refused.text.contains(key));
            let mut sent = json!({ "platCode": issued.code });
            sent.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let tutorial = client.request(Method::POST, &format!("/apps/{APP}/user/wxlogin"));
            client.send(tutorial.json(&sent)).await.tutorial_refused(400, "FIELD_FORBIDDEN");
        }
    }
    assert!(!gateway.log().contains(key));
    assert_eq!(simulator.exchanges().await, 0);

    // Old client code sends the field empty: that tells nobody anything.
    let sent = json!({ "code": issued.code, "session_key": "", "sessionKey": null });
    client.login(APP, &sent).await.ok();
}

#[tokio::test]
async fn refuses_bodies_that_two_parsers_could_read_differently() {
    let gateway = Gateway::dev().await;
    let (client, simulator) = (gateway.client(), gateway.simulator());
    let issued = simulator.code(APP).await;
    let code = &issued.code;
    let path = format!("/v1/apps/{APP}/login");
    for text in [
        format!(r#"{{"code":"other","code":"{code}"}}"#),
        format!(r#"{{"code":"{code}","iv":"","iv":""}}"#),
        format!(r#"{{"code":"{code}"}}{{"code":"{code}"}}"#),
        format!(r#"{{"code":"{code}",}}"#),
        format!(r"{{'code':'{code}'}}"),
        format!("\u{feff}{{\"code\":\"{code}\"}}"),
        format!(r#"{{"code":"{code}","deep":[[[[[[[[[[1]]]]]]]]]]}}"#),
        format!(r#"{{"code":"{code}","half":"\ud800"}}"#),
        format!("code={code}"),
    ] {
        let request = client.request(Method::POST, &path).header("Content-Type", "application/json");
        client.send(request.body(text)).await.refused(400, "REQUEST_INVALID");
    }
    assert_eq!(simulator.exchanges().await, 0);
    let sealed = simulator.user_info(APP, &issued.openid).await;
    client.login(APP, &signed(code, &sealed)).await.ok();
}
