//! What an operation is given: the fields of its address, and of its query or body.

use actix_web::{FromRequest, HttpRequest, web};
use serde_json::{Map, Value};

use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::body;
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
    // Whatever a name holds, escaped: slashes too.
    let values = web::Path::<Vec<String>>::extract(request).await.map_err(|_| Code::NotFound)?.into_inner();
    for ((name, _), value) in request.match_info().iter().zip(values) {
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
