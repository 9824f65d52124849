//! Who may talk to the simulator.
//!
//! It hands out codes and session keys to whoever asks, so it must not be reachable from a web page in the developer's
//! browser: an `Origin` gives a page away, and a `Host` that is not a loopback name gives DNS rebinding away.

use std::net::IpAddr;

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::web::Data;
use serde_json::json;

use crate::routes::Shared;

/// The middleware in front of every route.
pub(crate) async fn admit(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> actix_web::Result<ServiceResponse> {
    let exposed = request.app_data::<Data<Shared>>().is_some_and(|shared| shared.exposed);
    if let Err(reason) = check(&request, exposed) {
        let refusal = HttpResponse::Forbidden().json(json!({ "error": reason }));
        return Ok(request.into_response(refusal));
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

fn check(request: &ServiceRequest, exposed: bool) -> Result<(), &'static str> {
    if request.headers().contains_key(header::ORIGIN) {
        return Err("requests of web pages are refused");
    }
    if exposed {
        return Ok(());
    }
    let mut hosts = request.headers().get_all(header::HOST);
    let host = hosts.next().and_then(|host| host.to_str().ok());
    // A request line may carry an authority of its own, which overrules the header (RFC 9112, section 3.2.2).
    let authority = request.uri().authority().map(actix_web::http::uri::Authority::as_str);
    let loopback = host.is_some_and(is_loopback) && hosts.next().is_none() && authority.is_none_or(is_loopback);
    if loopback { Ok(()) } else { Err("the Host must be a loopback name or address") }
}

/// `localhost`, an address of 127.0.0.0/8 or `[::1]`, with or without a port.
fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // The last colon of `[::1]` is a part of the address.
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return false;
    }
    let address = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(v6) => v6.parse().map(IpAddr::V6),
        None => name.parse().map(IpAddr::V4),
    };
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn loopback_hosts() {
        for host in ["localhost", "LocalHost:80", "127.0.0.1", "127.1.2.3:8082", "[::1]", "[::1]:8082"] {
            assert!(is_loopback(host), "{host}");
        }
    }

    #[test]
    fn foreign_hosts() {
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "example.com:80",
            "localhost:80:80",
            "localhost:http",
            "localhost:",
            "localhost@example.com",
            "user@localhost",
            "127.0.0.1.example.com",
            "0.0.0.0",
            "10.0.0.1:80",
            "::1",
            "[::1",
            "[::2]",
            "[127.0.0.1]",
            "[::1]x:80",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
