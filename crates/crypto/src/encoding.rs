//! Strict text encodings: one text for one value, everything else refused.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};

/// For texts whose length is no multiple of what their bytes need.
const STRAY_BITS: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Decodes base64 with padding (RFC 4648 section 4): no white space, no missing padding, no stray bits.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Decodes base64 without padding, whatever the spare bits of the last character are.
///
/// Only for an EncodingAESKey: it is 43 characters that somebody drew at random, not the encoding of something.
pub fn base64_with_stray_bits(text: &str) -> Option<Vec<u8>> {
    STRAY_BITS.decode(text).ok()
}

/// Encodes as base64 with padding (RFC 4648 section 4).
pub fn to_base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Decodes base64url without padding (RFC 4648 section 5), canonical texts only.
pub fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Encodes as base64url without padding (RFC 4648 section 5).
pub fn to_base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Encodes as base64url without padding, behind what the text holds.
pub fn push_base64url(text: &mut String, bytes: impl AsRef<[u8]>) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// Decodes lower-case hexadecimal.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    from_digits(text, b'a')
}

/// Decodes upper-case hexadecimal, which SQL writes.
pub fn upper_hex(text: &str) -> Option<Vec<u8>> {
    from_digits(text, b'A')
}

fn from_digits(text: &str, ten: u8) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        letter => letter.checked_sub(ten).filter(|above| *above < 6).map(|above| above + 10),
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    // Collected as options, the bytes would not know how many they are.
    let mut bytes = Vec::with_capacity(pairs.len());
    for [high, low] in pairs {
        bytes.push(digit(*high)? << 4 | digit(*low)?);
    }
    Some(bytes)
}

/// Encodes as lower-case hexadecimal.
pub fn to_hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_texts_decode() {
        assert_eq!(base64("AQI=").unwrap(), [1, 2]);
        for wrong in ["AQI", "AQJ=", "AQI=\n", " AQI=", "AQ-_", "AQI==", "="] {
            assert!(base64(wrong).is_none(), "{wrong:?}");
        }
        for stray in ["AQI", "AQJ"] {
            assert_eq!(base64_with_stray_bits(stray).unwrap(), [1, 2]);
        }
        assert!(base64_with_stray_bits("AQI=").is_none());
        assert_eq!(base64url("AQI").unwrap(), [1, 2]);
        for wrong in ["AQI=", "AQJ", "A", "AQI\n", "+w"] {
            assert!(base64url(wrong).is_none(), "{wrong:?}");
        }
        assert_eq!(to_hex([0, 255, 16]), "00ff10");
        assert_eq!(hex("00ff10").unwrap(), [0, 255, 16]);
        for wrong in ["0", "00FF10", "0g", " 00", "00f"] {
            assert!(hex(wrong).is_none(), "{wrong:?}");
        }
        assert_eq!(upper_hex("00FF1A").unwrap(), [0, 255, 26]);
        for wrong in ["0", "00ff10", "0G", "0@", "00F"] {
            assert!(upper_hex(wrong).is_none(), "{wrong:?}");
        }
    }
}
