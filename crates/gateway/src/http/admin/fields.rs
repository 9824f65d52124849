//! What an operation is given: the fields of its address, and of its query or body.

use actix_web::{HttpRequest, web};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::{body, path};
use crate::operation::Route;

/// Reads all of them, each once.
pub(super) async fn of(
    request: &HttpRequest,
    payload: web::Payload,
    route: &Route,
    max_body: usize,
) -> Result<Map<String, Value>, ApiError> {
    let mut fields = query(request)?;
    if !route.method.has_query() {
        // One place for a field, and no key or secret in an address: addresses reach logs.
        if !fields.is_empty() {
            return Err(ApiError::from(Code::RequestInvalid).detailed("fields belong in the body".to_owned()));
        }
        fields = body::object(request, payload, max_body).await?;
    }
    for (name, value) in path::fields(request) {
        // Every id and name of ours is printable ASCII.
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Code::NotFound.into());
        }
        // Whatever a name holds: slashes too.
        let value = percent_decode_str(value).decode_utf8_lossy();
        // One thing has one name: the body may not say another.
        if fields.insert(name.to_owned(), Value::from(value)).is_some() {
            return Err(ApiError::from(Code::RequestInvalid).detailed(format!("{name} stands in the address")));
        }
    }
    Ok(fields)
}

fn query(request: &HttpRequest) -> Result<Map<String, Value>, ApiError> {
    let mut fields = Map::new();
    for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
        if fields.insert(name.to_string(), Value::from(value.as_ref())).is_some() {
            return Err(ApiError::from(Code::RequestInvalid).detailed(format!("{name} is there twice")));
        }
    }
    Ok(fields)
}
