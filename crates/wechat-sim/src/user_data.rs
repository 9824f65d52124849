//! What WeChat's client APIs return: sealed data, plain data, and the signature of the plain data.
//!
//! WeChat: framework/open-ability/signature. AES-128-CBC with PKCS#7 under the session_key; the signature is the SHA-1
//! of the plain data and the session_key's base64 text.

use aes::Aes128;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::chance::hex;
use crate::codes::CountryCode;
use crate::state::Subject;

/// What WeChat gives instead of a profile since 2022.
const ANONYMOUS_NICKNAME: &str = "微信用户";
const ANONYMOUS_AVATAR: &str = "https://mmbiz.qpic.cn/mmbiz/icTdbqWNOwNRna42FI242Lcia07jQodd2FJGIYQfG0LAJGFxM4FbnQP6yfMxBgJ0F3YRqJCJ1aPAK2dQagdusBZg/0";
const NICKNAME: &str = "小程序用户";
const AVATAR: &str = "https://thirdwx.qlogo.cn/mmopen/vi_32/simulated/132";

const DAY_S: i64 = 24 * 60 * 60;

/// Which client API the data comes from.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// `wx.getUserInfo`.
    UserInfo,
    /// `wx.getUserProfile`: no openId, no unionId.
    UserProfile,
    /// The phone button of older base libraries.
    Phone,
    /// `wx.getGroupEnterInfo`.
    Share,
    /// `wx.getWeRunData`: 31 days.
    #[serde(rename = "werun")]
    WeRun,
    /// `wx.authPrivateMessage`.
    PrivateMessage,
    /// Whatever the caller says.
    Raw,
}

/// The body of `POST /sim/encrypt`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EncryptBody {
    pub(crate) appid: String,
    pub(crate) openid: String,
    kind: Kind,
    nickname: Option<String>,
    avatar_url: Option<String>,
    unionid: Option<String>,
    pub(crate) phone: Option<String>,
    country_code: Option<CountryCode>,
    timestamp: Option<i64>,
    watermark_appid: Option<String>,
    payload: Option<Value>,
    #[serde(default)]
    anonymous: bool,
}

/// What the client API hands to the mini-program.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sealed {
    encrypted_data: String,
    iv: String,
    raw_data: String,
    signature: String,
}

/// Why nothing was sealed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("kind raw needs a payload, an object or a string, and no other kind takes one")]
    Payload,
    #[error("the data cannot be sealed")]
    Cipher,
}

#[derive(Serialize)]
struct Watermark<'a> {
    timestamp: i64,
    appid: &'a str,
}

/// The profile without sensitive fields: this is rawData.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a> {
    nick_name: &'a str,
    gender: u8,
    language: &'a str,
    city: &'a str,
    province: &'a str,
    country: &'a str,
    avatar_url: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    open_id: Option<&'a str>,
    #[serde(flatten)]
    profile: Profile<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    union_id: Option<&'a str>,
    watermark: Watermark<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhonePayload<'a> {
    phone_number: String,
    pure_phone_number: &'a str,
    country_code: CountryCode,
    watermark: Watermark<'a>,
}

#[derive(Serialize)]
struct Share<'a> {
    #[serde(rename = "openGId")]
    open_group_id: &'a str,
    watermark: Watermark<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PrivateMessage<'a> {
    activity_id: &'a str,
    watermark: Watermark<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WeRun<'a> {
    step_info_list: Vec<Steps>,
    watermark: Watermark<'a>,
}

#[derive(Serialize)]
struct Steps {
    timestamp: i64,
    step: i64,
}

/// Seals what the body asks for under the person's present key.
pub(crate) fn seal(body: &EncryptBody, subject: &Subject, now_ms: u64) -> Result<Sealed, SealError> {
    let seconds = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
    let profile = body.profile();
    let plaintext = body.plaintext(subject, &profile, seconds)?;
    let raw_data = serde_json::to_string(&profile).map_err(|_| SealError::Cipher)?;
    let key_text = &*subject.session_key;
    let key: [u8; 16] = STANDARD.decode(key_text).ok().and_then(|key| key.try_into().ok()).ok_or(SealError::Cipher)?;
    let ciphertext = encrypt(key, subject.iv, &plaintext);
    let signature = signature(&raw_data, key_text);
    Ok(Sealed { encrypted_data: STANDARD.encode(ciphertext), iv: STANDARD.encode(subject.iv), raw_data, signature })
}

fn encrypt(key: [u8; 16], iv: [u8; 16], plaintext: &str) -> Vec<u8> {
    cbc::Encryptor::<Aes128>::new(&key.into(), &iv.into()).encrypt_padded_vec::<Pkcs7>(plaintext.as_bytes())
}

fn signature(raw_data: &str, session_key: &str) -> String {
    hex(&Sha1::new().chain_update(raw_data).chain_update(session_key).finalize())
}

impl Sealed {
    /// What `checkencryptedmsg` is asked for: SHA-256 of the base64 text.
    pub(crate) fn digest(&self) -> String {
        hex(&Sha256::digest(&self.encrypted_data))
    }
}

impl EncryptBody {
    /// Whether this is phone data as WeChat itself would make it, the only kind that it confirms.
    pub(crate) fn is_genuine_phone(&self) -> bool {
        self.kind == Kind::Phone && self.watermark_appid.as_ref().is_none_or(|appid| *appid == self.appid)
    }

    /// Gender and region are empty since 2021, the language is fixed.
    fn profile(&self) -> Profile<'_> {
        let (nickname, avatar) =
            if self.anonymous { (ANONYMOUS_NICKNAME, ANONYMOUS_AVATAR) } else { (NICKNAME, AVATAR) };
        Profile {
            nick_name: self.nickname.as_deref().unwrap_or(nickname),
            gender: 0,
            language: "zh_CN",
            city: "",
            province: "",
            country: "",
            avatar_url: self.avatar_url.as_deref().unwrap_or(avatar),
        }
    }

    fn plaintext(&self, subject: &Subject, profile: &Profile<'_>, seconds: i64) -> Result<String, SealError> {
        if (self.kind == Kind::Raw) != self.payload.is_some() {
            return Err(SealError::Payload);
        }
        let watermark = Watermark {
            timestamp: self.timestamp.unwrap_or(seconds),
            appid: self.watermark_appid.as_deref().unwrap_or(&self.appid),
        };
        let json = match self.kind {
            Kind::UserInfo => serde_json::to_string(&UserInfo {
                open_id: Some(&self.openid),
                profile: profile.clone(),
                union_id: self.unionid.as_deref().or(subject.unionid.as_deref()),
                watermark,
            }),
            Kind::UserProfile => {
                serde_json::to_string(&UserInfo { open_id: None, profile: profile.clone(), union_id: None, watermark })
            }
            Kind::Phone => {
                let country_code = self.country_code.clone().unwrap_or_default();
                serde_json::to_string(&PhonePayload {
                    phone_number: country_code.in_front_of(&subject.phone),
                    pure_phone_number: &subject.phone,
                    country_code,
                    watermark,
                })
            }
            Kind::Share => serde_json::to_string(&Share { open_group_id: &subject.open_group_id, watermark }),
            Kind::WeRun => serde_json::to_string(&WeRun { step_info_list: steps(seconds), watermark }),
            Kind::PrivateMessage => {
                serde_json::to_string(&PrivateMessage { activity_id: &subject.activity_id, watermark })
            }
            Kind::Raw => match &self.payload {
                Some(Value::String(text)) => return Ok(text.clone()),
                Some(Value::Object(object)) => serde_json::to_string(object),
                _ => return Err(SealError::Payload),
            },
        };
        json.map_err(|_| SealError::Cipher)
    }
}

/// The 31 days up to today, oldest first; invented, but always the same.
fn steps(seconds: i64) -> Vec<Steps> {
    let today = seconds - seconds.rem_euclid(DAY_S);
    (0..31).map(|day| Steps { timestamp: today - (30 - day) * DAY_S, step: 3_000 + day * 2_741 % 9_000 }).collect()
}

#[cfg(test)]
mod tests;
