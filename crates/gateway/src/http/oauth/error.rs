//! What an OAuth endpoint fails with. Only the code reaches the wire; the source goes to the log line of the boundary.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::code::OAuthCode;
use crate::http::code::Code;
use crate::http::error::ApiError;

/// An error of an OAuth endpoint.
#[derive(Debug)]
pub(crate) struct OAuthError {
    pub(crate) code: OAuthCode,
    /// Its name in the log.
    pub(crate) name: &'static str,
    /// Whether somebody here has to mend it.
    pub(crate) alarm: bool,
    /// Seconds after which it makes sense to come back.
    pub(crate) retry_after: Option<u32>,
    /// What happened, for the operator only.
    pub(crate) source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A failure (RFC 6749 section 5.2).
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct OAuthProblem {
    error: &'static str,
    error_description: &'static str,
}

impl OAuthError {
    /// An error with its source, which is logged and never sent.
    pub(crate) fn caused(code: OAuthCode, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::from(code) }
    }

    /// The same error with a time to come back.
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// What an error of the rest of our API is called here; the log keeps its own name.
    fn of(code: Code, retry_after: Option<u32>) -> Self {
        Self { name: code.name(), alarm: code.is_alarm(), retry_after, ..Self::from(OAuthCode::from(code)) }
    }

    /// The body of RFC 6749 section 5.2.
    pub(crate) fn told(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.code.status());
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if self.code == OAuthCode::ClientInvalid {
            // Section 5.2, and RFC 7617 section 2.
            response.insert_header((header::WWW_AUTHENTICATE, r#"Basic realm="wxgate", charset="UTF-8""#));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        response.json(OAuthProblem { error: self.code.error(), error_description: self.code.description() })
    }
}

impl From<OAuthCode> for OAuthError {
    fn from(code: OAuthCode) -> Self {
        let alarm = code == OAuthCode::ServerError;
        Self { code, name: code.error(), alarm, retry_after: None, source: None }
    }
}

impl From<ApiError> for OAuthError {
    fn from(error: ApiError) -> Self {
        Self { source: error.source, ..Self::of(error.code, error.retry_after) }
    }
}

impl From<&ApiError> for OAuthError {
    /// Without its source, which the boundary has already.
    fn from(error: &ApiError) -> Self {
        Self::of(error.code, error.retry_after)
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.error())
    }
}

impl ResponseError for OAuthError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        // The boundary replaces this body, as it does with every error.
        HttpResponse::new(self.code.status())
    }
}
