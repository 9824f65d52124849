//! What is tried, and what must hold beside not to panic.

use std::fmt::Debug;
use std::process::Command;

use serde_json::Value;
use wxgate_crypto::push::{Answer, EncodingAesKey, PushKeys, PushToken, Stamp, body_fields, encrypt_of};
use wxgate_crypto::user_data::{EncryptedUserData, Expected, SessionKey};
use wxgate_crypto::{KeyId, MacKey, Place, Random, SealKey, Sealed, Secret, encoding, strict_json, strict_xml};
use wxgate_domain::refresh::UnverifiedRefreshToken;
use wxgate_domain::{Clock, RefreshToken, SigningAlgorithm, SigningKeyState, StoredSigningKey, Timestamp};
use wxgate_token::{Issuer, KeyRing, SigningKey};
use wxgate_wechat_client::PushedMessage;

use crate::answers::answers;

/// One reader of bytes.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Inputs that come far, made anew each time.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// How far an input comes.
    pub(crate) run: fn(&[u8]) -> String,
}

/// All of them.
pub(crate) fn all() -> Vec<Target> {
    let none = Vec::new;
    vec![
        Target { name: "user-data", seeds: none, run: user_data },
        Target { name: "push", seeds: pushes, run: push },
        Target { name: "xml", seeds: none, run: xml },
        Target { name: "json", seeds: none, run: json },
        Target { name: "answers", seeds: none, run: answers },
        Target { name: "refresh", seeds: || vec![refresh_token().into_bytes()], run: refresh },
        Target { name: "sealed", seeds: || vec![sealed_value()], run: sealed },
        Target { name: "jwt", seeds: none, run: jwt },
        Target { name: "config", seeds: none, run: config },
    ]
}

/// The name of an outcome: of a failure which one, of a success that it was one.
fn named<T, E: Debug>(result: &Result<T, E>) -> String {
    result.as_ref().map_or_else(|error| format!("{error:?}"), |_| "accepted".to_owned())
}

/// The iv, then the ciphertext, under the key of WeChat's own sample.
fn user_data(input: &[u8]) -> String {
    let (iv, ciphertext) = input.split_at_checked(16).unwrap_or((input, &[]));
    let key = SessionKey::parse(Secret::new("tiihtNczf5v6AKRyjwEUhQ==".to_owned())).unwrap();
    let parsed = EncryptedUserData::parse(&encoding::to_base64(ciphertext), &encoding::to_base64(iv));
    // And as what a client may send in their place.
    let text = String::from_utf8_lossy(input);
    let _ = EncryptedUserData::parse(&text, &text);
    let Ok(data) = parsed else { return named(&parsed) };
    let expected = Expected { appid: "wx4f4bc4dec97d474b", openid: None, freshness: None };
    let opened = data.open(&key, &expected);
    if let Ok(object) = &opened {
        assert_eq!(object["watermark"]["appid"], expected.appid, "what opens is the app's");
    }
    named(&opened)
}

fn push_keys() -> PushKeys {
    let key = EncodingAesKey::parse(Secret::new("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG".to_owned())).unwrap();
    let token = PushToken::parse("spamtestspamtestspamtest").unwrap();
    PushKeys { token, previous_token: None, current: key, previous: None }
}

/// Envelopes around a message, and around none.
fn pushes() -> Vec<Vec<u8>> {
    let keys = push_keys();
    let sealed = |message: &[u8]| {
        let answer = Answer { message, appid: "wx1", timestamp: 1, nonce: "n" };
        keys.reply(&keys.current, &answer, [7; 16]).encrypt.into_bytes()
    };
    vec![sealed(b"<xml><Event><![CDATA[user_info_modified]]></Event></xml>"), sealed(b"")]
}

/// The text of an `Encrypt`, rightly signed; and a message that must come back as it was sealed.
fn push(input: &[u8]) -> String {
    let (keys, stamp) = (push_keys(), Stamp { timestamp: "1", nonce: "n" });
    let open = |encrypt: &str| {
        let signature = keys.token.message_signature(&stamp, encrypt);
        keys.open(&stamp, &signature, encrypt, "wx1").map(|opened| opened.message.to_vec())
    };
    let answer = Answer { message: input, appid: "wx1", timestamp: 1, nonce: "n" };
    let reply = keys.reply(&keys.current, &answer, [7; 16]);
    assert_eq!(open(&reply.encrypt).as_deref(), Ok(input), "what was sealed opens");
    named(&open(&String::from_utf8_lossy(input)))
}

/// A pushed body.
fn xml(input: &[u8]) -> String {
    let parsed = strict_xml::parse(input);
    let _ = (encrypt_of(input).is_ok(), body_fields(input).is_some());
    if let Ok(document) = &parsed {
        assert!(!document.root.is_empty() && input.contains(&b'<'), "a document has a root");
        let text = outside_quotes(&String::from_utf8_lossy(input)).to_ascii_lowercase();
        assert!(!text.contains("<!doctype") && !text.contains("<!entity"), "no document type is read");
    }
    let event = PushedMessage::read(input).map(|message| std::mem::discriminant(&message.event));
    format!("{} {event:?}", named(&parsed))
}

/// What of a document is no text that only looks like markup: without CDATA sections, comments and instructions.
fn outside_quotes(text: &str) -> String {
    let mut rest = text;
    let mut outside = String::new();
    let quotes = [("<![CDATA[", "]]>"), ("<!--", "-->"), ("<?", "?>")];
    while let Some((at, quote)) = quotes.iter().filter_map(|quote| Some((rest.find(quote.0)?, quote))).min() {
        outside.push_str(&rest[..at]);
        let inside = &rest[at + quote.0.len()..];
        rest = inside.find(quote.1).map_or("", |end| &inside[end + quote.1.len()..]);
    }
    outside + rest
}

/// What WeChat pushes and answers, and what clients send.
fn json(input: &[u8]) -> String {
    let parsed = strict_json::parse(input);
    if let Ok(value) = &parsed {
        let again = strict_json::parse(&serde_json::to_vec(value).unwrap());
        // serde_json reads the last digit of a float as it likes.
        assert!(has_float(value) || again.as_ref() == Ok(value), "it has one meaning");
    }
    let event = PushedMessage::read(input).map(|message| std::mem::discriminant(&message.event));
    format!("{} {event:?}", named(&parsed))
}

fn has_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_float),
        Value::Object(fields) => fields.values().any(has_float),
        _ => false,
    }
}

fn mac_key() -> MacKey {
    MacKey::new(KeyId::from(3), Random::seeded(3).secret())
}

fn refresh_token() -> String {
    let (random, at) = (Random::seeded(9), 1_700_000_000_000);
    let (tenant, session) = (random.uuid_v7(at).into(), random.uuid_v7(at).into());
    RefreshToken { mac_key: 3, tenant, session, generation: 1 }.mint(&mac_key(), 7).expose().clone()
}

/// A refresh token: the one that was minted counts, in the one way to write it.
fn refresh(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input).into_owned();
    let Some(token) = UnverifiedRefreshToken::parse(&Secret::new(text.clone())) else { return "shape".to_owned() };
    let claimed = token.claimed().is_some();
    match token.verify(&mac_key(), 7) {
        Some(_) => assert_eq!(text, refresh_token(), "a forged refresh token"),
        None => return format!("forged, {claimed}"),
    }
    "accepted".to_owned()
}

fn seal_key() -> SealKey {
    SealKey::new(KeyId::from(5), Random::seeded(5).secret())
}

const PLACE: Place<'static> = Place { tenant: uuid::Uuid::nil(), table: "user", column: "phone", row: b"1" };

fn sealed_value() -> Vec<u8> {
    seal_key().seal(&PLACE, b"+86 13800138000", &Random::seeded(6)).into_bytes()
}

/// A sealed value: the one that was sealed opens, and no other.
fn sealed(input: &[u8]) -> String {
    let parsed = Sealed::parse(input.to_vec());
    let Ok(value) = &parsed else { return named(&parsed) };
    let opened = seal_key().open(&PLACE, value);
    assert!(opened.is_err() || input == sealed_value(), "a forged value");
    opened.map_or_else(|error| format!("{error:?}").chars().take(10).collect(), |_| "accepted".to_owned())
}

/// An access token that nobody signed.
fn jwt(input: &[u8]) -> String {
    thread_local! {
        static RING: KeyRing = {
            let key = SigningKey::generate(SigningAlgorithm::ES256, Timestamp::from_millis(1)).unwrap();
            KeyRing::new(&[StoredSigningKey { state: SigningKeyState::Active, ..key }]).unwrap()
        };
    }
    let text = String::from_utf8_lossy(input);
    let issuer = Issuer::new("https://auth.example.com", &"acme".parse().unwrap());
    let claimed = wxgate_token::claimed_issuer(&text).is_some();
    let expected = wxgate_token::Expected { issuer: &issuer, audience: "orders" };
    let verified = RING.with(|ring| wxgate_token::verify(&text, ring, &expected, &Clock::System));
    assert!(verified.is_err(), "a forged token");
    format!("{} {claimed}", named(&verified))
}

/// A configuration file, read by the binary as an operator would have it read.
fn config(input: &[u8]) -> String {
    #[expect(clippy::disallowed_methods, reason = "which binary is tried is the environment's to say")]
    let binary = std::env::var("WXGATE_BIN").expect("WXGATE_BIN names the binary");
    let file = std::env::temp_dir().join(format!("wxgate-fuzz-{}.toml", std::process::id()));
    std::fs::write(&file, input).unwrap();
    let checked = Command::new(binary).args(["config", "check", "--config"]).arg(&file).env_clear().output();
    let _ = std::fs::remove_file(&file);
    let checked = checked.expect("WXGATE_BIN names the binary: cargo build -p wxgate-gateway");
    let code = checked.status.code().expect("it ends by itself");
    let told = String::from_utf8_lossy(&checked.stderr);
    assert!(code != 101, "{told}");
    // How much is wrong says how far it came.
    format!("{code} {}", told.lines().count())
}
