//! Server calls that are signed and encrypted ("API security").
//!
//! Source: WeChat, "Server API signing and encryption". AES-256-GCM hides the body, and RSA-PSS with SHA-256 signs it
//! together with address, appid and time, both ways. Optional for each mini-program; where it is on, WeChat requires it.
//! The other suite that WeChat offers (SM4, SM2, SM3) is not offered here: its keys do not read.

mod key_file;
mod keys;

pub use keys::{PlatformKey, RequestKey, SymmetricKey};

use serde_json::{Map, Value};

use crate::encoding;
use crate::random::Random;
use crate::secret::Secret;

/// How old an answer may be, in seconds. Only the past counts, as in WeChat's sample code.
const MAX_AGE: i64 = 300;
/// The fields that the protection itself adds: a random text, the appid, the time.
const OWN_FIELDS: [&str; 3] = ["_n", "_appid", "_timestamp"];

/// The keys of one app, from WeChat's console.
#[derive(Debug)]
pub struct ApiSecurity {
    /// Hides what is sent, both ways.
    pub symmetric: SymmetricKey,
    /// Signs what we send.
    pub signer: RequestKey,
    /// WeChat's own, which sign its answers. Two while a certificate is being replaced.
    pub platform: Vec<PlatformKey>,
}

/// What a call and its answer are bound to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The address that was called, with scheme and without query.
    pub url: &'a str,
    /// The app that calls.
    pub appid: &'a str,
    /// Seconds since 1970: ours in a call, WeChat's in an answer.
    pub timestamp: i64,
}

impl Binding<'_> {
    /// What is signed.
    pub fn string_to_sign(&self, body: &str) -> String {
        format!("{}\n{}\n{}\n{body}", self.url, self.appid, self.timestamp)
    }

    /// What the cipher authenticates beside the body.
    pub fn aad(&self, serial: &str) -> String {
        format!("{}|{}|{}|{serial}", self.url, self.appid, self.timestamp)
    }
}

/// A call, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedCall {
    /// The body, byte for byte.
    pub body: String,
    /// For the header `Wechatmp-Signature`.
    pub signature: String,
}

/// An answer as it came, with the headers that it came with.
#[derive(Clone, Copy, Debug)]
pub struct SealedAnswer<'a> {
    /// `Wechatmp-Appid`.
    pub appid: &'a str,
    /// `Wechatmp-TimeStamp`.
    pub timestamp: i64,
    /// `Wechatmp-Serial` with `Wechatmp-Signature`, and the deprecated pair if there is one.
    pub signatures: &'a [(&'a str, &'a str)],
    /// The body, byte for byte.
    pub body: &'a str,
}

impl ApiSecurity {
    /// Encrypts and signs a call: its parameters other than the access_token.
    ///
    /// # Errors
    /// [`ApiSecurityFailure::Key`] if the library refuses the key.
    pub fn seal(
        &self,
        binding: &Binding<'_>,
        mut fields: Map<String, Value>,
        random: &Random,
    ) -> Result<SealedCall, ApiSecurityFailure> {
        fields.insert("_n".into(), encoding::to_base64(random.bytes::<16>()).into());
        fields.insert("_appid".into(), binding.appid.into());
        fields.insert("_timestamp".into(), binding.timestamp.into());
        let body = self.symmetric.seal(binding, &Secret::new(Value::Object(fields).to_string()), random)?;
        let signature = self.signer.sign(&binding.string_to_sign(&body))?;
        Ok(SealedCall { body, signature })
    }

    /// Verifies and decrypts an answer to a call of this app at this address.
    ///
    /// # Errors
    /// The first check that failed: appid, a known serial, signature, age, cipher, the fields inside.
    pub fn open(
        &self,
        url: &str,
        appid: &str,
        answer: &SealedAnswer<'_>,
        now: i64,
    ) -> Result<Map<String, Value>, ApiSecurityFailure> {
        if answer.appid != appid {
            return Err(ApiSecurityFailure::Fields);
        }
        let binding = Binding { url, appid, timestamp: answer.timestamp };
        let (key, signature) = self.signer_of(answer.signatures).ok_or(ApiSecurityFailure::Serial)?;
        if !key.verifies(&binding.string_to_sign(answer.body), signature) {
            return Err(ApiSecurityFailure::Signature);
        }
        let fields = self.symmetric.open(&binding, answer.body)?;
        if now.saturating_sub(answer.timestamp) > MAX_AGE {
            return Err(ApiSecurityFailure::Stale);
        }
        Ok(fields)
    }

    /// The key that an answer names by its serial, WeChat's number and not that of the certificate.
    fn signer_of<'a>(&self, signatures: &[(&str, &'a str)]) -> Option<(&PlatformKey, &'a str)> {
        signatures.iter().find_map(|(serial, signature)| {
            let key = self.platform.iter().find(|key| key.serial() == *serial)?;
            Some((key, *signature))
        })
    }
}

/// Which check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ApiSecurityFailure {
    /// Not a key of the kind that is needed here.
    #[error("not a key of the kind that is needed")]
    Key,
    /// Signed by a platform key that we do not have.
    #[error("signed by a platform key that is not known here")]
    Serial,
    /// The signature does not fit.
    #[error("the signature does not fit")]
    Signature,
    /// The body is not `iv`, `data` and `authtag`.
    #[error("the body is not iv, data and authtag")]
    Body,
    /// The cipher does not open: another key, address, appid or time, or a changed body.
    #[error("the body does not open")]
    Tag,
    /// What the body says of appid and time is not what the headers say.
    #[error("appid or time inside and outside differ")]
    Fields,
    /// More than five minutes old.
    #[error("too old")]
    Stale,
}

impl ApiSecurityFailure {
    /// The stage's stable name, for metrics and logs.
    pub fn stage(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Serial => "serial",
            Self::Signature => "signature",
            Self::Body => "body",
            Self::Tag => "tag",
            Self::Fields => "fields",
            Self::Stale => "stale",
        }
    }
}

#[cfg(test)]
mod tests;
