//! A push as WeChat sends it: signed, in each of the three modes and both formats.
//!
//! WeChat: framework/server-ability/message-push. AES-256-CBC under the EncodingAESKey, padded to blocks of 32; signatures
//! are SHA-1 over sorted texts. Its own code, like all ciphers here.

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};

use crate::chance::{Chance, hex};

/// An EncodingAESKey may carry spare bits in its last character.
const KEY_TEXT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// How much of a push is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Plain,
    Compatible,
    Safe,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Json,
    Xml,
}

/// What is wrong with a push, for tests of who receives it.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Flaw {
    /// Signatures of another token.
    WrongSignature,
    /// A frame for another app.
    OtherAppid,
    /// A frame under another key.
    WrongKey,
}

/// The body of `POST /sim/push`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PushBody {
    /// Where to; without it the push is only shown.
    pub(crate) url: Option<String>,
    appid: String,
    token: String,
    encoding_aes_key: Option<String>,
    mode: Mode,
    format: Format,
    message: Map<String, Value>,
    timestamp: Option<u64>,
    nonce: Option<String>,
    flaw: Option<Flaw>,
    /// How often it is sent, byte for byte the same.
    #[serde(default = "once")]
    pub(crate) times: u8,
    /// Whether it is sent as WeChat does: again, up to three times in all, until it is answered.
    #[serde(default)]
    pub(crate) until_answered: bool,
}

/// The body of `POST /sim/push/verify`: the address is verified, as when it is entered in WeChat's console.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyBody {
    pub(crate) url: String,
    token: String,
    echostr: Option<String>,
    timestamp: Option<u64>,
    nonce: Option<String>,
    #[serde(default)]
    wrong_signature: bool,
}

/// A verification, ready to be sent.
pub(crate) struct Verification {
    pub(crate) query: String,
    /// What the answer must be.
    pub(crate) echostr: String,
}

impl VerifyBody {
    /// Writes the verification.
    pub(crate) fn write(&self, now_ms: u64, chance: &mut Chance) -> Verification {
        let timestamp = self.timestamp.unwrap_or(now_ms / 1000).to_string();
        let nonce = self.nonce.clone().unwrap_or_else(|| chance.digits(10));
        let echostr = self.echostr.clone().unwrap_or_else(|| chance.digits(19));
        let token = if self.wrong_signature { "another-token" } else { self.token.as_str() };
        let signature = signature(&[token, &timestamp, &nonce]);
        let pairs = [("signature", &signature), ("echostr", &echostr), ("timestamp", &timestamp), ("nonce", &nonce)];
        let query: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        Verification { query: query.join("&"), echostr }
    }
}

fn once() -> u8 {
    1
}

/// Where a third-party platform takes its events, and under which keys.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    token: String,
    encoding_aes_key: String,
}

/// A push, ready to be sent.
#[derive(Clone, Serialize)]
pub(crate) struct Push {
    pub(crate) query: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

/// Why there is no push.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("encoding_aes_key must be 43 characters of base64 in the modes compatible and safe")]
pub(crate) struct BadKey;

/// What a push is made with: the key, and the appid that its frame ends with.
struct Envelope {
    key: [u8; 32],
    appid: String,
}

impl PushBody {
    /// An event of a third-party platform: XML in safe mode, as all of them are.
    pub(crate) fn of_component(appid: &str, receiver: &Receiver, message: Value) -> Self {
        Self {
            url: None,
            appid: appid.to_owned(),
            token: receiver.token.clone(),
            encoding_aes_key: Some(receiver.encoding_aes_key.clone()),
            mode: Mode::Safe,
            format: Format::Xml,
            message: if let Value::Object(fields) = message { fields } else { Map::new() },
            timestamp: None,
            nonce: None,
            flaw: None,
            times: 1,
            until_answered: true,
        }
    }

    /// Writes the push.
    pub(crate) fn write(&self, now_ms: u64, chance: &mut Chance) -> Result<Push, BadKey> {
        let timestamp = self.timestamp.unwrap_or(now_ms / 1000).to_string();
        let nonce = self.nonce.clone().unwrap_or_else(|| chance.digits(10));
        let token = if self.flaw == Some(Flaw::WrongSignature) { "another-token" } else { self.token.as_str() };
        let message = self.whole_message(now_ms);
        let mut query = vec![
            ("signature", signature(&[token, &timestamp, &nonce])),
            ("timestamp", timestamp.clone()),
            ("nonce", nonce.clone()),
        ];
        if let Some(openid) = message.get("OpenID").or(message.get("FromUserName")).and_then(Value::as_str) {
            query.push(("openid", openid.to_owned()));
        }
        let mut body = message.clone();
        if self.mode != Mode::Plain {
            let encrypt = self.envelope(chance)?.seal(self.text(&message).as_bytes(), chance.bytes());
            query.push(("encrypt_type", "aes".to_owned()));
            query.push(("msg_signature", signature(&[token, &timestamp, &nonce, &encrypt])));
            if self.mode == Mode::Safe {
                body.retain(|name, _| name == "ToUserName");
            }
            body.insert("Encrypt".into(), encrypt.into());
        }
        // What is in these values needs no escaping but in a nonce or an openid of the caller's.
        let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        let content_type = if self.format == Format::Json { "application/json" } else { "text/xml" };
        Ok(Push { query: pairs.join("&"), content_type, body: self.text(&body) })
    }

    /// The message, with the fields that every message has where the caller named none. Events of third-party platforms
    /// (`InfoType`) have others.
    fn whole_message(&self, now_ms: u64) -> Map<String, Value> {
        let mut message = self.message.clone();
        let mut default = |name: &str, value: Value| {
            message.entry(name).or_insert(value);
        };
        default("CreateTime", (now_ms / 1000).into());
        if self.message.contains_key("InfoType") {
            default("AppId", self.appid.clone().into());
        } else {
            default("ToUserName", json!("gh_000000000001"));
            default("FromUserName", json!("oPushServiceOfWeChat0000000"));
            default("MsgType", json!("event"));
        }
        message
    }

    fn text(&self, fields: &Map<String, Value>) -> String {
        match self.format {
            Format::Json => Value::Object(fields.clone()).to_string(),
            Format::Xml => format!("<xml>{}</xml>", elements(fields)),
        }
    }

    fn envelope(&self, chance: &mut Chance) -> Result<Envelope, BadKey> {
        let text = self.encoding_aes_key.as_deref().ok_or(BadKey)?;
        let key = KEY_TEXT.decode(text).ok().and_then(|key| key.try_into().ok()).ok_or(BadKey)?;
        let key = if self.flaw == Some(Flaw::WrongKey) { chance.bytes() } else { key };
        let other = self.flaw == Some(Flaw::OtherAppid);
        Ok(Envelope { key, appid: if other { "wxffffffffffffffff".into() } else { self.appid.clone() } })
    }
}

impl Envelope {
    fn seal(&self, message: &[u8], salt: [u8; 16]) -> String {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut frame = [&salt[..], &length, message, self.appid.as_bytes()].concat();
        let padding = 32 - frame.len() % 32;
        frame.resize(frame.len() + padding, u8::try_from(padding).unwrap_or(32));
        let iv: [u8; 16] = self.key.first_chunk().copied().unwrap_or_default();
        let cipher = cbc::Encryptor::<Aes256>::new(&self.key.into(), &iv.into());
        STANDARD.encode(cipher.encrypt_padded_vec::<NoPadding>(&frame))
    }
}

fn signature(texts: &[&str]) -> String {
    let mut texts = texts.to_vec();
    texts.sort_unstable();
    hex(&Sha1::digest(texts.concat()))
}

/// Elements in alphabetical order; texts are quoted, numbers are not.
fn elements(fields: &Map<String, Value>) -> String {
    let element = |(name, value): (&String, &Value)| {
        let inner = match value {
            Value::Object(fields) => elements(fields),
            Value::String(text) => format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>")),
            other => other.to_string(),
        };
        format!("<{name}>{inner}</{name}>")
    };
    fields.iter().map(element).collect()
}

/// Percent-encodes all but letters, digits and `-._~`.
fn escape(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WeChat's own example.
    #[test]
    fn the_envelope_is_wechats() {
        let key = KEY_TEXT.decode("A".repeat(43)).unwrap().try_into().unwrap();
        let envelope = Envelope { key, appid: "wxba5fad812f8e6fb9".into() };
        let sealed = envelope.seal(br#"{"demo_resp":"good luck"}"#, *b"707722b803182950");
        assert_eq!(sealed, "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==");
        let signed = signature(&["AAAAA", "1713424427", "415670741", &sealed]);
        assert_eq!(signed, "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1");
    }

    fn push(more: &Value) -> Result<Push, BadKey> {
        let mut body = json!({
            "appid": "wxA", "token": "token", "encoding_aes_key": "A".repeat(43), "mode": "safe", "format": "json",
            "message": {"Event": "user_authorization_revoke", "OpenID": "oAlice", "RevokeInfo": "8"},
            "timestamp": 1_700_000_000, "nonce": "n 1",
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value::<PushBody>(body).unwrap().write(0, &mut Chance::from_system().unwrap())
    }

    #[test]
    fn each_mode_shows_what_it_should() {
        let plain = push(&json!({"mode": "plain"})).unwrap();
        let message: Value = serde_json::from_str(&plain.body).unwrap();
        assert_eq!((&message["RevokeInfo"], &message["MsgType"]), (&json!("8"), &json!("event")));
        assert!(plain.query.ends_with("&timestamp=1700000000&nonce=n%201&openid=oAlice"), "{}", plain.query);

        let compatible: Value = serde_json::from_str(&push(&json!({"mode": "compatible"})).unwrap().body).unwrap();
        assert!(compatible["Encrypt"].is_string() && compatible["OpenID"] == "oAlice");
        let safe = push(&json!({})).unwrap();
        let body: Map<String, Value> = serde_json::from_str(&safe.body).unwrap();
        assert_eq!(body.keys().collect::<Vec<_>>(), ["Encrypt", "ToUserName"]);
        assert!(safe.query.contains("&encrypt_type=aes&msg_signature="));
        assert_eq!(push(&json!({"encoding_aes_key": "short"})).err(), Some(BadKey));
    }

    #[test]
    fn xml_quotes_texts_and_not_numbers() {
        let message =
            json!({"InfoType": "component_verify_ticket", "ComponentVerifyTicket": "a]]>b", "List": {"A": 1}});
        let push = push(&json!({"mode": "plain", "format": "xml", "message": message})).unwrap();
        assert_eq!(push.content_type, "text/xml");
        assert_eq!(
            push.body,
            "<xml><AppId><![CDATA[wxA]]></AppId><ComponentVerifyTicket><![CDATA[a]]]]><![CDATA[>b]]>\
             </ComponentVerifyTicket><CreateTime>0</CreateTime><InfoType><![CDATA[component_verify_ticket]]></InfoType>\
             <List><A>1</A></List></xml>"
        );
    }
}
