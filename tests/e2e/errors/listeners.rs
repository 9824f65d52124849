//! The two listeners, the head of a request, and what a reply's head promises.

use reqwest::Method;

use super::{ask, conversation, tells_nothing};
use crate::harness::{APP, Client, Gateway};

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let padded = |size: usize| client.request(Method::GET, "/t/demo/jwks.json").header("X-Padding", "x".repeat(size));
    let reply = client.send(padded(17 * 1024)).await;
    reply.refused(431, "HEADERS_TOO_LARGE");
    tells_nothing(&reply);
    let long = format!("/t/demo/jwks.json?{}", "x".repeat(17 * 1024));
    client.get(&long).await.refused(431, "HEADERS_TOO_LARGE");
    client.send(padded(12 * 1024)).await.ok();
}

#[tokio::test]
async fn what_is_no_request_ends_the_connection_and_nothing_else() {
    let gateway = Gateway::dev().await;
    let endless = "x".repeat(300_000);
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01"[..], b"HELO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", endless.as_bytes()]
    {
        let reply = conversation(gateway.client(), &[garbage, b"\r\n\r\n"].concat()).await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 4"), "{reply}");
    }
    let issued = gateway.simulator().code(APP).await;
    gateway.client().login_with(APP, &issued.code).await.ok();
}

#[tokio::test]
async fn the_keys_have_a_head_a_tag_and_a_life() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let path = "/t/demo/jwks.json";
    let full = client.get(path).await;
    assert_eq!(full.ok()["keys"].as_array().unwrap().len(), 2, "one signs, one is next");
    assert_eq!(full.header("content-type"), "application/json");
    assert_eq!(full.header("cache-control"), "public, max-age=300");

    let head = ask(&gateway, Method::HEAD, path).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    for name in ["etag", "cache-control", "content-type", "content-length"] {
        assert_eq!(head.header(name), full.header(name), "{name}");
    }
    let again = |tag: String| client.send(client.request(Method::GET, path).header("If-None-Match", tag));
    let etag = full.header("etag");
    for known in [etag.to_owned(), format!("\"other\", W/{etag}"), "*".to_owned()] {
        let reply = again(known).await;
        assert_eq!((reply.status, reply.text.as_str()), (304, ""));
        assert_eq!(reply.header("etag"), etag);
    }
    again("\"other\"".to_owned()).await.ok();

    // Nobody named a tenant for the shared set: an empty one must not be kept by caches.
    let shared = client.get("/.well-known/jwks.json").await;
    assert_eq!(shared.ok()["keys"].as_array().unwrap().len(), 0);
    assert_eq!(shared.header("cache-control"), "no-store");
}

#[tokio::test]
async fn what_caches_and_probes_are_given_fills_no_log() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    for given in ["/t/demo/jwks.json", "/t/demo/.well-known/openid-configuration", "/livez", "/readyz"] {
        assert_eq!(client.get(given).await.status, 200, "{given}");
    }
    assert_eq!(gateway.admin().get("/metrics").await.status, 200);
    client.get("/t/nobody/jwks.json").await.refused(404, "NOT_FOUND");
    client.get("/v1/me").await.refused(401, "TOKEN_INVALID");

    let log = gateway.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("http.route")).collect();
    assert_eq!(told.len(), 2, "what was refused, and nothing else: {log}");
    assert!(told[0].contains("NOT_FOUND") && told[1].contains("/v1/me"), "{log}");
}

#[tokio::test]
async fn the_operators_listener_answers_its_own_machine_only() {
    let gateway = Gateway::dev().await;
    let admin = gateway.admin();
    let with = |name: &str, value: &str| admin.send(admin.request(Method::GET, "/metrics").header(name, value));
    let port = admin.authority().rsplit_once(':').unwrap().1;
    for foreign in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", &format!("evil.example:{port}")] {
        let reply = with("Host", foreign).await;
        reply.refused(403, "HOST_REFUSED");
        tells_nothing(&reply);
    }
    for origin in ["https://evil.example", "null", &format!("http://localhost:{port}")] {
        with("Origin", origin).await.refused(403, "HOST_REFUSED");
    }
    for own in [format!("localhost:{port}"), format!("127.0.0.1:{port}")] {
        assert_eq!(with("Host", &own).await.status, 200);
    }
    let page = admin.get("/metrics").await;
    assert!(page.text.contains("wxgate_http_requests_total") && page.text.ends_with("# EOF\n"), "{}", page.text);
    for path in ["/livez", "/readyz"] {
        assert_eq!(admin.get(path).await.status, 200);
    }
    for path in ["/t/demo/jwks.json", "/", "/user/wxlogin"] {
        assert_eq!(admin.get(path).await.status, 404, "{path} is not the operators'");
    }
    admin.login_with(APP, "abc").await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_listener_that_is_reached_by_name_answers_to_the_names_that_it_was_given() {
    let gateway = Gateway::dev().env("WXGATE__LISTEN__ADMIN_HOSTS", "wxgate-admin.internal").await;
    let admin = gateway.admin();
    let asked_as = |host: &str| admin.send(admin.request(Method::GET, "/readyz").header("Host", host));
    for own in ["wxgate-admin.internal", "WXGATE-admin.internal:8443", "localhost"] {
        assert_eq!(asked_as(own).await.status, 200, "{own}");
    }
    for foreign in ["evil.example", "wxgate-admin.internal.evil.example", "internal"] {
        asked_as(foreign).await.refused(403, "HOST_REFUSED");
    }
}

#[tokio::test]
async fn the_public_listener_has_nothing_for_operators() {
    let gateway = Gateway::dev().await;
    for path in ["/metrics", "/admin", "/admin/v1/apps", "/sim/codes", "/sim/journal", "/openapi.json", "/docs"] {
        ask(&gateway, Method::GET, path).await.refused(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn no_header_of_a_request_moves_the_issuer() {
    let gateway = Gateway::dev().await;
    let client = Client::new(gateway.client().base());
    let request = client
        .request(Method::GET, "/t/demo/.well-known/openid-configuration")
        .header("Host", "evil.example")
        .header("X-Forwarded-Host", "evil.example")
        .header("X-Forwarded-Proto", "https")
        .header("Forwarded", "host=evil.example;proto=https");
    let document = client.send(request).await.ok();
    assert_eq!(document["issuer"], format!("{}/t/demo", gateway.public_url()));
    assert!(!document.to_string().contains("evil"), "{document}");
}
