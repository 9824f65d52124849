//! Who gets into the admin API, and what it says to those who do not.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Gateway, Operator};

#[tokio::test]
async fn only_the_one_key_of_the_one_header_opens_the_admin_api() {
    let gateway = Gateway::dev().await;
    let (admin, operator) = (gateway.admin(), gateway.operator());
    operator.get("/tenants").await.ok();

    let nobody = admin.get("/admin/v1/tenants").await;
    nobody.refused(401, "ADMIN_KEY_INVALID");
    assert_eq!(nobody.header("www-authenticate"), "Bearer", "whoever says nothing has done nothing wrong");

    let key = operator.key.as_str();
    let get = || admin.request(Method::GET, "/admin/v1/tenants");
    for wrong in [
        get().bearer_auth("wxa_"),
        get().bearer_auth(format!("{key}x")),
        get().bearer_auth(&key[..key.len() - 1]),
        get().basic_auth("operator", Some(key)),
        get().bearer_auth(key).bearer_auth(key),
        get().header("Authorization", key),
    ] {
        let reply = admin.send(wrong).await;
        reply.refused(401, "ADMIN_KEY_INVALID");
        assert_eq!(reply.header("www-authenticate"), r#"Bearer error="invalid_token""#);
        assert!(!reply.text.contains(&key[4..]), "{}", reply.text);
    }
    // Addresses reach logs, so nothing there is ever a key.
    for query in ["access_token", "key", "admin_key", "authorization"] {
        admin.get(&format!("/admin/v1/tenants?{query}={key}")).await.refused(401, "ADMIN_KEY_INVALID");
        operator.get(&format!("/tenants?{query}={key}")).await.refused(400, "REQUEST_INVALID");
    }
}

#[tokio::test]
async fn whoever_guesses_keys_is_slowed_down_and_counted_and_shuts_nobody_out() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    let guessing = operator.with_key("wxa_not-a-key");
    let mut last = guessing.get("/tenants").await;
    let mut tries = 1;
    while last.status == 401 && tries < 50 {
        last = guessing.get("/tenants").await;
        tries += 1;
    }
    let problem = last.refused(429, "RATE_LIMITED");
    assert!(tries > 5 && problem["retry_after"].as_u64() >= Some(1), "after {tries} tries: {problem}");
    assert_eq!(last.header("retry-after"), problem["retry_after"].to_string());
    operator.get("/tenants").await.ok();
    assert_eq!(gateway.metric("wxgate_admin_key_failures_total").await, tries);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_with_the_name_of_the_field() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    for (body, says) in [
        (json!({}), "missing field `slug`"),
        (json!({"slug": 7}), "slug: invalid type"),
        (json!({"slug": "Not A Slug"}), "slug: "),
        (json!({"slug": "fine", "nmae": "typo"}), "unknown field `nmae`"),
        (
            json!({"slug": "fine", "policy": {"access_token_seconds": "long"}}),
            "policy.access_token_seconds: invalid type",
        ),
        (json!({"slug": "fine", "policy": {"max_session": 1}}), "policy.max_session: unknown field"),
    ] {
        let problem = operator.post("/tenants", &body).await.refused(400, "REQUEST_INVALID");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{body}: {detail}");
    }
    let problem = operator.get("/tenants?limit=many").await.refused(400, "REQUEST_INVALID");
    assert!(problem["detail"].as_str().unwrap().contains("limit: must be 1 to 500"), "{problem}");
    operator.get("/tenants?limit=1&limit=2").await.refused(400, "REQUEST_INVALID");
}

#[tokio::test]
async fn a_body_is_json_and_stands_alone() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    let post = |path: &str| operator.request(Method::POST, path);
    let form = post("/tenants").body("slug=acme").header("Content-Type", "application/x-www-form-urlencoded");
    operator.send(form).await.refused(415, "MEDIA_TYPE");
    let plain = post("/tenants").body(r#"{"slug":"acme"}"#).header("Content-Type", "text/plain");
    operator.send(plain).await.refused(415, "MEDIA_TYPE");
    let split = post("/tenants?slug=acme").json(&json!({"slug": "acme"}));
    operator.send(split).await.refused(400, "REQUEST_INVALID");
    let twice = post("/tenants").body(r#"{"slug":"acme","slug":"other"}"#).header("Content-Type", "application/json");
    operator.send(twice).await.refused(400, "REQUEST_INVALID");
    let deep = format!(r#"{{"slug":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let deep = post("/tenants").body(deep).header("Content-Type", "application/json");
    operator.send(deep).await.refused(400, "REQUEST_INVALID");
    let large = post("/tenants").json(&json!({"slug": "acme", "name": "x".repeat(70_000)}));
    operator.send(large).await.refused(413, "BODY_TOO_LARGE");
    // Nothing else than the method decides what is done.
    let overridden = post("/tenants/demo/suspend?_method=GET").header("X-HTTP-Method-Override", "GET");
    operator.send(overridden).await.refused(400, "REQUEST_INVALID");
    assert_eq!(operator.get("/tenants").await.ok()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn no_page_of_another_host_reaches_the_admin_api_not_even_with_a_key() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    let with = |name: &str, value: &str| operator.send(operator.request(Method::GET, "/tenants").header(name, value));
    with("Host", "admin.evil.example").await.refused(403, "HOST_REFUSED");
    with("Origin", "https://evil.example").await.refused(403, "HOST_REFUSED");
    with("Origin", "null").await.refused(403, "HOST_REFUSED");
    // Without a key nothing is said of what exists.
    let stranger: Operator = operator.with_key("wxa_x");
    for path in ["/tenants/demo", "/tenants/nobody", "/admin-keys"] {
        stranger.get(path).await.refused(401, "ADMIN_KEY_INVALID");
    }
}
