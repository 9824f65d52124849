//! The three kinds of keys.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{ApiSecurityFailure, Binding, OWN_FIELDS, key_file};
use crate::random::Random;
use crate::secret::Secret;
use crate::{encoding, strict_json};

const NONCE: usize = 12;
const TAG: usize = 16;

/// The symmetric key: 32 bytes under WeChat's serial.
pub struct SymmetricKey {
    serial: String,
    cipher: LessSafeKey,
}

impl SymmetricKey {
    /// Reads a key as the console shows it, in base64.
    ///
    /// # Errors
    /// [`ApiSecurityFailure::Key`]: not 32 bytes. 16 would be a key for SM4, which is not offered.
    pub fn parse(serial: &str, key: &Secret<String>) -> Result<Self, ApiSecurityFailure> {
        let bytes = encoding::base64(key.expose()).map(Zeroizing::new).ok_or(ApiSecurityFailure::Key)?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| ApiSecurityFailure::Key)?;
        Ok(Self { serial: serial.to_owned(), cipher: LessSafeKey::new(key) })
    }

    /// Encrypts a text to the body of a call.
    pub(super) fn seal(
        &self,
        binding: &Binding<'_>,
        text: &Secret<String>,
        random: &Random,
    ) -> Result<String, ApiSecurityFailure> {
        let nonce = random.bytes::<NONCE>();
        let mut data = text.expose().as_bytes().to_vec();
        let aad = Aad::from(binding.aad(&self.serial));
        let tag = self.cipher.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut data);
        let tag = tag.map_err(|_| ApiSecurityFailure::Key)?;
        let [iv, data, authtag] = [&nonce[..], &data, tag.as_ref()].map(encoding::to_base64);
        Ok(json!({ "iv": iv, "data": data, "authtag": authtag }).to_string())
    }

    /// Decrypts a body and takes off the fields of the protection, which must agree with what it is bound to. The signature
    /// is another question.
    ///
    /// # Errors
    /// [`ApiSecurityFailure::Body`], [`ApiSecurityFailure::Tag`] or [`ApiSecurityFailure::Fields`].
    pub fn open(&self, binding: &Binding<'_>, body: &str) -> Result<Map<String, Value>, ApiSecurityFailure> {
        let Ok(Value::Object(envelope)) = strict_json::parse(body.as_bytes()) else {
            return Err(ApiSecurityFailure::Body);
        };
        let part = |name: &str| envelope.get(name).and_then(Value::as_str).and_then(encoding::base64);
        let (Some(iv), Some(data), Some(tag)) = (part("iv"), part("data"), part("authtag")) else {
            return Err(ApiSecurityFailure::Body);
        };
        let nonce = Nonce::try_assume_unique_for_key(&iv).map_err(|_| ApiSecurityFailure::Body)?;
        if tag.len() != TAG {
            return Err(ApiSecurityFailure::Body);
        }
        let mut sealed = Zeroizing::new([data, tag].concat());
        let aad = Aad::from(binding.aad(&self.serial));
        let plain = self.cipher.open_in_place(nonce, aad, &mut sealed).map_err(|_| ApiSecurityFailure::Tag)?;
        let Ok(Value::Object(mut fields)) = strict_json::parse(plain) else {
            return Err(ApiSecurityFailure::Fields);
        };
        let appid = fields.get("_appid").and_then(Value::as_str);
        let timestamp = fields.get("_timestamp").and_then(Value::as_i64);
        if (appid, timestamp) != (Some(binding.appid), Some(binding.timestamp)) {
            return Err(ApiSecurityFailure::Fields);
        }
        for own in OWN_FIELDS {
            fields.remove(own);
        }
        Ok(fields)
    }
}

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SymmetricKey({})", self.serial)
    }
}

/// The app's own private key: RSA with at least 2048 bits.
pub struct RequestKey(KeyPair);

impl RequestKey {
    /// Reads a PEM file, PKCS#8 (`PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// [`ApiSecurityFailure::Key`].
    pub fn parse(pem: &Secret<String>) -> Result<Self, ApiSecurityFailure> {
        let (label, der) = key_file::read(pem.expose()).ok_or(ApiSecurityFailure::Key)?;
        let pair = match label {
            "PRIVATE KEY" => KeyPair::from_pkcs8(&der),
            "RSA PRIVATE KEY" => KeyPair::from_der(&der),
            _ => return Err(ApiSecurityFailure::Key),
        };
        pair.map(Self).map_err(|_| ApiSecurityFailure::Key)
    }

    /// Signs with RSA-PSS, SHA-256 and a salt of 32 bytes; base64.
    pub(super) fn sign(&self, text: &str) -> Result<String, ApiSecurityFailure> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let signed = self.0.sign(&RSA_PSS_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature);
        signed.map_err(|_| ApiSecurityFailure::Key)?;
        Ok(encoding::to_base64(signature))
    }
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestKey")
    }
}

/// A key of WeChat's, which signs answers.
pub struct PlatformKey {
    serial: String,
    key: ParsedPublicKey,
}

impl PlatformKey {
    /// Reads a PEM file, a certificate or a public key (`PUBLIC KEY`), RSA with at least 2048 bits. Nothing else of a
    /// certificate counts: WeChat names it by its own serial, and the console replaces it in time.
    ///
    /// # Errors
    /// [`ApiSecurityFailure::Key`].
    pub fn parse(serial: &str, pem: &str) -> Result<Self, ApiSecurityFailure> {
        let (label, der) = key_file::read(pem).ok_or(ApiSecurityFailure::Key)?;
        let public = match label {
            "PUBLIC KEY" => &der,
            "CERTIFICATE" => key_file::public_key_of(&der).ok_or(ApiSecurityFailure::Key)?,
            _ => return Err(ApiSecurityFailure::Key),
        };
        let key = ParsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, public).map_err(|_| ApiSecurityFailure::Key)?;
        Ok(Self { serial: serial.to_owned(), key })
    }

    /// WeChat's number of the certificate.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Whether the text was signed by this key; the signature is base64.
    pub fn verifies(&self, text: &str, signature: &str) -> bool {
        let signature = encoding::base64(signature);
        signature.is_some_and(|signature| self.key.verify_sig(text.as_bytes(), &signature).is_ok())
    }
}

impl fmt::Debug for PlatformKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlatformKey({})", self.serial)
    }
}
