//! Who issues a tenant's tokens.

use std::fmt;

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
}

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
}
