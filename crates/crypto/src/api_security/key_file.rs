//! PEM files, and where a certificate keeps its key.

use zeroize::Zeroizing;

use crate::encoding;

/// The first block of a PEM file (RFC 7468): its label and its bytes.
pub(super) fn read(pem: &str) -> Option<(&str, Zeroizing<Vec<u8>>)> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (text, rest) = rest.split_once("-----END ")?;
    rest.strip_prefix(label)?.strip_prefix("-----")?;
    let text: Zeroizing<String> = Zeroizing::new(text.split_ascii_whitespace().collect());
    encoding::base64(&text).map(|bytes| (label, Zeroizing::new(bytes)))
}

/// The SubjectPublicKeyInfo of a certificate (RFC 5280 section 4.1): in the signed part, the field after
/// version, serial number, algorithm, issuer, validity and subject.
pub(super) fn public_key_of(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (_, signed, _) = element(certificate)?;
    let (_, mut fields, _) = element(signed)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    for _ in ["serial number", "algorithm", "issuer", "validity", "subject"] {
        fields = element(fields)?.2;
    }
    let (whole, _, _) = element(fields)?;
    (whole.first() == Some(&SEQUENCE)).then_some(whole)
}

/// The first element of DER bytes: whole, its content, and what follows.
fn element(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (head, length) = match *bytes.get(1)? {
        short @ 0..=0x7f => (2, usize::from(short)),
        // Two or three bytes of length: up to 64 KiB, far more than any certificate.
        0x81 => (3, usize::from(*bytes.get(2)?)),
        0x82 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        _ => return None,
    };
    let (whole, rest) = bytes.split_at_checked(head + length)?;
    Some((whole, whole.get(head..)?, rest))
}
