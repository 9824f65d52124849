//! The whole API as one table.

use std::borrow::Cow;
use std::collections::BTreeMap;

use actix_web::dev::Handler;
use actix_web::http::{Method, header};
use actix_web::{FromRequest, HttpResponse, Resource, Responder, Route, guard, web};

use super::code::Code;
use super::error::ApiError;
use super::oauth::{introspect, revoke, token};
use super::{
    admin, discovery, forward_auth, health, jwks, login, logout, me, metrics, refresh, revocations, sessions, tutorial,
};
use crate::operation::{self, Operation};

/// The pattern of a route's address, for whoever counts requests: to match it once more would cost more than the counting.
pub(super) struct Pattern(pub(super) Cow<'static, str>);

/// Mini-programs, browsers and downstream services.
pub(super) fn public(routes: &mut web::ServiceConfig) {
    // The first that fits is served, so what is asked for most comes first.
    routes
        .service(web::scope("/forward-auth").default_service(web::to(forward_auth::decide)))
        .service(post("/v1/token/refresh", refresh::post))
        .service(post("/v1/apps/{appid}/login", login::post))
        .service(get("/t/{tenant}/jwks.json", jwks::of_tenant))
        .service(post("/t/{tenant}/oauth/introspect", introspect::post))
        .service(post("/t/{tenant}/oauth/token", token::post))
        .service(get_or_patch("/v1/me", me::get, me::patch))
        .service(get("/v1/me/sessions", sessions::list))
        .service(delete("/v1/me/sessions/{sid}", sessions::delete))
        .service(post("/v1/logout", logout::post))
        .service(get_or_post("/user/wxlogin", tutorial::answer))
        .service(get_or_post("/apps/{appid}/user/wxlogin", tutorial::answer))
        .service(get("/t/{tenant}/.well-known/openid-configuration", discovery::openid))
        .service(get("/.well-known/oauth-authorization-server/t/{tenant}", discovery::oauth))
        .service(get("/.well-known/jwks.json", jwks::shared))
        .service(post("/t/{tenant}/oauth/revoke", revoke::post))
        .service(get("/t/{tenant}/revocations", revocations::get))
        .service(get("/livez", health::live))
        .service(get("/readyz", health::ready))
        .default_service(web::to(not_found));
}

/// Operators.
pub(super) fn admin(routes: &mut web::ServiceConfig) {
    let mut operations = Operations::default();
    operation::all(&mut operations);
    operations.serve(routes);
    routes
        .service(get("/metrics", metrics::get))
        .service(get("/livez", health::live))
        .service(get("/readyz", health::ready))
        .default_service(web::to(not_found));
}

/// The operations by their address, each with the methods that it takes.
#[derive(Default)]
struct Operations(BTreeMap<&'static str, Vec<(&'static str, Route)>>);

impl operation::Visitor for Operations {
    fn visit<O: Operation>(&mut self) {
        let method = O::ROUTE.method.name();
        let takes = guard::fn_guard(move |request| request.head().method.as_str() == method);
        let route = web::route().guard(takes).to(admin::operate::<O>);
        self.0.entry(O::ROUTE.path).or_default().push((method, route));
    }
}

impl Operations {
    fn serve(self, routes: &mut web::ServiceConfig) {
        for (path, operations) in self.0 {
            let allow = operations.iter().map(|(method, _)| *method).collect::<Vec<_>>().join(", ");
            let pattern = format!("{}{path}", operation::BASE);
            let resource = web::resource(pattern.clone()).app_data(Pattern(Cow::Owned(pattern)));
            let resource = operations.into_iter().fold(resource, |resource, (_, route)| resource.route(route));
            routes.service(resource.default_service(web::to(move || wrong_method(allow.clone()))));
        }
    }
}

async fn wrong_method(allow: String) -> HttpResponse {
    HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, allow)).finish()
}

fn post<F, Args>(path: &'static str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    endpoint(path, "POST", &[Method::POST], handler)
}

fn get<F, Args>(path: &'static str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    endpoint(path, "GET, HEAD", &[Method::GET, Method::HEAD], handler)
}

fn get_or_post<F, Args>(path: &'static str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    endpoint(path, "GET, POST", &[Method::GET, Method::POST], handler)
}

fn delete<F, Args>(path: &'static str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    endpoint(path, "DELETE", &[Method::DELETE], handler)
}

fn get_or_patch<F, G, Args, GArgs>(path: &'static str, read: F, change: G) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
    G: Handler<GArgs>,
    GArgs: FromRequest + 'static,
    G::Output: Responder + 'static,
{
    let takes_patch = web::route().guard(guard::Patch()).to(change);
    endpoint(path, "GET, HEAD, PATCH", &[Method::GET, Method::HEAD], read).route(takes_patch)
}

/// One address; other methods than its own are told which ones it takes (RFC 9110 section 15.5.6).
fn endpoint<F, Args>(path: &'static str, allow: &'static str, methods: &[Method], handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let takes = methods.to_vec();
    let right_method = guard::fn_guard(move |request| takes.contains(&request.head().method));
    web::resource(path)
        .route(web::route().guard(right_method).to(handler))
        .default_service(web::to(move || wrong_method(allow.to_owned())))
}

async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(Code::NotFound.into())
}
