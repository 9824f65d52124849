use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const URL: &str = "https://api.weixin.qq.com/wxa/business/getuserphonenumber";
const APPID: &str = "wxb2efe114a63c2cf6";
const BINDING: Binding<'static> = Binding { url: URL, appid: APPID, timestamp: 1_700_000_000 };

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", encoding::to_base64(der))
}

/// Both sides: what we have, and what WeChat has, whose key pair is the same here.
fn keys() -> ApiSecurity {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
    ApiSecurity {
        symmetric: SymmetricKey::parse("sym", &Secret::new(encoding::to_base64([7; 32]))).unwrap(),
        signer: RequestKey::parse(&Secret::new(pem("PRIVATE KEY", private.as_ref()))).unwrap(),
        platform: vec![PlatformKey::parse("platform", &pem("PUBLIC KEY", public.as_ref())).unwrap()],
    }
}

fn sealed(keys: &ApiSecurity) -> SealedCall {
    let fields = json!({ "code": "a code", "openid": "oAlice" });
    keys.seal(&BINDING, fields.as_object().unwrap().clone(), &Random::seeded(1)).unwrap()
}

fn open(keys: &ApiSecurity, call: &SealedCall, serials: &[&str], now: i64) -> Result<Value, ApiSecurityFailure> {
    let signatures: Vec<_> = serials.iter().map(|serial| (*serial, call.signature.as_str())).collect();
    let answer = SealedAnswer { appid: APPID, timestamp: BINDING.timestamp, signatures: &signatures, body: &call.body };
    keys.open(URL, APPID, &answer, now).map(Value::Object)
}

#[test]
fn what_is_sealed_opens_without_the_fields_of_the_protection() {
    let keys = keys();
    let call = sealed(&keys);
    assert_eq!(open(&keys, &call, &["platform"], 1_700_000_300), Ok(json!({"code": "a code", "openid": "oAlice"})));
    assert_eq!(open(&keys, &call, &["platform"], 1_700_000_301), Err(ApiSecurityFailure::Stale));
    assert!(open(&keys, &call, &["platform"], 0).is_ok(), "only the past counts");
}

#[test]
fn a_signature_is_picked_by_its_serial() {
    let keys = keys();
    let call = sealed(&keys);
    assert!(open(&keys, &call, &["next", "platform"], 1_700_000_000).is_ok());
    assert_eq!(open(&keys, &call, &["next"], 1_700_000_000), Err(ApiSecurityFailure::Serial));
    assert_eq!(open(&keys, &call, &[], 1_700_000_000), Err(ApiSecurityFailure::Serial));
}

#[test]
fn an_answer_for_another_app_address_or_time_is_refused() {
    let keys = keys();
    let call = sealed(&keys);
    let signatures = [("platform", call.signature.as_str())];
    let right = SealedAnswer { appid: APPID, timestamp: BINDING.timestamp, signatures: &signatures, body: &call.body };
    let other_app = SealedAnswer { appid: "wxOther", ..right };
    let later = SealedAnswer { timestamp: BINDING.timestamp + 1, ..right };
    let now = BINDING.timestamp;
    assert_eq!(keys.open(URL, APPID, &other_app, now), Err(ApiSecurityFailure::Fields));
    assert_eq!(keys.open(URL, APPID, &later, now), Err(ApiSecurityFailure::Signature));
    assert_eq!(
        keys.open("https://api.weixin.qq.com/wxa/other", APPID, &right, now),
        Err(ApiSecurityFailure::Signature)
    );
}

#[test]
fn keys_of_another_kind_do_not_read() {
    for wrong in ["", "AAAA", "YXBwaWRkdXNlZm9ydGVzdA==", "not base64"] {
        assert!(SymmetricKey::parse("s", &Secret::new(wrong.to_owned())).is_err(), "{wrong}");
    }
    for wrong in ["", "text", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "-----BEGIN "] {
        assert!(PlatformKey::parse("s", wrong).is_err(), "{wrong}");
        assert!(RequestKey::parse(&Secret::new(wrong.to_owned())).is_err(), "{wrong}");
    }
}

#[test]
fn a_certificate_gives_its_key() {
    // Made once with `openssl req -x509 -newkey rsa:2048 -nodes`; the key of its subject, not its signature, counts.
    let certificate = include_str!("certificate.pem");
    let (_, der) = key_file::read(certificate).unwrap();
    let key = pem("PUBLIC KEY", key_file::public_key_of(&der).unwrap());
    let (by_certificate, by_key) =
        (PlatformKey::parse("s", certificate).unwrap(), PlatformKey::parse("s", &key).unwrap());
    let signature = include_str!("signature.txt").trim();
    assert!(by_certificate.verifies("signed by the key of the certificate", signature));
    assert!(by_key.verifies("signed by the key of the certificate", signature));
    assert!(!by_key.verifies("signed by another", signature));
}

#[test]
fn secrets_do_not_show_in_debug() {
    assert_eq!(format!("{:?}", keys()).matches("Key(").count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_changed_byte_fails(position in any::<prop::sample::Index>()) {
        let keys = keys_once();
        let call = sealed(keys);
        let mut body = call.body.clone().into_bytes();
        let index = position.index(body.len());
        body[index] ^= 1;
        let changed = SealedCall { body: String::from_utf8(body).unwrap(), ..call.clone() };
        prop_assert_eq!(open(keys, &changed, &["platform"], 1_700_000_000), Err(ApiSecurityFailure::Signature));
        prop_assert!(keys.symmetric.open(&BINDING, &changed.body).is_err());
    }

    #[test]
    fn no_input_panics(text in "\\PC{0,80}", der in proptest::collection::vec(any::<u8>(), 0..80)) {
        let keys = keys_once();
        let _ = keys.symmetric.open(&BINDING, &text);
        let _ = keys.platform[0].verifies(&text, &text);
        let _ = key_file::read(&text);
        let _ = key_file::read(&format!("-----BEGIN {text}-----END {text}-----"));
        let _ = key_file::public_key_of(&der);
    }
}

/// Making a key takes a while.
fn keys_once() -> &'static ApiSecurity {
    static KEYS: std::sync::OnceLock<ApiSecurity> = std::sync::OnceLock::new();
    KEYS.get_or_init(keys)
}
