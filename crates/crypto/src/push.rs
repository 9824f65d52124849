//! WeChat's message push: its signatures and its envelope.
//!
//! Source: WeChat, "Message push". A push is signed with SHA-1 over sorted texts; in the encrypted modes it holds a
//! frame under AES-256-CBC, padded to blocks of 32 bytes. The cipher has no integrity of its own: what protects a
//! frame is `msg_signature`, so it is checked before anything is decrypted. In plaintext mode nothing protects the body.

mod key;
mod reply;
mod token;

pub use key::EncodingAesKey;
pub use reply::Reply;
pub use token::{PushToken, Stamp};

use serde_json::Value;
use zeroize::Zeroizing;

use crate::{strict_json, strict_xml};

/// What an app, or a third-party platform, has in common with WeChat for its pushes.
///
/// While one of them is being changed there are two of it: a push may be signed with either token, and a frame be under
/// either key.
#[derive(Clone, Debug)]
pub struct PushKeys {
    /// Signs what is pushed and what is answered.
    pub token: PushToken,
    /// The one before, while it is being changed.
    pub previous_token: Option<PushToken>,
    /// The key that is tried first.
    pub current: EncodingAesKey,
    /// The one before, while it is being changed.
    pub previous: Option<EncodingAesKey>,
}

/// A message whose signature and frame were right, and the key that it came under.
#[derive(Debug)]
pub struct OpenedPush<'a> {
    /// The message as WeChat wrote it, JSON or XML. It may hold personal data.
    pub message: Zeroizing<Vec<u8>>,
    /// An answer goes out under the same key.
    pub key: &'a EncodingAesKey,
}

impl PushKeys {
    /// Whether `signature` is that of a plaintext push or of an address verification. It says nothing about a body.
    pub fn signs(&self, stamp: &Stamp<'_>, signature: &str) -> bool {
        self.tokens().any(|token| token.signs(stamp, signature))
    }

    fn tokens(&self) -> impl Iterator<Item = &PushToken> {
        std::iter::once(&self.token).chain(&self.previous_token)
    }

    /// Opens an encrypted push: signature first, then cipher, frame and addressee.
    ///
    /// # Errors
    /// The first check that failed, under the current key. Tell the sender none of it.
    pub fn open(
        &self,
        stamp: &Stamp<'_>,
        msg_signature: &str,
        encrypt: &str,
        appid: &str,
    ) -> Result<OpenedPush<'_>, PushFailure> {
        if !self.tokens().any(|token| token.signs_message(stamp, encrypt, msg_signature)) {
            return Err(PushFailure::Signature);
        }
        let failure = match self.current.open(encrypt, appid) {
            Ok(message) => return Ok(OpenedPush { message, key: &self.current }),
            Err(failure) => failure,
        };
        let previous = self.previous.as_ref().ok_or(failure)?;
        previous.open(encrypt, appid).map(|message| OpenedPush { message, key: previous }).map_err(|_| failure)
    }

    /// Encrypts and signs an answer, under the key of the push that it answers. The nonce is that of the push.
    pub fn reply(&self, key: &EncodingAesKey, answer: &Answer<'_>, random: [u8; 16]) -> Reply {
        let encrypt = key.seal(answer.message, answer.appid, random);
        let timestamp = answer.timestamp.to_string();
        let msg_signature =
            self.token.message_signature(&Stamp { timestamp: &timestamp, nonce: answer.nonce }, &encrypt);
        Reply { encrypt, msg_signature, timestamp: answer.timestamp, nonce: answer.nonce.to_owned() }
    }
}

/// What is to be answered.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The answer in clear.
    pub message: &'a [u8],
    /// Whose answer it is.
    pub appid: &'a str,
    /// Our clock, in seconds since 1970.
    pub timestamp: i64,
    /// The nonce of the push.
    pub nonce: &'a str,
}

/// The `Encrypt` of a pushed body, JSON or XML. In compatible mode the body holds the message in clear as well, which
/// nobody signed: only this counts.
///
/// # Errors
/// [`PushFailure::MissingEncrypt`]: also for a body that is neither, and for one that holds it twice.
pub fn encrypt_of(body: &[u8]) -> Result<String, PushFailure> {
    let fields = body_fields(body).ok_or(PushFailure::MissingEncrypt)?;
    encrypt_in(&fields).map(str::to_owned)
}

/// The same of a body that was read already.
///
/// # Errors
/// [`PushFailure::MissingEncrypt`].
pub fn encrypt_in(fields: &serde_json::Map<String, Value>) -> Result<&str, PushFailure> {
    fields.get("Encrypt").and_then(Value::as_str).ok_or(PushFailure::MissingEncrypt)
}

/// The fields of a pushed message or body, whichever of the two formats it has. `None` if it has neither.
///
/// XML has no types: there all values are texts, and elements with elements inside are objects.
pub fn body_fields(body: &[u8]) -> Option<serde_json::Map<String, Value>> {
    if body.trim_ascii_start().starts_with(b"<") {
        return strict_xml::parse(body).ok().map(|document| document.children);
    }
    match strict_json::parse(body) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

/// Which check failed. For metrics and tests; the sender gets one uniform answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PushFailure {
    /// No `Encrypt` in the body.
    #[error("the body holds no Encrypt")]
    MissingEncrypt,
    /// The signature is not of this token, or not over these texts.
    #[error("the signature does not fit")]
    Signature,
    /// The EncodingAESKey is not 43 characters of base64.
    #[error("the EncodingAESKey is not 43 characters of base64")]
    AesKey,
    /// `Encrypt` is not base64 with padding (RFC 4648 section 4).
    #[error("not base64")]
    Base64,
    /// The ciphertext is empty or not whole blocks.
    #[error("the ciphertext is not whole blocks")]
    CiphertextLength,
    /// The padding is not PKCS#7 with blocks of 32 bytes (RFC 5652 section 6.3).
    #[error("bad padding")]
    Padding,
    /// The frame is too short for its own length field, or that points beyond its end.
    #[error("the length field is wrong")]
    LengthField,
    /// Made for another app.
    #[error("made for another app")]
    Appid,
}

impl PushFailure {
    /// The stage's stable name, for metrics and logs.
    pub fn stage(self) -> &'static str {
        match self {
            Self::MissingEncrypt => "missing_encrypt",
            Self::Signature => "signature",
            Self::AesKey => "aes_key",
            Self::Base64 => "base64",
            Self::CiphertextLength => "ciphertext_length",
            Self::Padding => "padding",
            Self::LengthField => "length_field",
            Self::Appid => "appid",
        }
    }
}

#[cfg(test)]
mod tests;
