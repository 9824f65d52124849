//! Signed and encrypted calls, against a WeChat that has the other half of the keys.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "support/upstream.rs"]
mod upstream;

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData};
use serde_json::{Value, json};
use upstream::{Answer, Upstream, http, wechat};
use wxgate_crypto::api_security::{
    ApiSecurity, ApiSecurityFailure, Binding, PlatformKey, RequestKey, SealedAnswer, SymmetricKey,
};
use wxgate_crypto::encoding::to_base64;
use wxgate_crypto::{Random, Secret};
use wxgate_domain::{PhoneNumber, Timestamp};
use wxgate_wechat_client::{
    Access, AccessToken, BadResponse, BaseUrl, CallError, Client, ClientConfig, PhoneCode, Security,
};

const APPID: &str = "wx0000000000000001";
const ROUTE: &str = "/wxa/business/getuserphonenumber";
const NOW: i64 = 1_700_000_000;

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", to_base64(der))
}

/// One pair serves for both sides: what we send verifies with the same key as what we get.
fn keys() -> &'static ApiSecurity {
    static KEYS: OnceLock<ApiSecurity> = OnceLock::new();
    KEYS.get_or_init(|| {
        let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        ApiSecurity {
            symmetric: SymmetricKey::parse("sym", &Secret::new(to_base64([7; 32]))).unwrap(),
            signer: RequestKey::parse(&Secret::new(pem("PRIVATE KEY", &pair.serialize_der()))).unwrap(),
            platform: vec![
                PlatformKey::parse("platform", &pem("PUBLIC KEY", &pair.subject_public_key_info())).unwrap(),
            ],
        }
    })
}

fn success() -> Value {
    json!({"errcode": 0, "errmsg": "ok", "phone_info": {"phoneNumber": "13800138000",
        "purePhoneNumber": "13800138000", "countryCode": "86", "watermark": {"timestamp": NOW, "appid": APPID}}})
}

/// WeChat's protected answer to a call at this address.
fn answer(url: &str, fields: &Value, at: i64, serial: &str) -> Answer {
    let binding = Binding { url, appid: APPID, timestamp: at };
    let sealed = keys().seal(&binding, fields.as_object().unwrap().clone(), &Random::seeded(1)).unwrap();
    let headers = format!(
        "Wechatmp-Appid: {APPID}\r\nWechatmp-TimeStamp: {at}\r\nWechatmp-Serial: {serial}\r\nWechatmp-Signature: {}\r\n",
        sealed.signature
    );
    Answer::Keep(http("200 OK", &headers, &sealed.body))
}

async fn call(upstream: &Upstream) -> Result<PhoneNumber, CallError> {
    let client = Client::new(ClientConfig {
        base_url: BaseUrl::parse(&upstream.url(), true).unwrap(),
        connect_timeout: Duration::from_secs(10),
        total_timeout: Duration::from_secs(30),
        ..ClientConfig::default()
    })
    .unwrap();
    let (appid, token) = (APPID.parse().unwrap(), AccessToken::parse("89_token".to_owned()).unwrap());
    let certificate_ends = AtomicBool::new(false);
    let now = Timestamp::from_millis(NOW * 1000);
    let security = Security { keys: keys(), now, certificate_ends: &certificate_ends };
    let access = Access { security: Some(security), ..Access::plain(&appid, &token) };
    client.phone_number(&access, &PhoneCode::parse("abc").unwrap(), &"oAlice".parse().unwrap()).await
}

#[tokio::test]
async fn a_call_goes_out_sealed_and_its_answer_is_opened() {
    let upstream =
        Upstream::answering_at(|url| vec![answer(&format!("{url}{ROUTE}"), &success(), NOW, "platform")]).await;
    assert_eq!(call(&upstream).await.unwrap().national(), "13800138000");

    let request = upstream.seen().requests[0].clone();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("POST {ROUTE}?access_token=89_token HTTP/1.1\r\n")), "{head}");
    assert!(!body.contains("abc") && !body.contains("oAlice"));
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: "))).unwrap();
        line.split_once(": ").unwrap().1
    };
    assert_eq!((header("wechatmp-appid"), header("wechatmp-timestamp")), (APPID, "1700000000"));
    let signatures = [("platform", header("wechatmp-signature"))];
    let sent = SealedAnswer { appid: APPID, timestamp: NOW, signatures: &signatures, body };
    let opened = keys().open(&format!("{}{ROUTE}", upstream.url()), APPID, &sent, NOW).unwrap();
    assert_eq!(Value::Object(opened), json!({"code": "abc", "openid": "oAlice"}));
}

#[tokio::test]
async fn a_refusal_may_come_in_clear_and_a_success_may_not() {
    let refusal = r#"{"errcode":40234,"errmsg":"invalid signature rid: 652d44d0-1d0af18b-5b069232"}"#;
    let upstream = Upstream::answering([wechat(refusal), wechat(&success().to_string())].map(Answer::Keep)).await;
    assert!(matches!(call(&upstream).await, Err(CallError::Refused(refused)) if refused.errcode == 40234));
    assert_eq!(call(&upstream).await, Err(CallError::BadResponse(BadResponse::Unprotected)));
}

#[tokio::test]
async fn protection_that_does_not_hold_is_no_answer() {
    let upstream = Upstream::answering_at(|url| {
        let here = format!("{url}{ROUTE}");
        vec![
            answer(&here, &success(), NOW, "unknown"),
            answer(&format!("{url}/wxa/other"), &success(), NOW, "platform"),
            answer(&here, &success(), NOW - 301, "platform"),
            answer(&here, &json!({"errcode": 40029, "errmsg": "invalid code"}), NOW, "platform"),
        ]
    })
    .await;
    for expected in [ApiSecurityFailure::Serial, ApiSecurityFailure::Signature, ApiSecurityFailure::Stale] {
        assert_eq!(call(&upstream).await, Err(CallError::BadResponse(BadResponse::Protection(expected))));
    }
    assert!(matches!(call(&upstream).await, Err(CallError::Refused(refused)) if refused.errcode == 40029));
}
