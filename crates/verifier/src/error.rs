//! Why a request is refused, and how that is said in HTTP (RFC 6750 section 3).

use wxgate_token::VerifyError;

/// Why a request is refused.
///
/// With the feature `actix` it is a response by itself, with `axum` too: status, `WWW-Authenticate` or `Retry-After`, and
/// no body, because a body would tell an attacker which check to work on next. Log the error; do not send it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No bearer token: 401 without an error code, as nobody has tried yet.
    #[error("no bearer token")]
    Missing,
    /// More than one `Authorization` header: two readers could take two tokens from it. 400 `invalid_request`.
    #[error("more than one Authorization header")]
    Ambiguous,
    /// The token is not valid here: 401 `invalid_token`.
    #[error("invalid token: {0}")]
    Invalid(#[from] VerifyError),
    /// Its session, user, app, tenant or key was revoked: 401 `invalid_token`.
    #[error("the token was revoked")]
    Revoked,
    /// The token is valid but does not allow this: 403 `insufficient_scope`. It names the scope that is needed.
    #[error("the token lacks the scope {0}")]
    Scope(String),
    /// The route was put up without a verifier, so nobody passes: 500, a mistake in this service.
    #[error("no verifier is set up for this route")]
    NotSetUp,
    /// Nobody can say now whether the token is valid: 503. Letting it pass would let everybody pass.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What is not at hand to verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The keys could not be read yet, or for more than an hour.
    #[error("the keys cannot be read")]
    Keys,
    /// The gateway answers that there is no such tenant, so no key of it is trusted any more.
    #[error("the gateway knows no such tenant")]
    Tenant,
    /// The snapshot of the revocation feed is not loaded yet.
    #[error("the revocation feed is not loaded yet")]
    FeedNotLoaded,
    /// The gateway refuses the service client: its id, its secret, or its grant `feed`.
    #[error("the gateway refuses this service client the revocation feed")]
    FeedRefused,
    /// The last news of the feed are older than this service accepts.
    #[error("the revocation feed is stale")]
    FeedStale,
    /// More revocations at once than this service has room for.
    #[error("the revocation feed has more entries than fit")]
    FeedFull,
}

impl Error {
    /// The HTTP status: 400, 401, 403, 500 or 503.
    pub fn status(&self) -> u16 {
        match self {
            Self::Ambiguous => 400,
            Self::Missing | Self::Invalid(_) | Self::Revoked => 401,
            Self::Scope(_) => 403,
            Self::NotSetUp => 500,
            Self::Unavailable(_) => 503,
        }
    }

    /// The value of `WWW-Authenticate`; `None` where the token is not to blame.
    pub fn challenge(&self) -> Option<String> {
        match self {
            Self::Missing => Some("Bearer".to_owned()),
            Self::Ambiguous => Some(r#"Bearer error="invalid_request""#.to_owned()),
            Self::Invalid(_) | Self::Revoked => Some(r#"Bearer error="invalid_token""#.to_owned()),
            // A scope has neither quotes nor backslashes (RFC 6749 section 3.3); whatever is none is not repeated.
            Self::Scope(scope) if is_scope(scope) => {
                Some(format!(r#"Bearer error="insufficient_scope", scope="{scope}""#))
            }
            Self::Scope(_) => Some(r#"Bearer error="insufficient_scope""#.to_owned()),
            Self::NotSetUp | Self::Unavailable(_) => None,
        }
    }

    /// After how many seconds it is worth asking again, for `Retry-After`; `None` where waiting changes nothing.
    pub fn retry_after(&self) -> Option<u32> {
        matches!(self, Self::Unavailable(_)).then_some(1)
    }
}

/// Whether the text is one scope (RFC 6749 section 3.3): visible ASCII without quotes and backslashes.
pub(crate) fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_in_http_whose_turn_it_is() {
        let expected: [(Error, u16, Option<&str>, bool); 8] = [
            (Error::Missing, 401, Some("Bearer"), false),
            (Error::Ambiguous, 400, Some(r#"Bearer error="invalid_request""#), false),
            (VerifyError::Expired.into(), 401, Some(r#"Bearer error="invalid_token""#), false),
            (Error::Revoked, 401, Some(r#"Bearer error="invalid_token""#), false),
            (
                Error::Scope("orders:read".to_owned()),
                403,
                Some(r#"Bearer error="insufficient_scope", scope="orders:read""#),
                false,
            ),
            (Error::Scope("a\"\r\nX: y".to_owned()), 403, Some(r#"Bearer error="insufficient_scope""#), false),
            (Error::NotSetUp, 500, None, false),
            (Unavailable::FeedStale.into(), 503, None, true),
        ];
        for (error, status, challenge, retry) in expected {
            assert_eq!((error.status(), error.challenge().as_deref()), (status, challenge), "{error}");
            assert_eq!(error.retry_after().is_some(), retry, "{error}");
        }
    }
}
