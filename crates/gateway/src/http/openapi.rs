//! The document of the whole API, OpenAPI 3.1, written from the tables of routes: `GET /openapi.json` for machines, and
//! [`docs`](super::docs) for people.

pub(super) mod about;
mod answers;
mod operation;
mod schema;

use actix_web::{HttpResponse, web};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, HttpMethod, Info, License, OpenApi, Paths, Server, Tag};

use self::about::{ACCESS_TOKEN, ADMIN_KEY, About, SERVICE_CLIENT};
use self::answers::Listener;
use self::schema::Schemas;
use super::endpoint::Endpoint;
use super::routes;
use crate::app::Gateway;

/// The groups of the document, in its order.
const TAGS: &[(&str, &str)] = &[
    (about::MINI_PROGRAM, "What a mini-program calls."),
    (about::COMPATIBILITY, "What mini-programs call that were written for another server."),
    (about::SERVICES, "What backends, their libraries and proxies call."),
    (about::WECHAT, "What WeChat itself calls."),
    (about::PROBES, "What watches over the process, and what tells of it."),
];

/// `GET /openapi.json`.
pub(super) async fn get(gateway: web::Data<Gateway>) -> HttpResponse {
    HttpResponse::Ok().json(document(&gateway.desk.public_url))
}

pub(super) fn about() -> About {
    About::new("openapi", "This document.").tag(about::PROBES).text(200, "application/json", "OpenAPI 3.1.")
}

/// The document. It is written anew each time: nobody asks often, and memory is for logins.
pub(super) fn document(public_url: &str) -> OpenApi {
    let mut schemas = Schemas::default();
    let mut paths = Paths::new();
    let public = Server::builder().url(public_url).description(Some("The public listener.")).build();
    let admin = Server::builder().url("/").description(Some("The admin listener, where this document is.")).build();
    add(&mut paths, &mut schemas, &routes::admin(), (Listener::Admin, &admin));
    add(&mut paths, &mut schemas, &routes::public(), (Listener::Public, &public));

    let mut info = Info::new("wxgate", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "One auth service for all your WeChat mini-programs. Errors are problem documents (RFC 9457) with a stable \
         `code`; OAuth endpoints and the tutorial's have their own shapes. Times are seconds since 1970."
            .to_owned(),
    );
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    info.license = Some(license);
    let mut components = Components::new();
    components.schemas = schemas.into_iter().collect();
    for (name, scheme) in security_schemes() {
        components.add_security_scheme(name, scheme);
    }
    let mut document = OpenApi::new(info, paths);
    document.components = Some(components);
    document.servers = Some(vec![admin]);
    let nouns = routes::nouns().into_iter().map(|noun| (noun, "Of operators, on the admin listener."));
    let tags = TAGS.iter().copied().chain(nouns);
    document.tags = Some(tags.map(|(name, text)| Tag::builder().name(name).description(Some(text)).build()).collect());
    document
}

fn security_schemes() -> [(&'static str, SecurityScheme); 3] {
    let scheme =
        |scheme, text: &str| SecurityScheme::Http(Http::builder().scheme(scheme).description(Some(text)).build());
    [
        (ADMIN_KEY, scheme(HttpAuthScheme::Bearer, "An admin key, `wxa_...`; a trial prints one.")),
        (ACCESS_TOKEN, scheme(HttpAuthScheme::Bearer, "The access token of a login.")),
        (SERVICE_CLIENT, scheme(HttpAuthScheme::Basic, "Id and secret of a service client.")),
    ]
}

/// Writes what one listener serves.
fn add(paths: &mut Paths, schemas: &mut Schemas, endpoints: &[Endpoint], (listener, server): (Listener, &Server)) {
    for endpoint in endpoints {
        for (method, about) in endpoint.described() {
            let Some(verb) = verb(method) else { continue };
            let mut operation = about.write(listener, method, schemas);
            operation.servers = Some(vec![server.clone()]);
            put(paths, endpoint.path(), verb, operation);
        }
    }
}

/// Both listeners have probes: one entry with two servers.
fn put(paths: &mut Paths, path: &str, verb: HttpMethod, mut operation: Operation) {
    let known = paths.paths.get(path).and_then(|item| item.get.as_ref()).filter(|_| verb == HttpMethod::Get);
    if let Some(known) = known {
        let servers = known.servers.iter().chain(&operation.servers).flatten().cloned().collect();
        operation.servers = Some(servers);
        if let Some(item) = paths.paths.get_mut(path) {
            item.get = Some(operation);
        }
        return;
    }
    let item = PathItem::new(verb, operation);
    match paths.paths.get_mut(path) {
        Some(known) => known.merge_operations(item),
        None => {
            paths.paths.insert(path.to_owned(), item);
        }
    }
}

fn verb(method: &str) -> Option<HttpMethod> {
    Some(match method {
        "GET" => HttpMethod::Get,
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
