//! Every verified vector of the capabilities that this crate has, negative cases with their stage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may")]

use serde_json::Value;
use wxgate_crypto::Secret;
use wxgate_crypto::user_data::{EncryptedUserData, Expected, Failure, Freshness, SessionKey};

fn cases(section: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(include_str!("wechat-crypto.json")).unwrap();
    let cases = document[section].as_array().unwrap().clone();
    assert_eq!(u64::try_from(cases.len()).unwrap(), document["counts"][section].as_u64().unwrap());
    cases
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap()
}

fn session_key(case: &Value) -> Result<SessionKey, Failure> {
    SessionKey::parse(Secret::new(text(case, "session_key").to_owned()))
}

fn open(case: &Value) -> Result<Value, Failure> {
    let key = session_key(case);
    let data = EncryptedUserData::parse(text(case, "encrypted_data"), text(case, "iv"));
    // The document checks base64 of all three inputs before any length.
    if key.as_ref().err() == Some(&Failure::Base64) || data.as_ref().err() == Some(&Failure::Base64) {
        return Err(Failure::Base64);
    }
    let freshness = case["now"].as_i64().map(|now| Freshness {
        now,
        max_age: case["max_age_seconds"].as_i64().unwrap(),
        max_ahead: case["max_future_skew_seconds"].as_i64().unwrap(),
    });
    let expected = Expected { appid: text(case, "appid"), openid: case["expected_openid"].as_str(), freshness };
    let key = key?;
    data?.open(&key, &expected).map(Value::Object)
}

fn stage(failure: Failure) -> &'static [&'static str] {
    match failure {
        Failure::Base64 => &["bad_base64"],
        Failure::KeyLength => &["bad_key_length"],
        Failure::IvLength => &["bad_iv_length"],
        Failure::CiphertextLength => &["bad_ciphertext_length"],
        Failure::Padding => &["bad_padding"],
        Failure::Utf8 => &["bad_utf8"],
        Failure::Json => &["bad_json"],
        Failure::Watermark => &["watermark_missing"],
        Failure::Appid => &["watermark_appid_mismatch"],
        Failure::Stale => &["watermark_expired", "watermark_in_future"],
        Failure::Openid => &["openid_mismatch"],
        Failure::Signature => &["bad_signature"],
    }
}

#[test]
fn open_data() {
    for case in cases("open_data") {
        let id = text(&case, "id");
        match (text(&case, "expect"), open(&case)) {
            ("ok", Ok(json)) => assert_eq!(json, case["json"], "{id}"),
            ("error", Err(failure)) => assert!(stage(failure).contains(&text(&case, "error")), "{id}: {failure:?}"),
            (expect, outcome) => panic!("{id}: expected {expect}, got {outcome:?}"),
        }
    }
}

#[test]
fn raw_data_signature() {
    for case in cases("raw_data_signature") {
        let signed = session_key(&case).unwrap().signed(text(&case, "raw_data"), text(&case, "signature"));
        assert_eq!(signed, text(&case, "expect") == "ok", "{}", text(&case, "id"));
    }
}
