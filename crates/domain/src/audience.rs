//! Whom a token is for, and what it allows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::ids::{MalformedId, parsed};

/// The name under which a service knows its tokens (`aud`, RFC 7519 section 4.1.3), owned by one tenant.
///
/// 1 to 200 visible ASCII characters, compared one by one. What has the shape of an issuer, `https://HOST/t/NAME`, is
/// none: an issuer is the gateway's own audience, and a token for it opens the gateway's own routes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Audience(String);

impl Audience {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Audience {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Audience {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let fits = (1..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            return Err(MalformedId("1 to 200 visible ASCII characters"));
        }
        if is_issuer_shaped(text) {
            return Err(MalformedId("another name than an issuer's, https://HOST/t/NAME"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// Whether some gateway could be the issuer of this name, whatever its public address.
fn is_issuer_shaped(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
    let tenant = rest.and_then(|rest| rest.trim_end_matches('/').rsplit_once("/t/"));
    tenant.is_some_and(|(_, tenant)| !tenant.contains('/'))
}

/// One word of what a token allows (`scope-token`, RFC 6749 section 3.3).
///
/// 1 to 200 visible ASCII characters without `"` and `\`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Scope(String);

impl Scope {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The words of a request's `scope` (RFC 6749 section 3.3): one space between, at most 64 of them, each once.
    ///
    /// # Errors
    /// Anything else: no word at all, two spaces, a repeated word, a character that no word has.
    pub fn list(text: &str) -> Result<Vec<Self>, MalformedId> {
        let mut words: Vec<Self> = Vec::new();
        for word in text.split(' ') {
            let word = word.parse()?;
            if words.len() == 64 || words.contains(&word) {
                return Err(MalformedId("at most 64 words, each once"));
            }
            words.push(word);
        }
        Ok(words)
    }

    /// The words as one text (RFC 6749 section 3.3).
    pub fn join<'a>(words: impl IntoIterator<Item = &'a Self>) -> String {
        words.into_iter().map(Self::as_str).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Scope {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        let fits = (1..=200).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| Self(text.to_owned()))
            .ok_or(MalformedId("1 to 200 visible ASCII characters without quotation marks and backslashes"))
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_issuer_is_an_audience() {
        for good in ["orders", "wx4f4bc4dec97d474b", "https://api.example.com/orders", "urn:acme:orders", "a/t/b"] {
            assert!(good.parse::<Audience>().is_ok(), "{good}");
        }
        for issuer in ["https://login.example.com/t/acme", "http://127.0.0.1:8080/t/demo", "HTTPS://H/x/t/ACME//"] {
            assert!(issuer.parse::<Audience>().is_err(), "{issuer}");
        }
        for wrong in ["", "a b", "a\n", "bestellungen-ö", &"a".repeat(201)] {
            assert!(wrong.parse::<Audience>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn scopes_are_words_of_rfc_6749() {
        assert_eq!(Scope::list("user orders:read").unwrap().len(), 2);
        let many = (0..65).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        for wrong in ["", " ", "a  b", " a", "a ", "a a", "a\tb", "a\"b", "a\\b", "ä", &many] {
            assert!(Scope::list(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(Scope::join(&Scope::list("b a").unwrap()), "b a");
    }
}
