//! An access token in the Authorization header, and the user who logged in with it.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};

use super::body;
use crate::app::Gateway;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::service::account::SignedIn;

/// Whoever holds a user's access token for the gateway itself, and whose session goes on.
pub(crate) struct User(pub(crate) SignedIn);

impl FromRequest for User {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            if body::has_session_key(request.query_string()) {
                return Err(Code::FieldForbidden.into());
            }
            let gateway = request.app_data::<web::Data<Gateway>>().ok_or(Code::Internal)?;
            let token = gateway.verified.user(bearer_token(&request)?).await?;
            Ok(Self(gateway.accounts.signed_in(&token.claims, &token.tenant).await?))
        })
    }
}

/// The token of exactly one Authorization header with the scheme Bearer (RFC 6750 section 2.1), in any case (RFC 9110
/// section 11.1). Tokens in addresses and bodies are nobody's: addresses reach logs.
///
/// # Errors
/// `TOKEN_INVALID` for anything else; without any such header the challenge names no error (RFC 6750 section 3.1).
pub(crate) fn bearer_token(request: &HttpRequest) -> Result<&str, ApiError> {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value,
        (None, _) => return Err(ApiError::challenging(Code::TokenInvalid, "Bearer")),
        (Some(_), Some(_)) => return Err(Code::TokenInvalid.into()),
    };
    // `to_str` would look at each character by itself, of hundreds.
    let text = str::from_utf8(value.as_bytes()).ok().filter(|text| text.is_ascii()).ok_or(Code::TokenInvalid)?;
    let (scheme, token) = text.split_once(' ').ok_or(Code::TokenInvalid)?;
    let token = token.trim_start_matches(' ');
    // What is no token is found when it is verified; one that is known already is one.
    let fits = scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty();
    if fits { Ok(token) } else { Err(Code::TokenInvalid.into()) }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn token(values: &[&str]) -> Option<String> {
        let request = values
            .iter()
            .fold(TestRequest::default(), |request, value| request.append_header((header::AUTHORIZATION, *value)));
        bearer_token(&request.to_http_request()).ok().map(str::to_owned)
    }

    #[test]
    fn one_header_with_one_token_is_read_in_any_case() {
        for good in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c"] {
            assert_eq!(token(&[good]).as_deref(), Some("a.b.c"), "{good}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "a.b.c",
            "Basic a.b.c",
            "Bearer\ta.b.c",
            "BearerX a.b.c",
            " Bearer a.b.c",
            "Bearer \u{e9}",
        ] {
            assert_eq!(token(&[wrong]), None, "{wrong:?}");
        }
        assert_eq!(token(&[]), None);
        assert_eq!(token(&["Bearer a.b.c", "Bearer a.b.c"]), None);
        assert_eq!(token(&["Bearer a.b.c", ""]), None);
    }
}
