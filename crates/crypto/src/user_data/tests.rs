use cbc::cipher::BlockModeEncrypt;
use proptest::prelude::*;

use super::*;

const KEY: [u8; BLOCK] = [7; BLOCK];
const IV: [u8; BLOCK] = [9; BLOCK];

fn seal(plain: &str) -> Vec<u8> {
    cbc::Encryptor::<Aes128>::new(&KEY.into(), &IV.into()).encrypt_padded_vec::<Pkcs7>(plain.as_bytes())
}

fn open(ciphertext: &[u8], iv: &[u8]) -> Result<Map<String, Value>, Failure> {
    let data = EncryptedUserData::parse(&encoding::to_base64(ciphertext), &encoding::to_base64(iv))?;
    let freshness = Some(Freshness { now: 1_700_000_000, max_age: 600, max_ahead: 600 });
    data.open(&SessionKey::from_bytes(KEY), &Expected { appid: "wx1", openid: Some("oA"), freshness })
}

fn payload(inner: &str) -> String {
    format!(r#"{{{inner}"watermark":{{"appid":"wx1","timestamp":1700000000}}}}"#)
}

#[test]
fn a_second_openid_hidden_behind_the_first_is_refused() {
    assert!(open(&seal(&payload(r#""openId":"oA","#)), &IV).is_ok());
    assert_eq!(open(&seal(&payload(r#""openId":"oB","openId":"oA","#)), &IV).unwrap_err(), Failure::Json);
    assert_eq!(open(&seal(&payload(r#""openId":7,"#)), &IV).unwrap_err(), Failure::Openid);
}

#[test]
fn a_watermark_time_must_be_a_whole_number() {
    for timestamp in ["1700000000.0", "\"1700000000\"", "1e9", "null", "99999999999999999999"] {
        let plain = format!(r#"{{"watermark":{{"appid":"wx1","timestamp":{timestamp}}}}}"#);
        assert_eq!(open(&seal(&plain), &IV).unwrap_err(), Failure::Watermark, "{timestamp}");
    }
    let far = format!(r#"{{"watermark":{{"appid":"wx1","timestamp":{}}}}}"#, i64::MIN);
    assert_eq!(open(&seal(&far), &IV).unwrap_err(), Failure::Stale);
}

#[test]
fn oversized_data_is_refused_before_it_is_decoded() {
    let long = "A".repeat(MAX_ENCRYPTED_DATA + 4);
    assert_eq!(EncryptedUserData::parse(&long, "").unwrap_err(), Failure::CiphertextLength);
}

#[test]
fn secrets_do_not_show_in_debug() {
    let shown = format!("{:?}", SessionKey::parse(Secret::new(encoding::to_base64(KEY))).unwrap());
    assert!(!shown.contains(&encoding::to_base64(KEY)) && !shown.contains("[7"), "{shown}");
}

proptest! {
    #[test]
    fn no_input_panics(data in "\\PC{0,80}", iv in "\\PC{0,30}", key in "\\PC{0,30}") {
        let _ = EncryptedUserData::parse(&data, &iv);
        let _ = SessionKey::parse(Secret::new(key));
    }

    #[test]
    fn no_ciphertext_panics(blocks in proptest::collection::vec(any::<[u8; BLOCK]>(), 1..8), iv in any::<[u8; BLOCK]>()) {
        let _ = open(&blocks.concat(), &iv);
    }

    #[test]
    fn a_cut_ciphertext_never_opens(cut in 1..6usize) {
        let ciphertext = seal(&payload(r#""nickName":"a name that fills some blocks of the cipher","#));
        let cut = ciphertext.len() - cut * BLOCK;
        prop_assert!(open(&ciphertext[..cut], &IV).is_err());
    }
}
