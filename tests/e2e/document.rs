//! The API's document: for machines, and for people.

use reqwest::Method;

use crate::harness::Gateway;

#[tokio::test]
async fn the_document_tells_of_both_listeners_and_needs_no_key() {
    let gateway = Gateway::dev().await;
    let reply = gateway.admin().get("/openapi.json").await;
    let document = reply.ok();
    assert_eq!(reply.header("content-type"), "application/json");
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    let paths = document["paths"].as_object().unwrap();
    for (path, method, listener) in [
        ("/v1/apps/{appid}/login", "post", gateway.public_url()),
        ("/t/{tenant}/oauth/token", "post", gateway.public_url()),
        ("/admin/v1/tenants", "post", "/"),
    ] {
        assert_eq!(paths[path][method]["servers"][0]["url"], listener, "{path}");
    }
    assert_eq!(paths["/readyz"]["get"]["servers"].as_array().unwrap().len(), 2, "probes are on both");
    // It tells what is there, and nothing of whom it serves.
    assert!(!reply.text.contains("wxa_demo") && !reply.text.contains("wx000000000000de01"));
}

#[tokio::test]
async fn the_page_needs_nothing_from_anywhere_else_and_runs_nothing() {
    let gateway = Gateway::dev().await;
    let page = gateway.admin().get("/docs").await;
    page.status_is(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    for dangerous in ["<script", "javascript:", "src=", "http://", "https://", "@import", "url("] {
        assert!(!page.text.contains(dangerous), "{dangerous}");
    }
    for told in ["/v1/apps/{appid}/login", "/admin/v1/tenants/{tenant}", "RATE_LIMITED", "id=\"schema-LoginReply\""] {
        assert!(page.text.contains(told), "{told}");
    }
    let foreign = gateway.admin().request(Method::GET, "/docs").header("Host", "evil.example");
    gateway.admin().send(foreign).await.refused(403, "HOST_REFUSED");
}
