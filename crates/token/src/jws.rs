//! The outer form of everything we sign: a JWS in compact form (RFC 7515 section 7.1), told apart by `typ`.

use aws_lc_rs::error::Unspecified;
use jsonwebtoken::Header as JoseHeader;
use serde_json::{Map, Value};
use wxgate_crypto::{encoding, strict_json};
use wxgate_domain::{Kid, SigningAlgorithm};

use crate::algorithm;
use crate::key_ring::VerifyingKeys;
use crate::signing_key::SigningKey;
use crate::verify::VerifyError;

/// What a token is, said in its header: one is never taken for the other (RFC 8725 section 3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenType {
    /// RFC 9068 section 2.1.
    AccessToken,
    /// RFC 8417 section 2.3.
    SecurityEvent,
}

impl TokenType {
    /// The text of `typ`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "at+jwt",
            Self::SecurityEvent => "secevent+jwt",
        }
    }

    /// RFC 7515 section 4.1.9: a media type, compared without case, with or without `application/`.
    fn is(self, typ: &str) -> bool {
        const PREFIX: &str = "application/";
        let bare = match typ.get(..PREFIX.len()) {
            Some(start) if start.eq_ignore_ascii_case(PREFIX) => typ.get(PREFIX.len()..).unwrap_or_default(),
            _ => typ,
        };
        bare.eq_ignore_ascii_case(self.as_str())
    }
}

/// The JOSE headers of a key in base64url: the same for every token of one type.
#[derive(Debug)]
pub(crate) struct Headers {
    access_token: String,
    security_event: String,
}

impl Headers {
    pub(crate) fn new(algorithm: SigningAlgorithm, kid: &Kid) -> Result<Self, serde_json::Error> {
        let header = |typ: TokenType| {
            let mut header = JoseHeader::new(algorithm::jose(algorithm));
            header.typ = Some(typ.as_str().to_owned());
            header.kid = Some(kid.as_str().to_owned());
            serde_json::to_vec(&header).map(encoding::to_base64url)
        };
        Ok(Self { access_token: header(TokenType::AccessToken)?, security_event: header(TokenType::SecurityEvent)? })
    }

    fn of(&self, typ: TokenType) -> &str {
        match typ {
            TokenType::AccessToken => &self.access_token,
            TokenType::SecurityEvent => &self.security_event,
        }
    }
}

/// Enough for a signature of 64 bytes and the points. Those of RSA are longer, and cost so much that this is nothing.
const ROOM_FOR_SIGNATURE: usize = 96;

/// Signs a payload: header, payload and signature with points between.
pub(crate) fn sign(key: &SigningKey, typ: TokenType, payload: &[u8]) -> Result<String, Unspecified> {
    let header = key.headers().of(typ);
    let mut token = String::with_capacity(header.len() + payload.len() * 4 / 3 + ROOM_FOR_SIGNATURE);
    token.push_str(header);
    token.push('.');
    encoding::push_base64url(&mut token, payload);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    encoding::push_base64url(&mut token, signature);
    Ok(token)
}

/// Checks form, type, key and signature of a token of at most `longest` bytes, and gives its payload and its key's id.
///
/// The algorithm is the key's own; the header only has to agree. Keys and addresses inside the header (`jwk`, `jku`,
/// `x5c`, `x5u`) are never looked at.
pub(crate) fn open<'a>(
    token: &str,
    typ: TokenType,
    longest: usize,
    keys: &'a VerifyingKeys,
) -> Result<(Vec<u8>, &'a Kid), VerifyError> {
    let parts = Parts::split(token).filter(|_| token.len() <= longest).ok_or(VerifyError::Malformed)?;
    let header = Header::read(parts.header, typ)?;
    let key = keys.get(&header.kid).ok_or(VerifyError::UnknownKey)?;
    if header.algorithm != key.algorithm() {
        return Err(VerifyError::Algorithm);
    }
    let signature = encoding::base64url(parts.signature).ok_or(VerifyError::Malformed)?;
    if !key.verifies(parts.message.as_bytes(), &signature) {
        return Err(VerifyError::Signature);
    }
    let payload = encoding::base64url(parts.payload).ok_or(VerifyError::Malformed)?;
    Ok((payload, key.kid()))
}

/// The three segments of a JWS. A JWE has five and is none of ours.
struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// What was signed: header and payload with the point between.
    message: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Option<Self> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        (!payload.contains('.')).then_some(Self { header, payload, signature, message })
    }
}

/// What the header says, as far as we listen.
struct Header {
    algorithm: SigningAlgorithm,
    kid: Kid,
}

impl Header {
    /// Reads the header; duplicate names are refused, unknown ones ignored.
    fn read(encoded: &str, typ: TokenType) -> Result<Self, VerifyError> {
        let bytes = encoding::base64url(encoded).ok_or(VerifyError::Malformed)?;
        let Ok(Value::Object(header)) = strict_json::parse(&bytes) else { return Err(VerifyError::Malformed) };
        // RFC 7515 section 4.1.11, RFC 7797: we understand no extension, and an unencoded payload is none of ours.
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(VerifyError::Malformed);
        }
        if !text(&header, "typ").is_some_and(|own| typ.is(own)) {
            return Err(VerifyError::Type);
        }
        // `none` in any spelling and every HMAC ends here: they are no algorithms of ours.
        let algorithm = text(&header, "alg").and_then(|name| name.parse().ok()).ok_or(VerifyError::Algorithm)?;
        let kid = text(&header, "kid").and_then(|kid| kid.parse().ok()).ok_or(VerifyError::Malformed)?;
        Ok(Self { algorithm, kid })
    }
}

fn text<'a>(header: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    header.get(name)?.as_str()
}
