//! The bearer token of a request (RFC 6750 section 2.1): from the `Authorization` header and nowhere else, because
//! addresses and bodies end up in logs.

use wxgate_token::VerifyError;

use crate::error::Error;

/// The token in the values of all `Authorization` headers.
///
/// # Errors
/// [`Error::Missing`] without one or with another scheme, [`Error::Ambiguous`] with several.
pub(crate) fn token<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<&'a str, Error> {
    let value = values.next().ok_or(Error::Missing)?;
    if values.next().is_some() {
        return Err(Error::Ambiguous);
    }
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, token) = value.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return Err(Error::Missing);
    }
    let token = std::str::from_utf8(token).map_err(|_| VerifyError::Malformed)?;
    Ok(token.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(values: &[&'a str]) -> Result<&'a str, Error> {
        token(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn one_bearer_token_is_read_and_any_doubt_is_refused() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(read(&[value]), Ok("a.b.c"));
        }
        for value in ["", "a.b.c", "Basic YTpi", "Bearertoken a", " Bearer a", "Bearer\ta"] {
            assert_eq!(read(&[value]), Err(Error::Missing), "{value}");
        }
        assert_eq!(read(&[]), Err(Error::Missing));
        assert_eq!(read(&["Bearer a", "Bearer a"]), Err(Error::Ambiguous));
        assert_eq!(read(&["Bearer"]), Ok(""), "and no empty token verifies");
        assert_eq!(token(std::iter::once(&b"Bearer \xff"[..])), Err(VerifyError::Malformed.into()));
    }
}
