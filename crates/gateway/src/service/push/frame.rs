//! One push, from its query and body to what it says.

use serde_json::{Map, Value};
use wxgate_crypto::Digest;
use wxgate_crypto::push::{PushFailure, Stamp, body_fields, encrypt_in};
use wxgate_domain::{PushSettings, Timestamp};
use wxgate_storage::{Arrival, Receiver};
use wxgate_wechat_client::PushedMessage;

use super::{PushError, is_fresh};

/// A push as it came.
#[derive(Debug)]
pub(crate) struct IncomingPush {
    pub(crate) timestamp: String,
    pub(crate) nonce: String,
    /// Over time and nonce alone.
    pub(crate) signature: Option<String>,
    /// Over what is encrypted, too.
    pub(crate) msg_signature: Option<String>,
    /// Whether the query says that something is encrypted.
    pub(crate) says_encrypted: bool,
    pub(crate) body: Vec<u8>,
}

/// A push whose signature, time and addressee are right.
#[derive(Debug)]
pub(super) struct Push {
    /// By what it is known again.
    pub(super) arrival: Arrival,
    /// Whether WeChat wrote the message, and not merely somebody who saw a signature.
    pub(super) is_proved: bool,
    /// What it says; `None` if it is an event about a user that does not say about whom.
    pub(super) said: Option<PushedMessage>,
    /// The whole message.
    pub(super) message: Map<String, Value>,
}

impl IncomingPush {
    fn stamp(&self) -> Stamp<'_> {
        Stamp { timestamp: &self.timestamp, nonce: &self.nonce }
    }

    /// Checks a push, the signature first. If anything is encrypted, nothing else of the body is read.
    pub(super) fn open(&self, settings: &PushSettings, now: Timestamp) -> Result<Push, PushError> {
        let fields = body_fields(&self.body).ok_or(PushError::Malformed)?;
        if self.says_encrypted || fields.contains_key("Encrypt") {
            let encrypt = encrypt_in(&fields).map_err(PushError::Frame)?;
            let signature = self.msg_signature.as_deref().unwrap_or_default();
            let opened = settings.keys.open(&self.stamp(), signature, encrypt, settings.addressee.as_str());
            let opened = opened.map_err(PushError::Frame)?;
            let message = body_fields(&opened.message).ok_or(PushError::Malformed)?;
            self.read(settings, now, (message, Digest::sha256(encrypt.as_bytes()), true))
        } else if settings.mode.reads_plaintext() {
            if !settings.keys.signs(&self.stamp(), self.signature.as_deref().unwrap_or_default()) {
                return Err(PushError::Frame(PushFailure::Signature));
            }
            self.read(settings, now, (fields, Digest::sha256(&self.body), false))
        } else {
            Err(PushError::NotEncrypted)
        }
    }

    fn read(
        &self,
        settings: &PushSettings,
        now: Timestamp,
        (message, body, is_proved): (Map<String, Value>, Digest, bool),
    ) -> Result<Push, PushError> {
        if !is_fresh(&self.stamp(), now) {
            return Err(PushError::Stale);
        }
        let said = PushedMessage::of(&message);
        if said.as_ref().and_then(|said| said.appid.as_ref()).is_some_and(|named| *named != settings.appid) {
            return Err(PushError::OtherApp);
        }
        // What somebody wrote in clear is not known again when WeChat encrypts it.
        let identity = said.as_ref().map(|said| {
            let encrypted = [u8::from(is_proved)];
            Digest::sha256(&[encrypted.as_slice(), said.identity.as_bytes()].concat())
        });
        let arrival = Arrival {
            receiver: Receiver::App(settings.app),
            stamp: stamp_digest(&self.stamp()),
            body,
            message: identity,
        };
        Ok(Push { arrival, is_proved, said, message })
    }
}

/// The digest of a time and a nonce. A fresh time is ten digits, so what follows it is the nonce.
pub(super) fn stamp_digest(stamp: &Stamp<'_>) -> Digest {
    Digest::sha256(&[b"stamp", stamp.timestamp.as_bytes(), stamp.nonce.as_bytes()].concat())
}
