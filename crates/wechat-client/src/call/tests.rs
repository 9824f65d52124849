//! WeChat's own examples of signed and encrypted messages, each as the answer to a call over HTTP.

#[path = "../../tests/support/upstream.rs"]
mod upstream;

use std::time::Duration;

use rcgen::{KeyPair, PKCS_RSA_SHA256};
use wxgate_crypto::Secret;
use wxgate_crypto::api_security::{ApiSecurityFailure, PlatformKey, RequestKey, SymmetricKey};
use wxgate_crypto::encoding::to_base64;

use self::upstream::{Answer, Upstream, http};
use super::*;
use crate::base_url::BaseUrl;
use crate::client::ClientConfig;

/// Where WeChat's examples were called.
const WECHAT: &str = "https://api.weixin.qq.com";

fn cases() -> Vec<Value> {
    let document: Value = serde_json::from_str(include_str!("../../../crypto/tests/wechat-crypto.json")).unwrap();
    let cases = document["api_security"].as_array().unwrap().clone();
    assert_eq!(u64::try_from(cases.len()).unwrap(), document["counts"]["api_security"].as_u64().unwrap());
    cases
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap()
}

/// The keys of an example. Ours to sign calls with is in none of them, and is made up.
fn keys(case: &Value) -> Result<ApiSecurity, ApiSecurityFailure> {
    let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", to_base64(pair.serialize_der()));
    let symmetric = SymmetricKey::parse(text(case, "sym_sn"), &Secret::new(text(case, "sym_key").to_owned()))?;
    let platform = PlatformKey::parse(text(case, "public_key_sn"), text(case, "public_key_pem"))?;
    Ok(ApiSecurity { symmetric, signer: RequestKey::parse(&Secret::new(pem)).unwrap(), platform: vec![platform] })
}

/// WeChat, which answers with an example, byte for byte.
async fn answering(case: &Value) -> Upstream {
    let headers = format!(
        "Content-Type: application/json\r\nWechatmp-Appid: {}\r\nWechatmp-TimeStamp: {}\r\n\
         Wechatmp-Serial: {}\r\nWechatmp-Signature: {}\r\n",
        text(case, "appid"),
        case["timestamp"],
        text(case, "public_key_sn"),
        text(case, "signature"),
    );
    Upstream::answering([Answer::Keep(http("200 OK", &headers, text(case, "body")))]).await
}

/// Calls WeChat as it was called in the examples, through a relay: the server of the test.
fn client(upstream: &Upstream) -> Client {
    Client::new(ClientConfig {
        base_url: BaseUrl::parse(&upstream.url(), true).unwrap(),
        signed_url: Some(BaseUrl::wechat()),
        connect_timeout: Duration::from_secs(10),
        total_timeout: Duration::from_secs(30),
        ..ClientConfig::default()
    })
    .unwrap()
}

async fn call(client: &Client, case: &Value, keys: &ApiSecurity) -> Result<Map<String, Value>, CallError> {
    let (appid, token) = (text(case, "appid").parse().unwrap(), AccessToken::parse("89_token".to_owned()).unwrap());
    let (now, certificate_ends) =
        (Timestamp::from_millis(case["now"].as_i64().unwrap() * 1000), AtomicBool::new(false));
    let security = Some(Security { keys, now, certificate_ends: &certificate_ends });
    let access = Access { security, ..Access::plain(&appid, &token) };
    let route = text(case, "url").strip_prefix(WECHAT).unwrap();
    client.0.post_as(&access, route, Map::new(), &mut client.0.budget()).await
}

/// What a whole example means: the fields inside without those of the protection, or the check that fails.
fn expected(case: &Value) -> Result<Map<String, Value>, CallError> {
    let failure = match case["error"].as_str() {
        None => {
            let mut plain: Map<_, _> = serde_json::from_str(text(case, "plaintext")).unwrap();
            plain.retain(|name, _| !name.starts_with('_'));
            return Ok(plain);
        }
        Some("bad_signature") => ApiSecurityFailure::Signature,
        Some("bad_tag") => ApiSecurityFailure::Tag,
        Some("field_mismatch") => ApiSecurityFailure::Fields,
        Some("stale") => ApiSecurityFailure::Stale,
        Some(other) => panic!("{other}"),
    };
    Err(BadResponse::Protection(failure).into())
}

#[tokio::test]
async fn every_example_is_judged_as_wechat_says_when_it_comes_over_http() {
    let mut opened = 0;
    for case in cases() {
        let id = text(&case, "id");
        if text(&case, "cipher") == "SM4_GCM" {
            // That suite is not offered: its keys do not read, so no call is ever made under them.
            assert!(SymmetricKey::parse("sm4", &Secret::new(text(&case, "sym_key").to_owned())).is_err(), "{id}");
            continue;
        }
        let upstream = answering(&case).await;
        let result = call(&client(&upstream), &case, &keys(&case).unwrap()).await;
        assert_eq!(result, expected(&case), "{id}");
        opened += usize::from(result.is_ok());
        let request = upstream.seen().requests[0].to_ascii_lowercase();
        assert!(
            request.contains("wechatmp-signature: ") && request.contains("wechatmp-timestamp: "),
            "{id}: {request}"
        );
    }
    assert_eq!(opened, 4, "both ways of both apps");
}

#[tokio::test]
async fn an_example_of_another_key_time_or_moment_is_refused() {
    let cases = cases();
    let case = cases.iter().find(|case| text(case, "id") == "api-response").unwrap();
    let with = |field: &str, value: Value| {
        let mut changed = case.clone();
        changed[field] = value;
        changed
    };
    let of = |case: &Value| keys(case).unwrap();
    let other_key = with("sym_key", to_base64([7; 32]).into());
    let other_serial = with("public_key_sn", "another".into());
    for (sent, keys, refused) in [
        (case, of(&other_serial), ApiSecurityFailure::Serial),
        (case, of(&other_key), ApiSecurityFailure::Tag),
        (case, of(&with("sym_sn", "another".into())), ApiSecurityFailure::Tag),
        (&with("timestamp", 1_700_000_602.into()), of(case), ApiSecurityFailure::Signature),
        (&with("now", 1_700_000_902.into()), of(case), ApiSecurityFailure::Stale),
        (&with("appid", "wxffffffffffffffff".into()), of(case), ApiSecurityFailure::Signature),
    ] {
        let upstream = answering(sent).await;
        let result = call(&client(&upstream), sent, &keys).await;
        assert_eq!(result, Err(BadResponse::Protection(refused).into()), "{refused:?}");
    }
}

#[tokio::test]
async fn an_answer_serves_once() {
    let cases = cases();
    let case = cases.iter().find(|case| text(case, "id") == "api-response").unwrap();
    let (upstream, keys) = (answering(case).await, keys(case).unwrap());
    let client = client(&upstream);
    call(&client, case, &keys).await.unwrap();
    assert_eq!(call(&client, case, &keys).await, Err(BadResponse::Replayed.into()));
    upstream.requests(2).await;
}
