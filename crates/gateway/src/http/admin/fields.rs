//! What an operation is given: the fields of its address, and of its query or body.

use actix_web::{HttpRequest, web};
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
        // One thing has one name: the body may not say another.
        if fields.insert(name.to_owned(), Value::from(unescaped(value))).is_some() {
            return Err(ApiError::from(Code::RequestInvalid).detailed(format!("{name} stands in the address")));
        }
    }
    Ok(fields)
}

/// Whatever a name holds: slashes too.
fn unescaped(value: &str) -> String {
    // As in a query, where these three would be something else.
    let value = value.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(value.as_bytes()).map(|(text, _)| text.into_owned()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_address_still_has_of_escapes_is_undone_once() {
        for (left, name) in [
            ("https:%2F%2Fa.example%2fb?v=1&w=2%2520", "https://a.example/b?v=1&w=2%20"),
            ("a+b%2Bc%25", "a+b+c%"),
            ("%252F", "%2F"),
            ("%zz%2+%", "%zz%2+%"),
        ] {
            assert_eq!(unescaped(left), name);
        }
    }
}
