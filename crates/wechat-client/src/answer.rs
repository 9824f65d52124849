//! How WeChat's answers are read, whatever was asked.

use serde_json::{Map, Value};
use wxgate_crypto::strict_json;

use crate::error::BadResponse;

/// The JSON object of an answer, judged by the body alone: JSON may be labelled `text/plain`.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, BadResponse> {
    match body.trim_ascii_start().first() {
        None => return Err(BadResponse::Empty),
        Some(b'<') => return Err(BadResponse::Html),
        Some(_) => {}
    }
    match strict_json::parse(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(BadResponse::NotObject),
        Err(_) => Err(BadResponse::NotJson),
    }
}

/// Takes a text out of an answer.
pub(crate) fn take_text(object: &mut Map<String, Value>, key: &str) -> Option<String> {
    match object.remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// The errcode: a number, or the text of one as some of WeChat's servers send; 0 if it is absent, as on success.
pub(crate) fn errcode(answer: &Map<String, Value>) -> Result<i64, BadResponse> {
    match answer.get("errcode") {
        None => Ok(0),
        Some(Value::Number(number)) => number.as_i64().ok_or(BadResponse::Errcode),
        Some(Value::String(text)) => text.parse().map_err(|_| BadResponse::Errcode),
        Some(_) => Err(BadResponse::Errcode),
    }
}
