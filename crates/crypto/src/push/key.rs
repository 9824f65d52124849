//! The EncodingAESKey and the frame under it.

use aes::Aes256;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use zeroize::{Zeroize, Zeroizing};

use super::PushFailure;
use crate::digest::constant_time_eq;
use crate::encoding;
use crate::random::Random;
use crate::secret::Secret;

/// Length of an EncodingAESKey in characters.
const TEXT: usize = 43;
/// Blocks of the padding, which are not those of the cipher.
const PADDED_BLOCK: usize = 32;
const CIPHER_BLOCK: usize = 16;
/// Random bytes before the length field.
const SALT: usize = 16;

/// The key that an operator enters in WeChat's console: 43 characters of base64, 32 bytes.
#[derive(Clone, Debug)]
pub struct EncodingAesKey {
    text: Secret<String>,
    key: Secret<[u8; 32]>,
}

impl EncodingAesKey {
    /// A new key.
    pub fn generate(random: &Random) -> Self {
        let key = random.secret();
        let mut text = encoding::to_base64(key.expose());
        text.truncate(TEXT);
        Self { text: Secret::new(text), key }
    }

    /// Reads a key. Its last character may carry two bits that mean nothing, as keys made by WeChat's console do.
    ///
    /// # Errors
    /// [`PushFailure::AesKey`].
    pub fn parse(text: Secret<String>) -> Result<Self, PushFailure> {
        if text.expose().len() != TEXT {
            return Err(PushFailure::AesKey);
        }
        let bytes = encoding::base64_with_stray_bits(text.expose()).map(Zeroizing::new).ok_or(PushFailure::AesKey)?;
        let key = bytes.as_slice().try_into().map_err(|_| PushFailure::AesKey)?;
        Ok(Self { text, key: Secret::new(key) })
    }

    /// The 43 characters, to be sealed or shown once.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// Decrypts a frame that is meant for this app. Whoever calls has checked the signature.
    ///
    /// # Errors
    /// The first check that failed.
    pub(super) fn open(&self, encrypt: &str, appid: &str) -> Result<Zeroizing<Vec<u8>>, PushFailure> {
        let mut frame = Zeroizing::new(encoding::base64(encrypt).ok_or(PushFailure::Base64)?);
        if frame.is_empty() || !frame.len().is_multiple_of(CIPHER_BLOCK) {
            return Err(PushFailure::CiphertextLength);
        }
        let cipher = cbc::Decryptor::<Aes256>::new(self.key.expose().into(), &self.iv().into());
        cipher.decrypt_padded::<NoPadding>(&mut frame).map_err(|_| PushFailure::CiphertextLength)?;
        read(unpadded(&frame).ok_or(PushFailure::Padding)?, appid)
    }

    /// Encrypts a message for an app, or of one.
    pub(super) fn seal(&self, message: &[u8], appid: &str, salt: [u8; SALT]) -> String {
        // A message of 4 GiB does not exist: bodies are bounded long before.
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut frame = Vec::with_capacity(SALT + length.len() + message.len() + appid.len() + PADDED_BLOCK);
        for part in [&salt[..], &length, message, appid.as_bytes()] {
            frame.extend_from_slice(part);
        }
        let padding = PADDED_BLOCK - frame.len() % PADDED_BLOCK;
        frame.resize(frame.len() + padding, u8::try_from(padding).unwrap_or_default());
        let cipher = cbc::Encryptor::<Aes256>::new(self.key.expose().into(), &self.iv().into());
        let sealed = cipher.encrypt_padded_vec::<NoPadding>(&frame);
        frame.zeroize();
        encoding::to_base64(sealed)
    }

    /// The first half of the key: WeChat's choice, so that equal messages differ by their salt only.
    fn iv(&self) -> [u8; CIPHER_BLOCK] {
        self.key.expose().first_chunk().copied().unwrap_or_default()
    }
}

impl PartialEq for EncodingAesKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(self.key.expose(), other.key.expose())
    }
}

impl Eq for EncodingAesKey {}

/// A frame without its PKCS#7 padding of 1 to 32 bytes, every one of which is checked.
fn unpadded(frame: &[u8]) -> Option<&[u8]> {
    let count = usize::from(*frame.last()?);
    if !(1..=PADDED_BLOCK).contains(&count) {
        return None;
    }
    let (rest, padding) = frame.split_at_checked(frame.len().checked_sub(count)?)?;
    padding.iter().all(|byte| usize::from(*byte) == count).then_some(rest)
}

/// Reads `salt | length | message | appid`.
fn read(frame: &[u8], appid: &str) -> Result<Zeroizing<Vec<u8>>, PushFailure> {
    let (_, rest) = frame.split_at_checked(SALT).ok_or(PushFailure::LengthField)?;
    let (length, rest) = rest.split_first_chunk().ok_or(PushFailure::LengthField)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| PushFailure::LengthField)?;
    let (message, owner) = rest.split_at_checked(length).ok_or(PushFailure::LengthField)?;
    if !constant_time_eq(owner, appid.as_bytes()) {
        return Err(PushFailure::Appid);
    }
    Ok(Zeroizing::new(message.to_vec()))
}
