//! Who issues a tenant's tokens.

use std::fmt;
use std::str::FromStr;

use wxgate_domain::Slug;

/// A tenant's issuer: `{public_url}/t/{slug}`, also the gateway's own audience.
///
/// It is made from configuration and never from a request: an issuer taken from the Host header is the attacker's choice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Issuer {
    url: String,
    tenant: Slug,
}

impl Issuer {
    /// The issuer of a tenant under the gateway's configured public address, with or without a slash at its end.
    pub fn new(public_url: &str, tenant: &Slug) -> Self {
        Self { url: format!("{}/t/{tenant}", public_url.trim_end_matches('/')), tenant: tenant.clone() }
    }

    /// The text of `iss`. Compared character by character (RFC 8725 section 3.8).
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The tenant it speaks for.
    pub fn tenant(&self) -> &Slug {
        &self.tenant
    }

    /// Where the tenant's keys are published.
    pub fn jwks_uri(&self) -> String {
        format!("{}/jwks.json", self.url)
    }

    /// Where tokens are asked for (RFC 6749 section 3.2).
    pub fn token_endpoint(&self) -> String {
        format!("{}/oauth/token", self.url)
    }

    /// Where a service client asks about a token (RFC 7662).
    pub fn introspection_endpoint(&self) -> String {
        format!("{}/oauth/introspect", self.url)
    }

    /// Where a token is given back (RFC 7009).
    pub fn revocation_endpoint(&self) -> String {
        format!("{}/oauth/revoke", self.url)
    }

    /// Where a service client follows what ended before its tokens did.
    pub fn revocations_uri(&self) -> String {
        format!("{}/revocations", self.url)
    }
}

/// The issuer as a downstream service is told it, character by character what `iss` says.
impl FromStr for Issuer {
    type Err = MalformedIssuer;

    fn from_str(text: &str) -> Result<Self, MalformedIssuer> {
        let (public_url, slug) = text.rsplit_once("/t/").ok_or(MalformedIssuer)?;
        let host = ["https://", "http://"].iter().find_map(|scheme| public_url.strip_prefix(scheme));
        let plain = host.is_some_and(|host| {
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@'))
        });
        let issuer = Self::new(public_url, &slug.parse().map_err(|_| MalformedIssuer)?);
        (plain && issuer.url == text).then_some(issuer).ok_or(MalformedIssuer)
    }
}

/// Text that is no issuer of wxgate's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an issuer is {{public_url}}/t/{{tenant}}, with https or http and nothing after the tenant")]
pub struct MalformedIssuer;

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_of_the_public_address_changes_nothing() {
        let tenant = "acme".parse().unwrap();
        for public_url in ["https://auth.example.com", "https://auth.example.com/", "https://auth.example.com//"] {
            assert_eq!(Issuer::new(public_url, &tenant).as_str(), "https://auth.example.com/t/acme");
        }
        assert_eq!(Issuer::new("https://example.com/auth/", &tenant).as_str(), "https://example.com/auth/t/acme");
    }

    #[test]
    fn an_issuer_reads_back_and_nothing_that_only_resembles_one() {
        for text in ["https://auth.example.com/t/acme", "http://127.0.0.1:8080/t/demo", "https://a.example/x/t/t/t/b"] {
            assert_eq!(text.parse::<Issuer>().unwrap().as_str(), text);
        }
        for wrong in [
            "",
            "https://auth.example.com",
            "https://auth.example.com/t/",
            "https://auth.example.com/t/acme/",
            "https://auth.example.com//t/acme",
            "https://auth.example.com/t/Acme",
            "https://auth.example.com/t/acme?x",
            "https://a@evil.example/t/acme",
            "https:///t/acme",
            "ftp://auth.example.com/t/acme",
            "auth.example.com/t/acme",
            " https://auth.example.com/t/acme",
        ] {
            assert_eq!(wrong.parse::<Issuer>(), Err(MalformedIssuer), "{wrong}");
        }
    }
}
