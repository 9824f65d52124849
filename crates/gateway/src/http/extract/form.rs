//! A form body (RFC 6749 appendix B): bounded, with one meaning, and alone: nothing stands in the address.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::BytesMut;
use wxgate_crypto::Digest;

use super::body::{self, TOKEN_BODY};
use crate::http::oauth::code::OAuthCode;
use crate::http::oauth::error::OAuthError;

/// Most parameters of one request: no grant has a dozen.
const MOST: usize = 64;

/// The parameters of a request, each name once. Their values may be secrets, so there is no Debug.
pub(crate) struct Form {
    fields: Vec<(String, String)>,
    bytes: BytesMut,
}

impl Form {
    /// SHA-256 of the bytes, to know an identical body again.
    pub(crate) fn digest(&self) -> Digest {
        Digest::sha256(&self.bytes)
    }

    /// A parameter; one without a value counts as left out (RFC 6749 section 3.2).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that may not be left out.
    ///
    /// # Errors
    /// `invalid_request`.
    pub(crate) fn required(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthCode::RequestInvalid.into())
    }
}

impl FromRequest for Form {
    type Error = OAuthError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, OAuthError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let admitted = admit(request);
        let payload = web::Payload::from_request(request, payload);
        Box::pin(async move {
            admitted?;
            let payload = payload.await.map_err(|_| OAuthCode::RequestInvalid)?;
            let bytes = body::read_in_time(payload, TOKEN_BODY).await?;
            let fields = parse(&bytes).ok_or(OAuthCode::RequestInvalid)?;
            Ok(Self { fields, bytes })
        })
    }
}

fn admit(request: &HttpRequest) -> Result<(), OAuthError> {
    // Addresses end up in logs on the way, and two places for one parameter have two meanings.
    if !request.query_string().is_empty() {
        return Err(OAuthCode::QueryForbidden.into());
    }
    if !body::is_plain(request, "application/x-www-form-urlencoded") {
        return Err(OAuthCode::MediaType.into());
    }
    Ok(body::announced(request, TOKEN_BODY)?)
}

/// The parameters; `None` if one stands there twice (RFC 6749 section 3.2), for bytes that two readers could read
/// differently, and for a `session_key`, which must never leave the server.
pub(super) fn parse(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let mut fields: Vec<(String, String)> = Vec::new();
    if bytes.is_empty() {
        return Some(fields);
    }
    for pair in bytes.split(|byte| *byte == b'&') {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at_checked(at)?;
        let (name, value) = (decoded(name)?, decoded(value.get(1..)?)?);
        let is_secret = body::is_session_key(&name) && !value.is_empty();
        if name.is_empty() || is_secret || fields.len() == MOST || fields.iter().any(|(known, _)| *known == name) {
            return None;
        }
        fields.push((name, value));
    }
    Some(fields)
}

/// Text as `application/x-www-form-urlencoded` writes it; `None` for broken escapes, raw bytes that should be escaped,
/// control characters, and what is no UTF-8.
pub(crate) fn decoded(bytes: &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(bytes.len());
    for (escapes, part) in bytes.split(|byte| *byte == b'%').enumerate() {
        let mut plain = part;
        if escapes > 0 {
            let (digits, after) = part.split_first_chunk::<2>()?;
            plain = after;
            text.push(digits.iter().try_fold(0_u8, |value, digit| {
                let digit = char::from(*digit).to_digit(16)?;
                Some(value << 4 | u8::try_from(digit).ok()?)
            })?);
        }
        if !plain.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        text.extend(plain.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }));
    }
    let text = String::from_utf8(text).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<(String, String)>> {
        parse(text.as_bytes())
    }

    #[test]
    fn parameters_are_read_once_and_unescaped() {
        let fields = read("scope=a+b&token=x%3Dy%20z&empty=&name=%E7%88%B1=").unwrap();
        let expected = [("scope", "a b"), ("token", "x=y z"), ("empty", ""), ("name", "爱=")];
        assert!(fields.iter().zip(expected).all(|((name, value), (n, v))| name == n && value == v), "{fields:?}");
        let form = Form { fields, bytes: BytesMut::new() };
        assert_eq!((form.get("scope"), form.get("empty"), form.get("missing")), (Some("a b"), None, None));
        assert_eq!(form.required("empty").unwrap_err().code, OAuthCode::RequestInvalid);
        assert_eq!(read(""), Some(vec![]));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let many: Vec<_> = (0..65).map(|n| format!("a{n}=1")).collect();
        for wrong in [
            "a=1&a=1",
            "a=1&%61=2",
            "session_key=x",
            "sessionKey=x",
            "a=&a=1",
            "a",
            "=1",
            "a=1&",
            "&a=1",
            "a=1&&b=2",
            "a=%",
            "a=%4",
            "a=%zz",
            "a=%00",
            "a=%0d%0ab",
            "a=%ff",
            "a=b c",
            "a=\u{e4}",
            "a=1\n",
            &many.join("&"),
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
