//! The public keys: of one tenant, and the operator-named set of several.

use actix_web::body::BoxBody;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use wxgate_token::Jwks;

use super::code::Code;
use super::discovery;
use super::error::ApiError;
use super::openapi::about::{self, About};
use crate::app::Gateway;

/// Verifiers may keep a set for five minutes; a key is published long before it signs.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) fn about_tenant() -> About {
    About::new("tenantKeys", "Get the keys that verify a tenant's tokens (RFC 7517).")
        .path("tenant", discovery::TENANT)
        .keys()
        .fails(&[Code::NotFound])
}

pub(super) fn about_shared() -> About {
    About::new("sharedKeys", "Get the keys of the tenants that the operator named. Validators must check `iss`.").keys()
}

impl About {
    fn keys(self) -> Self {
        self.tag(about::SERVICES)
            .header("If-None-Match", "The `ETag` of the set that is known.")
            .gives_object("The set of keys.")
            .answers_with(200, "ETag", "For `If-None-Match`.")
            .nothing(304, "The set that is known.")
    }
}

/// `GET /t/{tenant}/jwks.json`.
pub(super) async fn of_tenant(request: HttpRequest, gateway: web::Data<Gateway>) -> Result<HttpResponse, ApiError> {
    let tenant = super::discovery::tenant(&request, &gateway).await?;
    answer(&request, tenant.ring.jwks())
}

/// `GET /.well-known/jwks.json`.
pub(super) async fn shared(request: HttpRequest, gateway: web::Data<Gateway>) -> Result<HttpResponse, ApiError> {
    answer(&request, &gateway.directory.shared_jwks().await?)
}

fn answer(request: &HttpRequest, jwks: &Jwks) -> Result<HttpResponse, ApiError> {
    let body = || BoxBody::new(jwks.body().to_owned());
    // An empty set that caches keep would shut out tokens of a tenant that is named a moment later.
    if jwks.is_empty() {
        return Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, JSON)).body(body()));
    }
    let known = request.headers().get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    let fresh = known.flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.trim_start_matches("W/") == jwks.etag()
    });
    let mut response = if fresh {
        HttpResponse::NotModified().finish()
    } else {
        HttpResponse::Ok().insert_header((header::CONTENT_TYPE, JSON)).body(body())
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    headers.insert(header::ETAG, HeaderValue::from_str(jwks.etag()).map_err(|_| Code::Internal)?);
    Ok(response)
}

/// `NOT_FOUND` for names that no tenant has.
pub(super) fn unknown() -> ApiError {
    Code::NotFound.into()
}
