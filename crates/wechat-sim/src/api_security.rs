//! Calls that are signed and encrypted, as WeChat verifies and answers them.
//!
//! WeChat: "Server API signing and encryption". Once an app has keys, the interfaces that take such calls take no others.

use std::collections::HashMap;

use actix_web::HttpRequest;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, ParsedPublicKey, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::chance::{Chance, hex};
use crate::faults::FaultKind;
use crate::state::Refusal;

/// The interfaces that take signed calls. Logins, tokens and session keys do not.
const COVERED: [&str; 6] = [
    "/wxa/business/getuserphonenumber",
    "/wxa/business/checkencryptedmsg",
    "/wxa/business/getuserencryptkey",
    "/cgi-bin/clear_quota",
    "/cgi-bin/openapi/quota/get",
    "/cgi-bin/openapi/rid/get",
];

/// How old a call may be, in seconds.
const MAX_AGE: u64 = 300;
/// Answers kept of one app, to be sent again.
const MAX_LAST: usize = 16;

/// Whether an interface takes signed calls.
pub(crate) fn covers(path: &str) -> bool {
    COVERED.contains(&path)
}

/// One app's keys: its half and WeChat's.
pub(crate) struct AppKeys {
    symmetric_serial: String,
    symmetric: Option<LessSafeKey>,
    app: Option<ParsedPublicKey>,
    platform: Platform,
    /// The certificate that is about to go: it signs beside the other one.
    deprecated: Option<Platform>,
    /// The last answer of each interface, by its address.
    last: HashMap<String, SealedAnswer>,
}

/// One of an app's two keys in WeChat's console.
#[derive(Clone, Copy, Deserialize)]
pub(crate) enum Half {
    #[serde(rename = "symmetric_key")]
    Symmetric,
    #[serde(rename = "public_key")]
    Public,
}

struct Platform {
    serial: String,
    pair: KeyPair,
}

/// What WeChat's console shows, and what the operator of the app made.
#[derive(Serialize)]
pub(crate) struct Console {
    symmetric_serial: String,
    symmetric_key: String,
    private_serial: String,
    private_key: String,
    certificate_serial: String,
    certificate: String,
}

/// A signed call as it came.
#[derive(Default)]
pub(crate) struct Signed {
    /// A serial that is named and not given. WeChat's page asks for none in a call.
    lacks_serial: bool,
    appid: Option<String>,
    timestamp: Option<String>,
    signature: Option<String>,
    /// The address that was called, without query.
    url: String,
    body: String,
}

/// An answer, ready to be sent.
#[derive(Clone)]
pub(crate) struct SealedAnswer {
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Signed {
    pub(crate) fn read(request: &HttpRequest, body: &[u8]) -> Self {
        let header = |name: &str| {
            let value = request.headers().get(name)?.to_str().ok()?;
            (!value.is_empty()).then(|| value.to_owned())
        };
        let connection = request.connection_info();
        let serial = request.headers().get("Wechatmp-Serial");
        Self {
            lacks_serial: serial.is_some_and(|serial| serial.as_bytes().trim_ascii().is_empty()),
            appid: header("Wechatmp-Appid"),
            timestamp: header("Wechatmp-TimeStamp"),
            signature: header("Wechatmp-Signature"),
            url: format!("{}://{}{}", connection.scheme(), connection.host(), request.path()),
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }
}

/// New keys; what is lacking is made up.
pub(crate) fn make(chance: &mut Chance) -> Option<(AppKeys, Console)> {
    let (pair, private_key) = key_pair()?;
    let bytes: [u8; 32] = chance.bytes();
    let symmetric = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?);
    let platform = Platform::make(chance)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    let app = ParsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, public.as_ref()).ok()?;
    let console = Console {
        symmetric_serial: serial(chance),
        symmetric_key: STANDARD.encode(bytes),
        private_serial: serial(chance),
        private_key,
        certificate_serial: platform.serial.clone(),
        certificate: platform.pem()?,
    };
    let symmetric_serial = console.symmetric_serial.clone();
    let (symmetric, app) = (Some(symmetric), Some(app));
    let last = HashMap::new();
    Some((AppKeys { symmetric_serial, symmetric, app, platform, deprecated: None, last }, console))
}

impl AppKeys {
    /// Another certificate in place of the present one, which signs beside it until [`AppKeys::retire`]: its serial and PEM.
    pub(crate) fn replace_certificate(&mut self, chance: &mut Chance) -> Option<(String, String)> {
        let new = Platform::make(chance)?;
        let shown = (new.serial.clone(), new.pem()?);
        self.deprecated = Some(std::mem::replace(&mut self.platform, new));
        Some(shown)
    }

    /// The certificate before signs no more.
    pub(crate) fn retire(&mut self) {
        self.deprecated = None;
    }

    /// The console has one of the app's keys no more.
    pub(crate) fn forget(&mut self, half: Half) {
        match half {
            Half::Symmetric => self.symmetric = None,
            Half::Public => self.app = None,
        }
    }

    /// Verifies and decrypts a call of an app; its fields.
    pub(crate) fn open(&self, appid: &str, call: &Signed, now_s: u64) -> Result<Map<String, Value>, Refusal> {
        if call.lacks_serial {
            return Err(Refusal::new(40230));
        }
        let named = call.appid.as_deref().ok_or(Refusal::new(40233))?;
        let timestamp = call.timestamp.as_deref().ok_or(Refusal::new(40231))?;
        let signature = call.signature.as_deref().ok_or(Refusal::new(40232))?;
        if !named.starts_with("wx") {
            return Err(Refusal::new(40236));
        }
        if named != appid {
            return Err(Refusal::new(40237));
        }
        let at: u64 = timestamp.parse().map_err(|_| Refusal::new(40231))?;
        if now_s.saturating_sub(at) > MAX_AGE {
            return Err(Refusal::new(40240));
        }
        let app = self.app.as_ref().ok_or(Refusal::new(40239))?;
        let signed = format!("{}\n{appid}\n{timestamp}\n{}", call.url, call.body);
        let signature = STANDARD.decode(signature).map_err(|_| Refusal::new(40234))?;
        app.verify_sig(signed.as_bytes(), &signature).map_err(|_| Refusal::new(40234))?;
        let symmetric = self.symmetric.as_ref().ok_or(Refusal::new(40238))?;
        self.decrypt(symmetric, (appid, &call.url, at), &call.body).ok_or(Refusal::new(40235))
    }

    fn decrypt(
        &self,
        symmetric: &LessSafeKey,
        (appid, url, at): (&str, &str, u64),
        body: &str,
    ) -> Option<Map<String, Value>> {
        let envelope: HashMap<String, String> = serde_json::from_str(body).ok()?;
        let part = |name: &str| STANDARD.decode(envelope.get(name)?).ok();
        let nonce = Nonce::try_assume_unique_for_key(&part("iv")?).ok()?;
        let mut sealed = [part("data")?, part("authtag")?].concat();
        let aad = Aad::from(format!("{url}|{appid}|{at}|{}", self.symmetric_serial));
        let plain = symmetric.open_in_place(nonce, aad, &mut sealed).ok()?;
        let mut fields: Map<String, Value> = serde_json::from_slice(plain).ok()?;
        let own = (fields.remove("_appid")?, fields.remove("_timestamp")?);
        fields.remove("_n")?;
        (own == (appid.into(), at.into())).then_some(fields)
    }

    /// Encrypts and signs an answer, with what a fault does to it; `None` for one that goes out in clear.
    pub(crate) fn seal(
        &mut self,
        (appid, url): (&str, &str),
        (fields, flaw): (Map<String, Value>, Option<FaultKind>),
        now_s: u64,
        chance: &mut Chance,
    ) -> Option<SealedAnswer> {
        if flaw == Some(FaultKind::InClear) {
            return None;
        }
        if flaw == Some(FaultKind::Replayed)
            && let Some(last) = self.last.get(url)
        {
            return Some(last.clone());
        }
        let at = if flaw == Some(FaultKind::OldTimestamp) { now_s.saturating_sub(MAX_AGE + 60) } else { now_s };
        let for_appid = if flaw == Some(FaultKind::WrongAad) { "wxffffffffffffffff" } else { appid };
        let body = self.encrypt((appid, at), fields, format!("{url}|{for_appid}|{at}"), chance)?;
        let mut signed = format!("{url}\n{appid}\n{at}\n{body}");
        if flaw == Some(FaultKind::WrongSignature) {
            signed.push(' ');
        }
        let known = flaw != Some(FaultKind::WrongSerial);
        let serial = if known { self.platform.serial.clone() } else { serial(chance) };
        let mut headers = vec![
            ("Wechatmp-Appid", appid.to_owned()),
            ("Wechatmp-TimeStamp", at.to_string()),
            ("Wechatmp-Serial", serial),
            ("Wechatmp-Signature", self.platform.sign(&signed)?),
        ];
        if let Some(deprecated) = self.deprecated.as_ref().filter(|_| known) {
            headers.push(("Wechatmp-Serial-Deprecated", deprecated.serial.clone()));
            headers.push(("Wechatmp-Signature-Deprecated", deprecated.sign(&signed)?));
        }
        let sealed = SealedAnswer { body: body.into_bytes(), headers };
        // As many addresses as there are interfaces that answer so, and names of this host.
        let is_good = !flaw.is_some_and(FaultKind::spoils_protection);
        if is_good && (self.last.len() < MAX_LAST || self.last.contains_key(url)) {
            self.last.insert(url.to_owned(), sealed.clone());
        }
        Some(sealed)
    }

    /// The encrypted body of an answer.
    fn encrypt(
        &self,
        (appid, at): (&str, u64),
        mut fields: Map<String, Value>,
        about: String,
        chance: &mut Chance,
    ) -> Option<String> {
        fields.insert("_n".into(), STANDARD.encode(chance.bytes::<16>()).into());
        fields.insert("_appid".into(), appid.into());
        fields.insert("_timestamp".into(), at.into());
        let mut data = Value::Object(fields).to_string().into_bytes();
        let iv: [u8; 12] = chance.bytes();
        let aad = Aad::from(about + "|" + &self.symmetric_serial);
        let nonce = Nonce::assume_unique_for_key(iv);
        let tag = self.symmetric.as_ref()?.seal_in_place_separate_tag(nonce, aad, &mut data).ok()?;
        let [iv, data, authtag] = [&iv[..], &data, tag.as_ref()].map(|part| STANDARD.encode(part));
        Some(json!({ "iv": iv, "data": data, "authtag": authtag }).to_string())
    }
}

impl Signed {
    /// The address that was called.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Platform {
    fn make(chance: &mut Chance) -> Option<Self> {
        Some(Self { serial: serial(chance), pair: KeyPair::generate(KeySize::Rsa2048).ok()? })
    }

    fn pem(&self) -> Option<String> {
        let public: PublicKeyX509Der<'_> = self.pair.public_key().as_der().ok()?;
        Some(pem("PUBLIC KEY", public.as_ref()))
    }

    fn sign(&self, text: &str) -> Option<String> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).ok()?;
        Some(STANDARD.encode(signature))
    }
}

fn key_pair() -> Option<(KeyPair, String)> {
    let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
    let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let text = pem("PRIVATE KEY", der.as_ref());
    Some((pair, text))
}

fn serial(chance: &mut Chance) -> String {
    hex(&chance.bytes::<16>())
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}
