//! The keys of an app whose calls are signed and encrypted ("API security"), as an operator copies them from WeChat's
//! console.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wxgate_crypto::api_security::{ApiSecurity, ApiSecurityFailure, PlatformKey, RequestKey, SymmetricKey};
use wxgate_crypto::{MacKey, Secret, encoding};

use crate::ids::{MalformedId, is_token, parsed};

/// Longest key or certificate, in characters of PEM.
const MAX_PEM: usize = 4_096;

/// WeChat's number of a key or certificate: 1 to 64 characters of `[A-Za-z0-9_-]`. Not the serial number inside a
/// certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct KeySerial(String);

impl KeySerial {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeySerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeySerial {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        is_token(text, 64).then(|| Self(text.to_owned())).ok_or(MalformedId("1 to 64 letters, digits, _ or -"))
    }
}

impl<'de> Deserialize<'de> for KeySerial {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// One set of keys.
#[derive(Clone, Debug)]
pub struct ApiSecuritySet {
    /// Hides what is sent, both ways: 32 bytes in base64.
    pub symmetric: (KeySerial, Secret<String>),
    /// Signs what we send: a PEM file.
    pub private: (KeySerial, Secret<String>),
    /// WeChat's own, which signs its answers: a PEM file.
    pub certificate: (KeySerial, String),
}

impl ApiSecuritySet {
    /// The keys, ready to be used. Answers may also be signed by the certificate of the set before or after.
    ///
    /// # Errors
    /// [`ApiSecurityFailure::Key`] if one of them is no such key, or too long.
    pub fn keys(&self, beside: Option<&Self>) -> Result<ApiSecurity, ApiSecurityFailure> {
        let longest = self.private.1.expose().len().max(self.certificate.1.len()).max(self.symmetric.1.expose().len());
        if longest > MAX_PEM {
            return Err(ApiSecurityFailure::Key);
        }
        let platform = |set: &Self| PlatformKey::parse(set.certificate.0.as_str(), &set.certificate.1);
        let others = beside.filter(|other| other.certificate.0 != self.certificate.0);
        Ok(ApiSecurity {
            symmetric: SymmetricKey::parse(self.symmetric.0.as_str(), &self.symmetric.1)?,
            signer: RequestKey::parse(&self.private.1)?,
            platform: std::iter::once(self).chain(others).map(platform).collect::<Result<_, _>>()?,
        })
    }

    /// What may be known of the keys.
    pub fn status(&self, key: &MacKey) -> ApiSecurityStatus {
        let known = |serial: &KeySerial, text: &str| {
            let digest = key.digest("api_security", &[text.trim().as_bytes()]);
            let (head, _) = digest.as_bytes().split_at(8);
            KnownKey { serial: serial.clone(), fingerprint: encoding::to_hex(head) }
        };
        ApiSecurityStatus {
            symmetric: known(&self.symmetric.0, self.symmetric.1.expose()),
            private: known(&self.private.0, self.private.1.expose()),
            certificate: known(&self.certificate.0, &self.certificate.1),
        }
    }

    /// The text to seal and store.
    pub fn to_json(&self) -> Secret<String> {
        let row = Row {
            symmetric: (&self.symmetric.0, self.symmetric.1.expose()),
            private: (&self.private.0, self.private.1.expose()),
            certificate: (&self.certificate.0, &self.certificate.1),
        };
        Secret::new(serde_json::to_string(&row).unwrap_or_default())
    }

    /// Reads the stored text.
    pub fn from_json(text: &Secret<String>) -> Option<Self> {
        let row: StoredRow = serde_json::from_str(text.expose()).ok()?;
        Some(Self {
            symmetric: (row.symmetric.0, Secret::new(row.symmetric.1)),
            private: (row.private.0, Secret::new(row.private.1)),
            certificate: row.certificate,
        })
    }
}

#[derive(Serialize)]
struct Row<'a> {
    symmetric: (&'a KeySerial, &'a str),
    private: (&'a KeySerial, &'a str),
    certificate: (&'a KeySerial, &'a str),
}

#[derive(Deserialize)]
struct StoredRow {
    symmetric: (KeySerial, String),
    private: (KeySerial, String),
    certificate: (KeySerial, String),
}

/// What may be known of a set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiSecurityStatus {
    /// Of the symmetric key.
    pub symmetric: KnownKey,
    /// Of the app's own key.
    pub private: KnownKey,
    /// Of WeChat's certificate.
    pub certificate: KnownKey,
}

/// A key by its number at WeChat, and what tells it from others of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// WeChat's number.
    pub serial: KeySerial,
    /// 16 hexadecimal digits of a keyed digest.
    pub fingerprint: String,
}

/// What may be known of an app's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiSecurityState {
    /// Those that are used.
    pub current: ApiSecurityStatus,
    /// Those before, which are used where WeChat does not know the current ones yet.
    pub previous: Option<ApiSecurityStatus>,
}

#[cfg(test)]
mod tests {
    use wxgate_crypto::KeyId;

    use super::*;

    fn set() -> ApiSecuritySet {
        let serial = |text: &str| text.parse().unwrap();
        ApiSecuritySet {
            symmetric: (serial("s1"), Secret::new(encoding::to_base64([7; 32]))),
            private: (serial("p1"), Secret::new("no key".to_owned())),
            certificate: (serial("c1"), "no certificate".to_owned()),
        }
    }

    #[test]
    fn a_set_reads_back_and_shows_no_secret() {
        let set = set();
        let read = ApiSecuritySet::from_json(&set.to_json()).unwrap();
        let key = MacKey::new(KeyId::from(1), Secret::new([1; 32]));
        assert_eq!(read.status(&key), set.status(&key));
        assert_ne!(set.status(&key).private.fingerprint, set.status(&key).certificate.fingerprint);
        assert!(!format!("{set:?}").contains("no key"));
        assert!(ApiSecuritySet::from_json(&Secret::new("{}".to_owned())).is_none());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(set().keys(None).is_err());
        for wrong in ["", "a b", "a|b", &"a".repeat(65)] {
            assert!(wrong.parse::<KeySerial>().is_err(), "{wrong}");
        }
    }
}
