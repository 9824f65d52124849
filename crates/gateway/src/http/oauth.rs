//! The OAuth endpoints of a tenant. Their errors are those of RFC 6749, the framework's own included.

pub(crate) mod code;
pub(crate) mod error;
pub(super) mod introspect;
pub(super) mod revoke;
pub(super) mod token;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};

use self::code::OAuthCode;
use self::error::OAuthError;
use super::discovery;
use super::extract::client::Client;
use super::extract::credentials;
use super::extract::form::Form;
use crate::app::Gateway;
use crate::service::clients::{ClientError, KnownClient};
use crate::service::directory::KnownTenant;

/// What two parameters of these forms are.
const CLIENT_ID: &str = "Who asks, unless the Authorization header says it.";
const CLIENT_SECRET: &str = "The service client's secret, unless the Authorization header has it.";

/// Whether a path is one of these endpoints', whose failures have their shape.
pub(super) fn is_route(path: &str) -> bool {
    matches!(endpoint(path), Some("oauth/token" | "oauth/introspect" | "oauth/revoke"))
}

/// Whether a path is that of introspection, where services ask for everybody that they serve.
pub(super) fn is_introspection(path: &str) -> bool {
    endpoint(path) == Some("oauth/introspect")
}

/// What follows the tenant in a path.
fn endpoint(path: &str) -> Option<&str> {
    let (_, endpoint) = path.strip_prefix("/t/")?.split_once('/')?;
    Some(endpoint)
}

/// The tenant that the path names.
async fn tenant(request: &HttpRequest, gateway: &Gateway) -> Result<Arc<KnownTenant>, OAuthError> {
    Ok(discovery::tenant(request, gateway).await?)
}

/// The service client that asks, if the request has a secret at all.
async fn claimed_client(
    gateway: &Gateway,
    tenant: &KnownTenant,
    (request, sender, form): (&HttpRequest, &Client, &Form),
) -> Result<Option<Arc<KnownClient>>, OAuthError> {
    match credentials::of(request, form)? {
        Some(claimed) => Ok(Some(gateway.clients.authenticate(tenant, &claimed, sender.address()).await?)),
        None => Ok(None),
    }
}

/// The service client that asks; there must be one.
async fn client(
    gateway: &Gateway,
    tenant: &KnownTenant,
    request: (&HttpRequest, &Client, &Form),
) -> Result<Arc<KnownClient>, OAuthError> {
    claimed_client(gateway, tenant, request).await?.ok_or_else(|| OAuthCode::ClientInvalid.into())
}

/// A reply with a token, or about one.
fn reply() -> actix_web::HttpResponseBuilder {
    let mut reply = HttpResponse::Ok();
    // RFC 6749 section 5.1.
    reply.insert_header(("Cache-Control", "no-store")).insert_header(("Pragma", "no-cache"));
    reply
}

impl From<ClientError> for OAuthError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused => OAuthCode::ClientInvalid.into(),
            ClientError::TooOften(wait) => Self::from(OAuthCode::RateLimited).retry_after(wait.0),
            ClientError::Unavailable => Self::from(OAuthCode::Overloaded).retry_after(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_paths_have_its_shape() {
        for own in ["/t/acme/oauth/token", "/t/ACME/oauth/introspect", "/t//oauth/revoke"] {
            assert!(is_route(own), "{own}");
        }
        for other in
            ["/t/acme/oauth", "/t/acme/oauth/token/", "/t/a/b/oauth/token", "/oauth/token", "/t/acme/jwks.json"]
        {
            assert!(!is_route(other), "{other}");
        }
        assert!(is_introspection("/t/acme/oauth/introspect") && !is_introspection("/t/acme/oauth/token"));
    }
}
