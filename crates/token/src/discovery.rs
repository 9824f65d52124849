//! The metadata documents by which others find the keys: OpenID Connect Discovery 1.0 and RFC 8414.
//!
//! They say what works and nothing else. There is no authorization endpoint, so none is named: RFC 8414 section 2 excuses
//! it where no grant uses it; OpenID Connect demands it on paper, but the readers that only look for keys (go-oidc, Spring,
//! Istio, openid-client) do not, and other issuers without a login page (Kubernetes service accounts, GitHub Actions)
//! leave it out too. An address that answers 404 would help nobody. Scopes are not listed: each app has its own.

use serde_json::{Value, json};
use wxgate_domain::SigningAlgorithm;

use crate::claims;
use crate::issuer::Issuer;

/// The grants of the token endpoint (RFC 6749 sections 4.4, 4.5 and 6, RFC 8693 section 2.1).
pub const GRANT_TYPES: [&str; 4] = [
    "urn:wxgate:grant:wechat-code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:token-exchange",
];

/// How service clients prove who they are (RFC 6749 section 2.3.1).
pub const SECRET_METHODS: [&str; 2] = ["client_secret_basic", "client_secret_post"];

/// And mini-programs, which keep no secret, give their appid alone.
const PUBLIC_OR_SECRET: [&str; 3] = ["none", "client_secret_basic", "client_secret_post"];

/// `{issuer}/.well-known/openid-configuration` (OpenID Connect Discovery 1.0 section 3).
///
/// `algorithms` are those of the published keys.
pub fn openid_configuration(issuer: &Issuer, algorithms: &[SigningAlgorithm]) -> Value {
    let mut metadata = authorization_server_metadata(issuer);
    let algorithms: Vec<_> = algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
    let openid = [
        // Required. One `sub` for a user, the same for every audience.
        ("subject_types_supported", json!(["public"])),
        // Required. No ID tokens are issued, but go-oidc and others take from here what they accept of any token, so it
        // names what the keys sign with; RS256, which the text wants always, only where a key has it.
        ("id_token_signing_alg_values_supported", json!(algorithms)),
        // Recommended. What the tokens can say.
        ("claims_supported", json!(claims::NAMES)),
    ];
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.extend(openid.map(|(name, value)| (name.to_owned(), value)));
    }
    metadata
}

/// `/.well-known/oauth-authorization-server/t/{tenant}` (RFC 8414 section 2).
pub fn authorization_server_metadata(issuer: &Issuer) -> Value {
    json!({
        // Required, and compared with the address it was read from (section 3.3).
        "issuer": issuer.as_str(),
        // Optional, and what everybody comes for.
        "jwks_uri": issuer.jwks_uri(),
        // Required, and may not be empty (section 3.2). `none` is the registered response type that yields nothing
        // (OAuth 2.0 Multiple Response Type Encoding Practices section 4), which is what an authorization request gets.
        "response_types_supported": ["none"],
        "token_endpoint": issuer.token_endpoint(),
        // If left out it would mean authorization_code and implicit.
        "grant_types_supported": GRANT_TYPES,
        "token_endpoint_auth_methods_supported": PUBLIC_OR_SECRET,
        "introspection_endpoint": issuer.introspection_endpoint(),
        "introspection_endpoint_auth_methods_supported": SECRET_METHODS,
        // A refresh token is given back by whoever holds it, a service client's access token by the client.
        "revocation_endpoint": issuer.revocation_endpoint(),
        "revocation_endpoint_auth_methods_supported": PUBLIC_OR_SECRET,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> Issuer {
        Issuer::new("https://auth.example.com/", &"acme".parse().unwrap())
    }

    #[test]
    fn openid_configuration_names_what_is_there_and_what_parsers_demand() {
        let document = openid_configuration(&issuer(), &[SigningAlgorithm::ES256, SigningAlgorithm::RS256]);
        assert_eq!(
            document,
            json!({
                "issuer": "https://auth.example.com/t/acme",
                "jwks_uri": "https://auth.example.com/t/acme/jwks.json",
                "response_types_supported": ["none"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256", "RS256"],
                "claims_supported": [
                    "iss", "sub", "aud", "client_id", "sid", "jti", "iat", "exp", "scope", "tenant", "openid", "unionid", "external_id",
                    "phone_number", "phone_number_verified",
                    "app", "act",
                ],
                "token_endpoint": "https://auth.example.com/t/acme/oauth/token",
                "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
                "grant_types_supported": [
                    "urn:wxgate:grant:wechat-code", "refresh_token", "client_credentials",
                    "urn:ietf:params:oauth:grant-type:token-exchange",
                ],
                "introspection_endpoint": "https://auth.example.com/t/acme/oauth/introspect",
                "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "revocation_endpoint": "https://auth.example.com/t/acme/oauth/revoke",
                "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            })
        );
    }

    #[test]
    fn no_authorization_endpoint_is_named_and_no_list_is_empty() {
        let documents =
            [openid_configuration(&issuer(), &SigningAlgorithm::ALL), authorization_server_metadata(&issuer())];
        for document in documents {
            assert!(document.get("authorization_endpoint").is_none());
            for (name, value) in document.as_object().unwrap() {
                assert!(value.as_array().is_none_or(|list| !list.is_empty()), "{name}");
                assert!(
                    !name.ends_with("_endpoint") || value.as_str().unwrap().starts_with(issuer().as_str()),
                    "{name}"
                );
            }
        }
    }
}
