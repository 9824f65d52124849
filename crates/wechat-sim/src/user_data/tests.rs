use cbc::cipher::BlockModeDecrypt as _;
use serde_json::json;

use super::*;

const KEY: &str = "tiihtNczf5v6AKRyjwEUhQ==";

fn subject() -> Subject {
    Subject {
        session_key: KEY.into(),
        unionid: Some("uOwn".into()),
        phone: "13800138000".into(),
        iv: [7; 16],
        open_group_id: "tGroup".into(),
        activity_id: "1700000000_a1".into(),
    }
}

fn seal_with(fields: &Value) -> Result<(String, Sealed), SealError> {
    let mut body = json!({"appid": "wxA", "openid": "o1"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let body: EncryptBody = serde_json::from_value(body).unwrap();
    let sealed = seal(&body, &subject(), 1_700_000_000_999)?;
    Ok((open(&sealed), sealed))
}

fn open(sealed: &Sealed) -> String {
    let key: [u8; 16] = STANDARD.decode(KEY).unwrap().try_into().unwrap();
    let iv: [u8; 16] = STANDARD.decode(&sealed.iv).unwrap().try_into().unwrap();
    let ciphertext = STANDARD.decode(&sealed.encrypted_data).unwrap();
    let plain = cbc::Decryptor::<Aes128>::new(&key.into(), &iv.into()).decrypt_padded_vec::<Pkcs7>(&ciphertext);
    String::from_utf8(plain.unwrap()).unwrap()
}

fn plaintext(fields: &Value) -> String {
    seal_with(fields).unwrap().0
}

const WATERMARK: &str = r#""watermark":{"timestamp":1700000000,"appid":"wxA"}}"#;

#[test]
fn user_info_has_wechats_fields_in_wechats_order() {
    let profile = format!(
        r#""nickName":"Band","gender":0,"language":"zh_CN","city":"","province":"","country":"","avatarUrl":"{AVATAR}""#
    );
    let (plain, sealed) = seal_with(&json!({"kind": "user_info", "nickname": "Band"})).unwrap();
    assert_eq!(plain, format!(r#"{{"openId":"o1",{profile},"unionId":"uOwn",{WATERMARK}"#));
    assert_eq!(sealed.raw_data, format!("{{{profile}}}"));
    assert_eq!(plaintext(&json!({"kind": "user_profile", "nickname": "Band"})), format!("{{{profile},{WATERMARK}"));
}

#[test]
fn overrides_and_anonymity() {
    let value = |fields: &Value| serde_json::from_str::<Value>(&plaintext(fields)).unwrap();
    let changed = value(&json!({
        "kind": "user_info", "unionid": "uOther", "avatar_url": "https://a/", "timestamp": 5, "watermark_appid": "wxOther",
    }));
    assert_eq!(changed["unionId"], "uOther");
    assert_eq!(changed["avatarUrl"], "https://a/");
    assert_eq!(changed["watermark"], json!({"timestamp": 5, "appid": "wxOther"}));
    let anonymous = value(&json!({"kind": "user_profile", "anonymous": true}));
    assert_eq!(anonymous["nickName"], "微信用户");
    assert!(anonymous["avatarUrl"].as_str().unwrap().starts_with("https://mmbiz.qpic.cn/"));
}

#[test]
fn phone_share_and_steps() {
    assert_eq!(
        plaintext(&json!({"kind": "phone"})),
        format!(r#"{{"phoneNumber":"13800138000","purePhoneNumber":"13800138000","countryCode":"86",{WATERMARK}"#)
    );
    assert_eq!(
        plaintext(&json!({"kind": "phone", "country_code": 852})),
        format!(r#"{{"phoneNumber":"85213800138000","purePhoneNumber":"13800138000","countryCode":852,{WATERMARK}"#)
    );
    assert_eq!(plaintext(&json!({"kind": "share"})), format!(r#"{{"openGId":"tGroup",{WATERMARK}"#));
    let steps: Value = serde_json::from_str(&plaintext(&json!({"kind": "werun"}))).unwrap();
    let days = steps["stepInfoList"].as_array().unwrap();
    assert_eq!(days.len(), 31);
    assert_eq!(days[30]["timestamp"], 1_699_920_000, "midnight of the day of the seal");
}

#[test]
fn raw_is_verbatim() {
    assert_eq!(plaintext(&json!({"kind": "raw", "payload": "{ not json"})), "{ not json");
    assert_eq!(plaintext(&json!({"kind": "raw", "payload": ""})), "");
    assert_eq!(plaintext(&json!({"kind": "raw", "payload": {"a": [1]}})), r#"{"a":[1]}"#);
    for nonsense in
        [json!({"kind": "raw"}), json!({"kind": "raw", "payload": 5}), json!({"kind": "phone", "payload": "x"})]
    {
        assert_eq!(seal_with(&nonsense).err(), Some(SealError::Payload));
    }
}

#[test]
fn signs_as_the_document_does() {
    // framework/open-ability/signature: the published vector.
    let raw = r#"{"nickName":"Band","gender":1,"language":"zh_CN","city":"Guangzhou","province":"Guangdong","country":"CN","avatarUrl":"http://wx.qlogo.cn/mmopen/vi_32/1vZvI39NWFQ9XM4LtQpFrQJ1xlgZxx3w7bQxKARol6503Iuswjjn6nIGBiaycAjAtpujxyzYsrztuuICqIM5ibXQ/0"}"#;
    assert_eq!(signature(raw, "HyVFkGl5F5OQWJZZaNzBBg=="), "75e81ceda165f4ffa64f4068af58c64b8f54b88c");
    let (_, sealed) = seal_with(&json!({"kind": "share"})).unwrap();
    assert_eq!(sealed.signature, signature(&sealed.raw_data, KEY));
}

#[test]
fn seals_as_the_document_does() {
    // The published vector's key, iv and first blocks.
    let key: [u8; 16] = STANDARD.decode(KEY).unwrap().try_into().unwrap();
    let iv: [u8; 16] = STANDARD.decode("r7BXXKkLb8qrSNn05n0qiA==").unwrap().try_into().unwrap();
    let first_blocks = r#"{"openId":"oGZUI0egBJY1zhBYw2KhdUfwVJJE","nickName":"Band","gend"#;
    assert_eq!(first_blocks.len(), 64);
    let ciphertext = STANDARD.encode(encrypt(key, iv, first_blocks));
    assert!(
        ciphertext.starts_with("CiyLU1Aw2KjvrjMdj8YKliAjtP4gsMZMQmRzooG2xrDcvSnxIMXFufNstNGTyaGS9uT5geRa0W4oTOb1WT7fJ")
    );
}
