//! What a backend does with an access token: find the keys through discovery, and verify.

use serde_json::Value;
use wxgate_crypto::encoding;
use wxgate_domain::{Clock, Slug};
use wxgate_token::{Claims, Expected, Issuer, VerifyError, VerifyingKeys};

use super::client::Client;
use super::gateway::Gateway;

/// The issuer that a tenant's tokens name.
pub(crate) fn issuer(gateway: &Gateway, tenant: &str) -> Issuer {
    Issuer::new(gateway.public_url(), &tenant.parse::<Slug>().unwrap())
}

/// A tenant's published keys, found as any JWT library does: issuer, discovery document, JWK set.
pub(crate) async fn keys(gateway: &Gateway, tenant: &str) -> VerifyingKeys {
    let issuer = issuer(gateway, tenant);
    let document = fetch(gateway, &format!("{}/.well-known/openid-configuration", issuer.as_str())).await;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["issuer"], issuer.as_str());
    let jwks = fetch(gateway, document["jwks_uri"].as_str().unwrap()).await;
    VerifyingKeys::from_jwks(jwks.as_bytes()).unwrap()
}

/// Reads a document whose address begins with the public URL, which a proxy would lead to the gateway.
async fn fetch(gateway: &Gateway, url: &str) -> String {
    let path = url.strip_prefix(gateway.public_url()).unwrap_or_else(|| panic!("{url} is not under the public URL"));
    let reply = Client::new(gateway.client().base()).get(path).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.text
}

/// Verifies a token as a service of `tenant` that expects `audience`.
pub(crate) async fn verify(
    gateway: &Gateway,
    tenant: &str,
    audience: &str,
    token: &Value,
) -> Result<Claims, VerifyError> {
    let keys = keys(gateway, tenant).await;
    verify_with(&keys, &issuer(gateway, tenant), audience, token)
}

/// The same with keys that the service read earlier.
pub(crate) fn verify_with(
    keys: &VerifyingKeys,
    issuer: &Issuer,
    audience: &str,
    token: &Value,
) -> Result<Claims, VerifyError> {
    wxgate_token::verify(token.as_str().unwrap(), keys, &Expected { issuer, audience }, &Clock::System)
}

/// Header and claims of a token as they stand there, unverified.
pub(crate) fn parts(token: &Value) -> (Value, Value) {
    let mut parts = token.as_str().unwrap().split('.');
    let mut next = || serde_json::from_slice(&encoding::base64url(parts.next().unwrap()).unwrap()).unwrap();
    (next(), next())
}
