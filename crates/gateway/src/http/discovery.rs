//! Discovery documents of a tenant: OpenID Connect Discovery 1.0 and RFC 8414.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use wxgate_domain::Slug;
use wxgate_token::discovery::{authorization_server_metadata, openid_configuration};

use super::code::Code;
use super::error::ApiError;
use super::extract::path;
use super::jwks;
use super::openapi::about::{self, About};
use crate::app::Gateway;
use crate::service::directory::KnownTenant;

pub(super) fn about_openid() -> About {
    About::new("openidConfiguration", "Discover a tenant's issuer (OpenID Connect Discovery 1.0).")
        .tag(about::SERVICES)
        .path("tenant", TENANT)
        .gives_object("The metadata.")
        .fails(&[Code::NotFound])
}

pub(super) fn about_oauth() -> About {
    About::new("authorizationServerMetadata", "Discover a tenant's issuer (RFC 8414).")
        .tag(about::SERVICES)
        .path("tenant", TENANT)
        .gives_object("The metadata.")
        .fails(&[Code::NotFound])
}

/// What the field `tenant` of a path is.
pub(super) const TENANT: &str = "The tenant's slug.";

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
    let slug: Slug = path::field(request, "tenant").unwrap_or_default().parse().map_err(|_| jwks::unknown())?;
    gateway.directory.tenant(&slug).await?.ok_or_else(jwks::unknown)
}

fn document(document: &serde_json::Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "public, max-age=300")).json(document)
}
