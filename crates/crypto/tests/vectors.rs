//! Every verified vector of the capabilities that this crate has, negative cases with their stage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may")]

use serde_json::Value;
use wxgate_crypto::Secret;
use wxgate_crypto::api_security::{ApiSecurityFailure, Binding, PlatformKey, SymmetricKey};
use wxgate_crypto::push::{Answer, EncodingAesKey, PushFailure, PushKeys, PushToken, Stamp, encrypt_of};
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

#[test]
fn session_signature() {
    for case in cases("session_signature") {
        let signature = session_key(&case).unwrap().signature_of(text(&case, "payload").as_bytes());
        assert_eq!(signature, text(&case, "signature"), "{}", text(&case, "id"));
    }
}

fn token(case: &Value) -> PushToken {
    PushToken::parse(text(case, "token")).unwrap()
}

fn stamp(query: &Value) -> Stamp<'_> {
    Stamp { timestamp: text(query, "timestamp"), nonce: text(query, "nonce") }
}

#[test]
fn push_url_verification() {
    for case in cases("push_url_verification") {
        let signed = token(&case).signs(&stamp(&case), text(&case, "signature"));
        assert_eq!(signed, text(&case, "expect") == "ok", "{}", text(&case, "id"));
    }
}

#[test]
fn push_plain() {
    for case in cases("push_plain") {
        let query = &case["query"];
        let signed = token(&case).signs(&stamp(query), text(query, "signature"));
        assert_eq!(signed, text(&case, "expect") == "ok", "{}", text(&case, "id"));
    }
}

/// A push, from its body to its message.
fn open_push(case: &Value) -> Result<String, PushFailure> {
    let encrypt = encrypt_of(text(case, "body").as_bytes())?;
    let query = &case["query"];
    let aes_key = |field| EncodingAesKey::parse(Secret::new(text(case, field).to_owned()));
    let current = aes_key("encoding_aes_key");
    if let Err(failure) = current {
        // Where a key comes from, it was checked long before; the document checks the signature first.
        let signed = token(case).signs_message(&stamp(query), &encrypt, text(query, "msg_signature"));
        return Err(if signed { failure } else { PushFailure::Signature });
    }
    let previous = case["previous_encoding_aes_key"].is_string().then(|| aes_key("previous_encoding_aes_key").unwrap());
    let keys = PushKeys { token: token(case), previous_token: None, current: current.unwrap(), previous };
    let opened = keys.open(&stamp(query), text(query, "msg_signature"), &encrypt, text(case, "appid"))?;
    Ok(String::from_utf8(opened.message.to_vec()).unwrap())
}

#[test]
fn push_decrypt() {
    for case in cases("push_decrypt") {
        let id = text(&case, "id");
        match (text(&case, "expect"), open_push(&case)) {
            ("ok", Ok(message)) => assert_eq!(message, text(&case, "plaintext"), "{id}"),
            ("error", Err(failure)) => {
                let expected = text(&case, "error").trim_start_matches("bad_").trim_end_matches("_mismatch");
                assert_eq!(failure.stage(), expected, "{id}");
            }
            (expect, outcome) => panic!("{id}: expected {expect}, got {outcome:?}"),
        }
    }
}

#[test]
fn push_reply() {
    for case in cases("push_reply") {
        let id = text(&case, "id");
        let current = EncodingAesKey::parse(Secret::new(text(&case, "encoding_aes_key").to_owned())).unwrap();
        let keys = PushKeys { token: token(&case), previous_token: None, current, previous: None };
        let answer = Answer {
            message: text(&case, "plaintext").as_bytes(),
            appid: text(&case, "appid"),
            timestamp: case["timestamp"].as_i64().unwrap(),
            nonce: text(&case, "nonce"),
        };
        let random = text(&case, "random16").as_bytes().try_into().unwrap();
        let reply = keys.reply(&keys.current, &answer, random);
        assert_eq!(reply.encrypt, text(&case, "encrypt"), "{id}");
        assert_eq!(reply.msg_signature, text(&case, "msg_signature"), "{id}");
        let body = if text(&case, "format") == "xml" { reply.to_xml() } else { reply.to_json() };
        assert_eq!(body, text(&case, "body"), "{id}");
    }
}

/// A signed and encrypted call or answer, whichever side made it.
fn open_secured(case: &Value) -> Result<serde_json::Map<String, Value>, ApiSecurityFailure> {
    let timestamp = case["timestamp"].as_i64().unwrap();
    let binding = Binding { url: text(case, "url"), appid: text(case, "appid"), timestamp };
    let body = text(case, "body");
    if text(case, "expect") == "ok" {
        assert_eq!(binding.string_to_sign(body), text(case, "string_to_sign"));
    }
    let symmetric = SymmetricKey::parse(text(case, "sym_sn"), &Secret::new(text(case, "sym_key").to_owned()))?;
    let platform = PlatformKey::parse(text(case, "public_key_sn"), text(case, "public_key_pem"))?;
    if !platform.verifies(&binding.string_to_sign(body), text(case, "signature")) {
        return Err(ApiSecurityFailure::Signature);
    }
    let fields = symmetric.open(&binding, body)?;
    if case["now"].as_i64().unwrap() - timestamp > 300 { Err(ApiSecurityFailure::Stale) } else { Ok(fields) }
}

#[test]
fn api_security() {
    for case in cases("api_security") {
        let id = text(&case, "id");
        let opened = open_secured(&case);
        if text(&case, "cipher") == "SM4_GCM" {
            // The suite is not offered, and the document leaves it to us: its keys do not read.
            assert_eq!(opened, Err(ApiSecurityFailure::Key), "{id}");
            continue;
        }
        let expected = match case["error"].as_str() {
            None => {
                let mut plain: serde_json::Map<_, _> = serde_json::from_str(text(&case, "plaintext")).unwrap();
                plain.retain(|name, _| !name.starts_with('_'));
                Ok(plain)
            }
            Some("bad_signature") => Err(ApiSecurityFailure::Signature),
            Some("bad_tag") => Err(ApiSecurityFailure::Tag),
            Some("field_mismatch") => Err(ApiSecurityFailure::Fields),
            Some(other) => {
                assert_eq!(other, "stale");
                Err(ApiSecurityFailure::Stale)
            }
        };
        assert_eq!(opened, expected, "{id}");
    }
}
