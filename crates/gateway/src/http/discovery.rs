//! Discovery documents of a tenant: OpenID Connect Discovery 1.0 and RFC 8414.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use wxgate_domain::Slug;
use wxgate_token::discovery::{authorization_server_metadata, openid_configuration};

use super::error::ApiError;
use super::jwks;
use crate::app::Gateway;
use crate::service::directory::KnownTenant;

/// `GET /t/{tenant}/.well-known/openid-configuration`.
pub(super) async fn openid(request: HttpRequest, gateway: web::Data<Gateway>) -> Result<HttpResponse, ApiError> {
    let tenant = tenant(&request, &gateway).await?;
    Ok(document(&openid_configuration(&tenant.issuer, &tenant.ring.algorithms())))
}

/// `GET /.well-known/oauth-authorization-server/t/{tenant}` (RFC 8414 section 3.1).
pub(super) async fn oauth(request: HttpRequest, gateway: web::Data<Gateway>) -> Result<HttpResponse, ApiError> {
    let tenant = tenant(&request, &gateway).await?;
    Ok(document(&authorization_server_metadata(&tenant.issuer)))
}

/// The tenant that the path names.
pub(super) async fn tenant(request: &HttpRequest, gateway: &Gateway) -> Result<Arc<KnownTenant>, ApiError> {
    let slug: Slug = request.match_info().get("tenant").unwrap_or_default().parse().map_err(|_| jwks::unknown())?;
    gateway.directory.tenant(&slug).await?.ok_or_else(jwks::unknown)
}

fn document(document: &serde_json::Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "public, max-age=300")).json(document)
}
