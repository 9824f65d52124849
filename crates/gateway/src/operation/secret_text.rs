//! A secret on its way: text on the wire, and nothing that can be printed in memory.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use wxgate_crypto::push::{EncodingAesKey, PushToken};
use wxgate_crypto::{Secret, WebhookSecret};
use wxgate_domain::{AppSecret, strong_push_token};

use crate::service::admin::AdminError;

/// An AppSecret that comes in, or a secret of ours that is told once.
#[derive(Clone)]
pub(crate) struct SecretText(Secret<String>);

impl SecretText {
    /// A secret of ours, to be told.
    pub(crate) fn telling(secret: &str) -> Self {
        Self(Secret::new(secret.to_owned()))
    }

    /// The text, for whoever it is told to.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The text, to be kept from sight.
    pub(crate) fn secret(&self) -> Secret<String> {
        self.0.clone()
    }

    /// The AppSecret that it says.
    ///
    /// # Errors
    /// [`AdminError::SecretShape`].
    pub(crate) fn parse(&self) -> Result<AppSecret, AdminError> {
        AppSecret::parse(&self.0).map_err(|_| AdminError::SecretShape)
    }

    /// The push token that it says, if nobody can guess it.
    ///
    /// # Errors
    /// [`AdminError::PushToken`].
    pub(crate) fn push_token(&self) -> Result<PushToken, AdminError> {
        Ok(strong_push_token(self.expose().trim())?)
    }

    /// The secret of a webhook that it says.
    ///
    /// # Errors
    /// [`AdminError::WebhookSecretShape`].
    pub(crate) fn webhook_secret(&self) -> Result<WebhookSecret, AdminError> {
        WebhookSecret::parse(&self.0).ok_or(AdminError::WebhookSecretShape)
    }

    /// The EncodingAESKey that it says.
    ///
    /// # Errors
    /// [`AdminError::AesKeyShape`].
    pub(crate) fn aes_key(&self) -> Result<EncodingAesKey, AdminError> {
        EncodingAesKey::parse(Secret::new(self.expose().trim().to_owned())).map_err(|_| AdminError::AesKeyShape)
    }
}

impl Default for SecretText {
    /// None: no secret is empty.
    fn default() -> Self {
        Self::telling("")
    }
}

impl From<&AppSecret> for SecretText {
    fn from(secret: &AppSecret) -> Self {
        Self::telling(secret.expose())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for SecretText {
    /// For what a command line sends to a running gateway, and for the answer that tells a new secret.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    /// Errors quote nothing of what was given.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer) {
            Ok(Value::String(text)) => Ok(Self(Secret::new(text))),
            _ => Err(serde::de::Error::custom("the secret is no text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_sent_and_never_printed() {
        let secret = SecretText::telling("wxs_canary");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"wxs_canary\"");
        assert!(!format!("{secret:?}").contains("canary"));
        let wrong = serde_json::from_str::<SecretText>("{\"canary\": 1}").unwrap_err().to_string();
        assert!(!wrong.contains("canary"), "{wrong}");
    }
}
