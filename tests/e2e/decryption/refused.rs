//! Data that does not open, or should not: one outcome for all causes, which only a metric tells apart.

use serde_json::{Value, json};
use wxgate_crypto::encoding::{base64, to_base64};

use super::{assert_stale, body, seal, signed};
use crate::harness::simulator::{Issued, Sealed};
use crate::harness::{APP, Gateway, OTHER_APP, all_equal};

/// What stands between the marks `"user_data_error":{` and `}` of a reply, byte for byte.
fn error_text(text: &str) -> String {
    let (_, rest) = text.split_once("\"user_data_error\":").unwrap();
    rest[..=rest.find('}').unwrap()].to_owned()
}

/// The ciphertext with its bytes changed.
fn altered(sealed: &Sealed, change: impl FnOnce(&mut Vec<u8>)) -> Sealed {
    let mut bytes = base64(&sealed.encrypted_data).unwrap();
    change(&mut bytes);
    Sealed { encrypted_data: to_base64(bytes), ..sealed.clone() }
}

/// A payload as WeChat would send it, with one thing changed.
async fn payload(gateway: &Gateway, issued: &Issued, change: impl FnOnce(&mut Value)) -> Sealed {
    let mut payload = json!({
        "openId": issued.openid,
        "nickName": "阿白",
        "watermark": { "timestamp": gateway.simulator().seconds().await, "appid": APP },
    });
    change(&mut payload);
    seal(gateway, issued, &payload).await
}

/// Where the failures of these causes stand in `/metrics`, in all.
async fn failures(gateway: &Gateway, causes: &[&str]) -> u64 {
    let mut all = 0;
    for cause in causes {
        all += gateway.metric(&format!("wxgate_decrypt_failures_total{{cause=\"{cause}\"}}")).await;
    }
    all
}

/// Sends one thing after another as a new person's login each, and tells that all failed alike, for these causes.
async fn fails_alike(gateway: &Gateway, cases: &[(&[&str], Issued, Value)]) {
    let mut texts = Vec::new();
    for (causes, issued, body) in cases {
        let before = failures(gateway, causes).await;
        let mut sent = body.clone();
        sent["code"] = json!(issued.code);
        let reply = gateway.client().login(APP, &sent).await;
        let value = assert_stale(&reply);
        assert_eq!(value["user"]["openid"], issued.openid, "the code is good, so the session is theirs");
        assert!(value["user"].get("nickname").is_none(), "nothing of it is kept: {value}");
        texts.push(error_text(&reply.text));
        assert_eq!(failures(gateway, causes).await, before + 1, "{causes:?}");
    }
    assert_eq!(all_equal(texts), r#"{"code":"SESSION_KEY_STALE","action":"relogin_then_reauthorize"}"#);
}

/// One thing that is wrong with a payload.
type Change = Box<dyn FnOnce(&mut Value)>;

/// What a wrong key leaves behind is noise, and noise fails at one of these.
const NOISE: &[&str] = &["padding", "utf8", "json"];

#[tokio::test]
async fn refuses_all_bad_ciphertexts_with_the_same_bytes() {
    let gateway = Gateway::dev().await;
    let simulator = gateway.simulator();
    let mut cases: Vec<(&[&str], Issued, Value)> = Vec::new();

    // Sealed for another user, and for the same person in another app.
    let (issued, stranger) = (simulator.code(APP).await, simulator.code(APP).await);
    cases.push((NOISE, issued, body("", &simulator.user_info(APP, &stranger.openid).await)));
    let (issued, elsewhere) = (simulator.code(APP).await, simulator.code(OTHER_APP).await);
    cases.push((NOISE, issued, body("", &simulator.user_info(OTHER_APP, &elsewhere.openid).await)));

    // Flipped at the front, in the middle, at the end.
    let alterations: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes[0] ^= 0x80,
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x80;
        },
        |bytes| *bytes.last_mut().unwrap() ^= 0x01,
        |bytes| bytes.rotate_left(16),
        |bytes| {
            bytes.drain(..16);
        },
    ];
    for alteration in alterations {
        let issued = simulator.code(APP).await;
        let sealed = simulator.user_info(APP, &issued.openid).await;
        cases.push((NOISE, issued, body("", &altered(&sealed, alteration))));
    }

    // Cut: what is the last block now does not end in padding.
    let issued = simulator.code(APP).await;
    let sealed = simulator.user_info(APP, &issued.openid).await;
    let cut = altered(&sealed, |bytes| bytes.truncate(bytes.len() - 16));
    cases.push((&["padding"], issued, body("", &cut)));

    // Under another iv the first block is noise.
    let issued = simulator.code(APP).await;
    let sealed = simulator.user_info(APP, &issued.openid).await;
    let other_iv = Sealed { iv: to_base64([0x80; 16]), ..sealed };
    cases.push((&["utf8", "json"], issued, body("", &other_iv)));

    fails_alike(&gateway, &cases).await;
}

#[tokio::test]
async fn refuses_what_opens_but_is_not_this_user_s_of_this_app_of_now() {
    let gateway = Gateway::dev().await;
    let simulator = gateway.simulator();
    let now = simulator.seconds().await;
    let set = |path: &'static str, value: Value| -> Change {
        Box::new(move |payload: &mut Value| *payload.pointer_mut(path).unwrap() = value)
    };
    let changes: Vec<(&[&str], Change)> = vec![
        (&["openid"], set("/openId", json!("oSomebodyElse"))),
        (&["openid"], set("/openId", json!(""))),
        (&["appid"], set("/watermark/appid", json!(OTHER_APP))),
        (&["appid"], set("/watermark/appid", json!(APP.to_uppercase()))),
        (&["stale"], set("/watermark/timestamp", json!(now - 700))),
        (&["stale"], set("/watermark/timestamp", json!(now + 700))),
        (&["stale"], set("/watermark/timestamp", json!(0))),
        (&["stale"], set("/watermark/timestamp", json!(i64::MIN))),
        (&["stale"], set("/watermark/timestamp", json!(i64::MAX))),
        (&["watermark"], set("/watermark", json!(null))),
        (&["watermark"], set("/watermark", json!([]))),
        (&["watermark", "appid"], set("/watermark/appid", json!(null))),
        (&["watermark", "stale"], set("/watermark/timestamp", json!(now.to_string()))),
        (&["watermark", "stale"], set("/watermark/timestamp", json!(f64::MAX))),
        (
            &["watermark"],
            Box::new(|payload: &mut Value| {
                payload.as_object_mut().unwrap().remove("watermark");
            }),
        ),
    ];
    let mut cases: Vec<(&[&str], Issued, Value)> = Vec::new();
    for (causes, change) in changes {
        let issued = simulator.code(APP).await;
        let sealed = payload(&gateway, &issued, change).await;
        cases.push((causes, issued, body("", &sealed)));
    }
    fails_alike(&gateway, &cases).await;
}

#[tokio::test]
async fn refuses_what_opens_but_has_more_than_one_meaning_or_none() {
    let gateway = Gateway::dev().await;
    let simulator = gateway.simulator();
    let now = simulator.seconds().await;
    let mut cases: Vec<(&[&str], Issued, Value)> = Vec::new();
    for text in [
        "",
        "not json",
        "null",
        "[]",
        "\"text\"",
        r#"{"watermark":{"timestamp":NOW,"appid":"APP"}"#,
        r#"{"watermark":{"timestamp":NOW,"appid":"APP"}} trailing"#,
        r#"{"openId":"oOther","openId":"OPENID","watermark":{"timestamp":NOW,"appid":"APP"}}"#,
        r#"{"watermark":{"timestamp":NOW,"appid":"other","appid":"APP"}}"#,
        r#"{"watermark":{},"watermark":{"timestamp":NOW,"appid":"APP"}}"#,
    ] {
        let issued = simulator.code(APP).await;
        let text = text.replace("NOW", &now.to_string()).replace("APP", APP).replace("OPENID", &issued.openid);
        let sealed = seal(&gateway, &issued, &json!(text)).await;
        cases.push((&["json"], issued, body("", &sealed)));
    }
    fails_alike(&gateway, &cases).await;
}

#[tokio::test]
async fn refuses_plain_data_whose_signature_is_not_this_user_s() {
    let gateway = Gateway::dev().await;
    let simulator = gateway.simulator();
    let mut cases: Vec<(&[&str], Issued, Value)> = Vec::new();
    let stranger = simulator.code(APP).await;
    let of_stranger = simulator.user_info(APP, &stranger.openid).await;
    for case in 0..6 {
        let issued = simulator.code(APP).await;
        let sealed = simulator.user_info(APP, &issued.openid).await;
        let mut sent = signed("", &sealed);
        match case {
            0 => sent["signature"] = json!(of_stranger.signature),
            1 => sent["rawData"] = json!(sealed.raw_data.replace("小程序用户", "管理员")),
            2 => sent["rawData"] = json!(format!("{} ", sealed.raw_data)),
            3 => sent["signature"] = json!(""),
            4 => sent["signature"] = json!("0".repeat(40)),
            // Ciphertext that opens does not help plain data that is not signed.
            _ => {
                sent = body("", &sealed);
                sent["rawData"] = json!(sealed.raw_data);
                sent["signature"] = json!(of_stranger.signature);
            }
        }
        cases.push((&["signature"], issued, sent));
    }
    fails_alike(&gateway, &cases).await;
}

#[tokio::test]
async fn a_watermark_may_be_ten_minutes_off_either_way() {
    let gateway = Gateway::dev().await;
    let now = gateway.simulator().seconds().await;
    // Half a minute less, for a slow machine.
    for timestamp in [now - 570, now + 570] {
        let issued = gateway.simulator().code(APP).await;
        let sealed = payload(&gateway, &issued, |payload| payload["watermark"]["timestamp"] = json!(timestamp)).await;
        let reply = gateway.client().login(APP, &body(&issued.code, &sealed)).await.ok();
        assert_eq!(reply["user_data"]["watermark"]["timestamp"], timestamp);
    }
}
