//! `/forward-auth/{policy}`, any method, anything after it: whether a proxy may let a request pass.
//!
//! The proxy names the policy in the address that its configuration holds. The rest of the address, the query and every
//! header but Authorization are the client's, and decide nothing.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use super::code::Code;
use super::error::ApiError;
use super::extract::bearer::bearer_token;
use super::openapi::about::{self, About};
use crate::app::Gateway;
use crate::service::verified::Told;

/// Its name in the log and in metrics.
pub(super) const ROUTE: &str = "/forward-auth/{policy}";

/// Where it begins.
const PREFIX: &str = "/forward-auth/";

const SUB: HeaderName = HeaderName::from_static("x-auth-sub");
const TENANT: HeaderName = HeaderName::from_static("x-auth-tenant");
const APP: HeaderName = HeaderName::from_static("x-auth-app");
const SID: HeaderName = HeaderName::from_static("x-auth-sid");
const SCOPE: HeaderName = HeaderName::from_static("x-auth-scope");

pub(super) fn about() -> About {
    About::new("forwardAuth", "Decide for a proxy whether a request may pass.")
        .tag(about::SERVICES)
        .says("Any method, and anything after the policy; docs/forward-auth.md has the configurations.")
        .bearer()
        .path("policy", "The name of the policy, in the proxy's configuration.")
        .nothing(200, "It may. All of the headers are there, empty if need be.")
        .answers_with(200, "X-Auth-Sub", "The user.")
        .answers_with(200, "X-Auth-Tenant", "The tenant's slug.")
        .answers_with(200, "X-Auth-App", "The appid.")
        .answers_with(200, "X-Auth-Sid", "The session.")
        .answers_with(200, "X-Auth-Scope", "What the token allows.")
        .fails(&[Code::TokenInvalid, Code::TokenExpired, Code::ScopeInsufficient, Code::PolicyUnknown])
}

/// Whether an address is this route's.
pub(super) fn is_route(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// 200 with all of `X-Auth-*`, or 401, or 403; 503 if what was revoked is not known.
pub(super) async fn decide(request: HttpRequest, gateway: web::Data<Gateway>) -> Result<HttpResponse, ApiError> {
    // As it was sent: what only decoding makes a policy's name is none.
    let rest = request.uri().path().strip_prefix(PREFIX).unwrap_or_default();
    let policy = gateway.forward_auth.policy(rest.split('/').next().unwrap_or_default());
    let policy = policy.ok_or(Code::PolicyUnknown)?;
    let verified = gateway.forward_auth.decide(&policy, bearer_token(&request)?).await?;

    let mut response = HttpResponse::new(StatusCode::OK);
    let Told { sub, tenant, app, sid, scope } = &verified.told;
    // All of them always: a proxy that copies them must find none of the client's own in a gap.
    for (name, text) in [(SUB, sub), (TENANT, tenant), (APP, app), (SID, sid), (SCOPE, scope)] {
        let value = HeaderValue::from_maybe_shared(text.clone()).map_err(|_| Code::Internal)?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}
