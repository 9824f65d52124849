//! WeChat's user data: what `wx.getUserInfo`, `getPhoneNumber` and their kin hand to the mini-program for the server.
//!
//! Source: WeChat, "Open data: signature and decryption". AES-128-CBC with PKCS#7, key = base64(session_key). The
//! scheme has no integrity: whoever chooses `iv` rewrites the first block, and blocks can be cut. So the openid is
//! compared with the session's and identity is never taken from here.

use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::digest::{Digest, constant_time_eq};
use crate::secret::Secret;
use crate::{encoding, strict_json};

/// Longest `encryptedData` that is read, in characters of base64.
pub const MAX_ENCRYPTED_DATA: usize = 48 * 1024;

const BLOCK: usize = 16;

/// WeChat's `session_key`: base64 text of exactly 16 bytes. Signatures use the text, the cipher uses the bytes.
#[derive(Clone, Debug)]
pub struct SessionKey {
    text: Secret<String>,
    key: Secret<[u8; BLOCK]>,
}

impl SessionKey {
    /// Reads a `session_key` as code2Session gives it.
    ///
    /// # Errors
    /// [`Failure::Base64`] or [`Failure::KeyLength`]: 24 or 32 bytes would silently select another cipher.
    pub fn parse(text: Secret<String>) -> Result<Self, Failure> {
        let bytes = Zeroizing::new(encoding::base64(text.expose()).ok_or(Failure::Base64)?);
        let key = bytes.as_slice().try_into().map_err(|_| Failure::KeyLength)?;
        Ok(Self { text, key: Secret::new(key) })
    }

    /// The 16 bytes, to be sealed.
    pub fn bytes(&self) -> &Secret<[u8; BLOCK]> {
        &self.key
    }

    /// The key from its 16 bytes, as they were sealed.
    pub fn from_bytes(key: [u8; BLOCK]) -> Self {
        Self { text: Secret::new(encoding::to_base64(key)), key: Secret::new(key) }
    }

    /// Whether `signature` is `lower_hex(sha1(raw_data || session_key text))`, compared in constant time.
    pub fn signed(&self, raw_data: &str, signature: &str) -> bool {
        let digest = Sha1::new().chain_update(raw_data).chain_update(self.text.expose()).finalize();
        constant_time_eq(encoding::to_hex(digest).as_bytes(), signature.as_bytes())
    }

    /// `lower_hex(hmac_sha256(session_key text, message))`: proves to WeChat that we know the key, without telling it.
    /// The message is the body of a POST and empty for a GET.
    #[expect(clippy::missing_panics_doc, reason = "HMAC takes keys of any length")]
    pub fn signature_of(&self, message: &[u8]) -> String {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mac = Hmac::<Sha256>::new_from_slice(self.text.expose().as_bytes()).expect("HMAC takes keys of any length");
        encoding::to_hex(mac.chain_update(message).finalize().into_bytes())
    }
}

impl PartialEq for SessionKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(self.key.expose(), other.key.expose())
    }
}

impl Eq for SessionKey {}

/// `encryptedData` and `iv` of plausible shape; whether they open is another question.
#[derive(Clone, Debug)]
pub struct EncryptedUserData {
    iv: [u8; BLOCK],
    ciphertext: Vec<u8>,
}

impl EncryptedUserData {
    /// Checks the shape, which costs nothing and needs no key.
    ///
    /// # Errors
    /// [`Failure::Base64`], [`Failure::IvLength`] or [`Failure::CiphertextLength`].
    pub fn parse(encrypted_data: &str, iv: &str) -> Result<Self, Failure> {
        if encrypted_data.len() > MAX_ENCRYPTED_DATA {
            return Err(Failure::CiphertextLength);
        }
        let iv = encoding::base64(iv).ok_or(Failure::Base64)?;
        let ciphertext = encoding::base64(encrypted_data).ok_or(Failure::Base64)?;
        let iv = iv.try_into().map_err(|_| Failure::IvLength)?;
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK) {
            return Err(Failure::CiphertextLength);
        }
        Ok(Self { iv, ciphertext })
    }

    /// SHA-256 of the ciphertext's base64 text, which is the same as what was parsed: only one text is read for one value.
    pub fn text_digest(&self) -> Digest {
        Digest::sha256(encoding::to_base64(&self.ciphertext).as_bytes())
    }

    /// SHA-256 of the ciphertext's bytes.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.ciphertext)
    }

    /// Decrypts to a JSON object, without asking whose it is.
    ///
    /// # Errors
    /// [`Failure::Padding`], [`Failure::Utf8`] or [`Failure::Json`] (also for duplicate keys).
    pub fn decrypt(&self, key: &SessionKey) -> Result<Map<String, Value>, Failure> {
        let cipher = cbc::Decryptor::<Aes128>::new(key.key.expose().into(), &self.iv.into());
        let plain = cipher.decrypt_padded_vec::<Pkcs7>(&self.ciphertext).map_err(|_| Failure::Padding)?;
        let plain = Zeroizing::new(plain);
        std::str::from_utf8(&plain).map_err(|_| Failure::Utf8)?;
        match strict_json::parse_profile(&plain) {
            Ok(Value::Object(object)) => Ok(object),
            _ => Err(Failure::Json),
        }
    }

    /// Decrypts and accepts only what belongs to this app, this moment and this user.
    ///
    /// # Errors
    /// The first check that failed. Tell the client none of it: the stages together are a padding oracle.
    pub fn open(&self, key: &SessionKey, expected: &Expected<'_>) -> Result<Map<String, Value>, Failure> {
        let object = self.decrypt(key)?;
        expected.check(&object)?;
        Ok(object)
    }
}

/// What the decrypted data must agree with.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The mini-program that the data must have been issued for.
    pub appid: &'a str,
    /// The user of the session, compared where the payload names one.
    pub openid: Option<&'a str>,
    /// When the watermark may have been made.
    pub freshness: Option<Freshness>,
}

/// A window around now, all in seconds (Unix time for `now`).
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// The moment of the check.
    pub now: i64,
    /// How old the watermark may be.
    pub max_age: i64,
    /// How far ahead of our clock the watermark may be.
    pub max_ahead: i64,
}

impl Expected<'_> {
    fn check(&self, object: &Map<String, Value>) -> Result<(), Failure> {
        let watermark = object.get("watermark").and_then(Value::as_object).ok_or(Failure::Watermark)?;
        let appid = watermark.get("appid").and_then(Value::as_str).ok_or(Failure::Watermark)?;
        let timestamp = watermark.get("timestamp").and_then(Value::as_i64).ok_or(Failure::Watermark)?;
        if appid != self.appid {
            return Err(Failure::Appid);
        }
        if self.freshness.is_some_and(|f| !f.covers(timestamp)) {
            return Err(Failure::Stale);
        }
        match (self.openid, object.get("openId")) {
            (Some(expected), Some(found)) if found.as_str() != Some(expected) => Err(Failure::Openid),
            _ => Ok(()),
        }
    }
}

impl Freshness {
    fn covers(&self, timestamp: i64) -> bool {
        let age = self.now.saturating_sub(timestamp);
        age <= self.max_age && age >= self.max_ahead.saturating_neg()
    }
}

/// Which check failed. For metrics and tests; clients get one uniform answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Failure {
    /// Not base64 with padding (RFC 4648 section 4).
    #[error("not base64")]
    Base64,
    /// The key has not 16 bytes.
    #[error("the key has not 16 bytes")]
    KeyLength,
    /// The iv has not 16 bytes.
    #[error("the iv has not 16 bytes")]
    IvLength,
    /// The ciphertext is empty, too long, or not whole blocks.
    #[error("the ciphertext is not whole blocks")]
    CiphertextLength,
    /// The padding is not PKCS#7 (RFC 5652 section 6.3).
    #[error("bad padding")]
    Padding,
    /// Not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// Not a JSON object, or with a duplicate key.
    #[error("not a JSON object")]
    Json,
    /// No watermark with an appid and a whole timestamp.
    #[error("no watermark")]
    Watermark,
    /// Made for another mini-program.
    #[error("made for another mini-program")]
    Appid,
    /// Too old, or too far ahead.
    #[error("too old or ahead of time")]
    Stale,
    /// Of another user.
    #[error("of another user")]
    Openid,
    /// The rawData signature is not of this key.
    #[error("the rawData signature does not fit")]
    Signature,
}

impl Failure {
    /// The stage's stable name, for metrics and logs.
    pub fn stage(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::KeyLength => "key_length",
            Self::IvLength => "iv_length",
            Self::CiphertextLength => "ciphertext_length",
            Self::Padding => "padding",
            Self::Utf8 => "utf8",
            Self::Json => "json",
            Self::Watermark => "watermark",
            Self::Appid => "appid",
            Self::Stale => "stale",
            Self::Openid => "openid",
            Self::Signature => "signature",
        }
    }
}

#[cfg(test)]
mod tests;
