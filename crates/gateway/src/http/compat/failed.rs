//! A failure in the words of an app's clients, or in wxgate's own where it is not known whose they are.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

use super::convention::{Convention, Failure};
use super::reply;
use crate::http::code::{Action, Code};
use crate::http::error::ApiError;
use crate::http::oauth::error::OAuthError;
use crate::service::directory::DirectoryError;

/// What a request of such a client failed with.
#[derive(Debug)]
pub(in crate::http) struct Failed {
    pub(in crate::http) error: ApiError,
    words: Option<Words>,
}

/// Whose words, and whether they read HTTP 200 alone.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) convention: &'static Convention,
    pub(super) always_ok: bool,
    /// Whether the request had to show an access token.
    pub(super) with_token: bool,
}

impl Failed {
    /// The same, in the words of a convention. Clients that have no refresh token are not told to use it.
    pub(super) fn of(words: Words, mut error: ApiError) -> Self {
        if error.action == Some(Action::Refresh) && !words.convention.refreshes() {
            error.action = Some(Action::Relogin);
        }
        Self { error, words: Some(words) }
    }

    /// The answer; its status is the error's own, unless the clients read HTTP 200 alone.
    pub(in crate::http) fn told(&self, request_id: &str) -> HttpResponse {
        let Some(Words { convention, always_ok, with_token }) = self.words else {
            return self.error.problem(request_id);
        };
        let mut response = match convention.failure {
            // RFC 6750 section 3.1, where RFC 6749 has no word for it.
            Failure::OAuth if with_token && self.error.code.status() == StatusCode::UNAUTHORIZED => {
                let body = json!({ "error": "invalid_token", "error_description": self.error.code.title() });
                self.error.respond("application/json", body.to_string().into_bytes())
            }
            Failure::OAuth => OAuthError::from(&self.error).told(),
            Failure::Fields(template, signals) => {
                let body = reply::failure(template, signals, &self.error);
                self.error.respond("application/json", serde_json::to_vec(&body).unwrap_or_default())
            }
        };
        if always_ok {
            *response.status_mut() = StatusCode::OK;
        }
        response
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.convention.profile.as_str())
    }
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self { error, words: None }
    }
}

impl From<Code> for Failed {
    fn from(code: Code) -> Self {
        ApiError::from(code).into()
    }
}

impl From<DirectoryError> for Failed {
    fn from(error: DirectoryError) -> Self {
        ApiError::from(error).into()
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl ResponseError for Failed {
    fn status_code(&self) -> StatusCode {
        self.error.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        // The boundary replaces this body: it knows the request id.
        HttpResponse::new(self.error.code.status())
    }
}
