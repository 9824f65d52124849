//! Where backends find the keys.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Gateway, Reply};

async fn fetch_if_none_match(gateway: &Gateway, path: &str, tag: &str) -> Reply {
    let request = gateway.client().request(Method::GET, path).header("If-None-Match", tag);
    gateway.client().send(request).await
}

#[tokio::test]
async fn both_documents_lead_to_the_keys_and_promise_nothing_that_is_not_there() {
    let gateway = Gateway::dev().await;
    let issuer = format!("{}/t/demo", gateway.public_url());
    for path in ["/t/demo/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/t/demo"] {
        let reply = gateway.client().get(path).await;
        let document = reply.ok();
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("cache-control"), "public, max-age=300");
        assert_eq!(document["issuer"], issuer);
        assert_eq!(document["jwks_uri"], format!("{issuer}/jwks.json"));
        // Whatever address a document names is served; an endpoint only to those who post.
        for (name, address) in document.as_object().unwrap() {
            let Some(path) = address.as_str().and_then(|it| it.strip_prefix(gateway.public_url())) else { continue };
            let expected = match name.as_str() {
                "issuer" => 404,
                endpoint if endpoint.ends_with("_endpoint") => 405,
                _ => 200,
            };
            assert_eq!(gateway.client().get(path).await.status, expected, "{address}");
        }
        for endpoint in ["token", "introspection", "revocation"] {
            assert!(document[format!("{endpoint}_endpoint")].is_string(), "{document}");
        }
    }
    let document = gateway.client().get("/t/demo/.well-known/openid-configuration").await.ok();
    assert_eq!(document["subject_types_supported"], json!(["public"]));
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256"]));
    assert!(document["response_types_supported"].as_array().is_some_and(|types| !types.is_empty()));
}

#[tokio::test]
async fn keys_are_public_and_say_what_they_are_for() {
    let gateway = Gateway::dev().await;
    let jwks = gateway.client().get("/t/demo/jwks.json").await.ok();
    let keys = jwks["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        assert_eq!((&key["use"], &key["alg"], &key["kty"]), (&json!("sig"), &json!("ES256"), &json!("EC")));
        let members = super::keys(key);
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"], "no private member, nothing symmetric");
    }
}

#[tokio::test]
async fn keys_are_cached_for_five_minutes_and_then_asked_for_by_tag() {
    let gateway = Gateway::dev().await;
    let path = "/t/demo/jwks.json";
    let reply = gateway.client().get(path).await;
    reply.ok();
    let tag = reply.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");
    assert_eq!(reply.header("cache-control"), "public, max-age=300");

    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let fresh = fetch_if_none_match(&gateway, path, &known).await;
        assert_eq!((fresh.status, fresh.text.as_str()), (304, ""), "{known}");
        assert_eq!(fresh.header("etag"), tag);
        assert_eq!(fresh.header("cache-control"), "public, max-age=300");
    }
    let stale = fetch_if_none_match(&gateway, path, "\"other\"").await;
    assert_eq!((stale.status, stale.text), (200, reply.text));

    let head = gateway.client().send(gateway.client().request(Method::HEAD, path)).await;
    assert_eq!((head.status, head.text.as_str(), head.header("etag")), (200, "", tag.as_str()));
}

#[tokio::test]
async fn unknown_tenants_have_no_keys() {
    let gateway = Gateway::dev().await;
    for tenant in ["nobody", "Demo", "demo%2f", "..", "demo%00", &"a".repeat(100)] {
        for path in [
            format!("/t/{tenant}/jwks.json"),
            format!("/t/{tenant}/.well-known/openid-configuration"),
            format!("/.well-known/oauth-authorization-server/t/{tenant}"),
        ] {
            gateway.client().get(&path).await.refused(404, "NOT_FOUND");
        }
    }
}

#[tokio::test]
async fn the_shared_set_is_empty_until_the_operator_names_tenants() {
    let gateway = Gateway::dev().await;
    let reply = gateway.client().get("/.well-known/jwks.json").await;
    assert_eq!(reply.ok(), json!({ "keys": [] }));
    // A cached empty set would refuse the tokens of a tenant that is named a moment later.
    assert_eq!((reply.header("cache-control"), reply.header("etag")), ("no-store", ""));

    let gateway = Gateway::dev().env("WXGATE__JWKS__TENANTS", "demo").await;
    let shared = gateway.client().get("/.well-known/jwks.json").await;
    assert_eq!(shared.ok(), gateway.client().get("/t/demo/jwks.json").await.ok());
    assert_eq!(shared.header("cache-control"), "public, max-age=300");
    let tag = shared.header("etag");
    assert_eq!(fetch_if_none_match(&gateway, "/.well-known/jwks.json", tag).await.status, 304);
}
