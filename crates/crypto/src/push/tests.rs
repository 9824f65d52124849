use proptest::prelude::*;

use super::*;
use crate::{Random, Secret};

const APPID: &str = "wx84fdf92693416634";
const STAMP: Stamp<'static> = Stamp { timestamp: "1700000000", nonce: "nonce1" };

fn keys(seed: u64) -> PushKeys {
    let random = Random::seeded(seed);
    PushKeys {
        token: PushToken::generate(&random),
        previous_token: None,
        current: EncodingAesKey::generate(&random),
        previous: None,
    }
}

/// A push as WeChat makes it: `Encrypt` and its signature.
fn push(keys: &PushKeys, message: &[u8]) -> (String, String) {
    let answer = Answer { message, appid: APPID, timestamp: 1_700_000_000, nonce: STAMP.nonce };
    let reply = keys.reply(&keys.current, &answer, [7; 16]);
    (reply.encrypt, reply.msg_signature)
}

#[test]
fn a_message_of_any_length_comes_back() {
    let keys = keys(1);
    for length in 0..130 {
        let message = vec![b'm'; length];
        let (encrypt, signature) = push(&keys, &message);
        assert_eq!(*keys.open(&STAMP, &signature, &encrypt, APPID).unwrap().message, message);
        assert_eq!(keys.open(&STAMP, &signature, &encrypt, "wxOther").unwrap_err(), PushFailure::Appid);
    }
}

#[test]
fn the_previous_key_opens_while_the_key_changes_and_answers_what_it_opened() {
    let old = keys(1);
    let (encrypt, signature) = push(&old, b"{}");
    let between = PushKeys { current: keys(2).current, previous: Some(old.current.clone()), ..old.clone() };
    assert_eq!(between.open(&STAMP, &signature, &encrypt, APPID).unwrap().key, &old.current);
    let after = PushKeys { previous: None, ..between };
    assert_eq!(after.open(&STAMP, &signature, &encrypt, APPID).unwrap_err(), PushFailure::Padding);
}

#[test]
fn the_previous_token_counts_while_the_token_changes() {
    let old = keys(1);
    let (encrypt, signature) = push(&old, b"{}");
    let between = PushKeys { token: keys(2).token, previous_token: Some(old.token.clone()), ..old.clone() };
    assert!(between.open(&STAMP, &signature, &encrypt, APPID).is_ok());
    for token in [&old.token, &between.token] {
        assert!(between.signs(&STAMP, &token.signature(&STAMP)));
    }
    let after = PushKeys { previous_token: None, ..between };
    assert_eq!(after.open(&STAMP, &signature, &encrypt, APPID).unwrap_err(), PushFailure::Signature);
    assert!(!after.signs(&STAMP, &old.token.signature(&STAMP)));
}

#[test]
fn what_we_make_has_128_bits_and_reads_back() {
    let keys = keys(1);
    assert_eq!(keys.token.expose().len(), 32);
    assert_eq!(PushToken::parse(keys.token.expose()).unwrap().expose(), keys.token.expose());
    let text = keys.current.expose().to_owned();
    assert_eq!(text.len(), 43);
    assert_eq!(EncodingAesKey::parse(Secret::new(text)).unwrap(), keys.current);
    for wrong in ["", "to ken", "tokén", &"t".repeat(129)] {
        assert!(PushToken::parse(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn an_encrypt_counts_once_and_as_text() {
    assert_eq!(encrypt_of(br#"{"ToUserName":"gh_1","Encrypt":"abc"}"#).unwrap(), "abc");
    assert_eq!(encrypt_of(b"\n<xml><Encrypt><![CDATA[abc]]></Encrypt></xml>").unwrap(), "abc");
    for wrong in [
        &b""[..],
        b"Encrypt",
        b"[]",
        br#"{"encrypt":"abc"}"#,
        br#"{"Encrypt":7}"#,
        br#"{"Encrypt":"abc","Encrypt":"abc"}"#,
        b"<xml><Encrypt>abc</Encrypt><Encrypt>abc</Encrypt></xml>",
        b"<xml><Encrypt><a>abc</a></Encrypt></xml>",
    ] {
        assert_eq!(encrypt_of(wrong).unwrap_err(), PushFailure::MissingEncrypt);
    }
}

#[test]
fn a_time_is_ten_digits() {
    let seconds = |timestamp| Stamp { timestamp, nonce: "" }.seconds();
    assert_eq!(seconds("1700000000"), Some(1_700_000_000));
    for wrong in ["", "170000000", "17000000001", "+170000000", "170000000a", "１７００００"] {
        assert_eq!(seconds(wrong), None, "{wrong}");
    }
}

#[test]
fn a_nonce_cannot_write_into_an_answer() {
    let keys = keys(1);
    let nonce = "]]></Nonce><Nonce>\"}";
    let reply = keys.reply(&keys.current, &Answer { message: b"", appid: APPID, timestamp: 1, nonce }, [0; 16]);
    assert_eq!(body_fields(reply.to_xml().as_bytes()).unwrap()["Nonce"], nonce);
    assert_eq!(body_fields(reply.to_json().as_bytes()).unwrap()["Nonce"], nonce);
}

#[test]
fn secrets_do_not_show_in_debug() {
    let keys = keys(1);
    let shown = format!("{keys:?}");
    assert!(!shown.contains(keys.token.expose()) && !shown.contains(keys.current.expose()), "{shown}");
}

proptest! {
    #[test]
    fn any_changed_byte_fails(position in any::<prop::sample::Index>(), part in 0..4usize, bit in 0..7u8) {
        let keys = keys(1);
        let (encrypt, signature) = push(&keys, b"a message that fills a few blocks of the cipher, or so");
        let mut parts = [encrypt, signature, STAMP.timestamp.to_owned(), STAMP.nonce.to_owned()];
        let mut bytes = parts[part].clone().into_bytes();
        let index = position.index(bytes.len());
        bytes[index] ^= 1 << bit;
        parts[part] = String::from_utf8(bytes).unwrap();
        let [encrypt, signature, timestamp, nonce] = &parts;
        let failure = keys.open(&Stamp { timestamp, nonce }, signature, encrypt, APPID).unwrap_err();
        prop_assert_eq!(failure, PushFailure::Signature);
    }

    #[test]
    fn no_frame_panics(frame in proptest::collection::vec(any::<[u8; 16]>(), 0..8), appid in "\\PC{0,20}") {
        let _ = keys(1).current.open(&crate::encoding::to_base64(frame.concat()), &appid);
    }

    #[test]
    fn no_text_panics(a in "\\PC{0,60}", b in "\\PC{0,60}", c in "\\PC{0,60}") {
        let keys = keys(1);
        let _ = keys.open(&Stamp { timestamp: &a, nonce: &b }, &c, &a, &b);
        let _ = keys.current.open(&a, &b);
        let _ = encrypt_of(a.as_bytes());
        let _ = EncodingAesKey::parse(Secret::new(b));
        let _ = PushToken::parse(&c);
    }
}
