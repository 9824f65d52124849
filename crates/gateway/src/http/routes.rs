//! The whole API as one table.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::web;

use super::endpoint::Endpoint;
use super::oauth::{introspect, revoke, token};
use super::openapi::about::About;
use super::{
    admin, broker, compat, decrypt, discovery, docs, erasure, forward_auth, health, jwks, links, login, logout, me,
    merge, metrics, openapi, phone, platform, push, refresh, revocations, session_check, sessions, tutorial,
};
use crate::operation::{self, Method, Operation};

/// Mini-programs, browsers and downstream services.
pub(super) fn public() -> Vec<Endpoint> {
    let at = Endpoint::at::<&'static str>;
    let mut endpoints = vec![
        Endpoint::below("/forward-auth", forward_auth::ROUTE, forward_auth::decide, forward_auth::about),
        at("/v1/token/refresh").post(refresh::post, refresh::about),
        at("/v1/apps/{appid}/login").post(login::post, login::about),
        at("/t/{tenant}/jwks.json").get(jwks::of_tenant, jwks::about_tenant).quietly(),
        at("/t/{tenant}/oauth/introspect").post(introspect::post, introspect::about),
        at("/t/{tenant}/oauth/token").post(token::post, token::about),
        at("/v1/me")
            .get(me::get, me::about_get)
            .patch(me::patch, me::about_patch)
            .delete(erasure::delete, erasure::about),
        at("/v1/me/decrypt").post(decrypt::post, decrypt::about),
        at("/v1/me/phone").post(phone::post, phone::about_post).delete(phone::delete, phone::about_delete),
        at("/v1/me/links").post(links::post, links::about),
        at("/v1/me/merge").post(merge::post, merge::about),
        at("/v1/me/sessions").get(sessions::list, sessions::about_list),
        at("/v1/me/sessions/{sid}").delete(sessions::delete, sessions::about_delete),
        at("/v1/me/session-check").post(session_check::post, session_check::about),
        at("/v1/apps/{appid}/access-token").get(broker::get, broker::about),
        at("/v1/apps/{appid}/access-token/dead").post(broker::post_dead, broker::about_dead),
        at("/v1/logout").post(logout::post, logout::about),
        at("/user/wxlogin").on(&["GET", "POST"], web::to(tutorial::answer), tutorial::about),
        at("/apps/{appid}/user/wxlogin").on(&["GET", "POST"], web::to(tutorial::answer), tutorial::about_with_appid),
        at("/t/{tenant}/.well-known/openid-configuration").get(discovery::openid, discovery::about_openid).quietly(),
        at("/.well-known/oauth-authorization-server/t/{tenant}")
            .get(discovery::oauth, discovery::about_oauth)
            .quietly(),
        at("/.well-known/jwks.json").get(jwks::shared, jwks::about_shared).quietly(),
        at("/t/{tenant}/oauth/revoke").post(revoke::post, revoke::about),
        at("/t/{tenant}/revocations").get(revocations::get, revocations::about),
        at("/wechat/platform/{component_appid}").post(platform::receive, platform::about_receive),
        at("/wechat/platform/{component_appid}/authorized").get(platform::authorized, platform::about_authorized),
        at("/wechat/push/{appid}").get(push::verify, push::about_verify).post(push::receive, push::about_receive),
        at("/livez").get(health::live, health::about_live).quietly(),
        at("/readyz").get(health::ready, health::about_ready).quietly(),
    ];
    endpoints.extend(compat::endpoints());
    endpoints
}

/// Operators.
pub(super) fn admin() -> Vec<Endpoint> {
    let at = Endpoint::at::<&'static str>;
    let mut operations = Operations::default();
    operation::all(&mut operations);
    let mut endpoints: Vec<_> = operations.0.into_values().collect();
    endpoints.extend([
        at("/openapi.json").get(openapi::get, openapi::about),
        at("/docs").get(docs::get, docs::about),
        at("/metrics").get(metrics::get, metrics::about).quietly(),
        at("/livez").get(health::live, health::about_live).quietly(),
        at("/readyz").get(health::ready, health::about_ready).quietly(),
    ]);
    endpoints
}

/// What operations are about, in the order of their addresses.
pub(super) fn nouns() -> BTreeSet<&'static str> {
    let mut nouns = Nouns::default();
    operation::all(&mut nouns);
    nouns.0
}

/// The operations by their address, each with the methods that it takes.
#[derive(Default)]
struct Operations(BTreeMap<&'static str, Endpoint>);

impl operation::Visitor for Operations {
    fn visit<O: Operation>(&mut self) {
        let at = || Endpoint::at(format!("{}{}", operation::BASE, O::ROUTE.path));
        let known = self.0.remove(O::ROUTE.path).unwrap_or_else(at);
        let endpoint = known.on(methods(O::ROUTE.method), admin::serving::<O>(), About::operation::<O>);
        self.0.insert(O::ROUTE.path, endpoint);
    }
}

#[derive(Default)]
struct Nouns(BTreeSet<&'static str>);

impl operation::Visitor for Nouns {
    fn visit<O: Operation>(&mut self) {
        self.0.insert(O::ROUTE.noun());
    }
}

/// The method of an operation. HEAD would be an audit of nobody: only GET is taken.
fn methods(method: Method) -> &'static [&'static str] {
    match method {
        Method::Get => &["GET"],
        Method::Create | Method::Post => &["POST"],
        Method::Put => &["PUT"],
        Method::Patch => &["PATCH"],
        Method::Delete => &["DELETE"],
    }
}
