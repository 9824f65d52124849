//! How a service client says who it is: HTTP Basic (RFC 7617), or two parameters of a form (RFC 6749 section 2.3.1).

use actix_web::HttpRequest;
use actix_web::http::header;
use wxgate_crypto::{Secret, encoding};

use super::form::{Form, decoded};
use crate::http::oauth::code::OAuthCode;
use crate::http::oauth::error::OAuthError;
use crate::service::clients::Credentials;

/// An Authorization header that is there twice, of another scheme, or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What the Authorization header says; `None` if there is none.
///
/// # Errors
/// [`Malformed`].
pub(crate) fn basic(request: &HttpRequest) -> Result<Option<Credentials>, Malformed> {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => parse(value.to_str().unwrap_or_default()).map(Some).ok_or(Malformed),
        (Some(_), Some(_)) => Err(Malformed),
    }
}

fn parse(value: &str) -> Option<Credentials> {
    let (_, encoded) = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Basic"))?;
    // One space or more (RFC 9110 section 11.4).
    let encoded = encoded.trim_start_matches(' ');
    let text = Secret::new(String::from_utf8(encoding::base64(encoded)?).ok()?);
    let (id, secret) = text.expose().split_once(':')?;
    // Both are escaped as in a form, before base64 (RFC 6749 section 2.3.1). Ours have nothing to escape.
    Some(Credentials { id: decoded(id.as_bytes())?, secret: Secret::new(decoded(secret.as_bytes())?) })
}

/// What a request to an OAuth endpoint says, by header or by form and never by both; `None` if it has no secret.
///
/// # Errors
/// `invalid_client`, or `invalid_request` for two ways at once.
pub(crate) fn of(request: &HttpRequest, form: &Form) -> Result<Option<Credentials>, OAuthError> {
    let header = basic(request).map_err(|Malformed| OAuthCode::ClientInvalid)?;
    match (header, form.get("client_id"), form.get("client_secret")) {
        (None, _, None) => Ok(None),
        (None, Some(id), Some(secret)) => {
            Ok(Some(Credentials { id: id.to_owned(), secret: Secret::new(secret.to_owned()) }))
        }
        // Naming oneself in the form as well is no second way, as long as it is the same name.
        (Some(claimed), id, None) if id.is_none_or(|id| id == claimed.id) => Ok(Some(claimed)),
        (Some(_), _, _) => Err(OAuthCode::CredentialsTwice.into()),
        (None, None, Some(_)) => Err(OAuthCode::RequestInvalid.into()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn read(values: &[&str]) -> Result<Option<(String, String)>, Malformed> {
        let request = values
            .iter()
            .fold(TestRequest::default(), |request, value| request.append_header((header::AUTHORIZATION, *value)));
        let found = basic(&request.to_http_request())?;
        Ok(found.map(|claimed| (claimed.id, claimed.secret.expose().clone())))
    }

    #[test]
    fn a_basic_header_has_one_meaning() {
        let header = |text: &str| format!("Basic {}", encoding::to_base64(text));
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[&header("svc_a:wxs_b")]), Ok(Some(("svc_a".to_owned(), "wxs_b".to_owned()))));
        assert_eq!(read(&[&header("a:b:c").replace("Basic", "bAsIc")]), Ok(Some(("a".to_owned(), "b:c".to_owned()))));
        assert_eq!(read(&["Basic  YTpi"]), Ok(Some(("a".to_owned(), "b".to_owned()))));
        assert_eq!(read(&[&header("a%3Ab:c+d")]), Ok(Some(("a:b".to_owned(), "c d".to_owned()))));
        let twice = header("a:b");
        for wrong in [
            &["Basic"][..],
            &["Basic "],
            &["Basic YTpi=="],
            &["Bearer YTpi"],
            &[&header("nocolon")],
            &[&header("a:%zz")],
            &[&twice, &twice],
        ] {
            assert_eq!(read(wrong), Err(Malformed), "{wrong:?}");
        }
    }
}
