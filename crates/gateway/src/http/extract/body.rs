//! A JSON body: bounded, with one meaning, and without what must never be sent.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::BytesMut;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use wxgate_crypto::{Digest, strict_json};

use super::form;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::tutorial;

/// Largest body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Largest body of routes that take a token, in bytes.
pub(crate) const TOKEN_BODY: usize = 16 * 1024;

/// How long a body may take to arrive.
const READ_TIME: Duration = Duration::from_secs(10);

/// A JSON object of at most `MAX` bytes as `T`; unknown keys are ignored, duplicate keys and `session_key` refused. There
/// must be one.
pub(crate) struct JsonBody<T, const MAX: usize = MAX_BODY> {
    pub(crate) value: T,
    bytes: BytesMut,
}

impl<T, const MAX: usize> JsonBody<T, MAX> {
    /// SHA-256 of the bytes, to know an identical body again.
    pub(crate) fn digest(&self) -> Digest {
        Digest::sha256(&self.bytes)
    }
}

impl<T: DeserializeOwned + 'static, const MAX: usize> FromRequest for JsonBody<T, MAX> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = web::Payload::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let payload = payload.await.map_err(|_| Code::RequestInvalid)?;
            let (bytes, object) = received(&request, payload, MAX).await?;
            if bytes.is_empty() {
                media_type(&request)?;
                return Err(Code::RequestInvalid.into());
            }
            let value = T::deserialize(Value::Object(object)).map_err(|_| Code::RequestInvalid)?;
            Ok(Self { value, bytes })
        })
    }
}

/// The JSON object of a request, under the same rules, for whoever knows its fields only later. No body is an empty object.
pub(crate) async fn object(
    request: &HttpRequest,
    payload: web::Payload,
    max: usize,
) -> Result<Map<String, Value>, ApiError> {
    Ok(received(request, payload, max).await?.1)
}

/// The bytes of a body, and what they say.
async fn received(
    request: &HttpRequest,
    payload: web::Payload,
    max: usize,
) -> Result<(BytesMut, Map<String, Value>), ApiError> {
    refuse_secrets_in_query(request)?;
    announced(request, max)?;
    let bytes = read_in_time(payload, max).await?;
    if bytes.is_empty() {
        return Ok((bytes, Map::new()));
    }
    media_type(request)?;
    let object = checked(&bytes)?;
    Ok((bytes, object))
}

/// The fields of a JSON object or a form, for clients that were written for another server. No body has none.
///
/// # Errors
/// As for any JSON body, and `MEDIA_TYPE` for what is neither.
pub(crate) async fn fields(request: &HttpRequest, payload: web::Payload) -> Result<Map<String, Value>, ApiError> {
    announced(request, MAX_BODY)?;
    let bytes = read_in_time(payload, MAX_BODY).await?;
    if bytes.is_empty() {
        Ok(Map::new())
    } else if is_plain(request, "application/x-www-form-urlencoded") {
        let fields = form::parse(&bytes).ok_or(Code::RequestInvalid)?;
        Ok(fields.into_iter().map(|(name, value)| (name, value.into())).collect())
    } else if is_plain(request, "application/json") {
        Ok(checked(&bytes)?)
    } else {
        Err(Code::MediaType.into())
    }
}

/// The bytes of a body of whatever type, not compressed.
pub(crate) async fn of_any_type(
    request: &HttpRequest,
    payload: web::Payload,
    max: usize,
) -> Result<BytesMut, ApiError> {
    if !is_unencoded(request) {
        return Err(Code::MediaType.into());
    }
    announced(request, max)?;
    read_in_time(payload, max).await
}

/// Browsers cannot send `application/json` across origins without asking; other types are refused. The tutorial's
/// server never looked at the type, so its clients may send any.
fn media_type(request: &HttpRequest) -> Result<(), ApiError> {
    let right =
        if tutorial::is_route(request.path()) { is_unencoded(request) } else { is_plain(request, "application/json") };
    if right { Ok(()) } else { Err(Code::MediaType.into()) }
}

/// Whether a body says that it is of this type, once, and not compressed.
pub(super) fn is_plain(request: &HttpRequest, media_type: &str) -> bool {
    let only = request.headers().get_all(header::CONTENT_TYPE).count() <= 1;
    let text = request.headers().get(header::CONTENT_TYPE).filter(|_| only).and_then(|value| value.to_str().ok());
    let essence = text.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(media_type) && is_unencoded(request)
}

fn is_unencoded(request: &HttpRequest) -> bool {
    let encoding = request.headers().get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    encoding.is_none_or(|value| value.eq_ignore_ascii_case("identity"))
}

/// A body that says it is too long is not waited for.
pub(super) fn announced(request: &HttpRequest, max: usize) -> Result<(), ApiError> {
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let fits = length.is_none_or(|length| length <= max as u64);
    if fits { Ok(()) } else { Err(Code::BodyTooLarge.into()) }
}

/// What must not stand in an address.
const SECRETS: [&str; 6] = ["code", "platcode", "js_code", "phonecode", "refresh_token", "access_token"];

/// Codes and tokens in addresses end up in logs on the way. Looked at before anything else: `wx.request` with GET puts all
/// its data there and sends no body.
fn refuse_secrets_in_query(request: &HttpRequest) -> Result<(), ApiError> {
    let mut names = url::form_urlencoded::parse(request.query_string().as_bytes()).map(|(name, _)| name);
    if has_session_key(request.query_string())
        || names.any(|name| SECRETS.iter().any(|secret| name.eq_ignore_ascii_case(secret)))
    {
        return Err(Code::FieldForbidden.into());
    }
    Ok(())
}

/// Reads a body of at most `max` bytes, in the time that one may take.
pub(super) async fn read_in_time(payload: web::Payload, max: usize) -> Result<BytesMut, ApiError> {
    tokio::time::timeout(READ_TIME, read(payload, max)).await.map_err(|_| Code::RequestTimeout)?
}

async fn read(mut payload: web::Payload, max: usize) -> Result<BytesMut, ApiError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Code::RequestInvalid)?;
        if bytes.len() + chunk.len() > max {
            return Err(Code::BodyTooLarge.into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The object, if it is one and has one meaning.
fn checked(bytes: &[u8]) -> Result<Map<String, Value>, Code> {
    match strict_json::parse(bytes) {
        Ok(Value::Object(object)) if carries_session_key(&object) => Err(Code::FieldForbidden),
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Code::RequestInvalid),
    }
}

/// A `session_key` that a client sends has left the server that it must never leave.
fn carries_session_key(object: &Map<String, Value>) -> bool {
    object.iter().any(|(key, value)| (is_session_key(key) && !is_empty(value)) || inside(value))
}

/// Whether a query string has a `session_key`.
pub(crate) fn has_session_key(query: &str) -> bool {
    let mut fields = url::form_urlencoded::parse(query.as_bytes());
    fields.any(|(name, value)| is_session_key(&name) && !value.is_empty())
}

/// Whether a field has the name of what must never be sent.
pub(super) fn is_session_key(name: &str) -> bool {
    ["session_key", "sessionkey"].iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

fn inside(value: &Value) -> bool {
    match value {
        Value::Object(object) => carries_session_key(object),
        Value::Array(items) => items.iter().any(inside),
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<Code> {
        checked(text.as_bytes()).err()
    }

    #[test]
    fn only_one_object_with_one_meaning_is_read() {
        assert_eq!(code(r#"{"code":"a","later":[1,{"x":2}]}"#), None);
        for wrong in ["", "[]", "\"a\"", "{}{}", r#"{"a":1,"a":2}"#, r#"{"a":[[[[[[[[1]]]]]]]]}"#] {
            assert_eq!(code(wrong), Some(Code::RequestInvalid), "{wrong}");
        }
    }

    #[test]
    fn a_session_key_is_refused_wherever_it_stands() {
        for wrong in [r#"{"session_key":"a"}"#, r#"{"a":[{"sessionKey":"a"}]}"#, r#"{"a":{"session_key":1}}"#] {
            assert_eq!(code(wrong), Some(Code::FieldForbidden), "{wrong}");
        }
        assert_eq!(code(r#"{"session_key":"","sessionKey":null}"#), None);
    }
}
